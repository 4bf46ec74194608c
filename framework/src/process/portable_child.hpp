// A child_spec as bytes, for another process of the same program: its options, and how its function is started there; of a
// supervisor the whole tree. The bytes are a message in the wire form of coppice/wire.hpp.
// Pure functions; any thread, but references in arguments ask the context.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "coppice/supervisor.hpp"

namespace coppice::detail {

/// `not_portable`: its function, or one of its tree, has arguments without a wire form, or belongs to another program.
result<std::vector<std::byte>> write_child(const child_spec& spec, wire_context& context);
/// `bad_message`, or what code_at() says of its functions.
result<child_spec> read_child(std::span<const std::byte> bytes, wire_context& context);

struct channel_join;
struct node_core;

/// What the root of a child's node runs: `own`, if that is all that its program is for, else what its parent says. Tells the node
/// its parent. Home of a node with a network.
result<child_spec> root_of_child(const channel_join& join, bool own_program, const child_spec& own,
                                 node_core& node);

}  // namespace coppice::detail
