// Names, dead letters: what all schedulers of a node share, behind mutexes, off the hot paths.
// Any thread. Entries of names are type-stable: refs point to them without counting references.
#include "node_core.hpp"

#include <algorithm>
#include <deque>

#include <fmt/format.h>

#include "cell_ext.hpp"
#include "net/router.hpp"
#include "process/keeper.hpp"

namespace coppice::detail {

node_core::node_core() = default;
node_core::~node_core() = default;

// ---------------------------------------------------------------- names

bool valid_name(std::string_view name) noexcept {
    if (name.empty() || name.size() > limits::name_bytes || name == "." || name == "..") return false;
    return std::none_of(name.begin(), name.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '/' || c == ':' || c == '?' ||
               c == '#' || c == '$';
    });
}

bool valid_node_name(std::string_view name) noexcept {
    if (name.size() > limits::name_bytes) return false;
    for (;;) {
        const auto cut = name.find('/');
        if (!valid_name(name.substr(0, cut))) return false;
        if (cut == std::string_view::npos) return true;
        name.remove_prefix(cut + 1);
    }
}

bool is_path_of(std::string_view path, std::string_view node_name) noexcept {
    return path.size() > node_name.size() && path.front() == '/' &&
           path.substr(1, node_name.size()) == node_name &&
           (path.size() == node_name.size() + 1 || path[node_name.size() + 1] == '/');
}

namespace {

// All entries of the process, for as long as it lives: refs may point to them.
struct all_names {
    std::mutex mutex;  // also: paths of entries that nobody owns
    std::deque<name_entry> entries;
    std::vector<name_entry*> unused;
};
all_names& every_name() {
    static auto* const all = new all_names;
    return *all;
}

constexpr std::uint16_t last_generation = 0xffff;

name_entry* take_entry(std::string path) {
    all_names& all = every_name();
    const std::lock_guard lock{all.mutex};
    name_entry* e = nullptr;
    if (all.unused.empty()) {
        e = &all.entries.emplace_back();
    } else {
        e = all.unused.back();
        all.unused.pop_back();
    }
    e->path = std::move(path);
    return e;
}

// Refs of its present use find nobody from now on.
void give_entry_back(name_entry* e) {
    all_names& all = every_name();
    const std::lock_guard lock{all.mutex};
    e->generation.fetch_add(1, std::memory_order_release);
    e->current.store(0, std::memory_order_release);
    e->owned = false;
    e->queued = 0;
    if (e->generation.load(std::memory_order_relaxed) != last_generation) all.unused.push_back(e);
}

}  // namespace

result<name_entry*> registry::claim(std::string path, actor_id id) {
    const std::lock_guard lock{mutex_};
    auto [at, made] = names_.try_emplace(path, nullptr);
    if (!made && at->second->owned) return error{errc::name_taken, path};
    if (made) at->second = take_entry(std::move(path));
    at->second->owned = true;
    at->second->current.store(id, std::memory_order_release);
    return at->second;
}

// Gives up the name, if that actor still has it: one that was left behind may come back late. The entry stays for a while, so that refs by that name find a successor.
void registry::release(name_entry* entry, actor_id owner) noexcept {
    const std::lock_guard lock{mutex_};
    if (!entry->owned || entry->current.load(std::memory_order_relaxed) != owner) return;
    entry->current.store(0, std::memory_order_release);
    entry->owned = false;
    ++entry->queued;
    released_.push_back(entry);
    while (released_.size() > limits::released_names) {
        name_entry* oldest = released_.front();
        released_.pop_front();
        if (--oldest->queued > 0 || oldest->owned) continue;
        names_.erase(oldest->path);
        give_entry_back(oldest);
    }
}

registry::~registry() {
    for (auto& [path, entry] : names_) give_entry_back(entry);
}

address registry::find(std::string_view path) const {
    const std::lock_guard lock{mutex_};
    const auto at = names_.find(path);
    if (at == names_.end()) return {};
    const actor_id id = at->second->current.load();
    return id ? address{id, at->second} : address{};
}

std::vector<std::pair<std::string, actor_id>> registry::all() const {
    const std::lock_guard lock{mutex_};
    std::vector<std::pair<std::string, actor_id>> list;
    for (const auto& [path, entry] : names_)
        if (const actor_id id = entry->current.load(std::memory_order_acquire)) list.emplace_back(path, id);
    return list;
}

std::string registry::path_of(actor_id id) const {
    const std::lock_guard lock{mutex_};
    for (const auto& [path, entry] : names_)
        if (entry->current.load(std::memory_order_acquire) == id) return path;
    return {};
}

namespace {

// With room for `more` bytes behind it: a path is allocated once.
void append_path(std::string& path, const cell* c, std::size_t more) {
    if (c->name) {
        path.reserve(c->name->path.size() + more);
        path += c->name->path;
        return;
    }
    const actor_id id = c->self_id();
    const fmt::format_int slot{slot_of(id)};
    const fmt::format_int generation{generation_of(id)};
    const std::size_t own = 3 + slot.size() + generation.size();
    if (c->parent) append_path(path, c->parent, more + own);
    path.append("/$").append(slot.data(), slot.size());
    path.append(".").append(generation.data(), generation.size());
}

}  // namespace

std::string path_of(const cell* c) {
    std::string path;
    append_path(path, c, 0);
    return path;
}

address address::pinned() const noexcept {
    const actor_id now = current();
    const actor_id id = now ? now : id_;
    const scheduler* there =
        id ? scheduler::table[scheduler_of(id)].load(std::memory_order_acquire) : nullptr;
    const cell* c = there ? const_cast<scheduler*>(there)->peek(id) : nullptr;
    if (incarnation() || is_remote()) return *this;
    const bool lives = c && c->published_id.load(std::memory_order_relaxed) == id;
    return address{id, lives ? c->incarnation.load(std::memory_order_relaxed) : ~0u};
}

std::string address::to_string() const {
    if (is_remote()) return net::router::to_string(*this);
    if (const name_entry* entry = name()) {
        const std::lock_guard lock{every_name().mutex};
        if (entry->generation.load(std::memory_order_relaxed) == tag_ >> 48) return entry->path;
    }
    if (id_ == 0) return "nobody";
    // The name is read where it may be: on the actor's own scheduler, where a path is known for nameless ones as well.
    if (scheduler* here = scheduler::current(); here && here->index == scheduler_of(id_))
        if (const cell* c = here->find(id_)) return path_of(c);
    if (scheduler* there = scheduler::table[scheduler_of(id_)].load(std::memory_order_acquire))
        for (const auto& [path, id] : there->node->names.all())
            if (id == id_) return path;
    return "#" + std::to_string(scheduler_of(id_)) + "." + std::to_string(slot_of(id_)) + "." +
           std::to_string(generation_of(id_));
}

// ---------------------------------------------------------------- dead letters

void node_core::bury(const envelope* e, errc why, std::string_view target_path) noexcept {
    const std::lock_guard lock{dead_mutex};
    ++dead_total;
    ++dead_counts[static_cast<std::size_t>(why)];
    // A flood of them must not cost more than the mail itself: the full record is kept for the first ones of a burst and
    // for every 64th after that.
    if (dead_total > limits::dead_letters_kept && dead_total % 64 != 0) return;
    try {
        dead_letter letter{std::string{e->type->name}, std::string{target_path}, {}, why};
        if (letter.target.empty()) letter.target = "#" + std::to_string(e->target);
        letter.sender = e->sender ? "#" + std::to_string(e->sender) : "outside";
        if (scheduler* here = scheduler::current(); here && here->index == scheduler_of(e->sender))
            if (const cell* c = here->find(e->sender)) letter.sender = path_of(c);
        if (dead_recent.size() == limits::dead_letters_kept) dead_recent.pop_front();
        dead_recent.push_back(std::move(letter));
    } catch (const std::bad_alloc&) {
        return;  // counted, if not described
    }
}

// Invariant: a lookup that waits for this name is answered. It says that it waits and then looks; here the name is given and
// then who waits is looked for. All four are sequentially consistent, so that one of the two sees the other.
void node_core::named(name_entry* entry, actor_id id) noexcept {
    names.move(entry, id);
    if (!lookups_wait.load() || !lookups_wait.exchange(false)) return;
    post_control(index_list.front()->index, [](scheduler& home) { home.node->net->answer_held_lookups(); });
}

void node_core::bury_counted(errc why) noexcept {
    const std::lock_guard lock{dead_mutex};
    ++dead_total;
    ++dead_counts[static_cast<std::size_t>(why)];
}

void node_core::bury_named(errc why, std::string message) noexcept {
    bury_counted(why);
    const std::lock_guard lock{dead_mutex};
    if (dead_total > limits::dead_letters_kept && dead_total % 64 != 0) return;
    if (dead_recent.size() == limits::dead_letters_kept) dead_recent.pop_front();
    dead_recent.push_back(dead_letter{std::move(message), {}, {}, why});
}

std::uint32_t node_core::least_loaded() const noexcept {
    scheduler* best = nullptr;
    const scheduler* here = scheduler::current();
    // A proxy is no load. Of its own this thread knows; of others what they published last, and what was placed since.
    const auto weight = [&](const scheduler* s) {
        if (s == here) return s->live - s->proxies;
        return s->live_published.load(std::memory_order_relaxed) + s->placed.load(std::memory_order_relaxed);
    };
    for (scheduler* s : index_list)
        if (!best || weight(s) < weight(best)) best = s;
    if (best != here) best->placed.fetch_add(1, std::memory_order_relaxed);
    return best->index;
}

}  // namespace coppice::detail
