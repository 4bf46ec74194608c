// What the tests of nodes in processes of their own share: the role of a peer, and the fixture that starts, stops and
// watches peers.
//
// Each peer sends numbered messages to others, asks them, and keeps a question open that is never answered. What
// happens is counted on a board that all processes share and the test looks at. Each run prints its seed;
// COPPICE_SEED=<n> takes it again (the same victims and pauses; processes do what they want).
#pragma once
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "coppice/transport/builtin.hpp"
#include "support/certificates.hpp"
#include "support/loopback.hpp"
#include "support/network_namespace.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"
#include "support/sanitizers.hpp"
#include "support/seeds.hpp"

namespace coppice::tests::processes {

// ---------------------------------------------------------------- the board

constexpr std::size_t most_peers = 4;

// Of one name, whoever has it: what a process counted stays when the next one has its name.
struct place {
    std::atomic<std::uint64_t> lives, up;  // processes that began; the last of them that is ready
    std::atomic<std::uint64_t> sent;       // messages that the sender was told are taken
    std::atomic<std::uint64_t> refused;    // the others: the receiver's node was lost
    std::atomic<std::uint64_t> arrived;    // messages, here
    std::atomic<std::uint64_t> asked, answered, unreachable, lost;  // asks, and how they ended
    std::atomic<std::uint64_t> silent_ended;                        // questions that nobody answers
    std::atomic<std::uint64_t> downs;                               // of the peers' actors, by node_lost
    std::atomic<std::uint64_t> links_down, names_taken, names_refused, shortcuts;  // as the log has them
    std::atomic<std::uint64_t> silent, stopped, pauses;  // the same: neighbours; this process itself
    std::atomic<std::uint64_t> wrong;
    std::atomic<std::uint64_t> at_work;  // actors that send or ask
};
struct board {
    std::atomic<bool> quiet;  // send and ask no more
    std::atomic<bool> end;    // end properly
    std::atomic<std::uint64_t> streams;
    std::atomic<std::uint16_t> port;  // of a relay of bytes
    place of[most_peers];
};

inline place* mine = nullptr;  // of the process that plays a peer
inline board* common = nullptr;
inline bool peers_may_die = false;

inline void complain(const std::string& what) {
    if (++mine->wrong <= 5) std::fprintf(stderr, "%s: %s\n", word("NAME").c_str(), what.c_str());
}

// ---------------------------------------------------------------- what a peer does

struct numbered {
    std::uint64_t stream = 0;  // from one sender to one life of its receiver
    std::uint64_t number = 0;
    std::string padding;
};
struct question {
    std::uint64_t stream = 0;
    std::uint64_t number = 0;
    using reply = std::uint64_t;
};
struct into_the_void {
    using reply = std::uint64_t;
};
using sink_protocol = protocol<numbered, question, into_the_void>;

inline std::string padding_of(std::uint64_t number) {
    const std::uint64_t kind = number * 0x9e3779b97f4a7c15ull >> 40;
    const std::size_t size = kind % 1000 < 990 ? kind % 64 : kind % 1000 < 999 ? kind % 5000 : kind % 200'000;
    return std::string(size, static_cast<char>('a' + number % 26));
}

inline task<> sink(actor<sink_protocol> self) {
    std::map<std::uint64_t, std::uint64_t> next;
    std::map<std::uint64_t, std::uint64_t> asked;
    std::vector<request<into_the_void>> kept;
    while (auto m = co_await self.receive())
        m.match(
            [&](const numbered& n) {
                const std::uint64_t due = next[n.stream]++;
                if (n.number != due)
                    complain("number " + std::to_string(n.number) + " came in place of " +
                             std::to_string(due));
                if (n.padding != padding_of(n.number))
                    complain("the padding of " + std::to_string(n.number) + " is another");
                next[n.stream] = n.number + 1;
                ++mine->arrived;
            },
            [&](request<question> r) {
                std::uint64_t& before = asked[r->stream];
                if (r->number <= before) complain("question " + std::to_string(r->number) + " came twice");
                before = r->number;
                r.reply(r->number * 3);
            },
            [&](request<into_the_void> r) { kept.push_back(std::move(r)); });
}

inline task<result<ref<sink_protocol>>> find_sink(actor<protocol<down>> self, std::string where) {
    for (;;) {
        auto to = co_await self.resolve<sink_protocol>(where);
        if (to || common->quiet || self.stopping()) co_return to;
        if (to.error() != errc::unreachable && to.error() != errc::not_found && to.error() != errc::node_lost)
            complain(where + ": " + to.error().what());
        co_await self.sleep(5ms);
    }
}

struct counted {
    counted() { ++mine->at_work; }
    ~counted() { --mine->at_work; }
};

inline task<> sender(actor<protocol<down>> self, std::string where) {
    const counted here;
    while (!common->quiet) {
        auto to = co_await find_sink(self, where);
        const std::uint64_t stream = ++common->streams;
        for (std::uint64_t n = 0; to && !common->quiet; ++n) {
            ++mine->sent;  // before, so that nothing has arrived that was not sent
            const errc outcome = co_await self.send_wait<numbered>(*to, stream, n, padding_of(n));
            if (outcome == errc::ok) continue;
            --mine->sent;
            ++mine->refused;
            if (outcome != errc::node_lost || !peers_may_die)
                complain("sending: " + std::string{to_string(outcome)});
            break;
        }
    }
}

inline task<> asker(actor<protocol<down>> self, std::string where) {
    const counted here;
    while (!common->quiet) {
        auto to = co_await find_sink(self, where);
        const std::uint64_t stream = ++common->streams;
        for (std::uint64_t n = 1; to && !common->quiet; ++n) {
            ++mine->asked;
            auto answer = co_await self.ask<question>(*to, 1h, stream, n);
            const errc why = answer.error().code();
            if (answer && *answer != n * 3) complain("a wrong answer");
            if (answer) ++mine->answered;
            else if (why == errc::mailbox_full) --mine->asked;
            else if (why == errc::unreachable) ++mine->unreachable;  // a relay said that it knows no way
            else if (why == errc::node_lost && peers_may_die) ++mine->lost;
            else complain("ask: " + answer.error().what());
            if (why == errc::node_lost) break;
        }
    }
}

// Asks what is never answered: that must end when the other node has died, and only then.
inline task<> optimist(actor<protocol<down>> self, std::string where) {
    while (!common->quiet) {
        auto to = co_await find_sink(self, where);
        if (!to) break;
        for (bool living = true; living;) {
            auto answer = co_await self.ask<into_the_void>(*to, 1h);
            const errc why = answer.error().code();
            living = why == errc::mailbox_full;
            if (living) {
                co_await self.sleep(1ms);
            } else if (why == errc::node_lost && peers_may_die) {
                ++mine->silent_ended;
            } else if (!common->end) {  // at the end who kept the question lets go of it
                complain("nobody answers that: " + answer.error().what());
            }
        }
    }
}

inline task<> watcher(actor<protocol<down>> self, std::string where) {
    while (!common->quiet) {
        auto to = co_await find_sink(self, where);
        if (!to) break;
        self.monitor(*to);
        auto m = co_await self.receive();
        if (!m) break;
        const exit_reason& why = m.get_if<down>()->reason;
        if (why.kind() == exit_kind::node_lost && peers_may_die) ++mine->downs;
        else if (!common->quiet) complain("down: " + why.to_string());
    }
}

inline void count_line(std::string_view line) {
    const auto has = [line](std::string_view part) { return line.find(part) != std::string_view::npos; };
    if (has("is down:")) ++mine->links_down;
    if (has("name_taken")) ++mine->names_taken;
    if (has("name_refused")) ++mine->names_refused;
    if (has("by a shortcut")) ++mine->shortcuts;
    if (has("nothing was heard of it")) ++mine->silent;
    if (has("is stopped by a signal")) ++mine->stopped;
    if (has("this process did not run for")) ++mine->pauses;
}

// NAME, LISTEN, PARENT, TARGETS (names with spaces), BOARD, PLACE, MAY_DIE, HOLD_MS, NAMESPACE (of the network).
inline int run_peer() {
    if (!enter_namespace(word("NAMESPACE"))) return 1;
    const shared<board> seen{word("BOARD")};
    common = &*seen;
    mine = &seen->of[std::stoul(word("PLACE"))];
    peers_may_die = !word("MAY_DIE").empty();
    mine->at_work = 0;
    const std::uint64_t life = ++mine->lives;
    node_options o = quiet(2);
    o.network.hold = std::chrono::milliseconds{std::stol(word("HOLD_MS"))};
    if (!word("LISTEN").empty()) o.network.listen = {word("LISTEN")};
    o.network.parent = word("PARENT");
    o.level = level::info;
    o.log_hook = [](level, std::string_view, std::string_view line) {
        count_line(line);
        if (!word("VERBOSE").empty())
            std::fprintf(stderr, "%s: %.*s\n", word("NAME").c_str(), static_cast<int>(line.size()),
                         line.data());
    };
    supervisor_spec tree;
    tree.add(child("sink", on(1, 2), sink));
    std::string targets = word("TARGETS");
    for (std::size_t at = 0; at < targets.size();) {
        const std::size_t end = std::min(targets.find(' ', at), targets.size());
        const std::string name = targets.substr(at, end - at);
        const std::string where = "/" + name + "/sink";
        tree.add(child("sender_" + name, on(1, 2), sender, where).restarts(restart::temporary));
        tree.add(child("asker_" + name, on(0, 2), asker, where).restarts(restart::temporary));
        tree.add(child("optimist_" + name, on(1, 2), optimist, where).restarts(restart::temporary));
        tree.add(child("watcher_" + name, on(1, 2), watcher, where).restarts(restart::temporary));
        at = end + 1;
    }
    node here{word("NAME"), o};
    if (auto started = here.start(std::move(tree)); !started) {
        complain("did not start: " + started.error().what());
        return 1;
    }
    mine->up = life;
    await_that([] { return common->end.load(); });
    here.stop();
    here.wait();
    return 0;
}

inline const bool peer_role = add_role("peer", run_peer);

// ---------------------------------------------------------------- the test's side

// Below those that the kernel gives to connecting sockets: one that seeks the listener while it is away must not find
// itself. Kept to the end of this process by a socket that is bound and does not listen: a test beside this one, which
// asks for its port alone, passes it over, while a listener, which shares it (SO_REUSEADDR), gets it.
inline std::uint16_t reserved_port() {
    static std::uint16_t next = static_cast<std::uint16_t>(12'000 + ::getpid() % 18'000);
    for (;;) {
        const std::uint16_t port = next++;
        const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_in at = loopback(port);
        const int shared = 1;
        if (::bind(s, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 &&
            ::setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &shared, sizeof shared) == 0)
            return port;
        ::close(s);
    }
}

inline std::set<std::string> files_in(const std::filesystem::path& where) {
    std::set<std::string> names;
    for (const auto& one : std::filesystem::directory_iterator{where}) names.insert(one.path().filename());
    return names;
}

class Processes : public ::testing::TestWithParam<const char*> {
protected:
    Processes() {
        seed_ = seed_to_replay() ? seed_to_replay() : std::random_device{}();
        random_.seed(seed_);
        std::printf("seed %llu\n", static_cast<unsigned long long>(seed_));
        run_ = root_ / "run";
        std::filesystem::create_directories(run_);
        std::filesystem::permissions(run_, std::filesystem::perms::owner_all);
        std::ofstream{root_ / "beside"} << "not ours";
        std::ofstream{run_ / "somebody.elses"} << "not ours";
        ::setenv("COPPICE_RUN_DIR", run_.c_str(), 1);
        in_shm_ = files_in("/dev/shm");
        const std::string kind = GetParam();
        if (kind == "tcp" || kind == "tls") uri_ = kind + "://127.0.0.1:" + std::to_string(reserved_port());
        else uri_ = kind + "://middle";
        if (kind == "tls") {
            const certificate_authority ca{root_, "ca"};
            uri_ += "?" + ca.issue("node", {.name = "node.test", .address = "127.0.0.1"}).options();
        }
    }
    ~Processes() override {
        for (process& p : peers_) p.end_at_once();
    }

    struct peer_plan {
        std::string name;
        bool listens = false;
        std::string targets{};
        std::string network{};  // namespace of it; empty: the test's
        std::string parent{};   // of one that does not listen; empty: where the one that listens is
        std::string own{};      // where one with a parent listens
    };
    // Of the same kind, for another one that listens.
    [[nodiscard]] std::string another_uri(const std::string& name) const {
        const std::string kind = GetParam();
        if (kind != "tcp" && kind != "tls") return kind + "://" + name;
        const auto options = uri_.find('?');
        return kind + "://127.0.0.1:" + std::to_string(reserved_port()) +
               (options == std::string::npos ? "" : uri_.substr(options));
    }
    void plan(std::vector<peer_plan> all, bool may_die) {
        plan_ = std::move(all);
        may_die_ = may_die;
        peers_.resize(plan_.size());
    }
    void start(std::size_t i) {
        const peer_plan& p = plan_[i];
        const char* verbose = std::getenv("COPPICE_TEST_VERBOSE");
        peers_[i] = process{"peer",
                            {{"NAME", p.name},
                             {"LISTEN", p.listens ? uri_ : p.own},
                             {"PARENT", p.listens          ? ""
                                        : p.parent.empty() ? uri_
                                                           : p.parent},
                             {"TARGETS", p.targets},
                             {"NAMESPACE", p.network},
                             {"BOARD", board_.handle()},
                             {"PLACE", std::to_string(i)},
                             {"MAY_DIE", may_die_ ? "1" : ""},
                             {"HOLD_MS", std::to_string(hold_.count())},
                             {"VERBOSE", verbose ? verbose : ""}}};
    }
    void await_up(std::size_t i) {
        await_that([&] {
            if (peers_[i].has_ended()) throw std::runtime_error{plan_[i].name + " has ended"};
            return of(i).up == of(i).lives && of(i).lives;
        });
    }
    place& of(std::size_t i) { return board_->of[i]; }
    void pause(int most_ms) {
        std::this_thread::sleep_for(std::chrono::microseconds{
            static_cast<std::int64_t>(random_() % static_cast<unsigned>(most_ms * 1000))});
    }
    // Each of these gets more messages and answers.
    void await_traffic(const std::vector<std::size_t>& among, std::uint64_t messages = 200) {
        for (const std::size_t i : among) {
            const std::uint64_t arrived = of(i).arrived + messages;
            const std::uint64_t answered = of(i).answered + 3;
            await_that([&] { return of(i).arrived >= arrived && of(i).answered >= answered; });
        }
    }
    void check_wrong() {
        for (std::size_t i = 0; i < plan_.size(); ++i) EXPECT_EQ(of(i).wrong, 0u) << plan_[i].name;
    }
    void be_quiet(const std::vector<std::size_t>& among) {
        board_->quiet = true;
        for (const std::size_t i : among) await_that([&] { return of(i).at_work == 0; });
    }
    // All end by themselves, with success.
    void end_all() {
        board_->quiet = true;
        board_->end = true;
        for (process& p : peers_)
            if (p.runs()) EXPECT_EQ(p.wait(), 0);
    }
    // Only what was there before any node, and what the test does not own.
    void check_nothing_left() {
        EXPECT_EQ(files_in(run_), (std::set<std::string>{"somebody.elses"}));
        EXPECT_TRUE(std::filesystem::exists(root_ / "beside"));
        for (const std::string& name : files_in("/dev/shm"))
            if (!in_shm_.contains(name)) EXPECT_EQ(name.find("coppice"), std::string::npos) << name;
    }

    std::uint64_t seed_ = 0;
    std::mt19937_64 random_;
    const own_directory own_;
    const std::filesystem::path root_ = own_.path();
    std::filesystem::path run_;
    std::set<std::string> in_shm_;
    std::string uri_;
    std::vector<peer_plan> plan_;
    bool may_die_ = false;
    std::chrono::milliseconds hold_ = 10min;  // what is told sooner is told by better evidence than silence
    shared<board> board_;
    std::vector<process> peers_;
};

}  // namespace coppice::tests::processes
