// `coppice broker`: a broker over named pipes that is started from its options alone. Real processes and pipes; what it does is seen
// by a client, in its folder and in what it prints. One folder a test.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "actors/octopipes_rig.hpp"
#include "command/command.hpp"
#include "support/leftovers.hpp"

namespace coppice::tests {
namespace {

using ::testing::HasSubstr;

class BrokerCommand : public ::testing::Test {
protected:
    [[nodiscard]] std::string folder() const { return files_.path("pipes"); }
    [[nodiscard]] std::string cap() const { return folder() + "/cap"; }
    /// Returns when somebody reads that access pipe.
    static void await_open(const program& broker, const std::string& cap) {
        await_that([&] {
            const int door = ::open(cap.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
            if (door >= 0) ::close(door);
            return door >= 0 || broker.has_ended();
        });
        ASSERT_FALSE(broker.has_ended()) << broker.err();
    }
    own_directory files_;
};

TEST_F(BrokerCommand, O15_StartsFromItsOptionsAloneAndLeavesNoPipesAfterASignal) {
    for (const int number : {SIGINT, SIGTERM}) {
        leftovers left;
        {
            program broker{{"broker", "--octopipes", folder()}};
            await_open(broker, cap());
            raw_client a{cap(), "a", {"all"}};
            raw_client b{cap(), "b", {"all"}};
            a.send("all", "hello");
            EXPECT_EQ(b.receive_text(), "hello");
            broker.signal(number);
            EXPECT_EQ(broker.wait(), 0) << broker.err();
            EXPECT_FALSE(a.receive()) << "its pipe has come to its end";
        }
        EXPECT_TRUE(std::filesystem::is_empty(folder()));
        left.check();
    }
}

TEST_F(BrokerCommand, O15_EachOptionOverridesItsDefault) {
    const std::string elsewhere = files_.path("door");
    program broker{{"broker", "--octopipes", folder(), "--cap", elsewhere, "--most-clients", "3",
                    "--queue-frames", "2", "--queue-bytes", "200000", "--name", "postman", "--level",
                    "debug"}};
    await_open(broker, elsewhere);
    EXPECT_FALSE(std::filesystem::exists(cap()));
    raw_client slow{elsewhere, "slow"};
    raw_client sender{elsewhere, "sender"};
    raw_client probe{elsewhere, "probe"};
    EXPECT_EQ(raw_client::ask(elsewhere, "fourth", {}, pipes::keeps_open).error, pipes::no_pipe);
    // The pipe takes the first and the beginning of the second; of the others two may wait.
    for (const char c : {'a', 'b', 'c', 'd', 'e'}) sender.send("slow", std::string(60'000, c));
    sender.send("probe", "all are there");
    EXPECT_EQ(probe.receive_text(), "all are there");
    std::string got;
    do got += slow.receive_text().front();
    while (got.back() != 'e');
    EXPECT_LT(got.size(), 5u) << got;
    broker.signal(SIGTERM);
    EXPECT_EQ(broker.wait(), 0);
    EXPECT_THAT(broker.err(), HasSubstr("/postman/octopipes"));
    EXPECT_THAT(broker.err(), HasSubstr("slow joined")) << "told at level debug";
    EXPECT_THAT(broker.err(), HasSubstr("no room for it at slow"));
    EXPECT_FALSE(std::filesystem::exists(elsewhere));
}

TEST_F(BrokerCommand, TakesTheFolderOfAKilledOneAndNotThatOfALivingOne) {
    program first{{"broker", "--octopipes", folder()}};
    await_open(first, cap());
    const auto second = coppice_says({"broker", "--octopipes", folder()});
    EXPECT_EQ(second.code, 1);
    EXPECT_THAT(second.err, HasSubstr("another broker has this folder"));
    raw_client a{cap(), "a"};
    first.signal(SIGKILL);
    first.wait();
    program third{{"broker", "--octopipes", folder()}};
    await_open(third, cap());
    EXPECT_NE(::access(a.answer.send_path.c_str(), F_OK), 0);
    const raw_client again{cap(), "a"};
    EXPECT_EQ(again.answer.error, pipes::accepted);
    third.signal(SIGINT);
    EXPECT_EQ(third.wait(), 0) << third.err();
}

TEST_F(BrokerCommand, SaysWhatIsWrongWithItsOptions) {
    EXPECT_EQ(coppice_says({"broker"}).code, 2);
    EXPECT_EQ(coppice_says({"broker", "--octopipes", folder(), "--queue-frames", "0"}).code, 2);
    EXPECT_EQ(coppice_says({"broker", "--octopipes", folder(), "--level", "loud"}).code, 2);
    ASSERT_EQ(::mkdir(folder().c_str(), 0700), 0);
    ASSERT_EQ(::chmod(folder().c_str(), 0755), 0);
    const auto open = coppice_says({"broker", "--octopipes", folder()});
    EXPECT_EQ(open.code, 1);
    EXPECT_THAT(open.err, HasSubstr("chmod 700"));
}

}  // namespace
}  // namespace coppice::tests
