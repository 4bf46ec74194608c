// What the schedulers of one node share: names, groups, dead letters, log, clock, random numbers, offload threads, links
// to other nodes. Everything here may be used by any thread unless it says otherwise.
#pragma once
#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "coppice/detail/scheduler.hpp"
#include "coppice/inspect.hpp"
#include "coppice/log.hpp"
#include "coppice/node.hpp"
#include "coppice/transport.hpp"
#include "groups.hpp"
#include "log_queue.hpp"
#include "turn_meter.hpp"

namespace spdlog {
class logger;
}

namespace coppice::net {
class router;
}

namespace coppice::detail {

class process_runner;  // process/keeper.hpp

class registry {
public:
    registry() = default;
    registry(const registry&) = delete;
    registry& operator=(const registry&) = delete;
    ~registry();
    /// Takes a path for an actor, or says name_taken.
    result<name_entry*> claim(std::string path, actor_id id);
    /// Sequentially consistent, as find() is: who finds nothing, and has said before that it waits, is seen by who moves.
    void move(name_entry* entry, actor_id id) noexcept { entry->current.store(id); }
    /// `owner`: the actor, or 0 for a name that was claimed for one that did not come to be.
    void release(name_entry* entry, actor_id owner) noexcept;
    [[nodiscard]] address find(std::string_view path) const;
    [[nodiscard]] std::vector<std::pair<std::string, actor_id>> all() const;
    /// Empty: it has no name. Looks at all of them.
    [[nodiscard]] std::string path_of(actor_id id) const;

private:
    mutable std::mutex mutex_;
    std::map<std::string, name_entry*, std::less<>> names_;
    std::deque<name_entry*> released_;  // oldest first; one that has been claimed again is passed over
};

/// Threads for blocking work. The test world has none: it runs jobs as steps of its own.
struct offloader {
    virtual ~offloader() = default;
    virtual bool submit(std::function<void()> job) = 0;
};

struct node_core {
    node_core();
    ~node_core();
    std::string name;
    node_options options;
    std::function<std::int64_t()> clock;
    std::atomic<std::uint64_t> random_state{0};
    registry names;
    groups group_table;
    std::unique_ptr<offloader> workers;
    std::vector<scheduler*> index_list;  // the shared schedulers, by number; constant while the node runs
    std::vector<std::unique_ptr<scheduler>> schedulers;       // those that the node itself keeps
    std::function<std::vector<scheduler*>()> all_schedulers;  // with those of threads of their own
    std::shared_ptr<spdlog::logger> sink;
    std::atomic<bool> stopping{false};
    std::atomic<std::uint64_t> next_monitor{0};
    std::atomic<actor_id> root{0};
    std::function<void(exit_reason)> on_root_end;  // called once, on the root's scheduler
    std::function<void(std::string)> on_abandoned;
    // At most so many blocks of the pool are held by others than actors, and on purpose.
    std::function<std::size_t()> held_elsewhere;

    // Gives a scheduler with a thread of its own, or the error; and takes it back once its actor has ended.
    struct thread_request {
        std::string name;
        coppice::priority priority;
    };
    std::function<result<scheduler*>(const thread_request&)> new_thread;
    std::function<void(scheduler*)> thread_done;
    live_latency own_threads;  // of all of them together, also of those that have ended

    // ---- log levels by subtree (log.cpp)
    std::atomic<std::uint32_t> level_version{1};
    std::atomic<std::uint8_t> lowest_level{2};
    mutable std::shared_mutex level_mutex;
    std::map<std::string, level, std::less<>> levels;
    void set_level(std::string subtree, level l);
    level level_at(std::string_view path) const;
    /// `pid`: of the process that it comes from; 0: this one.
    void write_log(level l, std::string_view path, std::string_view text, std::uint32_t pid = 0) noexcept;
    /// In the node of a process child: takes the records, for its parent. Set before the node starts. Any thread.
    std::function<void(level, std::string_view path, std::string_view text, std::uint32_t pid)> log_upward;
    /// False if no subtree logs at that level: then the text need not even be made.
    [[nodiscard]] bool may_log(level l) const noexcept {
        return static_cast<std::uint8_t>(l) >= lowest_level.load(std::memory_order_relaxed);
    }
    void log(level l, std::string_view path, std::string text) noexcept {
        if (may_log(l) && l >= level_at(path)) write_log(l, path, text);
    }

    log_queue followed_log;  // for those who follow it from afar

    // ---- dead letters
    mutable std::mutex dead_mutex;
    std::deque<dead_letter> dead_recent;
    std::array<std::uint64_t, 32> dead_counts{};
    std::uint64_t dead_total = 0;
    void bury(const envelope* e, errc why, std::string_view target_path) noexcept;
    /// Mail that is no envelope here, or not any more: told by what is known of it, or only counted.
    void bury_named(errc why, std::string message) noexcept;
    void bury_counted(errc why) noexcept;

    // ---- process children: what runs them; set before the tree starts
    std::unique_ptr<process_runner> processes;
    std::atomic<std::int64_t> paused_at{0};  // when it was last found that this process did not run

    // ---- other nodes
    std::atomic<bool> has_processes{false};  // it has had process children: paths below them are other nodes'
    address parent_of_root;                  // of the node of a process child; set before its root starts
    std::uint32_t incarnation_of_root =
        1;  // of the node of a process child: one more with every restart there
    // Of the same: told where it listens for children. Home.
    std::function<void(const std::string& endpoint)> on_place_for_children;
    std::string parent_secret;  // of the node of a process child: what its parent knows it by
    net::router* net =
        nullptr;  // set on the first scheduler before there is a remote ref; read there, and by its holders
    std::function<net::router*()> open_network;  // makes one; on the first scheduler
    // Until the tree has started, or could not: what another node looks up and is not there may yet come. Home.
    bool is_starting = true;
    std::atomic<bool> lookups_wait{false};  // some do
    /// An actor is there under that name, to be found by others. Any thread.
    void named(name_entry* entry, actor_id id) noexcept;

    // ---- links to other nodes in this process
    std::map<const node_core*, std::shared_ptr<message_link>>
        links;  // set up before the nodes run; test world only

    [[nodiscard]] std::uint64_t random() noexcept {
        // splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014)
        std::uint64_t z =
            random_state.fetch_add(0x9e3779b97f4a7c15ull, std::memory_order_relaxed) + 0x9e3779b97f4a7c15ull;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }
    [[nodiscard]] std::uint32_t least_loaded() const noexcept;
};

std::string path_of(const cell* c);
result<address> find_in(node_core& node, std::string_view path, const protocol_info* wanted);
/// True for a path of another node, or an endpoint.
bool leads_elsewhere(const node_core& node, std::string_view path) noexcept;
/// Finds an actor of another node. Any thread; `answer` is called on the first scheduler, once, unless the node ends before.
void find_far(node_core& node, std::string path, const protocol_info* wanted,
              std::function<void(result<address>)> answer);
bool valid_name(std::string_view name) noexcept;
/// A name, or several with '/' between them: that of the node of a process child is its path.
bool valid_node_name(std::string_view name) noexcept;
/// Whether a path is that of the node's root, or of an actor below it.
bool is_path_of(std::string_view path, std::string_view node_name) noexcept;

}  // namespace coppice::detail
