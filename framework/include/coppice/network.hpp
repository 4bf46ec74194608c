// What a node tells of its network: links, flows and routes as inspect shows them, and the messages that tell an
// actor of a flow which stalls, or of a group's members. Plain data: a copy of what was so when it was asked for or sent; any thread.
//
//     task<> operator_of(actor<protocol<flow_stalled, flow_resumed>> self) {
//         self.watch_flows();
//         while (auto m = co_await self.receive())
//             m.match([&](const flow_stalled& f) { self.log.warn("{} waits: {} messages", f.node, f.messages); },
//                     [&](const flow_resumed& f) { self.log.info("{} goes on", f.node); });
//     }
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "coppice/message.hpp"
#include "coppice/ref.hpp"

namespace coppice {

/// What the first record that waits in a lane of a flow waits for.
enum class flow_wait : std::uint8_t {
    nothing,          ///< nothing waits
    link,             ///< the link to take more, or to come back
    credit,           ///< the other node to be done with what it has: its actors are slow
    acknowledgement,  ///< the other node to say that it has it
};
/// For people: "nothing", "link", and so on; of a lane "normal", "priority", "system".
std::string_view to_string(flow_wait w) noexcept;
std::string_view to_string(lane l) noexcept;

/// A lane of the flow to another node makes no progress for limits::flow_stall, though the node can be reached.
/// Once a stall, to those that watch flows (actor::watch_flows). Nothing is lost by it, and senders are told
/// nothing but `mailbox_full`.
struct flow_stalled {
    static constexpr auto lane = coppice::lane::priority;
    std::string node;  ///< name of the other node
    coppice::lane of = coppice::lane::normal;
    std::uint64_t bytes = 0;             ///< that wait, sent or not
    std::uint64_t messages = 0;          ///< the same; pieces of large ones that are under way count each
    std::chrono::nanoseconds waited{0};  ///< since its last progress
    flow_wait waits_for = flow_wait::nothing;
};

/// The end of a stall: something was taken, or the node is lost and what waited with it.
struct flow_resumed {
    static constexpr auto lane = coppice::lane::priority;
    std::string node;  ///< name of the other node
    coppice::lane of = coppice::lane::normal;
    std::chrono::nanoseconds stalled{0};  ///< for how long it had
    bool lost = false;                    ///< the node is; false: something was taken
};

/// An actor is in a group: told to those that watch it (actor::watch_group), also of who is in it when they begin to.
struct member_joined {
    static constexpr auto lane = coppice::lane::priority;
    std::string group;
    ref<> who;
};

/// An actor has left a group, or has ended for good, or its node is lost.
struct member_left {
    static constexpr auto lane = coppice::lane::priority;
    std::string group;
    ref<> who;
};

/// A link to a neighbour.
struct link_info {
    std::string node;  ///< the neighbour's name; empty before it has said it
    std::uint64_t id = 0;
    std::string endpoint;  ///< that was dialled; empty if the neighbour did
    std::string address;   ///< of the other end, as the transport knows it
    std::string role;      ///< what the neighbour is: "parent", "child", "peer", "shortcut"
    std::string state;     ///< "greeting", "proving", "waiting", "up"
    std::chrono::nanoseconds age{0};
    std::chrono::nanoseconds silent{0};  ///< since it was heard last
    std::uint64_t bytes_in = 0;          ///< since the link was made, as the frames
    std::uint64_t bytes_out = 0;
    std::uint64_t frames_in = 0;
    std::uint64_t frames_out = 0;
    std::uint64_t unsent = 0;   ///< bytes that wait in the transport
    std::uint64_t relayed = 0;  ///< bytes of control and of other nodes' mail that wait for the transport
    std::uint32_t stuck = 0;    ///< of the neighbour's schedulers, how many make no progress, as it says
};

/// One lane of a flow, outward; and what it has received.
struct flow_lane_info {
    std::uint64_t waiting_bytes = 0;     ///< not sent yet, or to be sent again
    std::uint64_t waiting_messages = 0;  ///< pieces of large ones that are under way count each
    std::uint64_t unacknowledged = 0;    ///< messages that were sent
    std::uint64_t credit_bytes = 0;      ///< that may still be sent; the system lane needs none
    std::uint64_t credit_messages = 0;
    std::uint64_t sent = 0;        ///< messages since the flow began
    std::uint64_t received = 0;    ///< the same, the other way
    std::uint64_t held_bytes = 0;  ///< received, and waiting for room in mailboxes here
    std::uint64_t held_messages = 0;
    std::uint64_t retransmitted = 0;      ///< messages that were sent again
    std::uint64_t stalls = 0;             ///< that there were, one that lasts included
    std::chrono::nanoseconds stalled{0};  ///< for how long; 0: it is not
    flow_wait waits_for = flow_wait::nothing;
};

/// The flow to a node and from it, however it is reached.
struct flow_info {
    std::string node;  ///< its name, or its id in hexadecimal
    std::uint64_t id = 0;
    std::string state;                         ///< "reached", "out of reach", "lost"
    std::chrono::nanoseconds out_of_reach{0};  ///< for how long
    std::array<flow_lane_info, 3> lanes;       ///< by coppice::lane
    [[nodiscard]] const flow_lane_info& at(coppice::lane l) const {
        return lanes[static_cast<std::size_t>(l)];
    }
};

/// Over which link a node is reached. Nodes without a route are reached over the parent's, if there is one.
struct route_info {
    std::string node;
    std::uint64_t id = 0;
    std::string over;  ///< name of the neighbour at the other end of the link
};

}  // namespace coppice
