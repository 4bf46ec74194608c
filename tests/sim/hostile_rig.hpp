// A node "top" and neighbours of it that the test plays byte by byte, on virtual time: what the tests of hostile neighbours
// (hostile_test.cpp, hostile_routes_test.cpp, hostile_flow_test.cpp) have in common. One thread, as all of a world.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

#include "net/control.hpp"
#include "net/frame.hpp"
#include "net/router.hpp"
#include "network_rig.hpp"
#include "support/frame_bytes.hpp"
#include "support/hostile_link.hpp"
#include "support/wire_bytes.hpp"
#include "wire/envelope.hpp"

namespace coppice::tests {

using namespace std::chrono_literals;

using net::frame_header;
using net::frame_kind;
using net::record;

inline constexpr net::node_id own_id = 0xbad;

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

}  // namespace coppice::tests
