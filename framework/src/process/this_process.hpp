// This process as a child: its place in the tree, which its parent tells over the channel, and the life that it leads there.
// Its main thread, which waits for the end; a watch of its own keeps the channel.
#pragma once
#include <memory>

#include "coppice/node.hpp"
#include "coppice/process.hpp"

namespace coppice::detail {

class child_life {
public:
    /// Runs the child to its end; the process's exit code. `own_program`: `own` is what it runs; else what its parent says, and
    /// `own` if that says nothing. `read`: whether the options could be read.
    static int run(const child_spec& own, bool own_program, const result<void>& read, node_options options);
    ~child_life();
    /// Whether the options of a node could be read.
    static result<void> options_of(const node& n);

private:
    struct channel;
    explicit child_life(std::unique_ptr<channel> c);
    int live(const child_spec& own, bool own_program, node_options options);

    std::unique_ptr<channel> channel_;
};

}  // namespace coppice::detail
