// The mailbox against a naive model of its lanes, its bound, its policies and its stash: random sends and receives, the
// same outcome and the same order in both.
#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

template <int Kind>
struct plain {
    int n = 0;
};
struct urgent {
    static constexpr auto lane = coppice::lane::priority;
    int n = 0;
};
using mixed = protocol<plain<0>, plain<1>, plain<2>, urgent>;

struct mail {
    int kind;  // 0 to 2: plain; 3: urgent
    int n;
    friend bool operator==(const mail&, const mail&) = default;
};

struct model {
    std::size_t capacity;
    overflow policy;
    std::deque<mail> normal{};
    std::deque<mail> priority{};
    std::deque<mail> stashed{};
    std::uint64_t dead = 0;

    errc send(mail m) {
        if (m.kind == 3) {
            if (priority.size() >= capacity) return ++dead, errc::mailbox_full;
            priority.push_back(m);
            return errc::ok;
        }
        if (policy == overflow::keep_latest) {
            const auto same =
                std::find_if(normal.begin(), normal.end(), [&](const mail& x) { return x.kind == m.kind; });
            if (same != normal.end()) {
                *same = m;
                ++dead;
                return errc::ok;
            }
        }
        if (normal.size() >= capacity) {
            ++dead;
            if (policy == overflow::reject) return errc::mailbox_full;
            if (policy == overflow::drop_newest) return errc::ok;
            normal.pop_front();
        }
        normal.push_back(m);
        return errc::ok;
    }
    bool empty() const { return normal.empty() && priority.empty(); }
    mail receive() {
        auto& lane = priority.empty() ? normal : priority;
        const mail m = lane.front();
        lane.pop_front();
        return m;
    }
    bool select(int kind, mail& out) {
        for (auto* lane : {&priority, &normal}) {
            const auto found =
                std::find_if(lane->begin(), lane->end(), [&](const mail& x) { return x.kind == kind; });
            if (found == lane->end()) continue;
            out = *found;
            lane->erase(found);
            return true;
        }
        return false;
    }
    void stash(mail m) {
        if (stashed.size() >= capacity) ++dead;
        else stashed.push_back(m);
    }
    void unstash() {
        normal.insert(normal.begin(), stashed.begin(), stashed.end());
        stashed.clear();
    }
};

mail body_of(received<mixed>& m) {
    if (auto* x = m.get_if<plain<0>>()) return {0, x->n};
    if (auto* x = m.get_if<plain<1>>()) return {1, x->n};
    if (auto* x = m.get_if<plain<2>>()) return {2, x->n};
    if (auto* x = m.get_if<urgent>()) return {3, x->n};
    return {-1, 0};
}

errc send(actor<mixed> self, mail m) {
    switch (m.kind) {
    case 0: return self.send<plain<0>>(self.me(), m.n);
    case 1: return self.send<plain<1>>(self.me(), m.n);
    case 2: return self.send<plain<2>>(self.me(), m.n);
    default: return self.send<urgent>(self.me(), m.n);
    }
}

// Random operations on its own mailbox, each held against the model.
task<> subject(actor<mixed> self, model* naive, int* done) {
    for (int step = 0; step < 500; ++step) {
        const auto what = self.random() % 12;
        if (what < 6) {
            const mail m{static_cast<int>(self.random() % 4), step};
            EXPECT_EQ(send(self, m), naive->send(m));
        } else if (what < 8) {
            auto m = co_await self.receive(0ns);
            EXPECT_EQ(static_cast<bool>(m), !naive->empty());
            if (m && !naive->empty()) EXPECT_EQ(body_of(*m), naive->receive());
        } else if (what == 8) {
            mail expected{};
            const bool there = naive->select(1, expected);
            auto m = co_await self.receive_only<plain<1>>(0ns);
            EXPECT_EQ(static_cast<bool>(m), there);
            if (m) EXPECT_EQ(m->get_if<plain<1>>()->n, expected.n);
        } else if (what == 9) {
            if (naive->empty()) continue;
            naive->stash(naive->receive());
            self.stash(co_await self.receive());
        } else if (what == 10) {
            naive->unstash();
            self.unstash();
        } else {
            const mail* next = !naive->priority.empty() ? &naive->priority.front()
                               : !naive->normal.empty() ? &naive->normal.front()
                                                        : nullptr;
            EXPECT_EQ(self.peek<urgent>() != nullptr, next && next->kind == 3);
            co_await self.yield();
        }
        EXPECT_EQ(self.depth().normal, naive->normal.size());
        EXPECT_EQ(self.depth().priority, naive->priority.size());
        EXPECT_EQ(self.depth().stashed, naive->stashed.size());
        if (::testing::Test::HasFailure()) break;
    }
    *done = 1;
    co_await self.sleep(10000h);
}

class MailboxModel : public ::testing::TestWithParam<overflow> {};
std::string policy_title(const ::testing::TestParamInfo<overflow>& chosen) {
    switch (chosen.param) {
    case overflow::reject: return "Reject";
    case overflow::drop_oldest: return "DropOldest";
    case overflow::drop_newest: return "DropNewest";
    case overflow::keep_latest: return "KeepLatest";
    }
    return "Unknown";
}
INSTANTIATE_TEST_SUITE_P(Policy, MailboxModel,
                         ::testing::Values(overflow::reject, overflow::drop_oldest, overflow::drop_newest,
                                           overflow::keep_latest),
                         policy_title);

TEST_P(MailboxModel, GivesWhatTheModelGives) {
    for_each_seed(500, [](testing::world& world) {
        model naive{1 + world.seed() % 7, GetParam()};
        int done = 0;
        supervisor_spec spec;
        spec.add(child("subject", in_coroutine, subject, &naive, &done)
                     .mailbox(static_cast<std::uint32_t>(naive.capacity), GetParam())
                     .shutdown(0ns));
        ASSERT_TRUE(world.start(spec));
        world.run_until([&] { return done != 0; }, 1h);
        EXPECT_EQ(done, 1);
        EXPECT_EQ(world.inspect().dead_letter_count, naive.dead);
    });
}

}  // namespace
}  // namespace coppice::tests
