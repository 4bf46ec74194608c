// What a router keeps of one other node, however it is reached: the flow both ways, who waits for its answers, who watches its
// actors. Home thread. Not a link: several peers share one, and a peer outlives its links.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/router.hpp"

namespace coppice::net {

/// An ask that waits for its answer from afar.
struct pending_answer {
    actor_id asker = 0;
    std::uint32_t correlation = 0;
    const detail::message_type* type = nullptr;  // of the answer
    std::int64_t deadline = 0;
    bool passed_on = false;  // the asker is on a third node, which `where` tells
    detail::origin where{};
};

/// A message that is larger than a fragment, or behind one from the same sender to the same receiver.
struct transfer {
    explicit transfer(std::size_t whole)
        : bytes{std::make_shared_for_overwrite<std::byte[]>(whole)}, size{whole} {}
    std::shared_ptr<std::byte[]>
        bytes;  // a whole record: envelope and payload; its pieces in the flow share it
    std::size_t size;
    std::size_t done = 0;
    std::uint64_t pair = 0;
};

struct peer {
    peer(node_id node, std::uint32_t at, face* f) : id{node}, index{at}, seen{f} {}
    ~peer() {
        for (auto& w : waiting)
            if (w.mail) detail::release(w.mail);
    }
    peer(const peer&) = delete;
    peer& operator=(const peer&) = delete;

    const node_id id;
    const std::uint32_t index;  // in the node table
    face* const seen;
    std::string name;
    std::uint32_t local_pid = 0;  // its process, if that is one of this machine's
    bool lost = false;
    bool in_ready = false;               // in neighbour::ready
    std::int64_t unreachable_since = 0;  // 0: there is a way
    std::int64_t last_progress = 0;      // of what was sent
    std::int64_t last_heard = 0;         // of one behind relays
    std::int64_t last_probe = 0;
    std::uint32_t epoch_out = 1;
    std::uint32_t epoch_in = 0;

    outgoing data{limits::flow_queue, limits::flow_window};
    outgoing system{limits::flow_queue, UINT64_MAX};
    incoming in_data{limits::flow_window};
    incoming in_system{limits::flow_window};
    std::uint64_t gap_told[2] = {UINT64_MAX,
                                 UINT64_MAX};  // by lane: the last number before a gap that was told
    bool owes_resume[2] = {false, false};
    bool asks_resume[2] = {false, false};

    std::unordered_map<std::uint32_t, pending_answer> pending;
    std::uint32_t last_number = 0;

    std::deque<transfer> bulk;
    std::size_t bulk_bytes = 0;
    std::size_t counted = 0;  // of its bytes, in router::waiting_bytes_
    std::unordered_map<std::uint64_t, std::uint32_t> bulk_pairs;
    std::vector<std::byte> assembling;  // of the transfer that comes in
    std::uint64_t parked = 0;           // bytes of mail that waits for room in mailboxes here

    struct waiting_mail {
        address to;
        envelope* mail;
        std::uint64_t ticket;  // 0: cannot be taken back
        std::function<void(errc)> told;
    };
    std::deque<waiting_mail> waiting;  // send_wait: for room in the flow

    struct watched {
        actor_id watcher;  // here
        std::uint64_t monitor;
        actor_id target;  // there
    };
    std::vector<watched> watches;
    struct linked {
        actor_id here;
        actor_id there;
    };
    std::vector<linked> links;

    /// Whether anybody here would want to know that the node is gone.
    [[nodiscard]] bool of_interest() const noexcept {
        return !watches.empty() || !links.empty() || !pending.empty() || !waiting.empty() ||
               !data.is_empty() || !system.is_empty();
    }

    outgoing& out(bool system_lane) noexcept { return system_lane ? system : data; }
    incoming& in(bool system_lane) noexcept { return system_lane ? in_system : in_data; }
};

}  // namespace coppice::net
