// See node_table.hpp. Ids stand in chunks that are made once and never moved, so that they are read without a lock;
// what maps back to an index, and the names, are under the table's mutex.
#include "net/node_table.hpp"

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace coppice::net {

namespace {

struct table_of_nodes {
    std::mutex mutex;
    std::unordered_map<node_id, std::uint32_t> by_id;
    std::unordered_map<std::uint32_t, std::string> names;
    std::unique_ptr<std::atomic<std::atomic<node_id>*>[]> chunks{
        new std::atomic<std::atomic<node_id>*>[1024]{}};
    std::uint32_t last = 0;  // 0 is nobody's
};

table_of_nodes& nodes() {
    static auto& all = *new table_of_nodes;  // never destroyed: a node may be static
    return all;
}

}  // namespace

std::uint32_t node_table::index_of(node_id id) {
    table_of_nodes& t = nodes();
    const std::lock_guard lock{t.mutex};
    const auto found = t.by_id.find(id);
    if (found != t.by_id.end()) return found->second;
    if (t.last + 1 >= most) return 0;
    const std::uint32_t index = ++t.last;
    auto& chunk = t.chunks[index / 1024];
    if (!chunk.load(std::memory_order_relaxed))
        chunk.store(new std::atomic<node_id>[1024]{}, std::memory_order_release);
    chunk.load(std::memory_order_relaxed)[index % 1024].store(id, std::memory_order_release);
    t.by_id.emplace(id, index);
    return index;
}

node_id node_table::id_of(std::uint32_t index) noexcept {
    if (index >= most) return 0;
    const auto* chunk = nodes().chunks[index / 1024].load(std::memory_order_acquire);
    return chunk ? chunk[index % 1024].load(std::memory_order_acquire) : 0;
}

void node_table::set_name(node_id id, std::string_view name) {
    const std::uint32_t index = index_of(id);
    table_of_nodes& t = nodes();
    const std::lock_guard lock{t.mutex};
    if (index) t.names[index] = name;
}

std::string node_table::name_of(std::uint32_t index) {
    table_of_nodes& t = nodes();
    {
        const std::lock_guard lock{t.mutex};
        if (const auto found = t.names.find(index); found != t.names.end()) return found->second;
    }
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(id_of(index)));
    return digits;
}

}  // namespace coppice::net
