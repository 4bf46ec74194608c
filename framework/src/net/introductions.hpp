// What a node remembers to make shortcuts, links between two nodes that talk much through a relay:
//
//     A ──mail──► relay ──mail──► B      the relay counts, and tells B by `introduce`
//     A ◄──────── relay ◄──offer── B      a token, and where B listens
//     A ════════hello, token═══════► B     taken once, in time, from A only
//
// Counts, tokens and the pace of attempts, all bounded by limits::shortcut_*. It knows no links and no clock. Home thread.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "coppice/error.hpp"
#include "coppice/options.hpp"
#include "net/control.hpp"

namespace coppice::net {

class introductions {
public:
    /// As a relay: a frame of so many bytes was passed on to `destination`, the last node of its way. True once a window: so
    /// much was passed on between the two that they should be introduced.
    bool passed(node_id source, node_id destination, std::size_t bytes);

    /// Whether it is time for another offer to that node, or for following another one of it; if so it counts as done, and
    /// the next one waits longer.
    bool may_offer(node_id to, std::int64_t now) { return begin(offers_, to, limits::shortcut_retry, now); }
    // Half as long, so that what others offer at their pace is not too early here.
    bool may_follow(node_id of, std::int64_t now) {
        return begin(follows_, of, limits::shortcut_retry / 2, now);
    }
    /// It led to a shortcut: the next one, should that be needed, need not wait.
    void worked(node_id with) {
        offers_.erase(with);
        follows_.erase(with);
        expected_.erase(with);
    }

    /// A token by which that node may link to this one, until limits::shortcut_offer from now, in place of an earlier one.
    token expect(node_id node, std::int64_t now);
    /// Whether that node has been offered a shortcut that it has not used yet.
    [[nodiscard]] bool expects(node_id node) const noexcept { return expected_.contains(node); }
    [[nodiscard]] std::size_t expected() const noexcept { return expected_.size(); }
    /// Takes what a node shows in its hello. `denied` and why: nothing was offered to it, another token, too late.
    result<void> redeem(node_id node, const token& shown, std::int64_t now);

    /// Forgets what is over. Now and then.
    void sweep(std::int64_t now);

private:
    struct pair {
        node_id source = 0;
        node_id destination = 0;
        friend bool operator==(const pair&, const pair&) = default;
    };
    struct hash_of_pair {
        std::size_t operator()(const pair& p) const noexcept {
            return static_cast<std::size_t>(p.source * 0x9e3779b97f4a7c15ull ^ p.destination);
        }
    };
    struct count {
        std::uint64_t frames = 0;
        std::uint64_t bytes = 0;
        bool told = false;
    };
    struct pace {
        std::int64_t not_before = 0;
        std::int64_t wait = 0;
    };
    using paces = std::unordered_map<node_id, pace>;
    static bool begin(paces& all, node_id with, std::chrono::nanoseconds first, std::int64_t now);
    struct expectation {
        net::token token{};
        std::int64_t until = 0;
    };

    std::unordered_map<pair, count, hash_of_pair> counts_;  // of the present window
    pair last_pair_;                                        // mail comes in bursts
    count* last_ = nullptr;                                 // of that pair
    std::int64_t window_began_ = 0;
    paces offers_;
    paces follows_;
    std::unordered_map<node_id, expectation> expected_;
};

}  // namespace coppice::net
