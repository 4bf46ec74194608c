// Neighbours that lie about who is below or above them: whom they are believed to reach, what a relay passes on for them and
// keeps for them, and what a hostile parent can say.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hostile_rig.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

// ---------------------------------------------------------------- whom it says to be below it

TEST_F(HostileNeighbour, ThatClaimsANodeBelowAnotherChildIsNotBelievedBeforeThatOneHasLostIt) {
    constexpr net::node_id grandchild = 0x6ea1;
    for (const bool by_its_end : {false, true})
        for_each_seed(1, [&](testing::world& world) {
            begin(world);
            const auto good = link_as(net::role::child, 0x900d, "good");
            const auto end = link_as(net::role::child);
            const auto asker = link_as(net::role::peer, 0xa5c, "asker");
            net::routes has;
            has.complete = true;
            has.added = {{grandchild, "grandchild"}};
            say(good, control_frame(has));
            const net::node_id top = id_of_node(end);
            std::uint64_t number = 0;
            // Over whom mail for the grandchild goes, and who may speak in its name.
            const auto expect_way = [&](const std::shared_ptr<wire_end>& way) {
                for (const auto& one : {good, end, asker}) one->from_node.clear();
                bytes mail;
                const net::frame_route there{grandchild, 0xa5c};
                append_frame(mail, {.kind = frame_kind::envelope, .epoch = 1},
                             envelope_of(record::request, 77, ++number), &there);
                say(asker, mail);
                for (const auto& one : {good, end}) {
                    int passed = 0;
                    look(one, [&](const net::parsed_frame& f) {
                        passed += f.header.flags & frame_header::routed && f.route.source == 0xa5c;
                    });
                    EXPECT_EQ(passed, one == way ? 1 : 0) << (one == good ? "good" : "bad");
                }
                for (const auto& one : {good, end}) {
                    if (!is_open(one)) continue;
                    const std::uint64_t before = log_->streams[0].arrived;
                    bytes forged;
                    const net::frame_route from{top, grandchild};
                    append_frame(forged, {.kind = frame_kind::envelope, .epoch = 1},
                                 item_to_sink(before + 1, before), &from);
                    say(one, forged);
                    EXPECT_EQ(log_->streams[0].arrived, before + (one == way ? 1 : 0));
                }
            };
            expect_way(good);
            say(end, control_frame(has));
            ASSERT_TRUE(is_open(end));
            expect_way(good);
            // The claim is not forgotten: the node may have moved, and the one that had it will say so, or is gone.
            if (by_its_end) {
                hang_up(*kind_, good);
                world.run_until_idle();
            } else {
                net::routes none;
                none.complete = true;
                say(good, control_frame(none));
            }
            expect_way(end);
            // It says that it has lost it as well: then nobody has it.
            net::routes gone;
            gone.complete = true;
            say(end, control_frame(gone));
            for (const auto& one : {good, end, asker}) one->from_node.clear();
            bytes mail;
            const net::frame_route there{grandchild, 0xa5c};
            append_frame(mail, {.kind = frame_kind::envelope, .epoch = 1},
                         envelope_of(record::request, 77, ++number), &there);
            say(asker, mail);
            for (const auto& one : {good, end})
                look(one,
                     [](const net::parsed_frame& f) { EXPECT_FALSE(f.header.flags & frame_header::routed); });
            EXPECT_TRUE(log_->wrong.empty());
            log_->streams.clear();
        });
}

TEST_F(HostileNeighbour, ThatTakesBackItsClaimDoesNotGetTheNodeLater) {
    constexpr net::node_id grandchild = 0x6ea1;
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        const auto good = link_as(net::role::child, 0x900d, "good");
        const auto end = link_as(net::role::child);
        const auto asker = link_as(net::role::peer, 0xa5c, "asker");
        net::routes has;
        has.complete = true;
        has.added = {{grandchild, "grandchild"}};
        net::routes none;
        none.complete = true;
        say(good, control_frame(has));
        say(end, control_frame(has));
        say(end, control_frame(none));
        say(good, control_frame(none));
        for (const auto& one : {good, end, asker}) one->from_node.clear();
        bytes mail;
        const net::frame_route there{grandchild, 0xa5c};
        append_frame(mail, {.kind = frame_kind::envelope, .epoch = 1}, envelope_of(record::request, 77, 1),
                     &there);
        say(asker, mail);
        for (const auto& one : {good, end})
            look(one,
                 [](const net::parsed_frame& f) { EXPECT_FALSE(f.header.flags & frame_header::routed); });
    });
}

TEST_F(HostileNeighbour, WhoseLinkIsDownHasNoClaimToANodeAnyMore) {
    constexpr net::node_id grandchild = 0x6ea1;
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        world.advance(limits::route_grace + 1s);
        const auto good = link_as(net::role::child, 0x900d, "good");
        const auto end = link_as(net::role::child);
        net::routes has;
        has.complete = true;
        has.added = {{grandchild, "grandchild"}};
        net::routes none;
        none.complete = true;
        say(good, control_frame(has));
        say(end, control_frame(has));
        hang_up(*kind_, end);
        world.run_until_idle();
        say(good, control_frame(none));
        for (const route_info& r : world.inspect("top").routes) EXPECT_NE(r.id, grandchild) << r.over;
        expect_service();
    });
}

// ---------------------------------------------------------------- who has ended

TEST_F(HostileNeighbour, IsBelievedThatANodeHasEndedOnlyIfThatOneIsReachedOverIt) {
    constexpr net::node_id grandchild = 0x6ea1;
    constexpr net::node_id second = 0x6ea2;
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        const auto good = link_as(net::role::child, 0x900d, "good");
        const auto end = link_as(net::role::child);
        const auto other = link_as(net::role::child, 0x07e4, "other");
        const auto beside = link_as(net::role::peer, 0xa5c, "beside");
        net::routes has;
        has.complete = true;
        has.added = {{grandchild, "grandchild"}, {second, "second"}};
        say(good, control_frame(has));
        const net::node_id top = id_of_node(end);
        const auto told = [&](const std::shared_ptr<wire_end>& one) {
            std::vector<net::node_id> nodes;
            look(one, [&](const net::parsed_frame& f) {
                if (f.header.kind != frame_kind::control) return;
                const bytes copy{f.body.begin(), f.body.end()};
                const auto message = net::decode(copy);
                if (const auto* e = message ? std::get_if<net::ended>(&*message) : nullptr)
                    nodes.push_back(e->node);
            });
            return nodes;
        };
        for (const auto& one : {good, end, other, beside}) one->from_node.clear();
        for (const net::node_id who : {grandchild, net::node_id{0x900d}, top, own_id, net::node_id{0x404}})
            for (const auto& liar : {end, beside}) say(liar, control_frame(net::ended{who, false, "a lie"}));
        for (const auto& one : {good, end, other, beside}) {
            EXPECT_TRUE(is_open(one));
            EXPECT_THAT(told(one), ::testing::IsEmpty());
        }
        const auto ways = world.inspect("top").routes;
        EXPECT_TRUE(
            std::any_of(ways.begin(), ways.end(), [&](const route_info& r) { return r.id == grandchild; }));
        say(good, control_frame(net::ended{grandchild, false, "it has ended"}));
        for (const auto& one : {end, other}) EXPECT_THAT(told(one), ::testing::ElementsAre(grandchild));
        for (const auto& one : {good, beside}) EXPECT_THAT(told(one), ::testing::IsEmpty());
        // A death is often known a moment after the way was taken back.
        net::routes none;
        none.complete = true;
        say(good, control_frame(none));
        say(end, control_frame(net::ended{second, true, "a lie"}));
        EXPECT_THAT(told(other), ::testing::IsEmpty());
        say(good, control_frame(net::ended{second, true, "it has died"}));
        EXPECT_THAT(told(other), ::testing::ElementsAre(second));
        expect_service();
    });
}

// ---------------------------------------------------------------- ways that lead back

TEST_F(HostileNeighbour, WhoseFrameWouldGoBackToItIsToldThatThereIsNoWay) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        world.advance(limits::route_grace + 1s);
        const auto end = link_as(net::role::child);
        net::routes has;
        has.complete = true;
        has.added = {{0x6ea1, "grandchild"}};
        say(end, control_frame(has));
        look(end, [](const auto&) {});
        const net::frame_route there{0x6ea1, own_id};
        bytes mail;
        append_frame(mail, {.kind = frame_kind::envelope, .epoch = 1}, envelope_of(record::request, 77, 1),
                     &there);
        say(end, mail);
        int notices = 0;
        look(end, [&](const net::parsed_frame& f) {
            wire::envelope_view v;
            const bytes copy{f.body.begin(), f.body.end()};
            ASSERT_EQ(wire::read_envelope(copy, v), errc::ok);
            ASSERT_EQ(static_cast<record>(v.fields.kind), record::notice) << "it came back";
            EXPECT_EQ(static_cast<errc>(v.fields.aux), errc::unreachable);
            ++notices;
        });
        EXPECT_EQ(notices, 1);
    });
}

// ---------------------------------------------------------------- a hostile parent, and who is above whom

// As HostileNeighbour, with a parent that is the test as well.
class HostileParent : public HostileNeighbour {
protected:
    static constexpr net::node_id parent_id = 0x9a9e;
    // What a parent with those ancestors is told, and its link if it is taken.
    std::shared_ptr<wire_end> parent_says(const std::vector<net::node_id>& ancestors) {
        const auto parent = std::make_shared<wire_end>();
        EXPECT_TRUE(kind_->connected);
        std::exchange(kind_->connected,
                      nullptr)(std::unique_ptr<byte_link>{std::make_unique<hostile_link>(parent)});
        net::hello h;
        h.node = parent_id;
        h.name = "parent";
        h.as = net::role::parent;
        h.ancestors = ancestors;
        say(parent, control_frame(h));
        say(parent, control_frame(net::welcome{}));
        return parent;
    }
    static net::routes all_of(std::vector<net::named_node> nodes) {
        net::routes r;
        r.complete = true;
        r.added = std::move(nodes);
        return r;
    }
};

TEST_F(HostileParent, ThatIsBelowThisNodeByItsOwnWordIsRefused) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world, "hostile://parent");
        const net::node_id top = id_of_node(link_as(net::role::peer));
        const auto parent = parent_says({0x77, top});
        EXPECT_FALSE(is_open(parent));
        EXPECT_EQ(refused(parent), errc::denied);
        expect_service();
    });
}

TEST_F(HostileParent, OfAParentIsNoChild) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world, "hostile://parent");
        ASSERT_TRUE(is_open(parent_says({0x6a9d})));
        const auto grandparent = link_as(net::role::child, 0x6a9d, "grandparent");
        EXPECT_FALSE(is_open(grandparent));
        EXPECT_EQ(refused(grandparent), errc::denied);
        // Nor has a child the parent below it, or this node itself.
        for (const bool itself : {true, false}) {
            const auto end = link_as(net::role::child);
            ASSERT_TRUE(is_open(end));
            const net::node_id top = id_of_node(end);
            say(end, control_frame(all_of({{itself ? top : parent_id, "loop"}})));
            EXPECT_FALSE(is_open(end));
            EXPECT_EQ(refused(end), errc::denied);
        }
        expect_service();
    });
}

TEST_F(HostileParent, DoesNotSpeakInTheNameOfTheNodeItselfOrOfOneThatIsBelowIt) {
    testing::world_options options;
    options.level = level::warn;
    for_each_seed(1, options, [&](testing::world& world) {
        begin(world, "hostile://parent");
        const auto child = link_as(net::role::child, 0x900d, "good");
        const net::node_id top = id_of_node(child);
        const auto parent = parent_says({});
        ASSERT_TRUE(is_open(parent));
        const auto say_as = [&](net::node_id source) {
            bytes mail;
            const net::frame_route route{top, source};
            append_frame(mail, {.kind = frame_kind::envelope, .epoch = 1},
                         item_to_sink(1, log_->streams[0].arrived), &route);
            say(parent, mail);
        };
        say_as(top);
        say_as(0x900d);
        EXPECT_EQ(log_->streams[0].arrived, 0u);
        EXPECT_EQ(std::count_if(world.log().begin(), world.log().end(),
                                [](const auto& line) {
                                    return line.text.find("in the name of a node") != std::string::npos;
                                }),
                  2);
        say_as(0xfa2);  // of one that is somewhere above
        EXPECT_EQ(log_->streams[0].arrived, 1u);
        EXPECT_TRUE(log_->wrong.empty());
    });
}

TEST_F(HostileNeighbour, ThatIsNoChildAnnouncesNoNodesBelowIt) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        world.advance(limits::route_grace + 1s);
        const auto end = link_as(net::role::peer);
        const auto asker = link_as(net::role::child, 0x900d, "good");
        net::routes has;
        has.complete = true;
        has.added = {{0x6ea1, "grandchild"}};
        say(end, control_frame(has));
        ASSERT_TRUE(is_open(end));
        look(end, [](const auto&) {});
        bytes mail;
        const net::frame_route there{0x6ea1, 0x900d};
        append_frame(mail, {.kind = frame_kind::envelope, .epoch = 1}, envelope_of(record::request, 77, 1),
                     &there);
        say(asker, mail);
        look(end, [](const net::parsed_frame&) { ADD_FAILURE() << "mail goes there"; });
    });
}

// ---------------------------------------------------------------- what waits in a relay

TEST_F(HostileParent, ThatDoesNotReadMakesARelayKeepABoundedAmountInWhichThereIsRoomForWhatIsUrgent) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world, "hostile://parent");
        const auto end = link_as(net::role::child);
        const auto parent = parent_says({});
        ASSERT_TRUE(is_open(parent));
        look(parent, [](const auto&) {});
        parent->reads = false;
        const net::frame_route there{0xfa2, own_id};
        const bytes piece(32 * 1024, std::byte{1});
        std::uint64_t sequence = 0;
        std::size_t sent = 0;
        while (sent < limits::relay_queue + (4u << 20)) {
            bytes out;
            for (int n = 0; n < 32; ++n)
                append_frame(out, {.kind = frame_kind::envelope, .epoch = 1},
                             envelope_of(record::fragment, 1u << 28, ++sequence, piece), &there);
            sent += out.size();
            say(end, out);
        }
        const auto waiting = [&] {
            std::uint64_t most = 0;
            for (const link_info& l : world.inspect("top").links) most = std::max(most, l.relayed);
            return most;
        };
        for (int n = 0; n < 1000; ++n) {  // and small ones, until there is no room for one more
            bytes out;
            append_frame(out, {.kind = frame_kind::envelope, .epoch = 1},
                         envelope_of(record::message, 0, ++sequence), &there);
            say(end, out);
        }
        EXPECT_LE(waiting(), limits::relay_queue);
        EXPECT_GE(waiting(), limits::relay_queue - 100);
        bytes urgent;
        append_frame(urgent, {.kind = frame_kind::envelope, .flags = frame_header::urgent, .epoch = 1},
                     envelope_of(record::request, 78, 1, {}, net::record_flag::priority), &there);
        say(end, urgent);
        read_again(*kind_, parent);
        world.run_until_idle();
        std::vector<bool> came;  // whether it was urgent
        look(parent, [&](const net::parsed_frame& f) {
            if (f.header.kind == frame_kind::envelope && f.route.source == own_id)
                came.push_back(f.header.flags & frame_header::urgent);
        });
        ASSERT_GT(came.size(), 100u);
        EXPECT_EQ(std::count(came.begin(), came.end(), true), 1);
        EXPECT_TRUE(came.front()) << "it waited behind what is not urgent";
    });
}

// The control frame may be what makes the sender known to the next node.
TEST_F(HostileParent, HearsOfANodeBeforeItHearsWhatThatNodeSaysUrgently) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world, "hostile://parent");
        const auto parent = parent_says({});
        ASSERT_TRUE(is_open(parent));
        look(parent, [](const auto&) {});
        parent->reads = false;
        const auto end = link_as(net::role::child);
        const net::frame_route there{0xfa2, own_id};
        bytes urgent;
        append_frame(urgent, {.kind = frame_kind::envelope, .flags = frame_header::urgent, .epoch = 1},
                     envelope_of(record::request, 78, 1, {}, net::record_flag::priority), &there);
        say(end, urgent);
        read_again(*kind_, parent);
        world.run_until_idle();
        bool known = false;
        bool came = false;
        look(parent, [&](const net::parsed_frame& f) {
            const bytes copy{f.body.begin(), f.body.end()};
            if (f.header.kind == frame_kind::control) {
                const auto message = net::decode(copy);
                const auto* r = message ? std::get_if<net::routes>(&*message) : nullptr;
                known = known || (r && !r->added.empty() && r->added.front().node == own_id);
            } else if (f.header.kind == frame_kind::envelope && f.route.source == own_id) {
                came = true;
                EXPECT_TRUE(known) << "mail of a node of which nothing was said before";
            }
        });
        EXPECT_TRUE(came && known);
    });
}

}  // namespace
}  // namespace coppice::tests
