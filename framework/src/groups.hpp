// Groups: who of the tree is in which, as this node knows. Its own actors' memberships are told to the other nodes by the router, which
// brings theirs; an actor may watch a group, and is told who joins and leaves.
// The table is behind a mutex, off the hot paths: who publishes takes a list that is never changed. What tells of a change runs on
// the scheduler where it is made.
//
// Invariant: a watcher's list (what it was told first, and each change since) is the table's. It is told what is there under the lock
// under which it becomes a watcher, before anything else can reach its mailbox; a member's changes are told by the scheduler that
// makes them, in their order.
#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coppice/detail/scheduler.hpp"

namespace coppice::detail {

/// The group of the actors that watch flows. Not a name that an actor could give.
inline constexpr std::string_view flow_watchers = "$flows";

class groups {
public:
    using members = std::vector<address>;
    using list = std::shared_ptr<const members>;

    /// What became of a change, and who watches the group.
    struct change {
        members made;  // whom it concerns; who was in the group already is not
        list watchers;
    };
    change join(std::string_view group, std::span<const address> who);
    change leave(std::string_view group, std::span<const address> who);
    /// Null: nobody is in it.
    [[nodiscard]] list snapshot(std::string_view group) const;
    /// Those that programs name, and how many are in each.
    [[nodiscard]] std::vector<std::pair<std::string, std::size_t>> all() const;
    /// Of this node's own actors, in the groups that programs name.
    [[nodiscard]] std::vector<std::pair<std::string, actor_id>> own() const;
    /// In which of those an actor of this node is.
    [[nodiscard]] std::vector<std::string> of(actor_id own) const;
    /// False: it watches already.
    bool watch(std::string_view group, const address& who, list& there);

private:
    list watchers_of(std::string_view group) const;
    list& place_of(std::string_view group);
    static bool add(list& to, std::span<const address> who, members& made);

    mutable std::mutex mutex_;
    std::map<std::string, list, std::less<>> groups_;
    bool has_watchers_ = false;
};

/// In which the watchers of a group are, as groups have hidden ones too. Not a name that an actor could give.
std::string watchers_group(std::string_view group);

/// Tells those who watch the group, and of an actor of this node the other nodes. On that scheduler's thread.
/// False: it was in it, or not, before.
bool join_group(scheduler& here, std::string_view group, const address& who);
bool leave_group(scheduler& here, std::string_view group, const address& who);
/// What the router brings, at once: many actors of another node.
void change_group(scheduler& here, std::string_view group, std::span<const address> joined,
                  std::span<const address> left);

}  // namespace coppice::detail
