// A neighbour: one link and who is at its other end. Handshake, frames, signs of life, and the queue of what is only passed on.
// Home thread of its router; it knows no flows and no actors.
//
//     greeting ──hello──► proving ──proof──► waiting ──welcome──► up ──► closed
//
// Until it is up, at most limits::handshake_bytes are read, within limits::handshake_deadline.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "coppice/transport.hpp"
#include "net/control.hpp"
#include "net/frame.hpp"
#include "net/router.hpp"
#include "net/stuck_reports.hpp"

namespace coppice::net {

class neighbour final : public link_events {
public:
    enum class state : std::uint8_t { greeting, proving, waiting, up, closed };

    neighbour(router& r, std::unique_ptr<byte_link> link, bool connector, role as, const void* dialer,
              neighbour_trust known_by);
    ~neighbour() override;
    void start();
    /// Ends the link. Its router lets go of it later.
    void close(error why);
    /// Says why the link is not to be, and ends it.
    void refuse(errc code, std::string text);
    void send_control(const control& message);
    /// A ping or pong is due, and goes first.
    void send_sign(frame_kind kind);
    /// Logs whether it says that it is stuck, unless that was said a moment ago. Now and then.
    void tell_stuck();
    /// Its bytes. It says how many schedulers of this node are stuck.
    [[nodiscard]] std::vector<std::byte> sign(frame_kind kind) const;
    [[nodiscard]] const char* state_name() const noexcept;
    /// Queues a frame; one that is larger than the link takes at once, in pieces.
    void queue_frame(frame_header h, const frame_route* route, std::span<const std::byte> body);
    /// Queues a frame on its way to another node. False if the queue is full.
    bool pass_on(const parsed_frame& f, standing of_source);

    [[nodiscard]] bool has_frames() const noexcept { return !urgent_frames.empty() || !frames.empty(); }
    [[nodiscard]] bool is_up() const noexcept { return state_ == state::up; }
    [[nodiscard]] bool is_closed() const noexcept { return state_ == state::closed; }

    // ---- link_events
    std::size_t received(std::span<const std::byte> bytes) override;
    [[nodiscard]] std::size_t appetite() const noexcept override;
    void writable() override;
    void closed(error why) override;

    router& owner;
    std::unique_ptr<byte_link> link;
    const bool connector;
    role as;  // what the neighbour is to this node
    const void* dialer;
    node_id node = 0;
    std::string name;
    std::vector<node_id> ancestors;
    std::string machine;  // of hello: equal on one machine
    std::uint32_t pid = 0;
    net::standing standing = 0;  // what it may, and what is below it
    node_id awaited = 0;         // of a shortcut that this node dials: who must be there
    net::token token{};          // and what to show there
    std::string seen_as;         // this node's address, as the other side sees it
    std::uint64_t mail = 0;  // of a shortcut: what has passed, and when that was last looked at and was less
    std::int64_t mail_at = 0;
    std::int64_t since = 0;  // connected
    std::int64_t last_heard = 0;
    std::int64_t last_said = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t frames_in = 0;
    std::uint64_t frames_out = 0;
    std::uint32_t stuck = 0;  // of its schedulers, as it says
    stuck_reports said_stuck;
    bool farewell = false;  // the other node ends
    bool blocked = false;   // reserve() gave nothing: writable() follows
    bool dirty = false;     // in router::dirty_
    bool pinged = false;
    bool owes_ping = false;  // one at a time: who does not read is not asked again and again
    bool owes_pong = false;
    bool sealed = false;     // what goes out has checksums of all
    peer* itself = nullptr;  // the node at the other end, once it is up
    // Control frames and what is passed on, complete. The first queue goes first, but not between the pieces of a frame. What is
    // urgent passes no control frame (it may come from a node that the control frame makes known), and nothing urgent.
    std::deque<std::vector<std::byte>> urgent_frames;
    std::deque<std::vector<std::byte>> frames;
    std::size_t not_to_be_passed = 0;                         // control and urgent frames in the second one
    std::deque<std::vector<std::byte>>* in_pieces = nullptr;  // the one whose frame is under way in pieces
    std::size_t frame_bytes_waiting = 0;
    std::vector<peer*> ready;  // peers behind this link that have something to send

    /// Whether both sides prove that they know a secret.
    [[nodiscard]] bool has_secret() const noexcept { return trust_.of_a_child || !trust_.secret.empty(); }
    [[nodiscard]] bool came_to_children() const noexcept { return trust_.of_a_child; }
    /// Whether its name is on no list of those that may link, because it has shown otherwise that it may.
    [[nodiscard]] bool any_name_will_do() const noexcept { return trust_.of_a_child || trust_.of_own_user; }

    /// A copy of bytes that the peer might change. Valid until the next call.
    std::span<const std::byte> copy_of(std::span<const std::byte> shared);

private:
    std::size_t take_in(std::span<const std::byte> bytes);
    std::size_t take_frames(std::span<const std::byte> bytes, bool shared);
    bool take(const parsed_frame& f);
    void take_control(std::span<const std::byte> body);
    void take_sign(std::span<const std::byte> body);
    void take_hello(hello h, std::span<const std::byte> bytes);
    void welcome_them();
    void come_up();

    state state_ = state::greeting;
    neighbour_trust trust_;
    nonce challenge_;
    std::vector<std::byte> my_hello_;
    std::vector<std::byte> their_hello_;
    bool welcomed_ = false;  // they have accepted
    std::size_t before_up_ = 0;
    std::uint64_t recent_frames_ = 0;
    std::uint64_t recent_bytes_ = 0;  // that they had
    std::vector<std::byte> scratch_;
    std::vector<std::byte> piece_;
    std::unique_ptr<pending_timer> handshake_;
};

}  // namespace coppice::net
