// The nodes that this process ever heard of, each by a small index: addresses and monitors name a node by it, so it
// is the same for all nodes of the process and is never given to another. Any thread; a look at an id takes no
// lock.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "net/control.hpp"

namespace coppice::net {

/// Ids of all nodes that this process ever heard of, by a small index that fits into an address. Never forgotten.
/// Any thread.
struct node_table {
    static constexpr std::uint32_t most = 1u << 20;  // an address has 20 bits for it
    /// 0 if the table is full.
    static std::uint32_t index_of(node_id id);
    static node_id id_of(std::uint32_t index) noexcept;
    /// The name that the node goes by, for people; its id in hexadecimal digits if none was heard.
    static std::string name_of(std::uint32_t index);
    static void set_name(node_id id, std::string_view name);
};

}  // namespace coppice::net
