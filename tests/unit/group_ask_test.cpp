// ask_group: each member of a group answers, or there is a reason why it does not; none waits for another one.
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

struct work {
    std::vector<int> numbers;
    using reply = int;  // their sum
};
struct end_it {};
struct unknown_here {
    using reply = void;
};
using member_protocol = protocol<work, end_it>;

struct told {
    std::map<std::string, int> handled;
    std::map<std::string, ref<member_protocol>> members;
};

// Begins to work after a while, and takes a while for each message.
task<> member(actor<member_protocol> self, std::shared_ptr<told> log, std::string name,
              std::chrono::nanoseconds begins, std::chrono::nanoseconds takes) {
    self.join("workers");
    log->members.insert_or_assign(name, self.me());
    co_await self.sleep(begins);
    while (auto m = co_await self.receive()) {
        co_await self.sleep(takes);
        if (m.is<end_it>()) throw std::runtime_error{"as it was asked to"};
        m.match(
            [&](request<work> r) {
                ++log->handled[name];
                int sum = 0;
                for (const int n : r->numbers) sum += n;
                r.reply(sum);
            },
            [&](const end_it&) {});
    }
}

TEST(AskGroup, HasAnAnswerOfEachMemberButTheAsker) {
    for_each_seed(50, [](testing::world& world) {
        play<protocol<work>>(world, [](actor<protocol<work>> self) -> task<> {
            const auto log = std::make_shared<told>();
            self.join("workers");
            for (const char* name : {"a", "b", "c"}) self.spawn(member, log, std::string{name}, 0s, 2s);
            co_await self.sleep(1ms);
            const auto before = self.now();
            const auto answers = co_await self.ask_group<work>("workers", 10s, std::vector<int>{1, 2, 3});
            EXPECT_EQ(self.now() - before, 2s) << "side by side";
            EXPECT_EQ(answers.size(), 3u);
            for (const auto& [who, outcome] : answers) {
                EXPECT_TRUE(outcome && *outcome == 6);
                EXPECT_EQ(std::count_if(answers.begin(), answers.end(),
                                        [&](const auto& a) { return a.who == who; }),
                          1);
            }
            EXPECT_EQ(self.depth().normal, 0u) << "it asked itself";
        });
    });
}

TEST(AskGroup, TellsOfEachThatDoesNotAnswerWhyAndKeepsNoOtherWaiting) {
    for_each_seed(50, [](testing::world& world) {
        const auto log = std::make_shared<told>();
        play(
            world,
            [](actor<anything> self, std::shared_ptr<told> all) -> task<> {
                self.spawn(member, all, std::string{"good"}, 0s, 0s);
                self.spawn(member, all, std::string{"asleep"}, 30s, 0s);
                self.spawn(member, all, std::string{"slow"}, 0s, 20s);
                self.spawn(member, all, std::string{"gone"}, 0s, 1s);
                co_await self.sleep(1ms);
                static_cast<void>(self.send<end_it>(all->members.at("gone")));
                const auto before = self.now();
                const auto answers = co_await self.ask_group<work>("workers", 5s, std::vector<int>{7});
                EXPECT_EQ(self.now() - before, 5s);
                std::map<std::string, result<int>> by_name;
                for (const auto& [who, outcome] : answers)
                    for (const auto& [name, at] : all->members)
                        if (who == at) by_name.emplace(name, outcome);
                REQUIRE_OR_END(by_name.size() == 4);
                EXPECT_EQ(by_name.at("good").value(), 7);
                EXPECT_EQ(by_name.at("asleep").error(), errc::timeout);
                EXPECT_EQ(by_name.at("slow").error(), errc::timeout);
                EXPECT_EQ(by_name.at("gone").error(), errc::down);
                co_await self.sleep(60s);  // all have looked at their mail
            },
            log);
        EXPECT_EQ(log->handled, (std::map<std::string, int>{{"good", 1}, {"slow", 1}}))
            << "who comes to it when its time to live is over skips it";
        const auto info = world.inspect();
        EXPECT_EQ(std::count_if(info.dead_letters.begin(), info.dead_letters.end(),
                                [](const dead_letter& d) { return d.reason == errc::timeout; }),
                  1)
            << "and it is told where it was skipped";
    });
}

TEST(AskGroup, IsOverAtOnceForAGroupWithoutMembersAndTellsWhoDoesNotKnowTheMessage) {
    for_each_seed(20, [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            const auto before = self.now();
            EXPECT_TRUE((co_await self.ask_group<work>("workers", 5s)).empty());
            EXPECT_EQ(self.now(), before);
            self.spawn(member, std::make_shared<told>(), std::string{"a"}, 0s, 0s);
            co_await self.sleep(1ms);
            const auto answers = co_await self.ask_group<unknown_here>("workers", 5s);
            REQUIRE_OR_END(answers.size() == 1);
            EXPECT_EQ(answers[0].outcome.error(), errc::no_handler);
        });
    });
}

TEST(AskGroup, EndsWithItsActor) {
    for_each_seed(50, [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            const auto log = std::make_shared<told>();
            for (int i = 0; i < 5; ++i) self.spawn(member, log, std::to_string(i), 0s, 100s);
            co_await self.sleep(1ms);
            const auto asker = self.spawn([](actor<protocol<>> me) -> task<> {
                static_cast<void>(co_await me.ask_group<work>("workers", 1000s));
                ADD_FAILURE() << "it was shut down before";
            });
            const auto before = self.now();
            co_await self.sleep(1s);
            const auto id = self.monitor(asker);
            self.shutdown(asker);
            while (auto m = co_await self.receive())
                if (const down* d = m.get_if<down>(); d && d->monitor == id) break;
            EXPECT_EQ(self.now() - before, 1s);
        });
    });
}

}  // namespace
}  // namespace coppice::tests
