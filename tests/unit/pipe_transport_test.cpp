// What is special about the transport "pipe": requests on a pipe that everybody may write to, rights, what dead processes left
// in the directory, and SIGPIPE. What it has in common with the other kinds is in tests/conformance.
// Two reactors on one thread, so that each side can be stopped anywhere; peers that die are child processes.
#include "coppice/transport/pipe.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include <gtest/gtest.h>

#include "../../transport/src/pipe/join.hpp"
#include "support/io_reactor.hpp"
#include "support/own_directory.hpp"
#include "support/sanitizers.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;
using pipes::request;
using pipes::request_scanner;

std::uint64_t next_random(std::uint64_t& x) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

// ---------------------------------------------------------------- requests

request some_request(std::uint8_t salt) {
    request r;
    r.id.fill(std::byte{salt});
    r.pid = salt;
    return sealed(r);
}

std::vector<std::byte> bytes_of(const request& r) {
    const auto bytes = std::as_bytes(std::span{&r, 1});
    return {bytes.begin(), bytes.end()};
}

void feed(request_scanner& scanner, std::span<const std::byte> bytes) {
    const auto room = scanner.room();
    ASSERT_LE(bytes.size(), room.size());
    std::copy(bytes.begin(), bytes.end(), room.begin());
    scanner.filled(bytes.size());
}

TEST(PipeJoin, TheChecksumIsThatOfCastagnoli) {
    const std::string_view digits = "123456789";
    EXPECT_EQ(pipes::checksum(std::as_bytes(std::span{digits})), 0xe306'9283u);
    EXPECT_EQ(pipes::checksum({}), 0u);
}

TEST(PipeJoin, FindsTheRequestBehindGarbageOfAnyLength) {
    std::uint64_t seed = 7;
    for (std::size_t size = 0; size < 600; ++size) {
        std::vector<std::byte> all(size);
        for (std::byte& b : all) b = static_cast<std::byte>(next_random(seed));
        const auto good = bytes_of(some_request(5));
        all.insert(all.end(), good.begin(), good.end());
        request_scanner scanner;
        feed(scanner, all);
        const auto found = scanner.next(false);
        ASSERT_TRUE(found) << size;
        EXPECT_EQ(found->id, some_request(5).id);
        EXPECT_EQ(found->pid, 5);
        EXPECT_FALSE(scanner.next(true));
    }
}

TEST(PipeJoin, SkipsARequestThatWasCutAnywhereAndFindsTheNext) {
    const auto cut = bytes_of(some_request(1));
    const auto good = bytes_of(some_request(2));
    for (std::size_t size = 0; size < cut.size(); ++size) {
        std::vector<std::byte> all(cut.begin(), cut.begin() + static_cast<std::ptrdiff_t>(size));
        all.insert(all.end(), good.begin(), good.end());
        request_scanner scanner;
        feed(scanner, all);
        const auto found = scanner.next(true);
        ASSERT_TRUE(found) << size;
        EXPECT_EQ(found->pid, 2);
        EXPECT_FALSE(scanner.next(true));
    }
}

TEST(PipeJoin, ForgetsTheBeginningOfARequestWhenThePipeIsEmpty) {
    const auto cut = bytes_of(some_request(1));
    for (std::size_t size = 0; size < cut.size(); ++size) {
        request_scanner scanner;
        feed(scanner, std::span{cut}.first(size));
        EXPECT_FALSE(scanner.next(true));
        // Had it waited, the rest would make it whole.
        feed(scanner, std::span{cut}.subspan(size));
        EXPECT_EQ(scanner.next(true).has_value(), size == 0) << size;
    }
}

TEST(PipeJoin, WaitsForTheRestOfARequestThatAReadHasDivided) {
    const auto good = bytes_of(some_request(3));
    for (std::size_t size = 1; size < good.size(); ++size) {
        request_scanner scanner;
        feed(scanner, std::span{good}.first(size));
        EXPECT_FALSE(scanner.next(false));
        feed(scanner, std::span{good}.subspan(size));
        const auto found = scanner.next(false);
        ASSERT_TRUE(found) << size;
        EXPECT_EQ(found->pid, 3);
    }
}

TEST(PipeJoin, TakesNoRequestWithAnyBitFlipped) {
    for (std::size_t bit = 0; bit < 8 * sizeof(request); ++bit) {
        auto bad = bytes_of(some_request(4));
        bad[bit / 8] ^= std::byte{1} << static_cast<int>(bit % 8);
        request_scanner scanner;
        feed(scanner, bad);
        EXPECT_FALSE(scanner.next(true)) << bit;
    }
}

TEST(PipeJoin, ReadsTheHeadOfALaterVersion) {
    request head;
    head.version = 9;
    head.size = 200;
    head.id.fill(std::byte{6});
    std::vector<std::byte> all = bytes_of(head);
    all.resize(196, std::byte{0x55});
    const std::uint32_t sum = pipes::checksum(all);
    const auto tail = std::as_bytes(std::span{&sum, 1});
    all.insert(all.end(), tail.begin(), tail.end());
    request_scanner scanner;
    feed(scanner, all);
    const auto found = scanner.next(true);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->version, 9u);
    EXPECT_EQ(found->id, head.id);
}

TEST(PipeJoin, AlwaysHasRoomForThePipesGreatestWrite) {
    std::uint64_t seed = 99;
    request_scanner scanner;
    std::size_t found = 0;
    for (int n = 0; n < 3000; ++n) {
        ASSERT_GE(scanner.room().size(), std::size_t{PIPE_BUF});
        std::vector<std::byte> some(next_random(seed) % 900);
        for (std::byte& b : some) b = static_cast<std::byte>(next_random(seed));
        // Heads that promise much, beginnings of magic numbers, whole requests.
        request lure;
        lure.size = static_cast<std::uint32_t>(next_random(seed) % 400);
        lure.version = static_cast<std::uint32_t>(next_random(seed) % 3);
        const auto more = next_random(seed) % 2 == 0 ? bytes_of(lure) : bytes_of(some_request(8));
        const std::size_t part = next_random(seed) % 3 == 0 ? next_random(seed) % more.size() : more.size();
        some.insert(some.end(), more.begin(), more.begin() + static_cast<std::ptrdiff_t>(part));
        feed(scanner, some);
        while (scanner.next(next_random(seed) % 2 == 0)) ++found;
    }
    EXPECT_GT(found, 500u);
}

// ---------------------------------------------------------------- the directory

class guest final : public link_events {
public:
    explicit guest(std::unique_ptr<byte_link> owned) : link{std::move(owned)} {}
    std::unique_ptr<byte_link> link;
    std::string got;
    std::optional<error> end;
    void start() { link->start(*this); }
    void send(std::string_view text) const {
        const auto room = link->reserve(text.size());
        ASSERT_GE(room.size(), text.size());
        std::memcpy(room.data(), text.data(), text.size());
        link->commit(text.size());
        link->flush();
    }
    std::size_t received(std::span<const std::byte> bytes) override {
        got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        return bytes.size();
    }
    void writable() override {}
    void closed(error why) override { end = std::move(why); }
};

class PipeTransport : public ::testing::Test {
protected:
    PipeTransport() { where = endpoint::parse("pipe://app").value(); }

    void listen() {
        auto made = pipe_transport()->listen(there, where, [this](std::unique_ptr<byte_link> link) {
            accepted.push_back(std::make_unique<guest>(std::move(link)));
        });
        ASSERT_TRUE(made) << made.error().what();
        listening = std::move(*made);
    }
    std::unique_ptr<attempt> connect() {
        auto made =
            pipe_transport()->connect(here, where, [this](result<std::unique_ptr<byte_link>> outcome) {
                if (outcome) connected.push_back(std::make_unique<guest>(std::move(*outcome)));
                else failures.push_back(outcome.error());
            });
        EXPECT_TRUE(made) << made.error().what();
        return std::move(*made);
    }
    // Runs both sides, neither of which sleeps for long.
    template <class Predicate>
    void run_until(Predicate done) {
        while (!done()) {
            there.run_ready();
            here.run_for(1ms);
        }
    }
    void join() {
        listen();
        const auto trying = connect();
        run_until([&] { return accepted.size() == 1 && connected.size() + failures.size() == 1; });
        ASSERT_TRUE(failures.empty()) << failures[0].what();
        accepted[0]->start();
        connected[0]->start();
    }
    // Everything that lives, ended.
    void end() {
        connected.clear();
        accepted.clear();
        listening.reset();
        here.run_ready();
        there.run_ready();
    }

    [[nodiscard]] std::string path(const std::string& name) const { return directory_.path(name); }
    [[nodiscard]] std::string access() const { return path("app.pipe"); }
    [[nodiscard]] std::vector<std::string> files() const {
        std::vector<std::string> names = directory_.files();
        std::sort(names.begin(), names.end());
        return names;
    }
    [[nodiscard]] static mode_t mode(const std::string& at) {
        struct stat is{};
        EXPECT_EQ(::lstat(at.c_str(), &is), 0) << at;
        return is.st_mode & 07777;
    }
    const std::vector<std::string> listener_alone{"app.pipe", "app.pipe.lock"};

    io_reactor there;  // the listener's
    io_reactor here;
    endpoint where;
    std::unique_ptr<listener> listening;
    std::vector<std::unique_ptr<guest>> accepted;
    std::vector<std::unique_ptr<guest>> connected;
    std::vector<error> failures;

private:
    const own_run_directory directory_;
};

// A child process that runs `body` and must not return into the test.
template <class Body>
pid_t in_child(Body body) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::signal(SIGABRT, SIG_DFL);
    body();
    ::_exit(0);
}

void await(pid_t child) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
}

TEST_F(PipeTransport, LeavesOnlyTheListenersNamesOnceALinkStandsAndNoneAtTheEnd) {
    join();
    EXPECT_EQ(files(), listener_alone);
    connected[0]->send("there");
    accepted[0]->send("back");
    run_until([&] { return accepted[0]->got == "there" && connected[0]->got == "back"; });
    accepted.clear();
    run_until([&] { return connected[0]->end.has_value(); });
    EXPECT_EQ(*connected[0]->end, errc::closed) << connected[0]->end->what();
    end();
    EXPECT_EQ(files(), std::vector<std::string>{});
}

TEST_F(PipeTransport, KeepsItsPipesToTheirOwnerWhateverTheUmask) {
    for (const mode_t mask : {0u, 077u, 0177u}) {
        const mode_t before = ::umask(mask);
        listen();
        const auto trying = connect();
        here.run_ready();  // the request is out, and nobody has answered
        ::umask(before);
        ASSERT_EQ(files().size(), 4u);
        for (const std::string& name : files())
            EXPECT_EQ(mode(path(name)), 0600u) << name << " umask " << mask;
        end();
    }
}

TEST_F(PipeTransport, OpensItsPipesToAGroupIfItIsToldTo) {
    where.options["rights"] = "group";
    const mode_t before = ::umask(077);
    listen();
    auto trying = connect();
    here.run_ready();
    ::umask(before);
    for (const std::string& name : files())
        if (!name.ends_with(".lock")) {
            EXPECT_EQ(mode(path(name)), 0660u) << name;
        }
    // Who asks for less is told that there is more.
    where.options["rights"] = "own";
    const auto strict = connect();
    run_until([&] { return connected.size() + failures.size() == 2; });
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(failures[0], errc::denied) << failures[0].what();
}

TEST_F(PipeTransport, RefusesToConnectToWhatIsOpenToOthersOrAnothersOrNoPipe) {
    const auto refused = [&](std::string_view why) {
        const auto trying = connect();
        here.run_until([&] { return connected.size() + failures.size() == 1; });
        ASSERT_EQ(failures.size(), 1u);
        EXPECT_EQ(failures[0], errc::denied) << failures[0].what();
        EXPECT_NE(failures[0].text().find(why), std::string_view::npos) << failures[0].what();
        failures.clear();
    };
    listen();
    ASSERT_EQ(::chmod(access().c_str(), 0606), 0);
    refused("open to others");
    where.options["rights"] = "group";
    refused("open to all");
    where.options.clear();
    ASSERT_EQ(::chmod(access().c_str(), 0600), 0);
    if (::geteuid() == 0) {
        ASSERT_EQ(::chown(access().c_str(), 1, 1), 0);
        refused("uid 1");
    }
    listening.reset();
    std::ofstream{access()} << "text";
    refused("no pipe");
    std::filesystem::rename(access(), path("elsewhere"));
    std::filesystem::create_symlink(path("elsewhere"), access());
    refused("symbolic link");
    std::ifstream in{path("elsewhere")};
    EXPECT_EQ((std::string{std::istreambuf_iterator<char>{in}, {}}), "text") << "something was written there";
}

TEST_F(PipeTransport, DoesNotTakeThePlaceOfWhatIsNoPipeOrHasAReader) {
    std::ofstream{access()} << "text";
    EXPECT_EQ(pipe_transport()->listen(there, where, {}).error(), errc::name_taken);
    std::filesystem::remove(access());
    ASSERT_EQ(::mkfifo(access().c_str(), 0600), 0);
    const int reader = ::open(access().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    EXPECT_EQ(pipe_transport()->listen(there, where, {}).error(), errc::name_taken);
    EXPECT_TRUE(std::filesystem::exists(access()));
    ::close(reader);
    listen();
}

TEST_F(PipeTransport, TakesNoOptionThatMeansNothing) {
    for (const char* text : {"pipe://app?rights=all", "pipe://app?buffer=4095", "pipe://app?buffer=1048577",
                             "pipe://app?buffer=x", "pipe://app:7", "pipe://", "pipe://a%2fb",
                             "pipe://app?dir=relative", "pipe://app?dir=", "pipe://app?ring=1MiB"}) {
        const auto parsed = endpoint::parse(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ(pipe_transport()->listen(there, *parsed, {}).error(), errc::invalid_argument) << text;
        EXPECT_EQ(pipe_transport()->connect(here, *parsed, {}).error(), errc::invalid_argument) << text;
    }
}

TEST_F(PipeTransport, MeetsInTheDirectoryThatItIsToldAndLeavesNothingThere) {
    std::filesystem::create_directory(path("sub"));
    where = endpoint::parse("pipe://node?buffer=4KiB&dir=" + path("sub") + "/").value();
    listen();
    const auto trying = connect();
    here.run_ready();
    std::size_t beside = 0;
    for (const auto& entry : std::filesystem::directory_iterator{path("sub")})
        beside += entry.path().filename().string().starts_with("node.pipe.") ? 1 : 0;
    EXPECT_EQ(beside, 3u);  // and the lock
    run_until([&] { return accepted.size() == 1 && connected.size() == 1; });
    accepted[0]->start();
    connected[0]->start();
    for (int n = 0; n < 100; ++n) {
        connected[0]->send(std::string(5000, 'x'));
        run_until([&] { return accepted[0]->got.size() == 5000 * static_cast<std::size_t>(n + 1); });
    }
    end();
    EXPECT_TRUE(std::filesystem::is_empty(path("sub")));
}

// ---------------------------------------------------------------- who dies

TEST_F(PipeTransport, OfAKilledListenerIsUnreachableAtOnceAndItsNextStartLeavesNothing) {
    const pid_t child = in_child([&] {
        listen();
        ::raise(SIGKILL);
    });
    await(child);
    EXPECT_EQ(files(), listener_alone);
    const auto trying = connect();
    here.run_until([&] { return connected.size() + failures.size() == 1; });
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(failures[0], errc::unreachable) << failures[0].what();
    EXPECT_EQ(files(), listener_alone) << "the attempt left something";
    failures.clear();
    join();
    EXPECT_EQ(files(), listener_alone);
    end();
    EXPECT_EQ(files(), std::vector<std::string>{});
}

TEST_F(PipeTransport, TellsAConnectorWhoseListenerDiesBeforeItAnswers) {
    int ready[2];
    ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
    const pid_t child = in_child([&] {
        listen();
        if (::write(ready[1], "x", 1) != 1) ::_exit(3);
        ::pause();  // never reads what is asked
    });
    char x = 0;
    ASSERT_EQ(::read(ready[0], &x, 1), 1);
    ::close(ready[0]);
    ::close(ready[1]);
    const auto trying = connect();
    here.run_for(20ms);
    EXPECT_TRUE(failures.empty());
    EXPECT_EQ(files().size(), 4u);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    await(child);
    here.run_until([&] { return connected.size() + failures.size() == 1; });
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(failures[0], errc::unreachable) << failures[0].what();
    EXPECT_EQ(files(), listener_alone);
    listen();
    end();
    EXPECT_EQ(files(), std::vector<std::string>{});
}

// Every step of connecting is one handler, so a death after each number of them meets every stage.
TEST_F(PipeTransport, ForgetsAConnectorThatIsKilledAtAnyStepAndTheNextOneSweepsItsPipes) {
    bool left_something = false;
    for (int steps = 0; steps < 8; ++steps) {
        SCOPED_TRACE(steps);
        listen();
        const pid_t child = in_child([&] {
            io_reactor own;
            std::unique_ptr<byte_link> link;
            auto trying =
                pipe_transport()->connect(own, where, [&](result<std::unique_ptr<byte_link>> outcome) {
                    if (!outcome) ::_exit(3);
                    link = std::move(*outcome);
                });
            if (!trying) ::_exit(4);
            for (int n = 0; n < steps && !link; ++n) own.step();
            ::raise(SIGKILL);
        });
        int status = 0;
        // The child's pipes must not live on in this process' accepted link.
        run_until([&] {
            for (const auto& g : accepted)
                if (!g->end && g->got.empty()) g->start();
            return ::waitpid(child, &status, WNOHANG) == child;
        });
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
        left_something = left_something || files() != listener_alone;
        run_until([&] {
            return std::all_of(accepted.begin(), accepted.end(),
                               [](const auto& g) { return g->end.has_value(); });
        });
        accepted.clear();
        const auto trying = connect();
        run_until([&] { return accepted.size() == 1 && connected.size() + failures.size() == 1; });
        ASSERT_TRUE(failures.empty()) << failures[0].what();
        EXPECT_EQ(files(), listener_alone);
        end();
        EXPECT_EQ(files(), std::vector<std::string>{});
    }
    static_cast<void>(left_something);
}

TEST_F(PipeTransport, SweepsWhatDeadConnectorsLeftAndNothingElse) {
    const std::string stem = "app.pipe." + std::string(32, 'a');
    const std::string other = "app.pipe." + std::string(32, 'b');
    ASSERT_EQ(::mkfifo(path(stem + ".down").c_str(), 0600), 0);
    ASSERT_EQ(::mkfifo(path(stem + ".up").c_str(), 0600), 0);
    ASSERT_EQ(::mkfifo(path(other + ".up").c_str(), 0600), 0);
    // Not ours: other names, no pipe, and one whose maker lives.
    const std::string alive = "app.pipe." + std::string(32, 'c');
    ASSERT_EQ(::mkfifo(path(alive + ".down").c_str(), 0600), 0);
    const int maker = ::open(path(alive + ".down").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ASSERT_EQ(::flock(maker, LOCK_EX | LOCK_NB), 0);
    std::ofstream{path("app.pipe." + std::string(32, 'd') + ".down")} << "text";
    std::ofstream{path("app.pipe.readme")} << "text";
    ASSERT_EQ(::mkfifo(path("app.pipe." + std::string(31, 'e') + ".down").c_str(), 0600), 0);
    ASSERT_EQ(::mkfifo(path("apple.pipe." + std::string(32, 'f') + ".down").c_str(), 0600), 0);
    auto kept = files();
    std::erase_if(kept,
                  [&](const std::string& name) { return name.starts_with(stem) || name.starts_with(other); });
    listen();
    listening.reset();
    EXPECT_EQ(files(), kept);
    ::close(maker);
}

// Who was killed on the way to a place that is gone for good has left what the next one on such a way finds.
TEST_F(PipeTransport, SweepsWhatDeadConnectorsToPlacesOfOneLifeLeft) {
    const auto place = [](char digit) { return "children-" + std::string(32, digit); };
    const auto left = [&](const std::string& of) {
        for (const char* suffix : {".down", ".up"})
            ASSERT_EQ(::mkfifo(path(of + ".pipe." + std::string(32, 'a') + suffix).c_str(), 0600), 0);
    };
    left(place('0'));
    left("others-" + std::string(32, '0'));
    left("app");
    auto kept = files();
    std::erase_if(kept, [&](const std::string& name) { return name.starts_with(place('0')); });
    where = endpoint::parse("pipe://" + place('1')).value();
    listen();
    for (const std::string suffix : {".pipe", ".pipe.lock"}) kept.push_back(place('1') + suffix);
    std::sort(kept.begin(), kept.end());
    EXPECT_EQ(files(), kept);
}

TEST_F(PipeTransport, NeverRaisesSigpipe) {
    // Its default ends the process, so a program that does nothing about it is the test.
    ASSERT_NE(::signal(SIGPIPE, SIG_DFL), SIG_ERR);
    // A listener that goes away between the look at its pipe and the request: the locked directory holds the attempt there.
    listen();
    const int directory = ::open(path("").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ASSERT_EQ(::flock(directory, LOCK_EX | LOCK_NB), 0);
    const auto trying = connect();
    here.run_ready();
    listening.reset();
    ::close(directory);
    here.run_until([&] { return connected.size() + failures.size() == 1; });
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(failures[0], errc::unreachable) << failures[0].what();
    failures.clear();
    sigset_t pending;
    ASSERT_EQ(::sigpending(&pending), 0);
    EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0) << "the signal waits for whoever unblocks it";

    // A peer that dies while it is written to, before anything tells of it.
    listen();
    const pid_t child = in_child([&] {
        io_reactor own;
        std::unique_ptr<byte_link> link;
        auto begun = pipe_transport()->connect(own, where, [&](result<std::unique_ptr<byte_link>> outcome) {
            if (!outcome) ::_exit(3);
            link = std::move(*outcome);
        });
        own.run_until([] { return false; });
    });
    there.run_until([&] { return accepted.size() == 1; });
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    await(child);
    for (int n = 0; n < 100; ++n) {
        const auto room = accepted[0]->link->reserve(1000);
        if (room.empty()) break;
        accepted[0]->link->commit(1000);
        accepted[0]->link->flush();
    }
    accepted[0]->start();
    there.run_until([&] { return accepted[0]->end.has_value(); });
    end();
    EXPECT_EQ(files(), std::vector<std::string>{});
}

// ---------------------------------------------------------------- many, and hostile ones

TEST_F(PipeTransport, GivesEachOfManyWhoJoinAtTheSameMomentALinkOfItsOwn) {
    listen();
    constexpr std::size_t count = 20;
    int gate[2];
    ASSERT_EQ(::pipe2(gate, O_CLOEXEC), 0);
    std::vector<pid_t> children;
    for (std::size_t n = 0; n < count; ++n)
        children.push_back(in_child([&] {
            char x = 0;
            ::close(gate[1]);
            if (::read(gate[0], &x, 1) != 0) ::_exit(5);  // all at once, when the gate opens
            io_reactor own;
            std::unique_ptr<guest> side;
            auto begun =
                pipe_transport()->connect(own, where, [&](result<std::unique_ptr<byte_link>> outcome) {
                    if (!outcome) ::_exit(3);
                    side = std::make_unique<guest>(std::move(*outcome));
                    side->start();
                    side->send(std::to_string(n));
                });
            own.run_until([&] { return side && side->got == std::to_string(n) + "!"; });
            ::_exit(0);
        }));
    ::close(gate[0]);
    ::close(gate[1]);
    std::vector<bool> seen(count);
    std::size_t answered = 0;
    while (answered < count) {
        there.run_for(1ms);
        for (const auto& g : accepted) {
            if (g->got.empty()) g->start();
            else if (!g->got.ends_with('.')) {
                const std::size_t n = std::stoul(g->got);
                ASSERT_LT(n, count);
                EXPECT_FALSE(seen[n]) << "two links for " << n;
                seen[n] = true;
                g->send(g->got + "!");
                g->got += '.';
                ++answered;
            }
        }
    }
    for (const pid_t child : children) {
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    }
    EXPECT_EQ(accepted.size(), count);
    EXPECT_EQ(files(), listener_alone);
}

TEST_F(PipeTransport, HidesNoRequestBehindGarbageOnTheAccessPipe) {
    listen();
    const int hand = ::open(access().c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    ASSERT_GE(hand, 0);
    const auto put = [&](std::span<const std::byte> bytes) {
        EXPECT_EQ(::write(hand, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    };
    std::uint64_t seed = 3;
    std::size_t joined = 0;
    for (int n = 0; n < 40; ++n) {
        std::vector<std::byte> bad = bytes_of(some_request(static_cast<std::uint8_t>(n)));
        switch (n % 4) {
        case 0: bad.resize(next_random(seed) % bad.size()); break;           // cut
        case 1: bad[next_random(seed) % bad.size()] ^= std::byte{4}; break;  // garbled
        case 2: break;                                                       // of pipes that are not there
        default:
            bad.resize(next_random(seed) % 4096);
            for (std::byte& b : bad) b = static_cast<std::byte>(next_random(seed));
        }
        put(bad);
        const auto trying = connect();
        here.run_ready();
        put(bad);
        ++joined;
        run_until([&] { return accepted.size() == joined && connected.size() + failures.size() == joined; });
        ASSERT_TRUE(failures.empty()) << failures[0].what();
    }
    ::close(hand);
}

// Asio gives a new descriptor the place of one that was just closed, and with it an event that was on its way.
TEST_F(PipeTransport, IsNotMisledByTheEventsOfALinkThatEndsWhileItConnects) {
    join();
    for (std::size_t n = 1; n <= 20; ++n) {
        accepted.clear();
        there.run_ready();  // the end of the old link is there for the reactor of the new one
        connected.clear();
        const auto trying = connect();
        here.run_for(2ms);
        ASSERT_TRUE(failures.empty()) << failures[0].what() << ", before the listener had a chance to answer";
        run_until([&] { return accepted.size() == 1 && connected.size() + failures.size() == 1; });
        ASSERT_TRUE(failures.empty()) << failures[0].what();
        accepted[0]->start();
        connected[0]->start();
    }
}

TEST_F(PipeTransport, WaitsForRoomOnAFullAccessPipe) {
    listen();
    const int hand = ::open(access().c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    const std::vector<char> page(4096);
    while (::write(hand, page.data(), page.size()) > 0) {
    }
    ASSERT_EQ(errno, EAGAIN);
    const auto trying = connect();
    here.run_for(10ms);
    EXPECT_TRUE(connected.empty() && failures.empty());
    run_until([&] { return accepted.size() == 1 && connected.size() + failures.size() == 1; });
    EXPECT_TRUE(failures.empty());
    ::close(hand);
}

// The pipes of a connector, made by hand; its request is put on the access pipe.
struct handmade {
    handmade(const std::string& access, const request& asked) {
        std::string stem = access + ".";
        for (const std::byte b : asked.id) {
            char text[3];
            std::snprintf(text, sizeof text, "%02x", std::to_integer<unsigned>(b));
            stem += text;
        }
        down = stem + ".down";
        up = stem + ".up";
        const int to = ::open(access.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        EXPECT_EQ(::write(to, &asked, sizeof asked), static_cast<ssize_t>(sizeof asked));
        ::close(to);
    }
    std::string down;
    std::string up;
};

TEST_F(PipeTransport, RefusesAnotherVersionByName) {
    listen();
    request asked;
    asked.version = 2;
    asked.id.fill(std::byte{0x5a});
    asked = sealed(asked);
    const handmade names{access(), asked};
    ASSERT_EQ(::mkfifo(names.down.c_str(), 0600), 0);
    ASSERT_EQ(::mkfifo(names.up.c_str(), 0600), 0);
    const int in = ::open(names.down.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ASSERT_EQ(::flock(in, LOCK_EX | LOCK_NB), 0);
    there.run_ready();
    pipes::answer said;
    ASSERT_EQ(::read(in, &said, sizeof said), static_cast<ssize_t>(sizeof said));
    EXPECT_EQ(said.code, static_cast<std::uint32_t>(errc::wrong_version));
    EXPECT_EQ(pipes::read(said, asked.id).error(), errc::wrong_version);
    EXPECT_TRUE(accepted.empty());
    ::close(in);
}

TEST_F(PipeTransport, TouchesNothingThatARequestLeadsItToButPipesOfTheRightOwner) {
    listen();
    std::ofstream{path("precious")} << "text";
    const auto untouched = [&] {
        std::ifstream in{path("precious")};
        return std::string{std::istreambuf_iterator<char>{in}, {}} == "text";
    };
    for (int trap = 0; trap < 4; ++trap) {
        SCOPED_TRACE(trap);
        request asked = some_request(static_cast<std::uint8_t>(100 + trap));
        const handmade names{access(), asked};
        int in = -1;
        if (trap == 0) {
            std::filesystem::create_symlink(path("precious"), names.down);
            std::filesystem::create_symlink(path("precious"), names.up);
        } else if (trap == 1) {
            std::filesystem::create_hard_link(path("precious"), names.down);
            std::filesystem::create_hard_link(path("precious"), names.up);
        } else {
            ASSERT_EQ(::mkfifo(names.down.c_str(), 0600), 0);
            in = ::open(names.down.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
            ASSERT_EQ(::flock(in, LOCK_EX | LOCK_NB), 0);
            if (trap == 2) {
                std::filesystem::create_hard_link(path("precious"), names.up);
            } else {
                ASSERT_EQ(::mkfifo(names.up.c_str(), 0600), 0);
                ASSERT_EQ(::chmod(names.up.c_str(), 0622), 0);  // others may write to it
            }
        }
        there.run_ready();
        EXPECT_TRUE(untouched());
        EXPECT_TRUE(accepted.empty());
        EXPECT_TRUE(std::filesystem::exists(std::filesystem::symlink_status(names.down)));
        EXPECT_TRUE(std::filesystem::exists(std::filesystem::symlink_status(names.up)));
        if (in >= 0) ::close(in);
        std::filesystem::remove(names.down);
        std::filesystem::remove(names.up);
    }
}

TEST_F(PipeTransport, AdmitsAConnectorOnceThereAreDescriptorsAgain) {
    if (sanitizer_needs_descriptors) GTEST_SKIP() << "the sanitizer itself needs descriptors";
    listen();
    const auto trying = connect();
    here.run_ready();
    const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(next);
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (const int spare : {0, 1, 2}) {
        rlimit low = limit;
        low.rlim_cur = static_cast<rlim_t>(next + spare);
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
        there.run_for(150ms);
        here.run_ready();
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
        EXPECT_TRUE(accepted.empty());
        EXPECT_TRUE(connected.empty());
        EXPECT_TRUE(failures.empty()) << failures[0].what();
    }
    run_until([&] { return accepted.size() == 1 && connected.size() + failures.size() == 1; });
    EXPECT_TRUE(failures.empty());
}

}  // namespace
}  // namespace coppice::tests
