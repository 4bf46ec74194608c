// What one client of the Octopipes broker cannot do to the others: floods, frames that are refused, that drip or do not end, names that
// it leaves behind, and what it cannot do to the broker's memory. Over real pipes; the broker is partly another process, which is
// stopped while clients fill their pipes, so that what it finds there, it finds at once.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "actors/octopipes_rig.hpp"
#include "support/processor_time.hpp"

namespace coppice::tests {
namespace {

using pipes::happening;

// A broker of another process, which is stopped while the clients fill their pipes: what it finds there it takes in rounds.
class OctopipesRounds : public ::testing::Test {
protected:
    OctopipesRounds() {
        await_that([&] { return said_->ready.load() == 1; });
        sink_ = raw_client{cap(), "sink"};
    }
    ~OctopipesRounds() override {
        said_->go = 1;
        EXPECT_EQ(broker_.wait(), 0);
    }
    [[nodiscard]] std::string cap() const { return folder_.path("pipes/cap"); }
    /// So many frames of that client for the sink, each with these data.
    static std::vector<std::byte> frames(const raw_client& by, std::size_t count, std::string_view data) {
        const auto one = encoded(by.id, "sink", data);
        std::vector<std::byte> all;
        for (std::size_t n = 0; n < count; ++n) all.insert(all.end(), one.begin(), one.end());
        return all;
    }
    /// Runs it while the broker is stopped.
    template <class F>
    void while_stopped(F fill) {
        stop(broker_);
        fill();
        broker_.signal(SIGCONT);
    }
    /// Whose frames the sink gets, in order: the last letters of their names.
    std::string order_of(std::size_t count) {
        std::string order;
        while (order.size() < count) order += sink_.receive()->got.from.back();
        return order;
    }

    own_directory folder_;
    shared<reader_report> said_;
    process broker_{"octopipes_broker", {{"DIRECTORY", folder_.path("pipes")}, {"SAID", said_.path()}}};
    raw_client sink_;
};

TEST_F(OctopipesRounds, O13_AFloodOfOneLeavesAPlaceInEachRoundToEachOther) {
    std::vector<raw_client> senders;
    for (const char* name : {"flood0", "other1", "other2", "other3"}) senders.emplace_back(cap(), name);
    constexpr std::size_t of_flood = 800;
    constexpr std::size_t of_other = 40;
    // All of it lies in the pipes before the broker sees any: the flood's first.
    while_stopped([&] {
        for (const raw_client& s : senders)
            s.write(frames(s, &s == &senders[0] ? of_flood : of_other, "data"));
    });
    const std::string order = order_of(of_flood + 3 * of_other);
    // Until the others have no more: between two frames of anybody, at most one of each other.
    const std::size_t end = order.find_last_not_of('0');
    for (const char who : {'0', '1', '2', '3'}) {
        std::size_t last = order.find(who);
        for (std::size_t at = order.find(who, last + 1); at <= end; last = at, at = order.find(who, at + 1)) {
            const std::string between = order.substr(last + 1, at - last - 1);
            EXPECT_EQ(std::set<char>(between.begin(), between.end()).size(), between.size()) << between;
        }
    }
    EXPECT_LT(end, 5 * of_other) << "the others had to wait for the flood";
}

TEST_F(OctopipesRounds, O13_AFrameWithDataTakesOneTurnAsOneWithoutDoes) {
    raw_client empty{cap(), "e"};
    raw_client full{cap(), "f"};
    constexpr std::size_t each = 100;
    while_stopped([&] {
        empty.write(frames(empty, each, ""));
        full.write(frames(full, each, "some data"));
    });
    const std::string order = order_of(2 * each);
    for (std::size_t at = 0; at < order.size(); at += 2)
        EXPECT_NE(order[at], order[at + 1]) << "in round " << at / 2 << " of " << order;
}

TEST_F(OctopipesRounds, O13_ALargeFrameThatIsRefusedTakesNoMoreOfARoundThanOneThatIsPassedOn) {
    raw_client hostile{cap(), "h"};
    raw_client other{cap(), "o"};
    constexpr std::size_t large = std::size_t{900} << 10;
    ASSERT_GE(::fcntl(hostile.tx, F_SETPIPE_SZ, 1 << 20), 1 << 20);
    for (const bool is_of_another_name : {true, false}) {
        auto refused = encoded(is_of_another_name ? "o" : "h", "sink", std::string(large, 'x'));
        if (!is_of_another_name) refused[1] = std::byte{2};  // its version
        constexpr std::size_t of_other = 40;
        while_stopped([&] {
            hostile.write(refused);
            hostile.write(frames(hostile, 1, "after it"));
            other.write(frames(other, of_other, "data"));
        });
        const std::string order = order_of(of_other + 1);
        // Fourteen reads of 64 KiB, in each round one.
        EXPECT_GE(order.find('h'), std::size_t{10}) << order;
    }
}

// ---- the access pipe

struct hold_on {
    std::shared_ptr<std::promise<void>> begun;
    std::shared_future<void> until;
};
task<> holder(actor<protocol<hold_on>> self) {
    while (auto m = co_await self.receive())
        m.match([](const hold_on& h) {
            h.begun->set_value();
            h.until.wait();
        });
}

/// An actor that holds the one scheduler of a broker's node, until go().
class held_broker {
public:
    explicit held_broker(broker_rig& rig) {
        const auto root = rig.app.resolve<supervisor_protocol>("/app").value();
        const auto who = rig.app.ask<start_child>(root, 60s, child("holder", in_coroutine, holder)).value();
        auto begun = std::make_shared<std::promise<void>>();
        rig.app.send<hold_on>(who.assume<protocol<hold_on>>(), begun, until_.get_future().share());
        begun->get_future().wait();
    }
    void go() { until_.set_value(); }

private:
    std::promise<void> until_;
};

TEST(OctopipesFloods, RequestsThatFillTheAccessPipeDoNotKeepTheFramesOfClientsWaiting) {
    broker_rig rig;
    raw_client client = rig.client("client");
    held_broker held{rig};
    const int door = ::open(rig.cap().c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(::fcntl(door, F_SETPIPE_SZ, 1 << 20), 1 << 20);
    // Each leaves, and has never joined: refused, without an answer.
    const auto leaves = pipes::encode(pipes::frame{"x", {}, 0, 0, pipes::encode_unsubscription()}).value();
    std::vector<std::byte> some;
    for (int i = 0; i < 100; ++i) some.insert(some.end(), leaves.begin(), leaves.end());
    constexpr std::size_t flood = 20'000;
    for (std::size_t i = 0; i < flood / 100; ++i)
        ASSERT_EQ(::write(door, some.data(), some.size()), static_cast<ssize_t>(some.size()));
    ::close(door);
    client.send("nobody-there", "a frame");
    held.go();
    rig.next(happening::nobody);
    EXPECT_LT(rig.events.count([](const auto& e) { return e.what == happening::refused; }), flood / 2)
        << "all requests came before the frame";
    EXPECT_EQ(rig.client("next").answer.error, pipes::accepted);
}

TEST(OctopipesFloods, O2_TheNameOfAKilledClientIsFreeAtOnceWhoeverIsHeardFirst) {
    broker_rig rig;
    for (int round = 0; round < 20; ++round) {
        shared<reader_report> said;
        process first = start_reader(rig, "one", said);
        first.end_at_once();
        // Without waiting until the broker has told its end.
        const raw_client second = rig.client("one");
        ASSERT_EQ(second.answer.error, pipes::accepted) << "in round " << round;
    }
}

TEST(OctopipesFloods, WhatAKilledClientHasSentArrivesBeforeItsNameIsAnothers) {
    broker_rig rig;
    raw_client reader = rig.client("reader");
    raw_client one = rig.client("one");
    held_broker held{rig};
    for (int i = 0; i < 50; ++i) one.send("reader", std::to_string(i));
    one.close();  // as if it had died
    raw_client next;
    std::thread joins{[&] { next = rig.client("one"); }};
    // The broker finds both at once: the request, and the frames with the end behind them.
    const int door = ::open(rig.cap().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    await_that([&] {
        int there = 0;
        return ::ioctl(door, FIONREAD, &there) == 0 && there > 0;
    });
    ::close(door);
    held.go();
    joins.join();
    ASSERT_EQ(next.answer.error, pipes::accepted);
    next.send("reader", "mine");
    for (int i = 0; i < 50; ++i) EXPECT_EQ(reader.receive_text(), std::to_string(i));
    EXPECT_EQ(reader.receive_text(), "mine");
}

// ---- large frames that do not go on

TEST(OctopipesFloods, ASenderThatDripsItsLargeFrameDoesNotKeepItsReceiversPipe) {
    pipes::options o;
    o.piece_within = 200ms;
    broker_rig rig{o};
    raw_client reader = rig.client("reader");
    raw_client other = rig.client("other");
    raw_client drips = rig.client("drips");
    const auto large = encoded("drips", "reader", std::string(2'000'000, 'x'));
    std::atomic<bool> done = false;
    std::thread dripping{[&] {
        drips.write(std::span{large}.first(1000));
        for (std::size_t at = 1000; !done && at < large.size(); ++at) {
            drips.write(std::span{large}.subspan(at, 1));
            std::this_thread::sleep_for(20ms);  // so slow it is
        }
    }};
    rig.events.next_that([](const auto& e) { return e.what == happening::refused && e.id == "drips"; });
    other.send("reader", "next");
    std::string last;
    while (last != "next") last = reader.receive_text();
    done = true;
    dripping.join();
}

TEST(OctopipesFloods, AFrameThatIsCutByTheEndOfAStockClientsPipeIsTold) {
    broker_rig rig;
    raw_client stock{rig.cap(), "stock", {}, 0};
    const auto frame = encoded("stock", "x", "data");
    stock.write(std::span{frame}.first(9));
    stock.close();
    EXPECT_EQ(rig.next(happening::refused).id, "stock");
}

// ---- memory and processor

// Descriptors of this process that lead into that folder.
std::size_t open_in(const std::string& folder) {
    std::size_t count = 0;
    for (const auto& each : std::filesystem::directory_iterator{"/proc/self/fd"}) {
        std::error_code gone;
        count += std::filesystem::read_symlink(each, gone).string().starts_with(folder + "/");
    }
    return count;
}

TEST(OctopipesFloods, AKilledBrokerKeepsNoPipeOpenWhateverWasUnderWay) {
    broker_rig rig;
    {
        // Each has begun a large frame to the other.
        raw_client a = rig.client("a");
        raw_client b = rig.client("b");
        const auto to_b = encoded("a", "b", std::string(1'000'000, 'x'));
        const auto to_a = encoded("b", "a", std::string(1'000'000, 'x'));
        a.write(std::span{to_b}.first(30'000));
        b.write(std::span{to_a}.first(30'000));
        await_that([&] {
            const auto all = rig.list();
            return all.size() == 2 && all[0].waiting == 1 && all[1].waiting == 1;
        });
        rig.app.kill(rig.broker);
        while (a.receive() || b.receive()) {
        }
    }
    rig.app.stop();
    rig.app.wait();
    EXPECT_EQ(open_in(rig.options.directory), 0u);
}

TEST(OctopipesFloods, WhoWatchesTwiceIsToldOnceAndThereAreOnlySoManyWatchers) {
    broker_rig rig;
    const auto root = rig.app.resolve<supervisor_protocol>("/app").value();
    const auto watcher = [&](const std::string& name) {
        return rig.app
            .ask<start_child>(root, 60s,
                              child(name, in_coroutine, broker_rig::watcher, mail_of<pipes::broker_event>{}))
            ->assume<pipes::watcher_protocol>();
    };
    const auto first = rig.app.resolve<pipes::watcher_protocol>("watcher").value();
    EXPECT_TRUE(rig.app.ask<pipes::watch>(rig.broker, 60s, first));
    rig.client("a").close();
    rig.until_left("a");
    EXPECT_EQ(rig.events.count([](const auto& e) { return e.what == happening::joined; }), 1u);
    for (std::size_t n = 1; n < pipes::most_watchers; ++n)
        ASSERT_TRUE(rig.app.ask<pipes::watch>(rig.broker, 60s, watcher("w" + std::to_string(n))));
    EXPECT_EQ(rig.app.ask<pipes::watch>(rig.broker, 60s, watcher("one-more")).error(), errc::limit_reached);
    EXPECT_EQ(rig.app.ask<pipes::watch>(rig.broker, 60s, ref<pipes::watcher_protocol>{}).error(),
              errc::invalid_argument);
}

TEST(OctopipesFloods, AClientOfOursThatHasNoRoomToPublishAndNoneToAnswerWaitsAndDoesNotSpin) {
    shared<reader_report> said;
    own_directory folder;
    process broker{"octopipes_broker", {{"DIRECTORY", folder.path("pipes")}, {"SAID", said.path()}}};
    await_that([&] { return said->ready.load() == 1; });
    const std::string cap = folder.path("pipes/cap");
    client_rig full{cap, "full"};
    ASSERT_TRUE(full.started) << full.started.error().what();
    // The broker takes nothing any more; the client publishes more than may wait, and gets a frame.
    stop(broker);
    std::vector<std::thread> publishing;
    for (int i = 0; i < 4; ++i)
        publishing.emplace_back(
            [&] { static_cast<void>(full.publish("nobody", std::string(std::size_t{4} << 20, 'x'))); });
    await_that([&] {
        const auto now = full.town.inspect();
        const auto* client = now.find("/town/client");
        return client->received == 3 && client->depth.normal == 1;
    });
    std::string its_pipe;
    for (const auto& each : std::filesystem::directory_iterator{folder.path("pipes")})
        if (each.path().string().ends_with("-full.rx")) its_pipe = each.path().string();
    const int rx = ::open(its_pipe.c_str(), O_WRONLY | O_CLOEXEC);
    const auto hello = encoded("sender", "full", "hello");
    ASSERT_EQ(::write(rx, hello.data(), hello.size()), static_cast<ssize_t>(hello.size()));
    ::close(rx);
    full.next("received hello");
    const auto before = processor_time();
    std::this_thread::sleep_for(1s);  // its time is the subject
    EXPECT_LT(processor_time() - before, 300ms);
    broker.signal(SIGCONT);
    for (std::thread& t : publishing) t.join();
    said->go = 1;
    EXPECT_EQ(broker.wait(), 0);
}

}  // namespace
}  // namespace coppice::tests
