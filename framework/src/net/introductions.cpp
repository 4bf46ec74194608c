// Counting, tokens and pace of shortcuts; see introductions.hpp.
// What is remembered of others is bounded: who is beyond the bound simply gets no shortcut. Home thread.
#include "net/introductions.hpp"

#include <algorithm>

namespace coppice::net {

bool introductions::passed(node_id source, node_id destination, std::size_t bytes) {
    const pair p{source, destination};
    if (!last_ || !(last_pair_ == p)) {
        auto at = counts_.find(p);
        if (at == counts_.end()) {
            if (counts_.size() >= limits::shortcut_pairs) return false;
            at = counts_.emplace(p, count{}).first;
        }
        last_pair_ = p;
        last_ = &at->second;  // of an unordered_map: it stays where it is
    }
    ++last_->frames;
    last_->bytes += bytes;
    if (last_->told || (last_->frames < limits::shortcut_frames && last_->bytes < limits::shortcut_bytes))
        return false;
    last_->told = true;
    return true;
}

bool introductions::begin(paces& all, node_id with, std::chrono::nanoseconds first, std::int64_t now) {
    if (!all.contains(with) && all.size() >= limits::shortcut_pairs) return false;
    pace& p = all[with];
    if (now < p.not_before) return false;
    p.wait = std::clamp(p.wait * 2, first.count(), limits::shortcut_longest_retry.count());
    p.not_before = now + p.wait;
    return true;
}

token introductions::expect(node_id node, std::int64_t now) {
    expectation& e = expected_[node];
    e = {make_token(), now + limits::shortcut_offer.count()};
    return e.token;
}

result<void> introductions::redeem(node_id node, const token& shown, std::int64_t now) {
    const auto found = expected_.find(node);
    if (found == expected_.end()) return error{errc::denied, "no shortcut was offered to this node"};
    if (found->second.until < now) {
        expected_.erase(found);
        return error{errc::denied, "the offer of a shortcut is too old"};
    }
    if (!same(found->second.token, shown))
        return error{errc::denied, "the token is not that of the shortcut that was offered"};
    expected_.erase(found);
    return {};
}

void introductions::sweep(std::int64_t now) {
    if (now - window_began_ >= limits::shortcut_window.count()) {
        window_began_ = now;
        last_ = nullptr;
        counts_.clear();
    }
    std::erase_if(expected_, [now](const auto& e) { return e.second.until < now; });
    // Long after the wait is over it is a new story.
    for (paces* all : {&offers_, &follows_})
        std::erase_if(*all, [now](const auto& p) { return p.second.not_before + p.second.wait < now; });
}

}  // namespace coppice::net
