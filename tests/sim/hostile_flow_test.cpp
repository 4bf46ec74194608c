// Neighbours that do not keep to the flow: more than they were granted, acknowledgements of what was never sent, records of a
// flow that is over; and a path that loses, doubles and swaps frames although links promise not to.
#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "hostile_rig.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

TEST_F(HostileNeighbour, WhoseFramesAreOfAFlowThatIsOverIsNotHeard) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        const auto end = link_as(net::role::peer);
        const auto send = [&](std::uint32_t epoch, std::uint64_t sequence, std::uint64_t number) {
            bytes mail;
            append_frame(mail, {.kind = frame_kind::envelope, .epoch = epoch},
                         item_to_sink(sequence, number));
            say(end, mail);
        };
        send(1, 1, 0);
        send(3, 1, 1);  // it has given this node up twice, and begins anew
        EXPECT_EQ(log_->streams[0].arrived, 2u);
        send(1, 2, 2);
        send(2, 2, 2);
        EXPECT_EQ(log_->streams[0].arrived, 2u);
        send(3, 2, 2);
        EXPECT_EQ(log_->streams[0].arrived, 3u);
        EXPECT_TRUE(log_->wrong.empty());
    });
}

// ---------------------------------------------------------------- a link that loses, doubles and swaps frames

// Stands between two nodes and passes frames on as it likes; what the links below promise is not kept.
class meddler {
public:
    meddler(std::shared_ptr<hostile_transport> to_listener, std::shared_ptr<hostile_transport> to_connector)
        : above_{std::move(to_listener)}, below_{std::move(to_connector)} {}
    bool join() {
        if (!above_->accepted || !below_->connected) return false;
        for (auto* end : {&top_, &leaf_}) *end = std::make_shared<wire_end>();
        above_->accepted(std::make_unique<hostile_link>(top_));
        std::exchange(below_->connected,
                      nullptr)(std::unique_ptr<byte_link>{std::make_unique<hostile_link>(leaf_)});
        return true;
    }
    /// How often a fragment is to come: 0 is lost.
    std::function<int(std::size_t number)> copies;
    std::size_t fragments = 0;
    std::size_t swapped = 0;

    void pass_on() {
        pass(*leaf_, *above_, top_);
        pass(*top_, *below_, leaf_);
    }

private:
    void pass(wire_end& from, const hostile_transport& kind, const std::shared_ptr<wire_end>& to) {
        bytes out;
        bytes held;
        std::size_t at = 0;
        net::parsed_frame f;
        while (net::parse_frame(std::span{from.from_node}.subspan(at), 1u << 20, f) == errc::ok) {
            const auto whole = std::span{from.from_node}.subspan(at, f.size);
            wire::envelope_view v;
            const bytes body{f.body.begin(), f.body.end()};
            const bool fragment = f.header.kind == frame_kind::envelope &&
                                  wire::read_envelope(body, v) == errc::ok &&
                                  static_cast<record>(v.fields.kind) == record::fragment;
            int times = 1;
            if (fragment) times = copies(++fragments);
            for (; times > 0; --times) out.insert(out.end(), whole.begin(), whole.end());
            if (fragment && fragments % 13 == 5 && held.empty()) {  // comes after the next one
                held.assign(whole.begin(), whole.end());
                out.resize(out.size() - std::min(out.size(), whole.size()));
                ++swapped;
            } else if (!held.empty()) {
                out.insert(out.end(), held.begin(), held.end());
                held.clear();
            }
            at += f.size;
        }
        out.insert(out.end(), held.begin(), held.end());
        from.from_node.clear();
        if (!out.empty()) feed(kind, to, out);
    }
    std::shared_ptr<hostile_transport> above_;
    std::shared_ptr<hostile_transport> below_;
    std::shared_ptr<wire_end> top_;
    std::shared_ptr<wire_end> leaf_;
};

task<> send_large(actor<anything> self, std::shared_ptr<network::book> log, int count) {
    result<ref<network::sink_protocol>> to = errc::timeout;
    while (!(to = co_await self.resolve<network::sink_protocol>("/top/sink"))) co_await self.sleep(10ms);
    log->streams[0] = {1, 0, 0, 0};
    for (int n = 0; n < count; ++n) {
        const auto number = static_cast<std::uint64_t>(n);
        const errc outcome =
            co_await self.send_wait<network::item>(*to, 0u, number, network::load_of(number, 300'000));
        if (outcome != errc::ok) log->complain("not sent");
        ++log->streams[0].told_sent;
    }
    ++log->finished;
}

TEST(S9, AFragmentThatIsLostDoubledOrOvertakenIsNoticedAndTheMessageArrivesWholeAndOnce) {
    for_each_seed(10, [](testing::world& world) {
        auto log = std::make_shared<network::book>();
        const auto above = std::make_shared<hostile_transport>();
        register_transport(above);
        network_options top;
        top.listen = {"hostile://top"};
        ASSERT_TRUE(world.start(supervisor_spec{}.add(child("sink", in_coroutine, network::sink, log, false)),
                                "top", top));
        const auto below = std::make_shared<hostile_transport>();
        register_transport(below);
        network_options leaf;
        leaf.parent = "hostile://top";
        constexpr int count = 5;
        ASSERT_TRUE(world.start(
            supervisor_spec{}.add(
                child("sender", in_coroutine, send_large, log, count).restarts(restart::temporary)),
            "leaf", leaf));
        meddler middle{above, below};
        ASSERT_TRUE(middle.join());
        const std::uint64_t seed = world.seed();
        std::size_t lost = 0;
        std::size_t doubled = 0;
        middle.copies = [&](std::size_t number) {
            const std::uint64_t chance = (number * 0x9e3779b97f4a7c15ull + seed) >> 60;
            lost += chance == 0;
            doubled += chance == 1;
            return chance == 0 ? 0 : chance == 1 ? 2 : 1;
        };
        for (int n = 0; n < 100'000 && log->streams[0].arrived < count; ++n) {
            world.advance(1ms);
            middle.pass_on();
        }
        EXPECT_EQ(log->streams[0].arrived, static_cast<std::uint64_t>(count));
        EXPECT_EQ(log->finished, 1u);
        for (const std::string& w : log->wrong) ADD_FAILURE() << w;
        EXPECT_GT(lost, 0u);
        EXPECT_GT(doubled, 0u);
        EXPECT_GT(middle.swapped, 0u);
        EXPECT_GT(middle.fragments, 5 * 300'000 / limits::fragment);
    });
}

// ---------------------------------------------------------------- what it was granted, and what it acknowledges

TEST_F(HostileNeighbour, ThatSendsMoreThanItWasGrantedIsCutOff) {
    for_each_seed(2, [&](testing::world& world) {
        begin(world);
        const auto end = link_as(net::role::peer);
        // Pieces of one large message: nobody takes them before all are there, and a quarter of the window stands for them.
        const bytes piece(limits::fragment, std::byte{1});
        const std::uint64_t whole = std::uint64_t{1} << 28;
        bytes out;
        std::uint64_t sequence = 0;
        for (int n = 0; n < 300; ++n)  // more than the window, and yet no more than it was granted
            append_frame(out, {.kind = frame_kind::envelope, .epoch = 1},
                         envelope_of(record::fragment, whole, ++sequence, piece));
        say(end, out);
        EXPECT_TRUE(is_open(end));
        expect_service();
    });
    for_each_seed(2, [&](testing::world& world) {
        begin(world);
        const auto root = world.resolve<supervisor_protocol>("/top");
        ASSERT_TRUE(world.ask<start_child>(*root, child("idle", in_coroutine, takes_nothing).mailbox(1)));
        const auto idle = world.resolve<network::sink_protocol>("/top/idle");
        ASSERT_TRUE(idle);
        const auto end = link_as(net::role::peer);
        const auto send = [&](std::uint64_t first, std::uint64_t count) {
            bytes out;
            for (std::uint64_t n = first; n < first + count; ++n)
                append_frame(out, {.kind = frame_kind::envelope, .epoch = 1}, item_to(idle->id(), n, n));
            say(end, out);
        };
        const std::uint64_t granted =
            std::min(limits::flow_window_records, limits::flow_window / item_to(idle->id(), 1, 1).size());
        send(1, granted);
        ASSERT_TRUE(is_open(end));  // they wait for room: all that it was granted
        send(granted + 1, 2);       // one is in the mailbox
        EXPECT_FALSE(is_open(end));
        expect_service();
    });
}

// What nobody takes is no less done with: its credit comes back.
TEST_F(HostileNeighbour, OrAnyOtherGetsBackTheCreditOfMailThatNobodyTakes) {
    for_each_seed(2, [&](testing::world& world) {
        begin(world);
        const auto sink = world.resolve<network::sink_protocol>("/top/sink");
        ASSERT_TRUE(sink);
        const auto end = link_as(net::role::peer);
        std::uint64_t sequence = 0;
        const auto send_many = [&](detail::actor_id target, std::uint64_t type) {
            for (std::uint64_t sent = 0; sent < 2 * limits::flow_window_records; sent += 4096) {
                bytes out;
                for (int n = 0; n < 4096; ++n)
                    append_frame(out, {.kind = frame_kind::envelope, .epoch = 1},
                                 item_to(target, ++sequence, 0, type));
                say(end, out);
                end->from_node.clear();
                ASSERT_TRUE(is_open(end)) << "after " << sequence;
            }
        };
        send_many(sink->id() ^ 1, 0);  // no such actor
        send_many(sink->id(), 4711);   // it does not take that
        bytes out;
        append_frame(out, {.kind = frame_kind::envelope, .epoch = 1}, item_to(sink->id(), ++sequence, 0));
        say(end, out);
        EXPECT_EQ(log_->streams[0].arrived, 1u);
        expect_service();
    });
}

TEST_F(HostileNeighbour, ThatAcknowledgesWhatWasNeverSentIsCutOff) {
    for (const record kind : {record::acknowledge, record::resume})
        for_each_seed(1, [&](testing::world& world) {
            begin(world);
            const auto end = link_as(net::role::peer);
            const auto acknowledge = [&](std::uint64_t number, std::uint32_t epoch) {
                bytes out;
                append_frame(out, {.kind = frame_kind::envelope, .epoch = epoch},
                             envelope_of(kind, 1u << 20, number));
                say(end, out);
            };
            acknowledge(0, 1);
            EXPECT_TRUE(is_open(end));
            acknowledge(100, 7);  // of another flow than that of now
            EXPECT_TRUE(is_open(end));
            acknowledge(1, 1);
            EXPECT_FALSE(is_open(end));
            expect_service();
        });
}

// ---------------------------------------------------------------- a flow that begins anew

// Mail of the old flow that still waits for room in a mailbox is no credit of the new one.
TEST_F(HostileNeighbour, ThatBeginsAnewIsNotGrantedWhatTheOldFlowHeld) {
    for_each_seed(2, [&](testing::world& world) {
        begin(world);
        int taken = 0;
        const auto root = world.resolve<supervisor_protocol>("/top");
        ASSERT_TRUE(
            world.ask<start_child>(*root, child("late", in_coroutine, takes_late, &taken).mailbox(1)));
        const auto late = world.resolve<network::sink_protocol>("/top/late");
        ASSERT_TRUE(late);
        const auto end = link_as(net::role::peer);
        const auto send = [&](std::uint32_t epoch, std::uint64_t first, std::uint64_t count) {
            bytes out;
            for (std::uint64_t n = first; n < first + count; ++n)
                append_frame(out, {.kind = frame_kind::envelope, .epoch = epoch}, item_to(late->id(), n, n));
            say(end, out);
        };
        send(1, 1, 1000);
        send(2, 1, 10);
        ASSERT_TRUE(is_open(end));
        end->from_node.clear();
        world.advance(2s);  // now it takes all
        EXPECT_EQ(taken, 1010);
        ASSERT_TRUE(is_open(end));
        std::uint64_t granted = 0;  // records, as told last
        look(end, [&](const net::parsed_frame& f) {
            wire::envelope_view v;
            const bytes copy{f.body.begin(), f.body.end()};
            if (f.header.kind != frame_kind::envelope || wire::read_envelope(copy, v) != errc::ok) return;
            const auto kind = static_cast<record>(v.fields.kind);
            if ((kind == record::acknowledge || kind == record::resume) && f.header.epoch == 2 &&
                net::lane_of(v.fields.flags) == lane::normal)
                granted = v.fields.target;
        });
        EXPECT_EQ(granted, limits::flow_window_records + 10);
        expect_service();
    });
}

}  // namespace
}  // namespace coppice::tests
