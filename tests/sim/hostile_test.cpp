// Neighbours that have proved who they are and mean harm: what they can make a node keep is bounded, what they claim
// is checked, and honest neighbours are served on. Whom they say to reach is in hostile_routes_test.cpp, what they do to the
// flow in hostile_flow_test.cpp; tests/fuzz/router.cpp tries the rest.
#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "hostile_rig.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

TEST_F(HostileNeighbour, ThatAsksForSignsOfLifeAndDoesNotReadThemIsOwedOne) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        const auto end = link_as(net::role::peer);
        ASSERT_TRUE(is_open(end));
        look(end, [](const auto&) {});
        end->reads = false;
        bytes pings;
        for (int n = 0; n < 10'000; ++n) append_frame(pings, {.kind = frame_kind::ping}, {});
        say(end, pings);
        for (int second = 0; second < 60;
             ++second) {  // and it is asked for some, which it does not read either
            world.advance(1s);
            say(end, control_frame(net::routes{}));
        }
        ASSERT_TRUE(is_open(end));
        read_again(*kind_, end);
        world.run_until_idle();
        int signs = 0;
        look(end, [&](const net::parsed_frame& f) {
            signs += f.header.kind == frame_kind::ping || f.header.kind == frame_kind::pong;
        });
        EXPECT_GE(signs, 1);
        EXPECT_LE(signs, 2);
        expect_service();
    });
}

TEST_F(HostileNeighbour, ThatAsksNodesWhichAreNotThereAndDoesNotReadTheNoticesIsToldABoundedNumber) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        world.advance(limits::route_grace + 1s);
        const auto end = link_as(net::role::child);
        end->reads = false;
        const net::frame_route nowhere{0xdead, own_id};
        bytes requests;
        for (std::uint64_t n = 1; n <= 1000; ++n)
            append_frame(requests, {.kind = frame_kind::envelope, .epoch = 1},
                         envelope_of(record::request, n, n), &nowhere);
        for (int n = 0; n < 400; ++n) say(end, requests);
        ASSERT_TRUE(is_open(end));
        read_again(*kind_, end);
        world.run_until_idle();
        std::size_t notices = 0;
        look(end, [&](const net::parsed_frame&) { ++notices; });
        EXPECT_GT(notices, 1000u);
        EXPECT_LT(notices, limits::relay_queue / 96 + 100);
        expect_service();
    });
}

TEST_F(HostileNeighbour, ThatAnnouncesMoreNodesThanANodeRemembersIsRefused) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        const auto end = link_as(net::role::child);
        net::node_id next = 1'000'000;
        for (std::size_t sent = 0; is_open(end) && sent < 2 * limits::nodes; sent += 500) {
            net::routes more;
            for (int n = 0; n < 500; ++n, ++next) more.added.push_back({next, "n" + std::to_string(next)});
            say(end, control_frame(more));
        }
        EXPECT_FALSE(is_open(end));
        EXPECT_EQ(refused(end), errc::limit_reached);
        EXPECT_LE(next - 1'000'000, limits::nodes + 500);
        expect_service();
    });
}

// Each frame that comes from a node makes that node known, and known nodes are not forgotten.
TEST_F(HostileNeighbour, ThatSpeaksForAsManyNodesAsOneRemembersKeepsOutNewNodesAndNotTheKnownOnes) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        const auto known = link_as(net::role::peer, 0x900d, "good");
        ASSERT_TRUE(is_open(known));
        const auto end = link_as(net::role::child);
        const net::node_id top = id_of_node(end);
        constexpr net::node_id first = 1'000'000;
        constexpr std::size_t count = limits::nodes - 10;
        for (net::node_id at = first; at < first + count; at += 500) {
            net::routes more;
            for (net::node_id n = at; n < std::min(at + 500, first + count); ++n)
                more.added.push_back({n, "n" + std::to_string(n)});
            say(end, control_frame(more));
        }
        const auto speak = [&](net::node_id from, std::size_t number) {
            bytes frames;
            for (net::node_id n = from; n < from + number; ++n) {
                const net::frame_route route{top, n};
                append_frame(frames, {.kind = frame_kind::envelope, .epoch = 1},
                             envelope_of(record::message, 0, 1), &route);
            }
            say(end, frames);
        };
        ASSERT_TRUE(is_open(end));
        for (net::node_id at = first; at < first + count; at += 1000) speak(at, 1000);
        ASSERT_TRUE(is_open(end));
        for (int n = 0; n < 16; ++n)
            link_as(net::role::peer, 0x2a7e + static_cast<net::node_id>(n), "l" + std::to_string(n));
        const auto last = link_as(net::role::peer, 0x3a7e, "last");
        EXPECT_FALSE(is_open(last));
        EXPECT_EQ(refused(last), errc::limit_reached);
        hang_up(*kind_, known);
        world.run_until_idle();
        EXPECT_TRUE(is_open(link_as(net::role::peer, 0x900d, "good")));
    });
}

TEST_F(HostileNeighbour, ThatAnswersALookupWhichTheParentWasAskedIsNotBelieved) {
    for_each_seed(5, [&](testing::world& world) {
        begin(world, "hostile://parent");
        // The parent is the test as well, and says nothing to what it is asked.
        const auto parent = std::make_shared<wire_end>();
        ASSERT_TRUE(kind_->connected);
        std::exchange(kind_->connected,
                      nullptr)(std::unique_ptr<byte_link>{std::make_unique<hostile_link>(parent)});
        net::hello h;
        h.node = 0x900d;
        h.name = "parent";
        h.as = net::role::parent;
        say(parent, control_frame(h));
        say(parent, control_frame(net::welcome{}));
        ASSERT_TRUE(is_open(parent));
        const auto end = link_as(net::role::child);
        look(end, [](const auto&) {});

        std::string outcome;
        world.run_under_some_root([&](actor<anything> self) -> task<> { return look_for(self, &outcome); },
                                  "top");
        world.run_until_idle();
        bytes lies;
        std::uint64_t sequence = 0;
        for (std::uint64_t query = 0; query < 8; ++query)
            append_frame(lies, {.kind = frame_kind::envelope, .epoch = 1},
                         envelope_of(record::control, 0, ++sequence,
                                     net::encode(net::located{query, own_id, "bank"}),
                                     net::record_flag::system));
        say(end, lies);
        world.advance(100ms);
        // Nobody is asked for the actor: the liar was not believed.
        look(end, [&](const net::parsed_frame& f) {
            wire::envelope_view v;
            const bytes copy{f.body.begin(), f.body.end()};
            if (f.header.kind == frame_kind::envelope && wire::read_envelope(copy, v) == errc::ok)
                EXPECT_NE(static_cast<record>(v.fields.kind), record::control);
        });
        EXPECT_EQ(outcome, "");
        world.advance(limits::ask_deadline + 1s);
        EXPECT_EQ(outcome, "unreachable");
    });
}

// ---------------------------------------------------------------- before it has been accepted

TEST_F(HostileNeighbour, ThatTalksOnBeforeItIsAcceptedIsLeftAfterAFewKilobytes) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        const auto end = std::make_shared<wire_end>();
        kind_->accepted(std::make_unique<hostile_link>(end));
        bytes pings;
        while (pings.size() <= limits::handshake_bytes - 64)
            append_frame(pings, {.kind = frame_kind::ping}, {});
        say(end, pings);
        EXPECT_TRUE(is_open(end));
        pings.resize(128);
        say(end, pings);
        EXPECT_FALSE(is_open(end));
        expect_service();
    });
}

TEST_F(HostileNeighbour, ThatSaysNothingIsLeftAfterAFewSecondsAndACrowdOfThemIsNotLetIn) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        std::vector<std::shared_ptr<wire_end>> crowd;
        for (std::size_t n = 0; n <= limits::handshakes; ++n) {
            crowd.push_back(std::make_shared<wire_end>());
            kind_->accepted(std::make_unique<hostile_link>(crowd.back()));
        }
        world.run_until_idle();
        for (std::size_t n = 0; n < limits::handshakes; ++n) EXPECT_TRUE(is_open(crowd[n]));
        EXPECT_FALSE(is_open(crowd.back()));
        world.advance(limits::handshake_deadline - 1s);
        EXPECT_TRUE(is_open(crowd[0]));
        world.advance(2s);
        for (const auto& end : crowd) EXPECT_FALSE(is_open(end));
        expect_service();
    });
}

// ---------------------------------------------------------------- what it claims

// Else it could be another node from then on.
TEST_F(HostileNeighbour, ThatGreetsAgainUnderAnotherNameIsCutOff) {
    for (const bool while_up : {true, false})
        for_each_seed(1, [&](testing::world& world) {
            begin(world);
            net::hello other;
            other.node = 0x900d;
            other.name = "good";
            other.as = net::role::peer;
            std::shared_ptr<wire_end> end;
            if (while_up) {
                end = link_as(net::role::peer);
            } else {
                end = std::make_shared<wire_end>();
                kind_->accepted(std::make_unique<hostile_link>(end));
                net::hello h = other;
                h.node = own_id;
                h.name = "bad";
                say(end, control_frame(h));
            }
            ASSERT_TRUE(is_open(end));
            say(end, control_frame(other));
            EXPECT_FALSE(is_open(end));
            expect_service();
        });
}

TEST_F(HostileNeighbour, ThatSpeaksInTheNameOfANodeWhichIsNotBelowItIsNotHeard) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        const auto good = link_as(net::role::child, 0x900d, "good");
        const auto end = link_as(net::role::child);
        const net::node_id top = id_of_node(end);
        bytes mail;
        const net::frame_route forged{top, 0x900d};
        append_frame(mail, {.kind = frame_kind::envelope, .epoch = 1}, item_to_sink(1, 0), &forged);
        say(end, mail);
        EXPECT_TRUE(log_->streams.empty());
        mail.clear();
        const net::frame_route own{top, own_id};
        append_frame(mail, {.kind = frame_kind::envelope, .epoch = 1}, item_to_sink(1, 0), &own);
        say(end, mail);
        EXPECT_EQ(log_->streams[0].arrived, 1u);
        mail.clear();
        append_frame(mail, {.kind = frame_kind::envelope, .epoch = 1}, item_to_sink(1, 1));
        say(good, mail);  // nothing was taken in its name: its first record is the first
        EXPECT_EQ(log_->streams[0].arrived, 2u);
        EXPECT_TRUE(log_->wrong.empty());
    });
}

TEST_F(HostileNeighbour, WhoseFrameHasPassedTooManyLinksIsToldThatItsRequestGoesNoFurther) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        const auto good = link_as(net::role::child, 0x900d, "good");
        const auto end = link_as(net::role::child);
        const net::frame_route there{0x900d, own_id};
        const auto send_after = [&](std::uint8_t hops) {
            look(good, [](const auto&) {});
            look(end, [](const auto&) {});
            bytes mail;
            append_frame(mail, {.kind = frame_kind::envelope, .hops = hops, .epoch = 1},
                         envelope_of(record::request, 77, 1), &there);
            say(end, mail);
        };
        send_after(limits::hops - 1);
        int passed = 0;
        look(good, [&](const net::parsed_frame& f) {
            ++passed;
            EXPECT_EQ(f.header.hops, limits::hops);
            EXPECT_EQ(f.route.source, own_id);
        });
        EXPECT_EQ(passed, 1);
        send_after(limits::hops);
        look(good, [&](const net::parsed_frame&) { ADD_FAILURE() << "passed on"; });
        int notices = 0;
        look(end, [&](const net::parsed_frame& f) {
            wire::envelope_view v;
            const bytes copy{f.body.begin(), f.body.end()};
            ASSERT_EQ(wire::read_envelope(copy, v), errc::ok);
            if (static_cast<record>(v.fields.kind) != record::notice) return;
            ++notices;
            EXPECT_EQ(static_cast<errc>(v.fields.aux), errc::unreachable);
            EXPECT_EQ(v.fields.correlation, 77u);
            EXPECT_EQ(f.route.source, 0x900du);
        });
        EXPECT_EQ(notices, 1);
    });
}

// The flow would find out by itself, a second later: the notice is why nobody waits for that.
TEST_F(HostileNeighbour, OrAnyOtherIsToldAtOnceWhenANodeIsBackThatItSentToInVain) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        world.advance(limits::route_grace + 1s);
        const auto good = link_as(net::role::child, 0x900d, "good");
        const auto end = link_as(net::role::child);
        hang_up(*kind_, good);
        world.run_until_idle();
        look(end, [](const auto&) {});
        const net::frame_route there{0x900d, own_id};
        bytes mail;
        append_frame(mail, {.kind = frame_kind::envelope, .epoch = 1}, envelope_of(record::request, 77, 1),
                     &there);
        say(end, mail);
        look(end, [](const net::parsed_frame&) { ADD_FAILURE() << "it may be back in a moment"; });
        const auto again = link_as(net::role::child, 0x900d, "good");
        int notices = 0;
        look(end, [&](const net::parsed_frame& f) {
            wire::envelope_view v;
            const bytes copy{f.body.begin(), f.body.end()};
            if (f.header.kind != frame_kind::envelope || wire::read_envelope(copy, v) != errc::ok) return;
            if (static_cast<record>(v.fields.kind) != record::notice) return;
            ++notices;
            EXPECT_EQ(static_cast<errc>(v.fields.aux), errc::ok);
            EXPECT_EQ(f.route.source, 0x900du);
        });
        EXPECT_EQ(notices, 1);
    });
}

task<> hears_of_ends(actor<protocol<down>> self, int* heard) {
    while (co_await self.receive()) ++*heard;
}

TEST_F(HostileNeighbour, ThatTellsOfAnEndWhichNobodyWatchesForIsNotPassedOnToAnActor) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        int heard = 0;
        auto root = world.resolve<supervisor_protocol>("/top");
        ASSERT_TRUE(world.ask<start_child>(*root, child("ears", in_coroutine, hears_of_ends, &heard)));
        const auto ears = world.resolve<protocol<down>>("/top/ears");
        ASSERT_TRUE(ears);
        const auto end = link_as(net::role::peer);
        bytes lies;
        for (std::uint64_t n = 0; n < 4; ++n)
            append_frame(
                lies, {.kind = frame_kind::envelope, .epoch = 1},
                envelope_of(record::control, 0, n + 1,
                            net::encode(net::down_notice{n, n < 3 ? ears->id() : ~std::uint64_t{0}, 5, {}}),
                            net::record_flag::system));
        append_frame(lies, {.kind = frame_kind::envelope, .epoch = 1},
                     envelope_of(record::control, 0, 5,
                                 net::encode(net::exit_notice{5, ~std::uint64_t{0}, {}}),
                                 net::record_flag::system));
        say(end, lies);
        ASSERT_TRUE(is_open(end));
        EXPECT_EQ(heard, 0);
        expect_service();
    });
}

// ---------------------------------------------------------------- what it says, again and again

TEST_F(HostileNeighbour, ThatSaysAgainAndAgainThatItIsStuckAndThatItIsNotIsLoggedOnceAMinute) {
    testing::world_options options;
    options.level = level::info;
    for_each_seed(1, options, [&](testing::world& world) {
        begin(world);
        const auto end = link_as(net::role::peer);
        bytes signs;
        for (std::uint32_t n = 0; n < 1000; ++n) {
            const std::uint32_t said[2] = {1 + n, 0};
            append_frame(signs, {.kind = frame_kind::pong}, std::as_bytes(std::span{said}));
            append_frame(signs, {.kind = frame_kind::pong}, {});
        }
        const auto lines = [&](std::string_view what) {
            return std::count_if(world.log().begin(), world.log().end(),
                                 [&](const auto& line) { return line.text.find(what) != std::string::npos; });
        };
        say(end, signs);
        EXPECT_EQ(lines("node bad says that it is stuck"), 1);
        EXPECT_EQ(lines("node bad is not stuck any more"), 1);
        for (int second = 0; second < 61; ++second) {
            world.advance(1s);
            say(end, signs);
        }
        ASSERT_TRUE(is_open(end));
        EXPECT_EQ(lines("node bad says that it is stuck"), 2);
        EXPECT_EQ(lines("node bad is not stuck any more"), 2);
        EXPECT_EQ(lines("more times"), 1) << "it is told that others were left out";
    });
}

// ---------------------------------------------------------------- what it may ask for

// Of all records of a kind that the node has sent in its flow of control.
template <class T, class F>
void for_each_control(std::span<const std::byte> sent, F f) {
    std::size_t at = 0;
    net::parsed_frame frame;
    while (net::parse_frame(sent.subspan(at), 1u << 20, frame) == errc::ok) {
        at += frame.size;
        wire::envelope_view v;
        const bytes copy{frame.body.begin(), frame.body.end()};
        if (frame.header.kind != frame_kind::envelope || wire::read_envelope(copy, v) != errc::ok) continue;
        if (static_cast<record>(v.fields.kind) != record::control) continue;
        const bytes payload{v.payload.begin(), v.payload.end()};
        const auto message = net::decode(payload);
        if (const auto* m = message ? std::get_if<T>(&*message) : nullptr) f(*m);
    }
}

// Takes nothing: what the node tells it waits there, and all has room.
TEST_F(HostileNeighbour, ThatMonitorsMoreActorsThanOneNodeMayIsRefusedAndToldSo) {
    for_each_seed(3, [&](testing::world& world) {
        begin(world);
        int heard = 0;
        const auto root = world.resolve<supervisor_protocol>("/top");
        ASSERT_TRUE(world.ask<start_child>(
            *root, child("watched", in_coroutine, hears_of_ends, &heard).restarts(restart::temporary)));
        const auto watched = world.resolve<protocol<down>>("/top/watched");
        const auto sink = world.resolve<network::sink_protocol>("/top/sink");
        ASSERT_TRUE(watched && sink);
        const auto end = link_as(net::role::peer);
        std::uint64_t sequence = 0;
        bytes out;
        const auto put = [&](const net::control& message) {
            append_frame(
                out, {.kind = frame_kind::envelope, .epoch = 1},
                envelope_of(record::control, 0, ++sequence, net::encode(message), net::record_flag::system));
        };
        std::vector<std::uint64_t> told;  // the monitors that ended
        std::vector<std::uint64_t> refused;
        const auto listen = [&] {
            say(end, std::exchange(out, {}));
            for_each_control<net::down_notice>(end->from_node, [&](const net::down_notice& d) {
                const bool limit = d.reason.kind() == exit_kind::limit_reached;
                (limit ? refused : told).push_back(d.monitor);
                if (limit) EXPECT_NE(d.reason.text().find("limits::watches"), std::string::npos);
                if (limit) EXPECT_EQ(d.watcher, 7u);
            });
            end->from_node.clear();
        };
        for (std::uint64_t n = 1; n <= limits::watches; ++n) put(net::watch_actor{n, 7, watched->id(), 0});
        for (int n = 0; n < 10; ++n) put(net::watch_actor{1, 7, watched->id(), 0});  // said before
        listen();
        EXPECT_TRUE(told.empty() && refused.empty());
        put(net::watch_actor{limits::watches + 1, 7, watched->id(), 0});
        put(net::watch_actor{limits::watches + 2, 7, sink->id(), 0});
        listen();
        EXPECT_EQ(refused, (std::vector<std::uint64_t>{limits::watches + 1, limits::watches + 2}));
        EXPECT_TRUE(told.empty());
        // One that is taken back makes room for one; one that there never was makes none.
        refused.clear();
        put(net::unwatch_actor{limits::watches + 1, 7, watched->id()});
        put(net::unwatch_actor{1, 8, watched->id()});
        put(net::unwatch_actor{1, 7, watched->id()});
        put(net::watch_actor{100'001, 7, watched->id(), 0});
        put(net::watch_actor{100'002, 7, watched->id(), 0});
        listen();
        EXPECT_EQ(refused, std::vector<std::uint64_t>{100'002});
        // And so does the end of what is watched: all are told, once.
        refused.clear();
        put(net::end_actor{watched->id(), net::ending::kill, 0});
        listen();
        world.advance(1s);
        listen();
        ASSERT_TRUE(is_open(end));
        EXPECT_EQ(told.size(), limits::watches);
        std::sort(told.begin(), told.end());
        EXPECT_EQ(std::adjacent_find(told.begin(), told.end()), told.end());
        EXPECT_EQ(told.front(), 2u);
        EXPECT_EQ(told.back(), 100'001u);
        for (std::uint64_t n = 1; n <= limits::watches; ++n) put(net::watch_actor{n, 7, sink->id(), 0});
        listen();
        EXPECT_TRUE(refused.empty());
        expect_service();
    });
}

// Each time it gives this node up and begins anew it has no monitors any more: they do not add up.
TEST_F(HostileNeighbour, ThatBeginsAnewHasNoMonitorsHereAnyMore) {
    for_each_seed(3, [&](testing::world& world) {
        begin(world);
        int heard = 0;
        const auto root = world.resolve<supervisor_protocol>("/top");
        ASSERT_TRUE(world.ask<start_child>(
            *root, child("watched", in_coroutine, hears_of_ends, &heard).restarts(restart::temporary)));
        const auto watched = world.resolve<protocol<down>>("/top/watched");
        ASSERT_TRUE(watched);
        const auto end = link_as(net::role::peer);
        std::size_t told = 0;
        bytes out;
        for (std::uint32_t epoch = 1; epoch <= 3; ++epoch) {
            for (std::uint64_t n = 1; n <= limits::watches; ++n)
                append_frame(out, {.kind = frame_kind::envelope, .epoch = epoch},
                             envelope_of(record::control, 0, n,
                                         net::encode(net::watch_actor{n, epoch, watched->id(), 0}),
                                         net::record_flag::system));
            say(end, std::exchange(out, {}));
        }
        append_frame(out, {.kind = frame_kind::envelope, .epoch = 3},
                     envelope_of(record::control, 0, limits::watches + 1,
                                 net::encode(net::end_actor{watched->id(), net::ending::kill, 0}),
                                 net::record_flag::system));
        say(end, out);
        world.advance(1s);
        for_each_control<net::down_notice>(end->from_node, [&](const net::down_notice& d) {
            ++told;
            EXPECT_EQ(d.watcher, 3u) << "of a flow that is over";
            EXPECT_EQ(d.reason.kind(), exit_kind::killed);
        });
        EXPECT_EQ(told, limits::watches);
        expect_service();
    });
}

TEST_F(HostileNeighbour, ThatLinksMoreActorsThanOneNodeMayIsRefusedAndToldSo) {
    for_each_seed(1, [&](testing::world& world) {
        begin(world);
        const auto sink = world.resolve<network::sink_protocol>("/top/sink");
        ASSERT_TRUE(sink);
        const auto end = link_as(net::role::peer);
        bytes out;
        for (std::uint64_t n = 1; n <= limits::watches + 1; ++n)
            append_frame(out, {.kind = frame_kind::envelope, .epoch = 1},
                         envelope_of(record::control, 0, n, net::encode(net::link_actors{n, sink->id(), 0}),
                                     net::record_flag::system));
        say(end, out);
        std::vector<std::uint64_t> refused;
        for_each_control<net::exit_notice>(end->from_node, [&](const net::exit_notice& x) {
            refused.push_back(x.to);
            EXPECT_EQ(x.reason.kind(), exit_kind::limit_reached);
        });
        EXPECT_EQ(refused, std::vector<std::uint64_t>{limits::watches + 1});
        expect_service();
    });
}

// ---------------------------------------------------------------- O17

class O17 : public HostileNeighbour {};

TEST_F(O17, AFrameOfVersionTwoIsRefusedWithThatErrorAndTheLinkLivesOn) {
    testing::world_options options;
    options.level = level::warn;
    for_each_seed(1, options, [&](testing::world& world) {
        begin(world);
        const auto end = link_as(net::role::peer);
        const auto send = [&](std::uint8_t version, std::uint64_t number) {
            bytes mail;
            frame_header h{.version = version, .kind = frame_kind::envelope, .epoch = 1};
            append_frame(mail, h, item_to_sink(number + 1, number));
            say(end, mail);
        };
        send(1, 0);
        EXPECT_EQ(log_->streams[0].arrived, 1u);
        send(2, 1);
        EXPECT_EQ(log_->streams[0].arrived, 1u) << "a frame of version 2 was taken";
        ASSERT_TRUE(is_open(end));
        EXPECT_EQ(std::count_if(world.log().begin(), world.log().end(),
                                [](const auto& line) {
                                    return line.text.find("bad sent a frame of version 2") !=
                                               std::string::npos &&
                                           line.text.find("wrong_version") != std::string::npos;
                                }),
                  1);
        send(1, 1);
        EXPECT_EQ(log_->streams[0].arrived, 2u);
        EXPECT_TRUE(log_->wrong.empty());
        expect_service();
    });
}

}  // namespace
}  // namespace coppice::tests
