// A supervising node and an agent on two hosts, each a network namespace with a cable between them: the child runs on the other host,
// and is lost and healed with the cable.
//
// Needs root and iproute2; without them the test is skipped and says what is missing.
#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "agents.hpp"
#include "support/network_namespace.hpp"

namespace coppice::tests::carried {

namespace {

struct host_board {
    std::atomic<std::uint32_t> pid;    // of the child's present process
    std::atomic<std::uint32_t> lives;  // that were seen
    std::atomic<std::uint32_t> lost;   // ends with node_lost
    std::atomic<std::uint32_t> other;  // other ends, of what ran
    std::atomic<bool> end;             // the tree is to be stopped
};

task<> observer(actor<protocol<down>> self, shared<host_board>* board) {
    for (;;) {
        const auto pid = co_await process_at(actor<anything>{self.cell()}, "/app/sup/w");
        const auto w = co_await self.resolve<worker_protocol>("/app/sup/w");
        if (!w) continue;
        const auto monitor = self.monitor(*w);
        const auto still = co_await self.ask<which_process>(*w, 10s);
        if (!still || *still != pid) {
            self.demonitor(monitor);
            continue;
        }
        (*board)->pid = pid;
        ++(*board)->lives;
        for (;;) {
            auto m = co_await self.receive_only<down>();
            if (!m) co_return;
            const down& told = *m->get_if<down>();
            if (told.monitor != monitor) continue;
            ++(told.reason.kind() == exit_kind::node_lost ? (*board)->lost : (*board)->other);
            break;
        }
    }
}

// The supervising node: NAMESPACE, LISTEN, HOLD_MS, BOARD.
int run_supervising_host() {
    if (!enter_namespace(word("NAMESPACE"))) return 1;
    shared<host_board> board{word("BOARD")};
    node_options o = quiet(2);
    o.network.listen = {word("LISTEN")};
    o.network.hold = std::chrono::milliseconds{std::stol(word("HOLD_MS"))};
    node n{"app", o};
    if (!n.start({})) return 2;
    while (!n.resolve<anything>("/b/agent")) std::this_thread::sleep_for(1ms);
    supervisor_spec spec;
    spec.intensity(1'000'000, 1s)
        .backoff(10ms, 50ms)
        .add(child("w", in_process.on("b"), worker, std::uint64_t{0}).heartbeat(100ms, 3));
    const auto root = n.resolve<supervisor_protocol>("/app");
    if (!n.ask<start_child>(*root, 10min, supervisor("sup", std::move(spec)))) return 3;
    if (!n.ask<start_child>(*root, 10min, child("observer", in_coroutine, observer, &board))) return 4;
    await_that([&] { return board->end.load(); });
    n.stop();
    return n.wait().kind() == exit_kind::stopped ? 0 : 5;
}
const bool supervising_role = add_role("supervising_host", run_supervising_host);

class AgentHosts : public Agents, public ::testing::WithParamInterface<std::string> {
protected:
    AgentHosts() {
        if (::getuid() != 0) missing_ = "root";
        else if (!run("ip -V")) missing_ = "iproute2";
        else if (!lay_cable()) missing_ = "permission to make network namespaces";
    }
    ~AgentHosts() override {
        for (const std::string& one : {a_, b_}) run("ip netns del " + one);
    }
    static bool run(const std::string& command) {
        return std::system((command + " > /dev/null 2>&1").c_str()) == 0;  // NOLINT: no other threads
    }
    bool plug(bool in) const {
        const std::string state = in ? " up" : " down";
        return run("ip -n " + a_ + " link set ca" + state) && run("ip -n " + b_ + " link set cb" + state);
    }
    /// Where the tree is, for who bears that name: each host has a certificate of its own.
    std::string endpoint_for(const std::string& who) const {
        const std::string at = "://10.78.0.1:4712?";
        if (GetParam() == "tcp") return GetParam() + at + "insecure=allow";
        return GetParam() + at +
               ca_.issue(who, {.name = who + ".test", .address = who == "a" ? "10.78.0.1" : "10.78.0.2"})
                   .options();
    }
    /// Of the network of that process.
    static std::string host_of(pid_t pid) {
        std::error_code gone;
        return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/ns/net", gone).string();
    }

    const std::string a_ = "coppice_c_" + std::to_string(::getpid());
    const std::string b_ = "coppice_d_" + std::to_string(::getpid());
    std::string missing_;

private:
    own_directory certificates_;
    certificate_authority ca_{certificates_.path(), "ca"};

    bool lay_cable() const {
        return run("ip netns add " + a_) && run("ip netns add " + b_) &&
               run("ip link add ca netns " + a_ + " type veth peer name cb netns " + b_) &&
               run("ip -n " + a_ + " addr add 10.78.0.1/24 dev ca") &&
               run("ip -n " + b_ + " addr add 10.78.0.2/24 dev cb") &&
               run("ip -n " + a_ + " link set lo up") && run("ip -n " + b_ + " link set lo up") && plug(true);
    }
};

INSTANTIATE_TEST_SUITE_P(Over, AgentHosts, ::testing::Values("tcp", "tls"), name_of_transport);

TEST_P(AgentHosts, AChildRunsOnTheOtherHostAndIsLostWithTheCableAndHealedWithIt) {
    if (!missing_.empty()) GTEST_SKIP() << "not available here: " << missing_;
    shared<host_board> board;
    process root{
        "supervising_host",
        {{"NAMESPACE", a_}, {"LISTEN", endpoint_for("a")}, {"HOLD_MS", "1000"}, {"BOARD", board.handle()}}};
    agent_process there =
        agent_named("b", {{"PARENT", endpoint_for("b")}, {"NAMESPACE", b_}, {"HOLD_MS", "1000"}});
    const auto lives = [&] { return board->lives.load(); };
    await_that([&] { return lives() == 1 || root.has_ended(); });
    ASSERT_FALSE(root.has_ended()) << root.wait();
    EXPECT_EQ(host_of(static_cast<pid_t>(board->pid)), host_of(there->id()));
    EXPECT_NE(host_of(static_cast<pid_t>(board->pid)), host_of(root.id()));

    for (std::uint32_t round = 1; round <= 2; ++round) {
        const auto pid = static_cast<pid_t>(board->pid);
        ASSERT_TRUE(plug(false));
        await_that([&] { return board->lost == round; });
        await_that([&] { return ::kill(pid, 0) != 0; });
        ASSERT_TRUE(plug(true));
        await_that([&] { return lives() == round + 1; });
        EXPECT_NE(static_cast<pid_t>(board->pid), pid);
    }
    EXPECT_EQ(board->other, 0u);
    board->end = true;
    EXPECT_EQ(root.wait(), 0);
    EXPECT_EQ(left_.processes().size(), 1u) << "the agent stays";
}

}  // namespace

}  // namespace coppice::tests::carried
