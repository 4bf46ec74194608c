// Who joins the Octopipes broker, by which names and groups, with which ACKs and hooks: over real pipes, with clients of system calls
// in this process and in others that are killed, actors, and clients of ours in other nodes. Every wait is for a message or a byte.

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "actors/octopipes_rig.hpp"
#include "support/sanitizers.hpp"

namespace coppice::tests {
namespace {

using pipes::happening;

// Joins and reads for ever.
int run_reader() {
    shared<reader_report> said{word("SAID")};
    raw_client me{word("CAP"), word("ID"), {"all"}};
    said->joined = me.answer.error == pipes::accepted ? 1 : 2;
    while (auto o = me.receive()) {
        said->last = o->got.data.empty() ? 0 : std::to_integer<std::uint64_t>(*o->got.data.begin());
        ++said->frames;
    }
    return 0;
}
const bool reader_role = add_role("octopipes_reader", run_reader);

// ---- joining

constexpr int clients_a_side = 25;
std::string name_of(const std::string& side, int n) { return side + std::to_string(n); }

task<> named_listener(actor<pipes::listener_protocol> self, std::string name, shared<reader_report>* said) {
    while (auto m = co_await self.receive())
        m.match(
            [&](const pipes::received_frame& f) {
                ++(text_of(f.frame.data) == name ? said->operator->()->frames : said->operator->()->wrong);
            },
            [](const pipes::sent_frame&) {}, [](const pipes::frame_error&) {},
            [&](const pipes::subscribed&) { ++said->operator->()->joined; },
            [](const pipes::unsubscribed&) {});
}

// Clients of ours that all join when they are told, in one node.
void run_many(const std::string& side, const std::string& cap, shared<reader_report>& said,
              const std::function<void()>& then) {
    supervisor_spec tree;
    for (int i = 0; i < clients_a_side; ++i)
        tree.add(child(name_of("l", i), in_coroutine, named_listener, name_of(side, i), &said));
    node town{side, quiet(1)};
    const auto root = town.start(tree);
    if (!root) return;
    ++said->ready;
    await_that([&] { return said->go.load() != 0; });
    for (int i = 0; i < clients_a_side; ++i) {
        const auto hears = town.resolve<pipes::listener_protocol>(name_of("l", i)).value();
        static_cast<void>(town.send<start_child>(
            *root, child(name_of("c", i), in_coroutine, pipes::client,
                         pipes::client_options{cap, name_of(side, i), {}, 60s}, hears)));
    }
    then();
}
int run_many_there() {
    shared<reader_report> said{word("SAID")};
    run_many("there", word("CAP"), said, [&] { await_that([&] { return said->go.load() == 2; }); });
    return 0;
}
const bool many_role = add_role("octopipes_many", run_many_there);

TEST(Octopipes, O1_FiftyClientsThatJoinAtTheSameInstantGetTheirOwnAnswersEach) {
    broker_rig rig;
    shared<reader_report> said;
    process there{"octopipes_many", {{"CAP", rig.cap()}, {"SAID", said.path()}}};
    std::chrono::steady_clock::time_point began;
    std::thread starter{[&] {
        await_that([&] { return said->ready.load() == 2; });
        began = std::chrono::steady_clock::now();
        said->go = 1;
    }};
    run_many("here", rig.cap(), said, [&] {
        await_that([&] { return said->joined.load() == 2 * clients_a_side; });
        const auto took = std::chrono::steady_clock::now() - began;
        RecordProperty("joined_ms",
                       static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
        EXPECT_EQ(rig.list().size(), static_cast<std::size_t>(2 * clients_a_side));
        raw_client caller = rig.client("caller");
        for (const char* side : {"here", "there"})
            for (int i = 0; i < clients_a_side; ++i) caller.send(name_of(side, i), name_of(side, i));
        await_that([&] { return said->frames.load() + said->wrong.load() == 2 * clients_a_side; });
        EXPECT_EQ(said->wrong.load(), 0u) << "a client has the pipes of another";
    });
    starter.join();
    said->go = 2;
    EXPECT_EQ(there.wait(), 0);
}

TEST(Octopipes, O2_ALivingNameIsTakenAndThatOfAKilledClientIsFreeAtOnce) {
    broker_rig rig;
    shared<reader_report> said;
    process first = start_reader(rig, "one", said);
    EXPECT_EQ(rig.client("one").answer.error, pipes::name_is_taken);
    client_rig second{rig.cap(), "one"};
    EXPECT_FALSE(second.started);
    EXPECT_NE(second.started.error().what().find("it has joined"), 0u);
    first.end_at_once();
    rig.until_left("one");
    EXPECT_EQ(rig.client("one").answer.error, pipes::accepted);
}

// ---- names and groups

TEST(Octopipes, O3_AFrameReachesItsNameAndWhoReadsThatNameToo) {
    broker_rig rig;
    raw_client a = rig.client("a");
    raw_client b = rig.client("b");
    raw_client tap = rig.client("tap", {"b"});
    a.send("b", "for b");
    EXPECT_EQ(b.receive_text(), "for b");
    EXPECT_EQ(tap.receive_text(), "for b");
    b.send("a", "back");
    EXPECT_EQ(a.receive_text(), "back");
    b.send("tap", "end");  // nothing came for the tap in between: what b sends is not for b
    EXPECT_EQ(tap.receive_text(), "end");
}

TEST(Octopipes, O3_WhoReadsANameGetsOneCopyOfAllThatIsForItWhoeverJoinedFirstAndHoweverOftenItComesBack) {
    broker_rig rig;
    raw_client a = rig.client("a");
    raw_client tap = rig.client("tap", {"b"});  // before anybody has that name
    a.send("b", "for nobody yet");
    EXPECT_EQ(tap.receive_text(), "for nobody yet");
    for (int life = 0; life < 2; ++life) {
        raw_client b = rig.client("b", {"b"});  // to ask for one's own name as a group changes nothing
        // The last is passed on in pieces while it comes.
        for (const std::string& text : {std::string{"one"}, std::string{"two"}, std::string(300'000, 'x')}) {
            std::string at_tap;
            std::thread sends{[&] { a.send("b", text); }};
            std::thread taps{[&] { at_tap = tap.receive_text(); }};
            EXPECT_EQ(b.receive_text(), text);
            sends.join();
            taps.join();
            EXPECT_EQ(at_tap, text);
        }
        b.leave();
        rig.until_left("b");
        a.send("b", "for nobody again");
        EXPECT_EQ(tap.receive_text(), "for nobody again");
    }
}

TEST(Octopipes, O4_AGroupGetsOneCopyEachOfPipesAndActorsAndNeverTheSender) {
    broker_rig rig;
    raw_client sender = rig.client("sender", {"news"});
    std::vector<raw_client> members;
    for (int i = 0; i < 3; ++i)
        members.push_back(rig.client("m" + std::to_string(i), {"news", "other", "news"}));
    client_rig far{rig.cap(), "far", {"news"}};
    ASSERT_TRUE(far.started) << far.started.error().what();
    mail_of<pipes::frame> near;
    const auto root = rig.app.resolve<supervisor_protocol>("/app").value();
    const auto actor_of_broker = rig.app.ask<start_child>(
        root, 60s,
        child("near", in_coroutine, member_actor, rig.broker, "near", std::vector<std::string>{"news"}, near)
            .awaits_ready());
    ASSERT_TRUE(actor_of_broker) << actor_of_broker.error().what();

    sender.send("news", "once");
    sender.send("nobody-is-in-it", "lost");
    for (const char* name : {"m0", "m1", "m2", "far", "near", "sender"}) {
        raw_client& by = std::string_view{name} == "sender" ? members[0] : sender;
        by.send(name, "end");
    }
    for (raw_client& m : members) {
        EXPECT_EQ(m.receive_text(), "once");
        EXPECT_EQ(m.receive_text(), "end");
    }
    EXPECT_EQ(far.next("received").what, "received once");
    EXPECT_EQ(far.next("received").what, "received end");
    EXPECT_EQ(text_of(near.next().data), "once");
    EXPECT_EQ(text_of(near.next().data), "end");
    EXPECT_EQ(sender.receive_text(), "end") << "the sender is in the group, and gets none";
    EXPECT_EQ(rig.next(happening::nobody).to, "nobody-is-in-it");

    // And an actor as the sender: four of the five, and the raw sender.
    const auto told = rig.app.ask<told_to_send>(actor_of_broker->assume<member_actor_protocol>(), 60s,
                                                pipes::publish{"near", "news", blob{std::string{"mine"}}});
    ASSERT_TRUE(told) << told.error().what();
    EXPECT_EQ(told->receivers, 5u);
    for (raw_client& m : members) EXPECT_EQ(m.receive_text(), "mine");
    EXPECT_EQ(sender.receive_text(), "mine");
    EXPECT_EQ(far.next("received").what, "received mine");
    sender.send("near", "end");
    EXPECT_EQ(text_of(near.next().data), "end");

    // One that is passed on in pieces while it comes.
    const std::string large(300'000, 'x');
    std::thread sends{[&] {
        sender.send("news", large);
        members[0].send("sender", "end");
    }};
    std::vector<std::string> got(members.size());
    std::vector<std::thread> reads;
    for (std::size_t i = 0; i < members.size(); ++i)
        reads.emplace_back([&, i] { got[i] = members[i].receive_text(); });
    for (std::thread& t : reads) t.join();
    sends.join();
    EXPECT_EQ(got, std::vector<std::string>(members.size(), large));
    EXPECT_EQ(far.next("received").what, "received " + large);
    EXPECT_EQ(text_of(near.next().data), large);
    EXPECT_EQ(sender.receive_text(), "end");
}

TEST(Octopipes, O5_GroupsChangeWhileFramesFlowAndNoneIsLostOrDoubled) {
    broker_rig rig;
    raw_client talker = rig.client("talker");
    raw_client steady = rig.client("steady");
    raw_client reader = rig.client("reader", {"stay"});
    constexpr int rounds = 20;
    std::atomic<bool> done = false;
    std::uint64_t sent = 0;
    std::thread flow{[&] {
        while (!done) steady.send("stay", "s" + std::to_string(sent++));
        steady.send("stay", "last");
    }};
    std::vector<pipes::frame> got;
    for (int round = 0; round < rounds; ++round) {
        const bool in = round % 2 == 0;
        reader.regroup(in ? std::vector<std::string>{"stay", "extra"} : std::vector<std::string>{"stay"},
                       &got);
        for (int i = 0; i < 10; ++i) talker.send("extra", (in ? "x" : "no") + std::to_string(round * 10 + i));
        talker.send("reader", "mark");
        do {
            const auto o = reader.receive();
            ASSERT_TRUE(o);
            got.push_back(o->got);
        } while (text_of(got.back().data) != "mark");
    }
    done = true;
    do got.push_back(reader.receive()->got);
    while (text_of(got.back().data) != "last");
    flow.join();
    std::uint64_t steadies = 0;
    std::vector<std::string> extras;
    std::vector<std::string> wanted;
    for (const pipes::frame& f : got) {
        const std::string text = text_of(f.data);
        if (text.starts_with("s")) EXPECT_EQ(text, "s" + std::to_string(steadies++));
        else if (text.starts_with("x") || text.starts_with("no")) extras.push_back(text);
    }
    for (int round = 0; round < rounds; round += 2)
        for (int i = 0; i < 10; ++i) wanted.push_back("x" + std::to_string(round * 10 + i));
    EXPECT_EQ(steadies, sent);
    EXPECT_EQ(extras, wanted);
}

// ---- ACKs

TEST(Octopipes, O7_AnAckCarriesTheIdOfItsFrameAndTheAwaitIsAnsweredByIt) {
    broker_rig rig;
    client_rig a{rig.cap(), "a"};
    client_rig b{rig.cap(), "b"};
    ASSERT_TRUE(a.started && b.started);
    const auto told = a.publish("b", "hello", 60s);
    ASSERT_TRUE(told) << told.error().what();
    EXPECT_EQ(told->acknowledged_by, "b");

    raw_client raw = rig.client("raw");
    const auto asks = encoded("raw", "b", "and you", 0, pipes::asks_ack);
    raw.write(asks);
    const auto ack = raw.receive();
    ASSERT_TRUE(ack);
    EXPECT_EQ(ack->got.from, "b");
    EXPECT_EQ(ack->got.options, pipes::is_ack);
    std::uint64_t id = 0;
    for (const std::byte one : ack->got.data) id = id << 8 | std::to_integer<std::uint64_t>(one);
    EXPECT_EQ(id, pipes::id_of(asks));
    // ACKs trigger no ACKs, not even one that asks for it.
    raw.send("b", "", 0, pipes::is_ack | pipes::asks_ack);
    for (const char* text : {"hello", "and you", ""})
        EXPECT_EQ(b.next("received").what, std::string{"received "} + text);
    ASSERT_TRUE(b.publish("raw", "end"));
    EXPECT_EQ(raw.receive_text(), "end");
}

TEST(Octopipes, O7_AnAckResolvesTheAwaitOfTheFrameWhoseIdItCarriesAndNoOther) {
    broker_rig rig;
    client_rig a{rig.cap(), "a"};
    ASSERT_TRUE(a.started);
    raw_client raw = rig.client("raw", {"group"});
    const auto publishing = [&](const std::string& to, const std::string& text,
                                std::chrono::nanoseconds within) {
        return std::async(std::launch::async, [&a, to, text, within] { return a.publish(to, text, within); });
    };
    auto first = publishing("raw", "never acknowledged", 500ms);
    ASSERT_EQ(raw.receive_text(), "never acknowledged");
    for (const char* to : {"raw", "group"}) {
        auto second = publishing(to, "acknowledged", 60s);
        const auto got = raw.receive();
        ASSERT_TRUE(got);
        const pipes::frame ack = pipes::ack_for(got->got, "raw");
        raw.send("a", text_of(ack.data), ack.ttl, ack.options);
        const auto told = second.get();
        ASSERT_TRUE(told) << told.error().what();
        EXPECT_EQ(told->acknowledged_by, "raw");
    }
    EXPECT_EQ(first.get().error(), errc::timeout);
}

TEST(Octopipes, O7_AnAckOfAPublishedLibraryIsEmptyAndCountsForTheOldestFrameToItsSender) {
    broker_rig rig;
    client_rig a{rig.cap(), "a"};
    ASSERT_TRUE(a.started);
    raw_client stock = rig.client("stock");
    raw_client other = rig.client("other");
    const auto publishing = [&](const std::string& to, std::chrono::nanoseconds within) {
        return std::async(std::launch::async, [&a, to, within] { return a.publish(to, "one", within); });
    };
    auto of_other = publishing("other", 500ms);
    EXPECT_EQ(other.receive_text(), "one");
    auto oldest = publishing("stock", 60s);
    EXPECT_EQ(stock.receive_text(), "one");
    auto newest = publishing("stock", 500ms);
    EXPECT_EQ(stock.receive_text(), "one");
    stock.send("a", "", 255, pipes::is_ack);
    const auto told = oldest.get();
    ASSERT_TRUE(told) << told.error().what();
    EXPECT_EQ(told->acknowledged_by, "stock");
    EXPECT_EQ(newest.get().error(), errc::timeout);
    EXPECT_EQ(of_other.get().error(), errc::timeout);
}

TEST(Octopipes, O7_AnAckThatDoesNotComeIsATimeoutAndNoneIsAskedOfTheBroker) {
    broker_rig rig;
    client_rig a{rig.cap(), "a"};
    ASSERT_TRUE(a.started);
    raw_client silent = rig.client("silent");
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(a.publish("silent", "well?", 200ms).error(), errc::timeout);
    EXPECT_GE(std::chrono::steady_clock::now() - began, 200ms);
    EXPECT_EQ(silent.receive_text(), "well?");
    EXPECT_EQ(a.publish("", "broker?", 60s).error(), errc::invalid_argument);
    // A request that asks for one is answered, but not acknowledged.
    silent.write(
        pipes::encode(
            pipes::frame{"silent", {}, 0, pipes::asks_ack, pipes::encode(pipes::subscription{}).value()})
            .value());
    EXPECT_EQ(silent.receive()->got.options, 0);
    ASSERT_TRUE(a.publish("silent", "end"));
    EXPECT_EQ(silent.receive_text(), "end");
}

TEST(Octopipes, O7_ActorsOfTheBrokerAcknowledgeAndAwaitAsClientsDo) {
    broker_rig rig;
    mail_of<pipes::frame> got;
    const auto root = rig.app.resolve<supervisor_protocol>("/app").value();
    const auto near = rig.app.ask<start_child>(
        root, 60s,
        child("near", in_coroutine, member_actor, rig.broker, "near", std::vector<std::string>{}, got)
            .awaits_ready());
    ASSERT_TRUE(near);
    client_rig far{rig.cap(), "far"};
    ASSERT_TRUE(far.started);
    const auto by_near = far.publish("near", "there?", 60s);
    ASSERT_TRUE(by_near) << by_near.error().what();
    EXPECT_EQ(by_near->acknowledged_by, "near");
    const auto by_far =
        rig.app.ask<told_to_send>(near->assume<member_actor_protocol>(), 60s,
                                  pipes::publish{"near", "far", blob{std::string{"here"}}, 60, true, 60s});
    ASSERT_TRUE(by_far) << by_far.error().what();
    EXPECT_EQ(by_far->acknowledged_by, "far");
    raw_client silent = rig.client("silent");
    const auto by_none = rig.app.ask<told_to_send>(near->assume<member_actor_protocol>(), 60s,
                                                   pipes::publish{"near", "silent", {}, 60, true, 50ms});
    EXPECT_EQ(by_none.error(), errc::timeout);
    // An ACK that is awaited is no frame for the actor.
    ASSERT_TRUE(far.publish("near", "end"));
    EXPECT_EQ(text_of(got.next().data), "there?");
    EXPECT_EQ(text_of(got.next().data), "end");
}

// ---- hooks

TEST(Octopipes, O12_EachEventIsToldOnceToTheListener) {
    broker_rig rig;
    raw_client raw = rig.client("raw");
    client_rig c{rig.cap(), "c", {"g"}};
    ASSERT_TRUE(c.started);
    EXPECT_EQ(c.log.next().what, "subscribed c g");
    ASSERT_TRUE(c.publish("raw", "out"));
    EXPECT_EQ(c.log.next().what, "sent out");
    EXPECT_EQ(raw.receive_text(), "out");
    raw.send("c", "in", 0, pipes::asks_ack);
    EXPECT_EQ(c.log.next().what, "received in");
    EXPECT_EQ(raw.receive()->got.options, pipes::is_ack);
    // Large enough to be passed on before the broker knows its checksum.
    auto large = encoded("raw", "c", std::string(300'000, 'x'));
    large[1000] ^= std::byte{1};
    raw.write(large);
    EXPECT_EQ(c.log.next().what, "error bad checksum");
    ASSERT_TRUE(c.town.ask<pipes::regroup>(c.client, 60s, "c", std::vector<std::string>{"h"}));
    EXPECT_EQ(c.log.next().what, "subscribed c h");
    raw.send("h", "to h");
    EXPECT_EQ(c.log.next().what, "received to h");
    ASSERT_TRUE(c.town.ask<pipes::leave>(c.client, 60s, "c"));
    EXPECT_EQ(c.log.next().what, "unsubscribed it has left");
    c.town.stop();
    c.town.wait();
    EXPECT_TRUE(c.log.empty());
}

TEST(Octopipes, O12_AClientIsToldThatTheBrokerHasGone) {
    auto rig = std::make_unique<broker_rig>();
    client_rig c{rig->cap(), "c"};
    ASSERT_TRUE(c.started);
    EXPECT_EQ(c.log.next().what, "subscribed c");
    rig.reset();
    EXPECT_EQ(c.log.next().what, "unsubscribed the broker has ended it");
}

}  // namespace
}  // namespace coppice::tests
