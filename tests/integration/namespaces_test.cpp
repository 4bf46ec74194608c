// Two network namespaces with a cable between them, and nodes in processes of their own at both ends: the cable is
// pulled out, packets are lost, one direction or both are cut for less and for more than a link keeps silent and a node is
// held for.
//
// Needs root, iproute2 and, for all but the pulled cable, nftables; without them a test is skipped and says what is
// missing.
#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include "peers.hpp"
#include "support/cut_proxy.hpp"

namespace coppice::tests::processes {
namespace {

// A relay of bytes that delays them, for one who connects from within that namespace: AFTER_MS, TO, PORT.
int run_delay() {
    if (!enter_namespace(word("NAMESPACE"))) return 1;
    const shared<board> seen{word("BOARD")};
    cut_proxy proxy{static_cast<std::uint16_t>(std::stoul(word("PORT"))), word("TO")};
    proxy.delay(std::chrono::milliseconds{std::stol(word("AFTER_MS"))});
    seen->port = proxy.port();
    await_that([&] { return seen->end.load(); });
    return 0;
}

const bool delay_role = add_role("delay", run_delay);

constexpr const char* upper_address = "10.77.0.1";
constexpr int upper_port = 4711;

class Namespaces : public Processes {
protected:
    enum class direction : std::uint8_t { to_upper, to_lower, both };

    Namespaces() {
        uri_ = std::string{GetParam()} + "://" + upper_address + ":" + std::to_string(upper_port);
        if (std::string{GetParam()} == "tls") {
            const certificate_authority ca{root_, "inner_ca"};
            uri_ += "?" + ca.issue("inner", {.name = "node.test", .address = upper_address}).options();
        } else {
            uri_ += "?insecure=allow";
        }
        if (::getuid() != 0) missing_ = "root";
        else if (!run("ip -V")) missing_ = "iproute2";
        else if (remove_old_ones(); !lay_cable()) missing_ = "permission to make network namespaces";
    }
    ~Namespaces() override {
        for (process& p : peers_) p.end_at_once();
        delay_.end_at_once();
        for (const std::string& one : {a_, b_}) run("ip netns del " + one);
    }
    static bool run(const std::string& command) {
        return std::system((command + " > /dev/null 2>&1").c_str()) ==
               0;  // NOLINT: no other threads change the environment
    }
    bool plug(bool in) const {
        const std::string state = in ? " up" : " down";
        return run("ip -n " + a_ + " link set ca" + state) && run("ip -n " + b_ + " link set cb" + state);
    }
    /// Both ends of the cable throw away so many of a hundred packets that come in over it. 0: none.
    bool lose(unsigned percent, direction which) const {
        for (const std::string& at : {a_, b_}) {
            const bool wanted = which == direction::both || (which == direction::to_upper) == (at == a_);
            if (!run("ip netns exec " + at + " nft flush chain inet faults in")) return false;
            const std::string which_ones =
                percent >= 100 ? " " : " numgen random mod 100 < " + std::to_string(percent) + " ";
            if (percent && wanted &&
                !run("ip netns exec " + at + " nft 'add rule inet faults in iifname != \"lo\"" + which_ones +
                     "counter drop'"))
                return false;
        }
        return true;
    }
    bool heal() const { return lose(0, direction::both); }
    /// Packets that were thrown away at that end since lose().
    static std::uint64_t lost_at(const std::string& end) {
        std::FILE* from = ::popen(("ip netns exec " + end + " nft list chain inet faults in").c_str(), "re");
        char line[256];
        unsigned long long packets = 0;
        while (from && std::fgets(line, sizeof line, from)) {
            const std::string_view text{line};
            if (const auto at = text.find("packets "); at != std::string_view::npos)
                packets = std::strtoull(line + at + 8, nullptr, 10);
        }
        if (from) ::pclose(from);
        return packets;
    }
    void need_filters() {
        if (missing_.empty() && !run("nft --version")) missing_ = "nftables";
        for (const std::string& at : {a_, b_})
            if (missing_.empty() &&
                !run("ip netns exec " + at +
                     " nft 'table inet faults { chain in { type filter hook input priority 0; }; }'"))
                missing_ = "permission to filter packets (nftables in the kernel)";
    }
    void start_delay(std::chrono::milliseconds by) {
        delay_ = process{"delay",
                         {{"NAMESPACE", b_},
                          {"BOARD", board_.handle()},
                          {"AFTER_MS", std::to_string(by.count())},
                          {"TO", upper_address},
                          {"PORT", std::to_string(upper_port)}}};
        await_that([&] { return board_->port != 0; });
    }
    /// Two nodes, one at each end.
    void plan_pair(bool may_die) {
        plan({{"upper", true, "lower", a_}, {"lower", false, "upper", b_}}, may_die);
    }
    /// Traffic ends, and all that was sent between these two is there.
    void settle(std::size_t one, std::size_t other) {
        be_quiet({one, other});
        await_that([&] { return of(one).arrived == of(other).sent && of(other).arrived == of(one).sent; });
        end_all();
        check_wrong();
        EXPECT_EQ(of(one).refused + of(other).refused, 0u);
    }
    /// Cut for some time, or until a link of each of these has ended for want of signs of life.
    void cut_for(bool longer_than_silence, direction which, const std::vector<std::size_t>& noticed_by) {
        std::vector<std::uint64_t> before;
        for (const std::size_t i : noticed_by) before.push_back(of(i).links_down);
        ASSERT_TRUE(lose(100, which));
        if (longer_than_silence)
            for (std::size_t n = 0; n < noticed_by.size(); ++n)
                await_that([&] { return of(noticed_by[n]).links_down > before[n]; });
        std::this_thread::sleep_for(1500ms);  // the fault itself
        ASSERT_TRUE(heal());
    }

    const std::string a_ = "coppice_a_" + std::to_string(::getpid());
    const std::string b_ = "coppice_b_" + std::to_string(::getpid());
    std::string missing_;
    process delay_;

private:
    static void remove_old_ones() {  // of a test that was aborted
        if (!std::filesystem::exists("/run/netns")) return;
        for (const std::string& left : files_in("/run/netns"))
            if (left.starts_with("coppice_") &&
                !std::filesystem::exists("/proc/" + left.substr(left.rfind('_') + 1)))
                run("ip netns del " + left);
    }
    bool lay_cable() const {
        return run("ip netns add " + a_) && run("ip netns add " + b_) &&
               run("ip link add ca netns " + a_ + " type veth peer name cb netns " + b_) &&
               run("ip -n " + a_ + " addr add " + upper_address + "/24 dev ca") &&
               run("ip -n " + b_ + " addr add 10.77.0.2/24 dev cb") &&
               run("ip -n " + a_ + " link set lo up") && run("ip -n " + b_ + " link set lo up") && plug(true);
    }
};

#define COPPICE_NEEDS_CABLE() \
    if (!missing_.empty()) GTEST_SKIP() << "not available here: " << missing_
#define COPPICE_NEEDS_FILTERS() \
    need_filters(); \
    COPPICE_NEEDS_CABLE()

TEST_P(Namespaces, LoseNothingWhenTheCableIsPulledOutForAMomentOrForLongerThanALinkKeepsSilent) {
    COPPICE_NEEDS_CABLE();
    plan_pair(false);
    start(0);
    start(1);
    await_traffic({0, 1});
    for (const bool longer : {false, true, false}) {
        const std::uint64_t before = of(0).links_down;
        ASSERT_TRUE(plug(false));
        if (longer) await_that([&] { return of(0).links_down > before; });
        pause(300);
        ASSERT_TRUE(plug(true));
        await_traffic({0, 1});
    }
    settle(0, 1);
}

TEST_P(Namespaces, LoseDoubleAndReorderNothingWhileOnePacketInTwentyIsLostBothWays) {
    COPPICE_NEEDS_FILTERS();
    plan_pair(false);
    start(0);
    start(1);
    await_traffic({0, 1});
    ASSERT_TRUE(lose(5, direction::both));
    await_traffic({0, 1}, slow_build ? 2'000 : 20'000);
    EXPECT_GT(lost_at(a_), 10u);
    EXPECT_GT(lost_at(b_), 10u);
    settle(0, 1);
}

TEST_P(Namespaces, LoseNothingInPartitionsShorterAndLongerThanALinkKeepsSilent) {
    COPPICE_NEEDS_FILTERS();
    plan_pair(false);
    start(0);
    start(1);
    for (const bool longer : {false, true, false}) {
        await_traffic({0, 1});
        ASSERT_NO_FATAL_FAILURE(cut_for(longer, direction::both, {0, 1}));
    }
    await_traffic({0, 1});
    settle(0, 1);
}

TEST_P(Namespaces, LoseNothingWhenPacketsPassInOneDirectionOnly) {
    COPPICE_NEEDS_FILTERS();
    plan_pair(false);
    start(0);
    start(1);
    for (const direction which : {direction::to_upper, direction::to_lower}) {
        for (const bool longer : {false, true}) {
            await_traffic({0, 1});
            ASSERT_NO_FATAL_FAILURE(cut_for(longer, which, {0, 1}));
        }
    }
    await_traffic({0, 1});
    settle(0, 1);
}

TEST_P(Namespaces, TellBothSidesThatTheOtherIsLostAfterTheHoldTimeAndBeginAnewWhenThePartitionHeals) {
    COPPICE_NEEDS_FILTERS();
    hold_ = 1s;
    plan_pair(true);
    start(0);
    start(1);
    for (const direction which : {direction::both, direction::to_upper}) {
        await_traffic({0, 1});
        const std::uint64_t before[2][2] = {{of(0).downs, of(0).silent_ended},
                                            {of(1).downs, of(1).silent_ended}};
        ASSERT_TRUE(lose(100, which));
        for (const std::size_t i : {0u, 1u})
            await_that([&] { return of(i).downs > before[i][0] && of(i).silent_ended > before[i][1]; });
        ASSERT_TRUE(heal());
    }
    await_traffic({0, 1}, 2'000);
    be_quiet({0, 1});
    end_all();
    check_wrong();
}

TEST_P(Namespaces, LoseNothingBetweenTwoLeavesWhenOneIsCutOffFromTheirRelay) {
    COPPICE_NEEDS_FILTERS();
    plan({{"relay", true, "", a_}, {"left", false, "right", a_}, {"right", false, "left", b_}}, false);
    for (const std::size_t i : {0u, 1u, 2u}) start(i);
    for (const direction which : {direction::both, direction::to_upper}) {
        for (const bool longer : {false, true}) {
            await_traffic({1, 2});
            ASSERT_NO_FATAL_FAILURE(cut_for(longer, which, {0, 2}));
        }
    }
    await_traffic({1, 2});
    settle(1, 2);
}

TEST_P(Namespaces, TellLeavesThatOneAnotherIsLostWhenOneIsCutOffFromTheirRelayForLongerThanTheHoldTime) {
    COPPICE_NEEDS_FILTERS();
    hold_ = 1s;
    plan({{"relay", true, "", a_}, {"left", false, "right", a_}, {"right", false, "left", b_}}, true);
    for (const std::size_t i : {0u, 1u, 2u}) start(i);
    await_traffic({1, 2});
    ASSERT_TRUE(lose(100, direction::both));
    for (const std::size_t i : {1u, 2u})
        await_that([&] { return of(i).downs > 0 && of(i).silent_ended > 0; });
    ASSERT_TRUE(heal());
    await_traffic({1, 2});
    be_quiet({1, 2});
    end_all();
    check_wrong();
}

TEST_P(Namespaces, LoseNothingOverALongPathThatLosesPackets) {
    COPPICE_NEEDS_FILTERS();
    if (std::string{GetParam()} == "tls") GTEST_SKIP() << "the certificate is not that of the relay";
    start_delay(40ms);
    plan({{"upper", true, "lower", a_},
          {"lower", false, "upper", b_, "tcp://127.0.0.1:" + std::to_string(board_->port)}},
         false);
    start(0);
    start(1);
    await_traffic({0, 1});
    ASSERT_TRUE(lose(5, direction::both));
    await_traffic({0, 1}, slow_build ? 1'000 : 5'000);
    ASSERT_NO_FATAL_FAILURE(cut_for(true, direction::both, {0, 1}));
    await_traffic({0, 1});
    settle(0, 1);
}

INSTANTIATE_TEST_SUITE_P(Over, Namespaces, ::testing::Values("tcp", "tls"),
                         [](const auto& one) { return std::string{one.param}; });

}  // namespace
}  // namespace coppice::tests::processes
