// What the Octopipes broker does with what is not read, not whole, not allowed, very large or very much; and how it begins and ends: over
// real pipes, with clients of system calls, some in processes that are stopped and killed. Every wait is for a message or a byte.

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "actors/octopipes_rig.hpp"
#include "support/sanitizers.hpp"

namespace coppice::tests {
namespace {

using pipes::happening;

// ---- a broker in a process of its own

int run_broker() {
    shared<reader_report> said{word("SAID")};
    node app{"app", quiet(1)};
    supervisor_spec tree;
    tree.add(child("pipes", in_coroutine, pipes::broker, pipes::options{.directory = word("DIRECTORY")})
                 .awaits_ready());
    if (!app.start(tree)) return 1;
    said->ready = 1;
    await_that([&] { return said->go.load() == 1; });
    return 0;
}
const bool broker_role = add_role("octopipes_broker", run_broker);

// ---- time

TEST(OctopipesPipes, O6_AFrameThatAStoppedReaderDoesNotReadExpiresAndOthersGetTheirsMeanwhile) {
    broker_rig rig;
    shared<reader_report> said;
    process stopped = start_reader(rig, "stopped", said);
    raw_client sender = rig.client("sender");
    raw_client awake = rig.client("awake", {"all"});
    stop(stopped);
    const auto began = std::chrono::steady_clock::now();
    sender.send("all", "short", 1);
    sender.send("all", "long", 0);
    EXPECT_EQ(awake.receive_text(), "short");
    EXPECT_EQ(awake.receive_text(), "long");
    EXPECT_EQ(rig.events.count([](const auto& e) { return e.what == happening::expired; }), 0u);
    const auto expired = rig.next(happening::expired);
    EXPECT_GE(std::chrono::steady_clock::now() - began, 1s);
    EXPECT_EQ(expired.id, "sender");
    EXPECT_EQ(expired.to, "stopped");
    stopped.signal(SIGCONT);
    await_that([&] { return said->frames.load() == 1; });
    EXPECT_EQ(said->last.load(), static_cast<std::uint64_t>('l'))
        << "the one without a limit, and not the expired one";
    sender.send("stopped", "end");
    await_that([&] { return said->frames.load() == 2; });
    EXPECT_EQ(said->last.load(), static_cast<std::uint64_t>('e'));
}

TEST(OctopipesPipes, O6_AFrameExpiresBehindAFullPipeAsItDoesInIt) {
    broker_rig rig;
    shared<reader_report> said;
    process stopped = start_reader(rig, "stopped", said);
    raw_client sender = rig.client("sender");
    client_rig ours{rig.cap(), "ours"};
    ASSERT_TRUE(ours.started);
    stop(stopped);
    // The second is only begun in the pipe: what comes then waits in the broker.
    for (const char c : {'a', 'b'}) sender.send("stopped", std::string(60'000, c));
    sender.send("stopped", "short", 1);
    sender.send("stopped", "long");
    EXPECT_EQ(rig.next(happening::expired).id, "sender");
    ASSERT_TRUE(ours.publish("stopped", "of a client of ours", 0ns, 1));
    EXPECT_EQ(rig.next(happening::expired).id, "ours");
    EXPECT_EQ(rig.list().back().lost, 2u);
    stopped.signal(SIGCONT);
    await_that([&] { return said->frames.load() == 3; });
    EXPECT_EQ(said->last.load(), static_cast<std::uint64_t>('l'));
    sender.send("stopped", "end");
    await_that([&] { return said->frames.load() == 4; });
    EXPECT_EQ(said->last.load(), static_cast<std::uint64_t>('e'));
}

TEST(OctopipesPipes, O6_AFrameThatItsReaderHasBegunIsReadToItsEndAndTheNextExpires) {
    broker_rig rig;
    raw_client sender = rig.client("sender");
    raw_client slow = rig.client("slow");
    sender.send("slow", "begun", 1);
    sender.send("slow", "short", 1);
    sender.send("slow", "long");
    std::array<std::byte, 3> some{};
    ASSERT_EQ(::read(slow.rx, some.data(), some.size()), static_cast<ssize_t>(some.size()));
    slow.reader.feed(some);
    EXPECT_EQ(rig.next(happening::expired).to, "slow");
    EXPECT_EQ(slow.receive_text(), "begun");
    EXPECT_EQ(slow.receive_text(), "long");
    EXPECT_EQ(rig.list().back().lost, 1u);
}

TEST(OctopipesPipes, O6_WithoutATtlTheOldestGivesWayToTheNewestAndIsReported) {
    pipes::options o;
    o.queue_frames = 4;
    broker_rig rig{o};
    shared<reader_report> said;
    process stopped = start_reader(rig, "stopped", said);
    raw_client sender = rig.client("sender");
    raw_client awake = rig.client("awake");
    stop(stopped);
    // The first fills the pipe; the beginning of the second does not fit, so it waits with the others.
    for (char c = 'a'; c < 'k'; ++c) sender.send("stopped", std::string(60'000, c));
    sender.send("awake", "end");
    EXPECT_EQ(awake.receive_text(), "end");
    const auto lost = rig.events.count([](const auto& e) { return e.what == happening::unread; });
    EXPECT_GE(lost, 4u);
    EXPECT_LE(lost, 6u);
    const auto first = rig.next(happening::unread);
    EXPECT_EQ(first.to, "stopped");
    EXPECT_NE(first.text.find("no room"), std::string::npos) << first.text;
    stopped.signal(SIGCONT);
    await_that([&] { return said->frames.load() == 10 - lost; });
    EXPECT_EQ(said->last.load(), static_cast<std::uint64_t>('j')) << "the newest are kept";
}

// ---- what is wrong

TEST(OctopipesPipes, O8_ACorruptFrameIsRefusedAsSuchAndTakenWithTheSwitch) {
    broker_rig rig;
    raw_client a = rig.client("a");
    raw_client b = rig.client("b");
    auto corrupt = encoded("a", "b", "hello");
    corrupt[18] ^= std::byte{1};
    a.write(corrupt);
    EXPECT_EQ(rig.next(happening::refused).text, "bad checksum");
    auto with_switch = encoded("a", "b", "hello", 0, pipes::ignores_checksum);
    with_switch[18] ^= std::byte{1};
    a.write(with_switch);
    EXPECT_EQ(b.receive_text(), "iello") << "the refused one did not come";
    a.send("b", "end");
    EXPECT_EQ(b.receive_text(), "end");
}

TEST(OctopipesPipes, O8_WhoPublishesSwitchesItsChecksumOffAsAnActorAndAsAClient) {
    broker_rig rig;
    raw_client raw = rig.client("raw");
    client_rig far{rig.cap(), "far"};
    ASSERT_TRUE(far.started);
    mail_of<pipes::frame> got;
    const auto root = rig.app.resolve<supervisor_protocol>("/app").value();
    const auto near = rig.app.ask<start_child>(root, 60s,
                                               child("near", in_coroutine, member_actor, rig.broker,
                                                     std::string{"near"}, std::vector<std::string>{}, got)
                                                   .awaits_ready());
    ASSERT_TRUE(near);
    for (const bool checksum : {true, false}) {
        ASSERT_TRUE(far.publish("raw", "x", 0ns, 60, checksum));
        ASSERT_TRUE(
            rig.app.ask<told_to_send>(near->assume<member_actor_protocol>(), 60s,
                                      pipes::publish{"near", "raw", blob{std::string{"x"}}, 60, checksum}));
        for (int i = 0; i < 2; ++i) {
            const auto frame = raw.receive();
            ASSERT_TRUE(frame);
            EXPECT_EQ(frame->got.options, checksum ? 0 : pipes::ignores_checksum) << frame->got.from;
        }
    }
}

TEST(OctopipesPipes, O17_AFrameOfVersion2IsRefusedAndThePipeLivesOn) {
    broker_rig rig;
    raw_client a = rig.client("a");
    raw_client b = rig.client("b");
    auto later = encoded("a", "b", "from the future");
    later[1] = std::byte{2};
    a.write(later);
    EXPECT_EQ(rig.next(happening::refused).text, "unknown version");
    a.send("b", "still here");
    EXPECT_EQ(b.receive_text(), "still here");
}

TEST(OctopipesPipes, NobodySpeaksInTheNameOfAnother) {
    broker_rig rig;
    raw_client a = rig.client("a");
    raw_client b = rig.client("b");
    a.write(encoded("b", "b", "it is me, b"));
    EXPECT_EQ(rig.next(happening::refused).id, "a");
    a.send("b", "end");
    EXPECT_EQ(b.receive_text(), "end");
}

// ---- leaving

TEST(OctopipesPipes, O10_WhoLeavesLeavesNoPipesAndItsMailIsReported) {
    broker_rig rig;
    raw_client goes = rig.client("goes", {"all"});
    raw_client stays = rig.client("stays", {"all"});
    raw_client sender = rig.client("sender");
    // Of three that it does not read one is in its pipe, one is begun there, one waits behind.
    for (const char c : {'0', '1', '2'}) {
        sender.send("all", std::string(60'000, c));
        EXPECT_EQ(stays.receive_text(), std::string(60'000, c));
    }
    const auto paths = goes.answer;
    EXPECT_EQ(::access(paths.send_path.c_str(), F_OK), 0);
    goes.leave();
    rig.until_left("goes");
    EXPECT_NE(::access(paths.send_path.c_str(), F_OK), 0);
    EXPECT_NE(::access(paths.receive_path.c_str(), F_OK), 0);
    EXPECT_EQ(rig.events.count([](const auto& e) { return e.what == happening::unread && e.to == "goes"; }),
              3u);
    sender.send("all", "after");
    EXPECT_EQ(stays.receive_text(), "after");
    EXPECT_EQ(rig.list().size(), 2u);
}

TEST(OctopipesPipes, O10_ACommandOnTheAccessPipeMakesAStockClientLeaveAfterAllThatItHasSent) {
    broker_rig rig;
    raw_client b = rig.client("b");
    raw_client stock{rig.cap(), "stock", {}, 0};
    for (int i = 0; i < 100; ++i) stock.send("b", std::to_string(i));
    const auto leave = pipes::encode(pipes::frame{"stock", {}, 0, 0, pipes::encode_unsubscription()}).value();
    const int door = ::open(rig.cap().c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::write(door, leave.data(), leave.size()), static_cast<ssize_t>(leave.size()));
    ::close(door);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(b.receive_text(), std::to_string(i));
    rig.until_left("stock");
}

TEST(OctopipesPipes, ABrokerThatEndsLeavesNothingInItsFolder) {
    broker_rig rig;
    raw_client a = rig.client("a");
    rig.app.stop();
    rig.app.wait();
    EXPECT_FALSE(a.receive()) << "its pipe has come to an end";
    EXPECT_TRUE(std::filesystem::is_empty(rig.options.directory));
}

// ---- queries

TEST(OctopipesPipes, O14_WhatTheBrokerSaysIsSoAfterAThousandRandomJoinsAndLeaves) {
    broker_rig rig;
    std::map<std::string, raw_client> inside;
    std::map<std::string, std::vector<std::string>> groups;
    std::mt19937 random{17};
    std::uint64_t joins = 0;
    std::uint64_t leaves = 0;
    const auto began = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                                      std::chrono::system_clock::now().time_since_epoch())
                                                      .count());
    for (int step = 0; step < 1000; ++step) {
        const std::string id = "c" + std::to_string(random() % 40);
        const auto at = inside.find(id);
        if (at == inside.end()) {
            std::set<std::string> some;
            for (unsigned n = random() % 4; n > 0; --n) some.insert("g" + std::to_string(random() % 5));
            groups[id] = {some.begin(), some.end()};
            inside.emplace(id, rig.client(id, groups[id]));
            ASSERT_EQ(inside[id].answer.error, pipes::accepted);
            ++joins;
            continue;
        }
        if (random() % 2) at->second.leave();
        else at->second.close();  // as if it had died
        rig.until_left(id);
        inside.erase(at);
        groups.erase(id);
        ++leaves;
    }
    const auto said = rig.list();
    ASSERT_EQ(said.size(), inside.size());
    auto wanted = groups.begin();
    for (const auto& c : said) {
        EXPECT_EQ(c.id, wanted->first);
        EXPECT_EQ(c.groups, wanted->second) << c.id;
        EXPECT_GE(c.joined_unix_ms, began);
        EXPECT_FALSE(c.is_actor);
        ++wanted;
    }
    EXPECT_EQ(rig.events.count([](const auto& e) { return e.what == happening::joined; }), joins);
    EXPECT_EQ(joins - leaves, inside.size());
    EXPECT_EQ(rig.events.count([](const auto& e) { return e.what == happening::left; }), 0u)
        << "each was told once, and was taken when it was waited for";
    // Two pipes for each, the access pipe and the lock.
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator{rig.options.directory}, {}),
              static_cast<std::ptrdiff_t>(2 * inside.size() + 2));
}

TEST(OctopipesPipes, O14_WhatTheBrokerSaysOfEachClientsFramesIsWhatWasSentReadAndLost) {
    pipes::options o;
    o.queue_frames = 4;
    broker_rig rig{o};
    raw_client reads = rig.client("reads", {"all"});
    raw_client sends = rig.client("sends");
    raw_client sleeps = rig.client("sleeps", {"all"});
    const auto told = [&] {
        std::map<std::string, pipes::client_info> by_name;
        for (auto& c : rig.list()) by_name.emplace(c.id, c);
        return by_name;
    };
    for (const char c : {'a', 'b', 'c'}) {
        sends.send("all", std::string(60'000, c));
        EXPECT_EQ(reads.receive_text().front(), c);
    }
    auto now = told();
    EXPECT_EQ(now["sends"].sent, 3u);
    EXPECT_EQ(now["sends"].given, 0u);
    EXPECT_EQ(now["reads"].sent, 0u);
    EXPECT_EQ(now["reads"].given, 3u);
    EXPECT_EQ(now["reads"].waiting, 0u);
    EXPECT_EQ(now["sleeps"].given, 1u) << "what its pipe holds of whole frames";
    EXPECT_EQ(now["sleeps"].waiting, 3u);
    EXPECT_EQ(now["sleeps"].lost, 0u);
    // It may have four behind the one in its pipe, the one that is begun there included.
    for (const char c : {'d', 'e', 'f', 'g'}) {
        sends.send("all", std::string(60'000, c));
        EXPECT_EQ(reads.receive_text().front(), c);
    }
    now = told();
    EXPECT_EQ(now["sends"].sent, 7u);
    EXPECT_EQ(now["sleeps"].waiting, 5u);
    EXPECT_EQ(now["sleeps"].lost, 2u);
    EXPECT_EQ(now["reads"].lost, 0u);
    for (const char c : {'a', 'b', 'e', 'f', 'g'}) EXPECT_EQ(sleeps.receive_text().front(), c);
    now = told();
    EXPECT_EQ(now["sleeps"].waiting, 0u);
    EXPECT_EQ(now["sleeps"].given, 5u);
    // A change of groups is told, and shown.
    sleeps.regroup({"some", "more"});
    EXPECT_EQ(rig.next(happening::regrouped).id, "sleeps");
    EXPECT_EQ(told()["sleeps"].groups, (std::vector<std::string>{"more", "some"}));
}

// ---- large frames, and ends in the middle of one

TEST(OctopipesPipes, AStoppedReaderOfALargeFrameDelaysNobodyForLongAndFindsTheNextOne) {
    broker_rig rig;
    shared<reader_report> said;
    process stopped = start_reader(rig, "stopped", said);
    raw_client awake = rig.client("awake", {"all"});
    raw_client sender = rig.client("sender");
    stop(stopped);
    const std::string large(3'000'000, 'x');
    std::thread sends{[&] { sender.send("all", large); }};
    EXPECT_EQ(awake.receive_text(), large);
    sends.join();
    EXPECT_EQ(rig.next(happening::unread).to, "stopped");
    sender.send("all", "end");
    EXPECT_EQ(awake.receive_text(), "end");
    stopped.signal(SIGCONT);
    await_that([&] { return said->frames.load() == 2; });  // the one that was cut, as an error, and the next
    EXPECT_EQ(said->last.load(), static_cast<std::uint64_t>('e'));
}

TEST(OctopipesPipes, AFrameWhoseSenderDiesWithinItIsAnErrorAndTheNextOneArrives) {
    broker_rig rig;
    raw_client reader = rig.client("reader");
    raw_client other = rig.client("other");
    raw_client dies = rig.client("dies");
    const auto large = encoded("dies", "reader", std::string(2'000'000, 'x'));
    std::string first;
    std::thread reads{[&] { first = reader.receive_text(); }};
    dies.write(std::span{large}.first(1'000'000));
    dies.close();
    reads.join();
    EXPECT_EQ(first, "no end byte");
    rig.until_left("dies");
    other.send("reader", "next");
    EXPECT_EQ(reader.receive_text(), "next");
}

// ---- large frames in constant memory, and after a kill

std::uint64_t peak_kib(pid_t pid) {
    std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6));
    return 0;
}

TEST(OctopipesPipes, O9_AFrameOfAGibibytePassesToTwoReadersThroughABrokerOfConstantMemory) {
    own_directory folder;
    shared<reader_report> said;
    process broker{"octopipes_broker", {{"DIRECTORY", folder.path("pipes")}, {"SAID", said.path()}}};
    await_that([&] { return said->ready.load() == 1; });
    const std::uint64_t before = peak_kib(broker.id());
    const std::size_t size = slow_build ? std::size_t{8} << 20 : std::size_t{1} << 30;
    raw_client sender{folder.path("pipes/cap"), "sender"};
    std::vector<raw_client> readers;
    for (const char* name : {"one", "two"})
        readers.emplace_back(folder.path("pipes/cap"), name, std::vector<std::string>{"all"});
    std::atomic<int> right = 0;
    std::vector<std::thread> reading;
    for (raw_client& r : readers)
        reading.emplace_back([&r, &right] {
            // By the scanner, which keeps nothing, and compares the checksum.
            pipes::scanner s{size};
            std::uint64_t came = 0;
            std::vector<std::byte> room(1 << 16);
            for (;;) {
                const ssize_t count = ::read(r.rx, room.data(), room.size());
                if (count <= 0) return;
                s.feed(std::span{room}.first(static_cast<std::size_t>(count)));
                while (auto seen = s.next()) {
                    if (seen->kind == pipes::scanner::kind::data) came += seen->bytes.size();
                    if (seen->kind != pipes::scanner::kind::end) continue;
                    right += seen->why == pipes::fault::none && came == size;
                    return;
                }
            }
        });
    auto head = encoded("sender", "all", "");
    // Its end: size 8, options, checksum, start and end byte.
    for (std::size_t i = 0; i < 8; ++i)
        head[head.size() - 12 + i] = static_cast<std::byte>(size >> (8 * (7 - i)));
    // An even number of equal bytes is a sum of none: the checksum is that of the frame without them.
    std::byte sum{0};
    for (std::size_t i = 0; i < head.size(); ++i)
        if (i != head.size() - 3) sum ^= head[i];
    head[head.size() - 3] = sum;
    sender.write(std::span{head}.first(head.size() - 1));
    const std::vector<std::byte> piece(1 << 16, std::byte{'x'});
    for (std::size_t at = 0; at < size; at += piece.size()) sender.write(piece);
    sender.write(std::span{head}.last(1));
    for (std::thread& t : reading) t.join();
    EXPECT_EQ(right.load(), 2);
    if (!slow_build) EXPECT_LT(peak_kib(broker.id()) - before, 64u << 10) << "KiB";
    said->go = 1;
    EXPECT_EQ(broker.wait(), 0);
}

TEST(OctopipesPipes, O11_ABrokerAfterAKilledOneRemovesItsPipesAndNothingElse) {
    own_directory folder;
    const std::string directory = folder.path("pipes");
    shared<reader_report> said;
    process first{"octopipes_broker", {{"DIRECTORY", directory}, {"SAID", said.path()}}};
    await_that([&] { return said->ready.load() == 1; });
    raw_client a{directory + "/cap", "a"};
    std::ofstream{directory + "/1-notes.tx"} << "a file, no pipe";
    ASSERT_EQ(::mkfifo((directory + "/mine").c_str(), 0600), 0);
    ASSERT_EQ(::mkfifo(folder.path("2-outside.rx").c_str(), 0600), 0);
    std::filesystem::create_symlink(folder.path("2-outside.rx"), directory + "/3-link.rx");
    first.end_at_once();
    EXPECT_FALSE(a.receive());
    pipes::options o;
    o.directory = directory;
    broker_rig rig{o};
    EXPECT_NE(::access(a.answer.send_path.c_str(), F_OK), 0);
    EXPECT_NE(::access(a.answer.receive_path.c_str(), F_OK), 0);
    for (const std::string& path : {directory + "/1-notes.tx", directory + "/mine", directory + "/3-link.rx",
                                    folder.path("2-outside.rx")})
        EXPECT_EQ(::access(path.c_str(), F_OK), 0) << path;
    EXPECT_EQ(rig.client("a").answer.error, pipes::accepted);
}

TEST(OctopipesPipes, O11_AFileThatLiesWhereTheAccessPipeIsToBeStaysAndIsToldAsTheReason) {
    own_directory folder;
    const std::string letter = folder.path("letter");
    std::ofstream{letter} << "somebody's own";
    node app{"app", quiet(1)};
    supervisor_spec tree;
    pipes::options o;
    o.directory = folder.path("pipes");
    o.cap = letter;
    tree.add(child("pipes", in_coroutine, pipes::broker, o).restarts(restart::temporary).awaits_ready());
    const auto started = app.start(tree);
    ASSERT_FALSE(started);
    EXPECT_NE(started.error().what().find(letter + ": what is there is no pipe"), std::string::npos)
        << started.error().what();
    std::string text;
    std::getline(std::ifstream{letter}, text);
    EXPECT_EQ(text, "somebody's own");
    EXPECT_TRUE(std::filesystem::is_empty(o.directory));
}

// ---- who does not behave

TEST(OctopipesPipes, AFolderThatIsOpenToOthersOrTakenIsRefused) {
    own_directory folder;
    ASSERT_EQ(::mkdir(folder.path("open").c_str(), 0700), 0);
    ASSERT_EQ(::chmod(folder.path("open").c_str(), 0755), 0);
    broker_rig rig;
    for (const std::string& directory :
         {folder.path("open"), rig.options.directory, folder.path("no/parent")}) {
        node app{"app", quiet(1)};
        supervisor_spec tree;
        tree.add(child("pipes", in_coroutine, pipes::broker, pipes::options{.directory = directory})
                     .awaits_ready());
        EXPECT_FALSE(app.start(tree)) << directory;
    }
    EXPECT_EQ(rig.client("a").answer.error, pipes::accepted);
}

TEST(OctopipesPipes, RubbishInTheAccessPipeKeepsNobodyOut) {
    broker_rig rig;
    const int door = ::open(rig.cap().c_str(), O_WRONLY | O_CLOEXEC);
    auto cut = encoded("x", "", "\1\1\377");
    cut.resize(cut.size() - 4);
    for (const auto& bytes : {bytes_of("rubbish"), cut, encoded("x", "y", "for y"), encoded("", "", "\1"),
                              encoded("x", "", "\7")}) {
        ASSERT_EQ(::write(door, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
        rig.next(happening::refused);
    }
    ::close(door);
    EXPECT_EQ(rig.client("a").answer.error, pipes::accepted);
    EXPECT_EQ(rig.client(std::string("bell\7"), {}).answer.error, pipes::no_pipe);
}

TEST(OctopipesPipes, AnAnswerThatNobodyTakesIsTakenBackAndTheNextOneJoins) {
    pipes::options o;
    o.own_answer_within = 1s;
    broker_rig rig{o};
    const auto request =
        pipes::encode(
            pipes::frame{"ghost", {}, 0, pipes::keeps_open, pipes::encode(pipes::subscription{}).value()})
            .value();
    const int door = ::open(rig.cap().c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::write(door, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    ::close(door);
    const raw_client a = rig.client("a");
    EXPECT_EQ(a.answer.error, pipes::accepted);
    rig.until_left("ghost");
    EXPECT_EQ(rig.list().size(), 1u);
}

// As the published library receives: opens the pipe, reads until nothing has come for 50 ms, closes it, and decodes what came first.
std::string receive_as_stock(const std::string& path) {
    for (;;) {
        const int rx = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        std::vector<std::byte> all;
        pollfd what{rx, POLLIN, 0};
        while (::poll(&what, 1, 50) > 0 && (what.revents & POLLIN) != 0) {
            std::byte room[2048];
            const ssize_t count = ::read(rx, room, sizeof room);
            if (count > 0) all.insert(all.end(), room, room + count);
        }
        ::close(rx);
        pipes::decoder d;
        d.feed(all);
        if (const auto o = d.next()) return text_of(o->got.data);
    }
}

TEST(OctopipesPipes, AStockClientThatDropsWhatComesTogetherGetsItsFramesOneByOne) {
    broker_rig rig;
    const auto answer = raw_client::ask(rig.cap(), "stock", {"g"}, 0);
    ASSERT_EQ(answer.error, pipes::accepted);
    raw_client sender = rig.client("sender");
    for (int i = 0; i < 6; ++i) sender.send("g", std::to_string(i));
    for (int i = 0; i < 6; ++i) EXPECT_EQ(receive_as_stock(answer.receive_path), std::to_string(i));
    // It opens its pipe for each frame that it sends.
    for (int i = 0; i < 3; ++i) {
        const auto bytes = encoded("stock", "sender", std::to_string(i));
        const int tx = ::open(answer.send_path.c_str(), O_WRONLY | O_CLOEXEC);
        ASSERT_EQ(::write(tx, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
        ::close(tx);
        EXPECT_EQ(sender.receive_text(), std::to_string(i));
    }
    EXPECT_EQ(raw_client::ask(rig.cap(), "stock", {}, 0).error, pipes::name_is_taken);
}

}  // namespace
}  // namespace coppice::tests
