// Neighbours that have proved who they are and mean harm: what they can make a node keep is bounded, what they claim
// is checked, and honest neighbours are served on. Byte by byte, on virtual time; tests/fuzz/router.cpp tries the rest.
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/control.hpp"
#include "net/frame.hpp"
#include "net/router.hpp"
#include "network_rig.hpp"
#include "support/frame_bytes.hpp"
#include "support/hostile_link.hpp"
#include "support/seeds.hpp"
#include "support/wire_bytes.hpp"
#include "wire/envelope.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

using net::frame_header;
using net::frame_kind;
using net::record;

constexpr net::node_id own_id = 0xbad;

// A node "top" that listens for hostile neighbours and for honest ones.
class HostileNeighbour : public ::testing::Test {
protected:
    void begin(testing::world& world, std::string parent = {}) {
        world_ = &world;
        kind_ = std::make_shared<hostile_transport>();
        register_transport(kind_);
        network_ = std::make_shared<sim_network>(1);
        register_transport(network_);
        network_options o;
        o.listen = {"hostile://top", "sim://top"};
        o.parent = std::move(parent);
        ASSERT_TRUE(world.start(
            supervisor_spec{}.add(child("sink", in_coroutine, network::sink, log_, false)), "top", o));
    }
    /// A link of a node that is what it says, up.
    std::shared_ptr<wire_end> link_as(net::role as, net::node_id id = own_id,
                                      const std::string& name = "bad") {
        auto end = std::make_shared<wire_end>();
        kind_->accepted(std::make_unique<hostile_link>(end));
        net::hello h;
        h.node = id;
        h.name = name;
        h.as = as;
        say(end, control_frame(h));
        say(end, control_frame(net::welcome{}));
        return end;
    }
    void say(const std::shared_ptr<wire_end>& end, std::span<const std::byte> what) {
        feed(*kind_, end, what);
        world_->run_until_idle();
    }
    static bool is_open(const std::shared_ptr<wire_end>& end) { return end->link && end->link->events; }
    /// What the node has said since the last time, frame by frame.
    template <class F>
    static void look(const std::shared_ptr<wire_end>& end, F f) {
        std::size_t at = 0;
        net::parsed_frame frame;
        while (net::parse_frame(std::span{end->from_node}.subspan(at), 1u << 20, frame) == errc::ok) {
            f(frame);
            at += frame.size;
        }
        EXPECT_EQ(at, end->from_node.size());
        end->from_node.clear();
    }
    /// The refusal that it was told; ok: none.
    static errc refused(const std::shared_ptr<wire_end>& end) {
        errc why = errc::ok;
        look(end, [&](const net::parsed_frame& f) {
            if (f.header.kind != frame_kind::control) return;
            const bytes copy{f.body.begin(), f.body.end()};
            const auto message = net::decode(copy);
            if (const auto* r = message ? std::get_if<net::refusal>(&*message) : nullptr) why = r->code;
        });
        return why;
    }
    /// An honest neighbour joins now and is served.
    void expect_service() {
        network_options o;
        o.parent = "sim://top?from=honest";
        ASSERT_TRUE(world_->start(supervisor_spec{}, "honest", o));
        bool answered = false;
        world_->run_under_some_root([&](actor<anything> self) -> task<> { return ask_sink(self, &answered); },
                                    "honest");
        EXPECT_TRUE(world_->run_until([&] { return answered; }));
    }
    static task<> ask_sink(actor<anything> self, bool* answered) {
        auto to = co_await self.resolve<network::sink_protocol>("/top/sink");
        if (!to) co_return;
        auto answer = co_await self.ask<network::question>(*to, 10s, 4u);
        *answered = answer && *answer == 9;
    }

    /// As that end was told in its hello.
    static net::node_id id_of_node(const std::shared_ptr<wire_end>& end) {
        net::node_id id = 0;
        look(end, [&](const net::parsed_frame& f) {
            if (f.header.kind != frame_kind::control) return;
            const bytes copy{f.body.begin(), f.body.end()};
            const auto message = net::decode(copy);
            if (const auto* h = message ? std::get_if<net::hello>(&*message) : nullptr) id = h->node;
        });
        return id;
    }
    /// A record with an item of stream 0 for the sink of "top".
    bytes item_to_sink(std::uint64_t sequence, std::uint64_t number) {
        const auto sink = world_->resolve<network::sink_protocol>("/top/sink");
        EXPECT_TRUE(sink);
        return item_to(sink->id(), sequence, number);
    }
    /// For another actor, or of another type; it waits for room in the mailbox.
    static bytes item_to(detail::actor_id target, std::uint64_t sequence, std::uint64_t number,
                         std::uint64_t type = detail::type_of<network::item>->id) {
        const words payload = encode(network::item{0, number, {}});
        bytes out = envelope_of(record::message, 0, sequence, std::as_bytes(std::span{payload}));
        wire::envelope_view v;
        EXPECT_EQ(wire::read_envelope(out, v), errc::ok);
        v.fields.target = target;
        v.fields.type = type ? type : detail::type_of<network::item>->id;
        v.fields.flags = net::record_flag::waits;
        wire::write_envelope(out.data(), v.fields, static_cast<std::uint32_t>(v.payload.size()));
        return out;
    }
    static task<> takes_late(actor<network::sink_protocol> self, int* taken) {
        co_await self.sleep(1s);
        while (co_await self.receive()) ++*taken;
    }
    static task<> takes_nothing(actor<network::sink_protocol> self) {
        while (!self.stopping()) co_await self.sleep(1h);
    }
    static task<> look_for(actor<anything> self, std::string* outcome) {
        auto to = co_await self.resolve<network::sink_protocol>("/bank/sink");
        *outcome = to ? "found" : std::string{to_string(to.error().code())};
    }

    std::shared_ptr<network::book> log_ = std::make_shared<network::book>();
    testing::world* world_ = nullptr;
    std::shared_ptr<hostile_transport> kind_;
    std::shared_ptr<sim_network> network_;
};

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
