// What the observer knows of a tree: a row an actor, as JSON, and what is different in it since the last look. Plain data
// without I/O; the observer's thread alone. It asks nobody, and knows no gateway.
//
//   descriptions of all nodes ─► look(): rows of buckets ─► whole(n), change(n) for each bucket that is different
//
// Rows are spread over buckets by a hash of their paths. A bucket is one state of the port: whoever comes gets all of them, who
// is there the rows that are different, and who is behind one bucket whole, not all. So a change of one actor among ten thousand
// costs the making of a hundredth of the text, and nothing for who is there but its row.
#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "coppice/control_actor.hpp"
#include "observer_answers.hpp"
#include "observer_latency.hpp"

namespace coppice::actors::observing {

/// What all nodes of a tree said, the root's first, and which did not.
struct tree_seen {
    std::vector<node_description> nodes;
    std::vector<std::chrono::nanoseconds> took;               ///< of each of these, for its answer
    std::vector<std::pair<std::string, std::string>> silent;  ///< path, why
};
/// Whether a node that does not answer is there, or above.
[[nodiscard]] bool is_below_silent(const tree_seen& seen, std::string_view path);

/// Parts that a tree's rows are sent in. A hundred actors each make a state of 20 kB at ten thousand.
inline constexpr std::size_t buckets = 64;
/// Links and monitors that are listed of one actor: some supervise thousands.
inline constexpr std::size_t most_related = 16;
/// Dead letters of the whole tree that are listed: as many as one node keeps.
inline constexpr std::size_t most_dead_letters = 256;

/// What has been counted of a node since the observer sees it. Of actors that have ended, too: it never falls while the node
/// is there.
struct node_totals {
    std::uint64_t received = 0;
    std::uint64_t restarts = 0;
};

/// Restarts of an actor since the last look.
struct restart_seen {
    std::string path;
    std::uint32_t times = 0;
    std::uint32_t in_all = 0;
};

class tree_rows {
public:
    explicit tree_rows(std::size_t most) : most_{most} {}

    /// Begins a look.
    void begin(const tree_seen& seen);
    /// Takes up to `count` more of the actors; false once all have been taken. So others on the thread come between.
    bool take(const tree_seen& seen, std::size_t count);
    /// Ends a look: what was not there has gone, but for what is below a node that is silent.
    void end(const tree_seen& seen);

    /// Whether a bucket is different from what whole() and change() gave when it was told last.
    [[nodiscard]] bool is_different(std::size_t bucket) const {
        return !buckets_[bucket].changed.empty() || !buckets_[bucket].gone.empty() || !buckets_[bucket].told;
    }
    [[nodiscard]] std::string whole(std::size_t bucket) const;
    /// Empty if the whole is not much longer.
    [[nodiscard]] std::string change(std::size_t bucket) const;
    void told(std::size_t bucket);

    [[nodiscard]] std::size_t shown() const noexcept { return rows_.size(); }
    [[nodiscard]] std::size_t hidden() const noexcept { return hidden_; }
    [[nodiscard]] const std::map<std::string, node_totals>& totals() const noexcept { return totals_; }
    /// Of this look; of the observer's first one none, because nobody knows when they were.
    [[nodiscard]] const std::vector<restart_seen>& restarts() const noexcept { return restarts_; }

private:
    struct row {
        std::string json;
        std::string carrier;
        std::uint64_t seen_in = 0;  // the look
        std::uint64_t parent_seen_in = 0;
        std::uint64_t received = 0;
        std::uint64_t rate = 0;
        std::uint32_t restarts = 0;
        bool is_changed = false;
    };
    using row_map = std::unordered_map<std::string, row>;
    struct bucket {
        std::vector<const row_map::value_type*> rows;
        std::vector<const row_map::value_type*> changed;
        std::vector<std::string> gone;
        bool told = false;
    };
    struct look_of_node {
        std::uint32_t pid = 0;
        std::chrono::nanoseconds at{0};
    };

    void take_one(const node_description& node, const actor_info& a);
    void count(row& r, const node_description& node, const actor_info& a);
    [[nodiscard]] std::string json_of(const row& r, const node_description& node, const actor_info& a) const;
    [[nodiscard]] static std::size_t bucket_of(const std::string& path) {
        return std::hash<std::string>{}(path) % buckets;
    }

    std::size_t most_;
    std::uint64_t look_ = 0;
    std::size_t hidden_ = 0;
    std::size_t next_node_ = 0;
    std::size_t next_actor_ = 0;
    row_map rows_;  // its nodes stay where they are
    std::array<bucket, buckets> buckets_;
    std::map<std::string, look_of_node> last_looks_;
    std::map<std::string, node_totals> totals_;
    std::vector<restart_seen> restarts_;
    std::map<std::string, double> seconds_;     // since the last look, by node; 0: there was none
    std::map<std::string, std::string> hosts_;  // agents of processes, by path
    std::set<std::string> own_nodes_;           // paths of actors that have described themselves
};

/// The topics beside the rows, whole.
std::string nodes_json(const tree_seen& seen, const tree_rows& rows, const all_answer_times& answers,
                       const all_latencies& latencies);
std::string dead_letters_json(const tree_seen& seen);

}  // namespace coppice::actors::observing
