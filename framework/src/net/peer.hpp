// What a router keeps of one other node, however it is reached: the flow both ways, who waits for its answers, who watches its
// actors. Home thread. Not a link: several peers share one, and a peer outlives its links.
#pragma once
#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "net/bulk.hpp"
#include "net/loans.hpp"
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

/// One lane of the flows between this node and another: out and in have numbers, credit and acknowledgements of their own,
/// and so have the lanes.
struct flow_lane {
    flow_lane(std::size_t queue, amount window, amount granted) : out{queue, granted}, in{window} {}

    outgoing out;
    incoming in;
    std::uint64_t gap_told = UINT64_MAX;  // the last number before a gap that was told
    bool owes_resume = false;
    bool asks_resume = false;
    bool held = false;  // the way has changed: nothing more before it is told what came over the old one
    std::int64_t last_progress = 0;   // of what was sent
    std::uint64_t retransmitted = 0;  // records
    // Of the last tick, router_watch.cpp.
    std::uint64_t seen_acknowledged = 0;
    std::int64_t moved_at = 0;       // when it made progress, or had nothing to do
    std::int64_t stalled_since = 0;  // 0: it is not
    std::uint64_t stalls = 0;

    std::deque<transfer> bulk;  // on its way into `out`
    std::size_t bulk_bytes = 0;
    std::unordered_map<std::uint64_t, std::uint32_t> bulk_pairs;
    assembly assembling;     // of the transfer that comes in
    amount assembling_held;  // of its records, what is not consumed yet

    [[nodiscard]] std::size_t bytes() const noexcept { return out.records().bytes() + bulk_bytes; }
    [[nodiscard]] std::size_t unsent_bytes() const noexcept {
        return out.records().unsent_bytes() + bulk_bytes;
    }
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
    std::uint32_t local_pid = 0;    // its process, if that is one of this machine's
    net::standing standing = 0;     // what it may do here
    bool acts_for_another = false;  // with the record that is being taken, whose mark `standing` is
    bool lost = false;
    bool in_ready = false;               // in neighbour::ready
    std::int64_t unreachable_since = 0;  // 0: there is a way
    std::int64_t last_heard = 0;         // of one behind relays
    std::int64_t last_probe = 0;
    std::uint32_t epoch_out = 1;
    std::uint32_t epoch_in = 0;

    // By lane.
    static constexpr amount window{limits::flow_window, limits::flow_window_records};
    static constexpr amount urgent_window{limits::flow_priority, limits::flow_priority_records};
    std::array<flow_lane, lane_count> lanes{flow_lane{limits::flow_queue, window, window},
                                            flow_lane{limits::flow_priority, urgent_window, urgent_window},
                                            flow_lane{limits::flow_queue, window, unlimited}};
    flow_lane& at(lane l) noexcept { return lanes[static_cast<std::size_t>(l)]; }
    [[nodiscard]] const flow_lane& at(lane l) const noexcept { return lanes[static_cast<std::size_t>(l)]; }
    std::size_t counted = 0;    // of the bytes of all lanes, in router::waiting_bytes_
    amount parked;              // mail that waits for room in mailboxes here; normal lane
    bool in_doubt = false;      // it has members of groups, and who leads there does not know it
    bool acknowledges = false;  // it is time to, whether much is owed or not

    std::unordered_map<std::uint32_t, pending_answer> pending;
    std::uint32_t last_number = 0;

    lent_blobs lent;  // read there, in this process's memory
    std::shared_ptr<borrowed_blobs>
        borrowed;  // read here, in that of its process; null if that is not mapped

    struct waiting_mail {
        address to;
        envelope* mail;
        std::uint64_t ticket;  // 0: cannot be taken back
        std::function<void(errc)> told;
    };
    std::deque<waiting_mail> waiting;  // send_wait: for room in the normal lane

    struct watched {
        actor_id watcher;  // here
        std::uint64_t monitor;
        actor_id target;  // there
    };
    std::vector<watched> watches;
    // The other way round: monitors that actors there have of actors here, limits::watches of them.
    using watch_number = std::pair<actor_id, std::uint64_t>;  // watcher, monitor
    std::map<watch_number, actor_id> watched_from;            // who is watched
    struct linked {
        actor_id here;
        actor_id there;
    };
    std::vector<linked> links;

    /// Whether anybody here would want to know that the node is gone.
    [[nodiscard]] bool of_interest() const noexcept {
        return in_doubt || !watches.empty() || !links.empty() || !pending.empty() || !waiting.empty() ||
               !all_out();
    }
    /// Nothing waits to be sent or acknowledged.
    [[nodiscard]] bool all_out() const noexcept {
        return lanes[0].out.is_empty() && lanes[1].out.is_empty() && lanes[2].out.is_empty();
    }
};

}  // namespace coppice::net
