// play: runs a coroutine as an actor, in a world or in a real node, and waits until it has ended.
//
//     play(world, [](actor<anything> self) -> task<> { EXPECT_EQ(self.send<note>(self.me(), 1), errc::ok); co_return; });
//
// The script is a captureless lambda; what it needs it gets as arguments, by value or as pointers. Its exceptions are
// failures of the test, with their text. GoogleTest's EXPECT_* work in a script; in place of ASSERT_*, which return, use
// REQUIRE_OR_END.
#pragma once
#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"

/// As ASSERT_TRUE, in a coroutine.
#define REQUIRE_OR_END(condition) \
    do { \
        if (!(condition)) { \
            ADD_FAILURE() << "required: " #condition; \
            co_return; \
        } \
    } while (false)

namespace coppice::tests {

using namespace std::chrono_literals;

/// The schedulers that a child can be put on: scheduler n of a node that has fewer is its last one.
inline coroutine_carrier on(std::uint32_t n, std::uint32_t schedulers) {
    return on_scheduler(n < schedulers ? n : schedulers - 1);
}

struct playing {
    bool ended = false;
    std::promise<void>* told = nullptr;
    ~playing() = default;
};

template <class P, class F, class... A>
task<> perform(actor<anything> self, std::shared_ptr<playing> state, F script, A... arguments) {
    struct at_end {
        playing* p;
        ~at_end() {
            p->ended = true;
            if (p->told) p->told->set_value();
        }
    } guard{state.get()};
    try {
        co_await script(actor<P>{self.cell()}, std::move(arguments)...);
    } catch (const std::exception& e) {
        ADD_FAILURE() << "the script threw: " << e.what();
    }
}

/// In a world whose tree runs. An empty tree is started if there is none.
template <class P = anything, class F, class... A>
void play(testing::world& world, F script, A... arguments) {
    if (world.inspect().name.empty()) {
        const auto started = world.start(supervisor_spec{});
        ASSERT_TRUE(started) << started.error().what();
    }
    auto state = std::make_shared<playing>();
    world.run_under_some_root(
        [=](actor<anything> self) { return perform<P>(self, state, script, arguments...); });
    EXPECT_TRUE(world.run_until([&] { return state->ended; }, std::chrono::hours{100}))
        << "the script did not end";
}

/// In a real node: started with this tree, from an ordinary thread; the node's tree is ended afterwards by its destructor.
template <class P = anything, class F, class... A>
void play(node& where, F script, A... arguments) {
    std::promise<void> told;
    auto ended = told.get_future();
    auto state = std::make_shared<playing>();
    state->told = &told;
    auto root = where.resolve<supervisor_protocol>("/" + where.name());
    ASSERT_TRUE(root) << root.error().what();
    // The tree's root starts a child whose only work is the script.
    auto body = [](actor<P> self, std::shared_ptr<playing> s, F f, A... a) -> task<> {
        return perform<P>(actor<anything>{self.cell()}, std::move(s), f, std::move(a)...);
    };
    static std::atomic<unsigned> number{0};
    auto started = where.ask<start_child>(
        *root, 60s,
        child("script" + std::to_string(++number), in_coroutine, body, state, script, arguments...)
            .restarts(restart::temporary));
    ASSERT_TRUE(started) << started.error().what();
    ended.wait();
}

/// Options of a node for tests: this many schedulers, nothing on the terminal.
inline node_options quiet(std::uint32_t schedulers) {
    node_options o;
    o.schedulers = schedulers;
    o.log_terminal = false;
    o.handle_signals = false;
    return o;
}
/// The same, of one that listens, and of one whose parent listens there.
inline node_options listening_at(const std::string& uri, std::uint32_t schedulers = 2) {
    node_options o = quiet(schedulers);
    o.network.listen = {uri};
    return o;
}
inline node_options below(const std::string& uri, std::uint32_t schedulers = 2) {
    node_options o = quiet(schedulers);
    o.network.parent = uri;
    return o;
}

}  // namespace coppice::tests

// GoogleTest prints codes by name.
namespace coppice {
inline void PrintTo(errc code, std::ostream* out) { *out << to_string(code); }
inline void PrintTo(const error& e, std::ostream* out) { *out << e.what(); }
inline void PrintTo(exit_kind kind, std::ostream* out) { *out << to_string(kind); }
}  // namespace coppice
