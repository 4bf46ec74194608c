// workers: actors for tests of supervision, which do what they are told and write down what happens to them.
//
//     journal log;
//     world.start(supervisor_spec{}.add(worker("a", log)));
//     order<crash>(world, "/app/a", "boom");
//     EXPECT_EQ(log.taken(), "+a1 !a1 +a2");      // + started, ! crashed, - ended otherwise; the digit: incarnation
//
// A journal belongs to one thread: for worlds. It is copied by handle.
#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"

namespace coppice::tests {

using namespace std::chrono_literals;

/// What happened, in order.
class journal {
public:
    void add(std::string what) const { entries_->push_back(std::move(what)); }
    [[nodiscard]] const std::vector<std::string>& entries() const noexcept { return *entries_; }
    /// All entries so far, separated by spaces, and forgets them.
    [[nodiscard]] std::string taken() const {
        std::string text;
        for (const std::string& e : *entries_) text += (text.empty() ? "" : " ") + e;
        entries_->clear();
        return text;
    }

private:
    std::shared_ptr<std::vector<std::string>> entries_ = std::make_shared<std::vector<std::string>>();
};

/// Ends the worker with an exception of this text.
struct crash {
    std::string text = "boom";
};
/// Ends it by returning.
struct leave {};
/// Ends it by self.fail().
struct give_up {};
struct note {
    int number = 0;
};
/// Its incarnation.
struct which {
    using reply = std::uint32_t;
};
/// It crashes with this request in hand.
struct crash_in_hand {
    using reply = int;
};
using worker_protocol = protocol<crash, leave, give_up, note, which, crash_in_hand>;

/// How a worker behaves beside what it is told.
struct manners {
    int fail_starts_from = 0;  ///< incarnations from this one on throw before their first await; 0: none
    bool tells_ready = false;  ///< calls ready() ...
    std::chrono::nanoseconds ready_after{0};  ///< ... after that time
    std::chrono::nanoseconds lingers{0};      ///< time it takes to end when it is asked to
    bool ignores_stop = false;                ///< goes on whatever it is asked, until it is killed
    std::shared_ptr<int> broken;              ///< starts fail while this is not 0
};

inline task<> work(actor<worker_protocol> self, std::string name, journal log, manners m) {
    const std::string me = name + std::to_string(self.incarnation());
    log.add("+" + me);
    struct at_end {
        const journal& log;
        const std::string& me;
        bool crashed = true;
        ~at_end() { log.add((crashed ? "!" : "-") + me); }
    } end{log, me};
    if (m.fail_starts_from && static_cast<int>(self.incarnation()) >= m.fail_starts_from)
        throw std::runtime_error{"it does not start"};
    if (m.broken && *m.broken) throw std::runtime_error{"it is broken"};
    if (m.tells_ready) {
        if (m.ready_after.count() > 0) co_await self.sleep(m.ready_after);
        self.ready();
    }
    bool on = true;
    while (on) {
        auto mail = co_await self.receive();
        if (!mail) {
            if (m.ignores_stop) {
                try {
                    co_await self.sleep(1h);
                } catch (const cancelled&) {
                    log.add("~" + me);  // killed
                    throw;
                }
                continue;
            }
            if (m.lingers.count() > 0) co_await self.sleep(m.lingers);
            break;
        }
        mail.match([&](const crash& c) { throw std::runtime_error{c.text}; },
                   [&](const leave&) { on = false; },
                   [&](const give_up&) {
                       self.fail("gave up");
                       on = false;
                   },
                   [&](const note& n) { log.add(me + ":" + std::to_string(n.number)); },
                   [&](request<which> r) { r.reply(self.incarnation()); },
                   [&](request<crash_in_hand>) { throw std::runtime_error{"with a request in hand"}; });
    }
    end.crashed = false;
}

inline child_spec worker(const std::string& name, journal log, manners m = {}, carrier how = in_coroutine) {
    return child(name, how, work, name, std::move(log), std::move(m));
}

/// Sends a message to the actor of that path and runs until nothing is left to do at this time.
template <message M, class... Args>
void order(testing::world& world, std::string_view path, Args&&... args) {
    auto found = world.resolve<worker_protocol>(path);
    ASSERT_TRUE(found) << path << ": " << found.error().what();
    EXPECT_EQ(world.send<M>(*found, std::forward<Args>(args)...), errc::ok) << path;
    world.run_until_idle();
}

}  // namespace coppice::tests
