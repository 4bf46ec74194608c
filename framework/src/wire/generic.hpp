// The general reader of values: for every valid encoding of schemas/value.capnp, in whatever order and with whatever
// extensions it was written. Slower by a factor of about ten than wire_reader, which takes what Coppice writes.
#pragma once
#include <cstdint>
#include <span>

#include "coppice/value.hpp"

namespace coppice::wire {

/// Reads a message from one raw segment; what was lent is copied, by way of the context, if there is one. False
/// for what is not one, and for more values than it has words, and 1,024. Any thread.
[[nodiscard]] bool read_any_order(std::span<const std::uint64_t> words, value& v,
                                  coppice::detail::wire_context* context = nullptr);

}  // namespace coppice::wire
