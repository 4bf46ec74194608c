// An actor that gives back what it gets, tells who has sent it, and asks others when it is told to: what the rows of the features
// table need at the far end, whether that is a node of the same process or another process. And a scene that both play.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coppice/coppice.hpp"
#include "support/play.hpp"
#include "support/sanitizers.hpp"

namespace coppice::tests {

struct parcel {
    std::string what;
    using reply = std::string;
};
struct pack {
    std::vector<std::string> strings;
    using reply = std::vector<std::string>;
};
struct who_am_i {  // answers whether the sender is the actor of that path
    std::string path;
    using reply = bool;
};
struct bulk {
    std::string what;
};
struct free_form {
    std::vector<std::byte> bytes;
};
struct seen_bulk {  // size of the last bulk or free_form, and the sum of its bytes; nothing if none has come
    using reply = std::pair<std::uint64_t, std::uint64_t>;
};
struct ask_for {  // of an actor on another node: what that answers
    std::string path;
    std::string what;
    using reply = std::string;
};
using echo_protocol = protocol<parcel, pack, who_am_i, bulk, free_form, seen_bulk, ask_for>;

inline std::string text_of(std::size_t size) {
    std::string s(size, '\0');
    std::uint64_t state = size + 1;
    for (char& c : s)
        c = static_cast<char>((state = state * 6364136223846793005ull + 1442695040888963407ull) >> 56);
    return s;
}
template <class Bytes>
std::uint64_t sum_of(const Bytes& bytes) {
    std::uint64_t sum = 0;
    for (const auto b : bytes) sum = sum * 31 + static_cast<unsigned char>(b);
    return sum;
}

/// Waits until that one has come up, also in place of one that was lost.
inline task<result<ref<echo_protocol>>> when_there(actor<anything> self, std::string path) {
    for (;;) {
        auto found = co_await self.resolve<echo_protocol>(path);
        if (found || (found.error() != errc::unreachable && found.error() != errc::not_found &&
                      found.error() != errc::node_lost))
            co_return found;
        co_await self.sleep(5ms);
    }
}

inline task<> echo(actor<echo_protocol> self) {
    std::pair<std::uint64_t, std::uint64_t> last{};
    while (auto m = co_await self.receive()) {
        if (auto q = m.take<who_am_i>()) {
            const ref<> from = q.sender();
            auto named = co_await self.resolve<protocol<down>>(q->path);
            q.reply(named && from == *named);
            continue;
        }
        if (auto q = m.take<ask_for>()) {
            auto to = co_await when_there(actor<anything>{self.cell()}, q->path);
            if (!to) {
                q.reply("no way: " + to.error().what());
                continue;
            }
            auto back = co_await self.ask<parcel>(*to, 60s, q->what);
            q.reply(back ? *back : "no answer: " + back.error().what());
            continue;
        }
        m.match([](request<parcel> r) { r.reply(std::move(r->what)); },
                [](request<pack> r) { r.reply(std::move(r->strings)); }, [](request<who_am_i>) {},
                [&](const bulk& b) { last = {b.what.size(), sum_of(b.what)}; },
                [&](const free_form& f) { last = {f.bytes.size(), sum_of(f.bytes)}; },
                [&](request<seen_bulk> r) { r.reply(last); }, [](request<ask_for>) {});
    }
}

template <class Carrier = decltype(in_coroutine)>
supervisor_spec with_echo(Carrier carrier = in_coroutine) {
    supervisor_spec spec;
    spec.add(child("echo", carrier, echo));
    return spec;
}

/// Sends that echo 100 MiB, and meanwhile small messages of another actor, which are not behind it.
inline task<> expect_small_ones_to_pass_a_large_one(actor<anything> self, ref<echo_protocol> to) {
    const std::size_t size = slow_build ? std::size_t{20} << 20 : std::size_t{100} << 20;
    std::string what = text_of(size);
    const std::uint64_t sum = sum_of(what);
    EXPECT_EQ(co_await self.send_wait<bulk>(to, std::move(what)), errc::ok);
    struct script {
        static task<> run(actor<protocol<>> small, ref<echo_protocol> there,
                          std::shared_ptr<std::vector<std::uint64_t>> seen) {
            for (;;) {
                auto now = co_await small.ask<seen_bulk>(there, 60s);
                seen->push_back(now ? now->first : 1);
                if (!now || now->first) co_return;
            }
        }
    };
    auto seen = std::make_shared<std::vector<std::uint64_t>>();
    self.monitor(self.spawn(script::run, to, seen));
    auto m = co_await self.receive();
    REQUIRE_OR_END(m.get_if<down>());
    EXPECT_GE(seen->size(), 10u) << "small messages waited for the large one";
    EXPECT_EQ(seen->back(), size);
    auto last = co_await self.ask<seen_bulk>(to, 60s);
    REQUIRE_OR_END(last);
    EXPECT_EQ(last->second, sum);
}

}  // namespace coppice::tests
