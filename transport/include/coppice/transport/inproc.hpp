// The transport "inproc": links between nodes, or other reactors, of one process, on one thread or on several. It has
// no descriptors and needs no io_context, so it works in a test world too.
//
//     inproc://name
//
// Any thread. There are no options. What the two sides have is proven to be the same process.
#pragma once
#include <memory>

#include "coppice/transport.hpp"

namespace coppice {

/// The kind "inproc", to be registered. Names are the process's: all objects of this kind share them.
std::shared_ptr<const transport> inproc_transport();

}  // namespace coppice
