// The tree as text for people, as plain text for pipes, and as JSON. Plain functions, any thread.
#pragma once
#include <string>

#include "guest.hpp"

namespace coppice::command {

/// A line an actor, children below their parents; processes that do not answer are told.
std::string tree_text(const guest::whole& all, bool colour);
/// A line a node, with how long its turns took since `before` and how late they began; then a line an actor, the busiest first: messages a second since `before`, mail that waits, restarts, the message in hand.
std::string top_text(const guest::whole& before, const guest::whole& now);
/// One line: {"nodes": [...], "silent": [...]}.
std::string tree_json(const guest::whole& all);

}  // namespace coppice::command
