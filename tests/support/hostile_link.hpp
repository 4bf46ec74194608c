// A transport whose other end is the test itself: what the node sends is looked at byte by byte, and what it receives is
// whatever the test makes up. For tests of hostile neighbours, in a world.
//
//     auto kind = std::make_shared<hostile_transport>();
//     register_transport(kind);                                    // before a node listens or connects to hostile://x
//     auto end = std::make_shared<wire_end>();
//     kind->accepted(std::make_unique<hostile_link>(end));         // a connection has come in
//     feed(*kind, end, bytes);                                     // then let the world run
//
// One thread: that of the world.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "coppice/transport.hpp"

namespace coppice::tests {

struct hostile_link;

// Of one connection; outlives the node's end of it.
struct wire_end {
    hostile_link* link = nullptr;
    std::vector<std::byte> to_node;
    std::vector<std::byte> from_node;
    bool reads = true;     // what the node writes
    bool starved = false;  // the node waits for room
    bool shares_memory = false;
    std::size_t most = 64 * 1024;
};

struct hostile_link final : byte_link {
    explicit hostile_link(std::shared_ptr<wire_end> w) : end{std::move(w)} { end->link = this; }
    ~hostile_link() override { end->link = nullptr; }
    hostile_link(const hostile_link&) = delete;
    hostile_link& operator=(const hostile_link&) = delete;
    void start(link_events& owner) override { events = &owner; }
    std::span<std::byte> reserve(std::size_t least) override {
        if (least > end->most) std::abort();
        if (!end->reads) {
            end->starved = true;
            return {};
        }
        room.resize(end->most);
        return room;
    }
    void commit(std::size_t size) override {
        if (size > room.size() || size % 8 != 0) std::abort();
        end->from_node.insert(end->from_node.end(), room.begin(),
                              room.begin() + static_cast<std::ptrdiff_t>(size));
    }
    void flush() override {}
    [[nodiscard]] std::size_t max_reserve() const noexcept override { return end->most; }
    [[nodiscard]] std::size_t unsent() const noexcept override { return 0; }
    void close() noexcept override { events = nullptr; }
    [[nodiscard]] const peer_identity& peer() const noexcept override { return identity; }
    [[nodiscard]] bool peer_can_write() const noexcept override { return end->shares_memory; }

    std::shared_ptr<wire_end> end;
    link_events* events = nullptr;
    peer_identity identity;
    std::vector<std::byte> room;
};

// hostile://: the node listens, or connects, to nobody but this program.
struct hostile_transport final : transport {
    [[nodiscard]] std::string_view scheme() const noexcept override { return "hostile"; }
    struct place final : listener {
        explicit place(endpoint at) : here{std::move(at)} {}
        [[nodiscard]] const endpoint& where() const noexcept override { return here; }
        endpoint here;
    };
    [[nodiscard]] result<std::unique_ptr<listener>> listen(reactor& on, const endpoint& where,
                                                           accepted_function f) const override {
        home = &on;
        accepted = std::move(f);
        return std::unique_ptr<listener>{std::make_unique<place>(where)};
    }
    struct trying final : attempt {
        explicit trying(const hostile_transport& t) : of{t} {}
        ~trying() override { of.connected = nullptr; }
        const hostile_transport& of;
    };
    [[nodiscard]] result<std::unique_ptr<attempt>> connect(reactor& on, const endpoint&,
                                                           connected_function done) const override {
        home = &on;
        connected = std::move(done);
        return std::unique_ptr<attempt>{std::make_unique<trying>(*this)};
    }
    mutable reactor* home = nullptr;
    mutable accepted_function accepted;
    mutable connected_function connected;
};

/// Lets the node receive what waits in to_node, and these.
inline void feed(const hostile_transport& kind, const std::shared_ptr<wire_end>& end,
                 std::span<const std::byte> more) {
    end->to_node.insert(end->to_node.end(), more.begin(), more.end());
    kind.home->post([e = end] {
        if (!e->link || !e->link->events) return;
        const std::size_t used = e->link->events->received(e->to_node);
        if (used > e->to_node.size()) std::abort();
        e->to_node.erase(e->to_node.begin(), e->to_node.begin() + static_cast<std::ptrdiff_t>(used));
    });
}
/// Reads again what the node writes.
inline void read_again(const hostile_transport& kind, const std::shared_ptr<wire_end>& end) {
    end->reads = true;
    if (!std::exchange(end->starved, false)) return;
    kind.home->post([e = end] {
        if (e->link && e->link->events) e->link->events->writable();
    });
}
/// Ends the connection.
inline void hang_up(const hostile_transport& kind, const std::shared_ptr<wire_end>& end) {
    kind.home->post([e = end] {
        if (e->link && e->link->events)
            std::exchange(e->link->events, nullptr)->closed(error{errc::closed, "it went away"});
    });
}

}  // namespace coppice::tests
