// Process children that an agent on another node starts: they are as those of this node, for all that can be seen of them; what the
// agent does not allow is refused with a typed error.
#include <sys/stat.h>

#include <fstream>
#include <future>

#include "agents.hpp"
#include "process/agent_talk.hpp"
#include "process/channel.hpp"
#include "support/network_namespace.hpp"

namespace coppice::tests::carried {

namespace {

std::vector<std::string> parts_of(const std::string& text) {
    std::vector<std::string> parts;
    std::stringstream from{text};
    for (std::string one; std::getline(from, one, ':');) parts.push_back(one);
    return parts;
}

const bool agent_role = add_role("agent", run_agent_process);

}  // namespace

int run_agent_process() {
    if (!enter_namespace(word("NAMESPACE"))) return 1;
    node_options o = quiet(1);
    o.handle_signals = true;
    o.network.parent = word("PARENT");
    if (!word("LISTEN").empty()) o.network.listen = {word("LISTEN")};
    o.network.secret = word("SECRET");
    if (!word("HOLD_MS").empty()) o.network.hold = std::chrono::milliseconds{std::stol(word("HOLD_MS"))};
    agent_options allowed;
    for (const std::string& program : parts_of(word("ALLOW"))) allowed.programs.emplace_back(program);
    allowed.environment = parts_of(word("VARIABLES"));
    allowed.directory = word("DIRECTORY");
    allowed.own_program = !word("OWN").empty();
    if (!word("MOST").empty()) allowed.most = static_cast<std::uint32_t>(std::stoul(word("MOST")));
    supervisor_spec tree;
    tree.add(agent(allowed));
    return node{word("NAME"), o}.run(tree);
}

namespace {

TEST_F(Agents, StartAChildOfTheSameSpecWhichIsReachedAsAnyOther) {
    node n{"app", supervising()};
    ASSERT_TRUE(n.start({}));
    agent_process there = agent_named("b");
    await_agent(n, "b");
    play(
        n,
        [](actor<anything> self, std::uint32_t agents_pid) -> task<> {
            const auto made = co_await self.start(child("w", in_process.on("b"), worker, std::uint64_t{7}));
            EXPECT_TRUE(made) << made.error().what();
            if (!made) co_return;
            const ref<worker_protocol> w{*made};
            EXPECT_EQ(self.send<add>(w, 5u), errc::ok);
            const auto sum = co_await self.ask<get>(w, 10s);
            EXPECT_TRUE(sum && *sum == 12) << sum.error().what();
            const auto at = co_await self.ask<where>(w, 10s);
            EXPECT_TRUE(at && *at == self.path() + "/w") << at.error().what();
            const auto pid = co_await self.ask<which_process>(w, 10s);
            EXPECT_TRUE(pid && *pid != agents_pid && *pid != static_cast<std::uint32_t>(::getpid()));
            if (!pid) co_return;
            std::ifstream stat{"/proc/" + std::to_string(*pid) + "/stat"};
            std::string all{std::istreambuf_iterator<char>{stat}, {}};
            EXPECT_THAT(all.substr(all.rfind(')') + 4),
                        ::testing::StartsWith(std::to_string(agents_pid) + " "))
                << "the agent is its parent process";
            const auto parent = co_await self.ask<which_parent>(w, 10s);
            EXPECT_TRUE(parent) << parent.error().what();
            // By its path, which is another node's, from here and from there.
            const auto found = co_await self.resolve<worker_protocol>(self.path() + "/w");
            EXPECT_TRUE(found) << found.error().what();
        },
        static_cast<std::uint32_t>(there->id()));
}

// The node that supervises dials the agent, which listens.
TEST_F(Agents, MayListenForTheTreeThatTheyServe) {
    agent_process there = agent_named("b", {{"PARENT", ""}, {"LISTEN", "unix://agent-b"}});
    {
        node_options o = quiet(2);
        o.network.children = {"unix://agent-b"};
        node n{"app", o};
        ASSERT_TRUE(n.start({}));
        await_agent(n, "b");
        const auto started = start_in(n, child("w", in_process.on("b"), worker, std::uint64_t{7}));
        ASSERT_TRUE(started) << started.error().what();
        play(n, [](actor<anything> self) -> task<> {
            const auto w = co_await self.resolve<worker_protocol>("/app/w");
            REQUIRE_OR_END(w);
            const auto sum = co_await self.ask<get>(*w, 10s);
            EXPECT_TRUE(sum && *sum == 7) << sum.error().what();
        });
    }
}

TEST_F(Agents, StartAnotherProgramWithExactlyTheArgumentsThatWereAsked) {
    node n{"app", supervising()};
    ASSERT_TRUE(n.start({}));
    agent_process there = agent_named("b", {{"ALLOW", this_program()}});
    await_agent(n, "b");
    play(n, [](actor<anything> self) -> task<> {
        const std::vector<std::string> arguments{
            "two words", "",         "\"quoted\" 'twice'", "a\nline", "$HOME `id` \\",
            "-x",        "\xc3\xa4", "\xff\x01",           ""};
        std::vector<std::string> all{std::string{as_program}};
        all.insert(all.end(), arguments.begin(), arguments.end());
        // By its path, and by its name alone.
        for (const std::string& program : {this_program(), std::string{"tests_integration"}}) {
            const auto made = co_await self.start(child("p", in_process(program, all).on("b")));
            EXPECT_TRUE(made) << made.error().what();
            if (!made) co_return;
            const auto p = co_await self.resolve<program_protocol>(self.path() + "/p");
            EXPECT_TRUE(p) << p.error().what();
            if (!p) co_return;
            const auto there = co_await self.ask<arguments_there>(*p, 10s);
            EXPECT_TRUE(there && *there == arguments) << there.error().what();
            self.monitor(*p);
            self.stop(*p);
            EXPECT_EQ((co_await next_down(self)).kind(), exit_kind::stopped);
        }
    });
}

TEST_F(Agents, RunAFunctionOfThisProgramWhereItIsInstalledUnderAName) {
    node n{"app", supervising()};
    ASSERT_TRUE(n.start({}));
    agent_process there = agent_named("b", {{"OWN", ""}, {"ALLOW", this_program()}});
    await_agent(n, "b");
    play(n, [](actor<anything> self) -> task<> {
        const auto made =
            co_await self.start(child("w", in_process(this_program()).on("b"), worker, std::uint64_t{3}));
        EXPECT_TRUE(made) << made.error().what();
        if (!made) co_return;
        const auto sum = co_await self.ask<get>(ref<worker_protocol>{*made}, 10s);
        EXPECT_TRUE(sum && *sum == 3) << sum.error().what();
    });
}

// ---------------------------------------------------------------- what is not allowed

TEST_F(Agents, RefuseWhatTheirListDoesNotAllowWithATypedErrorThatSaysWhatToDo) {
    log_lines lines;
    node_options o = supervising();
    lines.listen_to(o);
    node n{"app", o};
    ASSERT_TRUE(n.start({}));
    const own_directory place;
    const std::string inside = place.path("inside");
    const std::string link = place.path("link");
    const std::string gone = place.path("gone");
    const std::string plain = place.path("plain");
    std::filesystem::create_directory(inside);
    std::filesystem::create_symlink(this_program(), link);
    std::ofstream{plain} << "no program\n";
    agent_process there = agent_named("b", {{"OWN", ""},
                                            {"ALLOW", this_program() + ":" + gone + ":" + plain},
                                            {"DIRECTORY", inside},
                                            {"VARIABLES", "CAMERA"}});
    await_agent(n, "b");
    play(
        n,
        [](actor<anything> self, std::string link_to_it, std::string missing, std::string unfit,
           std::string directory) -> task<> {
            struct attempt {
                std::string what;
                process_carrier how;
                errc code;
                std::string says;
            };
            const std::string it = this_program();
            const std::vector<std::string> role{std::string{as_program}};
            const std::vector<attempt> attempts{
                {"a function", in_process, errc::denied, "functions of its own program"},
                {"a program", in_process("/bin/true"), errc::denied, "--allow /bin/true"},
                {"a name", in_process("true"), errc::denied, "--allow /path/of/true"},
                {"a link", in_process(link_to_it, role), errc::denied, "may not start " + link_to_it},
                {"dots", in_process("/tmp/.." + it, role), errc::denied, "may not start"},
                {"no file", in_process(missing), errc::not_found, "no such file"},
                {"no program", in_process(unfit), errc::denied, "not executable"},
                {"loader", in_process(it, role).env("LD_PRELOAD", "/tmp/x.so"), errc::denied, "LD_PRELOAD"},
                {"loader off", in_process(it, role).env("LD_BIND_NOW", ""), errc::denied, "LD_BIND_NOW"},
                {"ours", in_process(it, role).env("COPPICE_CHANNEL", "0"), errc::denied, "COPPICE_CHANNEL"},
                {"variable", in_process(it, role).env("LENS", "1"), errc::denied, "--allow-env LENS"},
                {"outside", in_process(it, role).in_directory("/"), errc::denied, "is not within"},
                {"up", in_process(it, role).in_directory(directory + "/.."), errc::denied, "is not within"},
                {"nowhere", in_process(it, role).in_directory(directory + "/none"), errc::not_found, "none"},
                {"transport", in_process(it, role).over("pigeon"), errc::not_found, "pigeon"},
            };
            for (const attempt& one : attempts) {
                process_carrier how = one.how;
                const auto made = co_await self.start(how.program.empty()
                                                          ? child("w", how.on("b"), worker, std::uint64_t{0})
                                                          : child("w", how.on("b")));
                EXPECT_EQ(made.error().code(), one.code) << one.what << ": " << made.error().what();
                EXPECT_THAT(made.error().what(), ::testing::HasSubstr(one.says)) << one.what;
                EXPECT_THAT(made.error().what(), ::testing::HasSubstr("agent /b/agent")) << one.what;
            }
            const auto made = co_await self.start(
                child("w", in_process(it, role).env("CAMERA", "1").in_directory(directory).on("b")));
            EXPECT_TRUE(made) << made.error().what();
        },
        link, gone, plain, inside);
    // Its supervisor's node says so, too.
    lines.wait_for({"/bin/true", "agent /b/agent", "--allow"});
}

TEST_F(Agents, RefuseMoreProcessesThanTheyMayRunAndStartOneWhenAnotherHasEnded) {
    node n{"app", supervising()};
    ASSERT_TRUE(n.start({}));
    agent_process there = agent_named("b", {{"MOST", "2"}});
    await_agent(n, "b");
    play(n, [](actor<anything> self) -> task<> {
        std::vector<ref<>> made;
        for (const char* name : {"x", "y"}) {
            const auto one = co_await self.start(child(name, in_process.on("b"), worker, std::uint64_t{0}));
            EXPECT_TRUE(one) << one.error().what();
            if (!one) co_return;
            made.push_back(*one);
        }
        const auto more = co_await self.start(child("z", in_process.on("b"), worker, std::uint64_t{0}));
        EXPECT_EQ(more.error().code(), errc::limit_reached) << more.error().what();
        EXPECT_THAT(more.error().what(), ::testing::HasSubstr("--most"));
        self.monitor(made[0]);
        self.stop(made[0]);
        EXPECT_EQ((co_await next_down(self)).kind(), exit_kind::stopped);
        const auto again = co_await self.start(child("z", in_process.on("b"), worker, std::uint64_t{0}));
        EXPECT_TRUE(again) << again.error().what();
    });
}

TEST_F(Agents, AreMissedWithATypedErrorAndFoundOnceTheyAreThere) {
    node n{"app", supervising()};
    ASSERT_TRUE(n.start({}));
    const auto missed = start_in(n, child("w", in_process.on("b"), worker, std::uint64_t{0}));
    EXPECT_EQ(missed.error().code(), errc::unreachable) << missed.error().what();
    EXPECT_THAT(missed.error().what(), ::testing::HasSubstr("/b/agent"));
    agent_process there = agent_named("b");
    await_agent(n, "b");
    play(n, [](actor<anything> self) -> task<> {
        const auto made = co_await self.start(child("w", in_process.on("b"), worker, std::uint64_t{0}));
        EXPECT_TRUE(made) << made.error().what();
        // What is no agent is not taken for one.
        const auto other =
            co_await self.start(child("v", in_process.on(self.path() + "/w"), worker, std::uint64_t{0}));
        EXPECT_EQ(other.error().code(), errc::wrong_protocol) << other.error().what();
    });
}

task<> slow_to_start(actor<worker_protocol> self) {
    self.ready();
    while (co_await self.receive()) {
    }
}

// A tree and the hosts of its children start in any order; who is slow wants a limit that fits.
TEST_F(Agents, AreWaitedForAsLongAsTheirChildMayTake) {
    log_lines lines;
    node_options o = supervising();
    lines.listen_to(o);
    node n{"app", o};
    supervisor_spec tree;
    tree.add(child("w", in_process.on("b"), slow_to_start).awaits_ready(1h));
    auto started = std::async(std::launch::async, [&] { return n.start(std::move(tree)); });
    lines.wait_for({"waits for its agent b, 1800000 ms at most", "/b/agent"});
    // Longer than a child without a limit of its own waits for its agent.
    EXPECT_EQ(started.wait_for(limits::start_deadline), std::future_status::timeout);
    agent_process there = agent_named("b");
    const auto done = started.get();
    EXPECT_TRUE(done) << done.error().what();
    EXPECT_EQ(left_.processes().size(), 2u);
}

// ---------------------------------------------------------------- many, levels, ends

TEST_F(Agents, RunFiftyAtOnceAndNothingIsLeftWhenTheTreeIsStopped) {
    agent_process there;
    {
        node n{"app", supervising()};
        ASSERT_TRUE(n.start({}));
        there = agent_named("b");
        await_agent(n, "b");
        supervisor_spec tree;
        for (int i = 0; i < 50; ++i)
            tree.add(child("w" + std::to_string(i), in_process.on("b"), worker, std::uint64_t{0}));
        const auto started = start_in(n, supervisor("all", std::move(tree)));
        ASSERT_TRUE(started) << started.error().what();
        EXPECT_EQ(left_.processes().size(), 51u);
        n.stop();
        EXPECT_EQ(n.wait().kind(), exit_kind::stopped);
        EXPECT_EQ(left_.processes().size(), 1u) << "they are joined before the tree ends; the agent stays";
    }
    EXPECT_FALSE(there->has_ended());
}

TEST_F(Agents, CarryASupervisorWithAProcessBelowItAndPathsLeadEverywhere) {
    node n{"app", supervising()};
    ASSERT_TRUE(n.start({}));
    agent_process there = agent_named("b");
    agent_process other = agent_named("c");
    await_agent(n, "b");
    await_agent(n, "c");
    supervisor_spec below;
    below.add(child("leaf", in_process, worker, std::uint64_t{0}))
        .add(child("back", in_process.on("c"), worker, std::uint64_t{0}));
    supervisor_spec tree;
    tree.add(child("here", in_process, worker, std::uint64_t{0}))
        .add(supervisor("sub", below, in_process.on("b")))
        .add(child("near", in_coroutine, worker, std::uint64_t{0}));
    const auto started = start_in(n, supervisor("top", std::move(tree)));
    ASSERT_TRUE(started) << started.error().what();
    play(n, [](actor<anything> self) -> task<> {
        const std::vector<std::string> all{"/app/top/here", "/app/top/sub/leaf", "/app/top/sub/back",
                                           "/app/top/near"};
        for (const std::string& from : all) {
            const auto asker = co_await self.resolve<worker_protocol>(from);
            EXPECT_TRUE(asker) << from << ": " << asker.error().what();
            if (!asker) continue;
            for (const std::string& to : all) {
                if (to == from) continue;  // it would wait for itself
                const auto direct = co_await process_at(self, to);
                const auto there = co_await self.ask<ask_another>(*asker, 20s, to);
                EXPECT_TRUE(there && *there == static_cast<std::int64_t>(direct))
                    << from << " to " << to << ": "
                    << (there ? std::to_string(*there) : there.error().what());
            }
        }
    });
    n.stop();
    EXPECT_EQ(n.wait().kind(), exit_kind::stopped);
    EXPECT_EQ(left_.processes().size(), 2u) << "the agents stay";
}

// ---------------------------------------------------------------- who may say what

// What a courier says, by hand.
task<> ask_by_hand(actor<agent_talk::courier_protocol> self, std::uint32_t victim, std::string victims_path) {
    const auto agent = co_await self.resolve<agent_talk::protocol>("/b/agent");
    REQUIRE_OR_END(agent);
    const auto refused = [](actor<agent_talk::courier_protocol> me, std::uint64_t number) -> task<errc> {
        auto m = co_await me.receive();
        if (!m) co_return errc::ok;
        const auto* told = m.get_if<agent_talk::told>();
        const auto* why = told ? std::get_if<agent_talk::refused>(&told->what) : nullptr;
        co_return why && told->number == number ? static_cast<errc>(why->code) : errc::ok;
    };
    agent_talk::start start;
    start.number = 1;
    EXPECT_EQ(self.send<agent_talk::start>(*agent, start), errc::ok);
    EXPECT_EQ(co_await refused(self, 1), errc::bad_message) << "no first record";
    start.number = 2;
    start.join = coppice::detail::encode_channel({coppice::detail::channel_stop{}});
    EXPECT_EQ(self.send<agent_talk::start>(*agent, start), errc::ok);
    EXPECT_EQ(co_await refused(self, 2), errc::bad_message) << "another record";
    start.number = 3;
    coppice::detail::channel_join join;
    join.path = "/../x";
    start.join = coppice::detail::encode_channel({join});
    EXPECT_EQ(self.send<agent_talk::start>(*agent, start), errc::ok);
    EXPECT_EQ(co_await refused(self, 3), errc::bad_message) << "no path";
    start.number = 4;
    join.path = victims_path;
    start.join = coppice::detail::encode_channel({join});
    start.transport = "unix";
    EXPECT_EQ(self.send<agent_talk::start>(*agent, start), errc::ok);
    EXPECT_EQ(co_await refused(self, 4), errc::name_taken) << "the place of another supervisor's";
    // Of processes that are another's, or nobody's.
    for (std::uint64_t number = 0; number < 10; ++number) {
        EXPECT_EQ(self.send<agent_talk::signal>(*agent, number, SIGKILL), errc::ok);
        EXPECT_EQ(self.send<agent_talk::tell>(*agent, number, true, std::vector<std::byte>(10)), errc::ok);
        EXPECT_EQ(self.send<agent_talk::took>(*agent, number, UINT64_MAX), errc::ok);
    }
    start.number = 5;
    start.join.clear();
    EXPECT_EQ(self.send<agent_talk::start>(*agent, start), errc::ok);
    EXPECT_EQ(co_await refused(self, 5), errc::bad_message)
        << "and nothing before it: the others were heard and ignored";
    EXPECT_EQ(::kill(static_cast<pid_t>(victim), 0), 0);
}

TEST_F(Agents, TakeOrdersForAProcessOnlyFromWhoHasAskedForItAndNothingMalformed) {
    node n{"app", supervising()};
    ASSERT_TRUE(n.start({}));
    agent_process there = agent_named("b");
    await_agent(n, "b");
    ASSERT_TRUE(start_in(n, child("w", in_process.on("b"), worker, std::uint64_t{0})));
    play<agent_talk::courier_protocol>(n, [](actor<agent_talk::courier_protocol> self) -> task<> {
        const auto pid = co_await process_at(actor<anything>{self.cell()}, "/app/w");
        co_await ask_by_hand(self, pid, "/app/w");
        EXPECT_EQ(co_await process_at(actor<anything>{self.cell()}, "/app/w"), pid) << "it was not touched";
    });
}

TEST_F(Agents, AreShownWithTheProcessesThatTheyRun) {
    node n{"app", supervising()};
    ASSERT_TRUE(n.start({}));
    agent_process there = agent_named("b");
    await_agent(n, "b");
    ASSERT_TRUE(start_in(n, child("w", in_process.on("b"), worker, std::uint64_t{0})));
    const node_info seen = n.inspect(1h);
    ASSERT_EQ(seen.processes.size(), 1u);
    EXPECT_EQ(seen.processes[0].agent, "b");
    EXPECT_EQ(seen.processes[0].state, "running");
    EXPECT_NE(seen.processes[0].pid, 0u);
    EXPECT_FALSE(seen.find("/app/$agents")) << "the courier is no part of the tree";
}

// A node has one parent: an agent serves one tree.
TEST_F(Agents, ThatListenServeOneTreeAndTellTheSecondWhy) {
    agent_process there = agent_named("b", {{"PARENT", ""}, {"LISTEN", "unix://agent-b"}});
    node_options o = quiet(2);
    o.network.children = {"unix://agent-b"};
    node first{"app", o};
    ASSERT_TRUE(first.start({}));
    await_agent(first, "b");
    log_lines lines;
    lines.listen_to(o);
    node second{"other", o};
    ASSERT_TRUE(second.start({}));
    lines.wait_for({"b is below app already"});
}

}  // namespace

}  // namespace coppice::tests::carried
