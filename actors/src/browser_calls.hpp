// browser_calls: what a page does in the tree: send, ask, find, answer, groups, monitors. Of browser_session.
// The session's scheduler alone.
#pragma once
#include <memory>

#include "browser_page.hpp"

namespace coppice::actors::browser_parts {

/// Does what a numbered frame of the page says, as the session; what takes time in a task of its own. False: a page does not say
/// that. What fails is told to the page, in a frame of its own.
[[nodiscard]] bool act_for_page(const std::shared_ptr<page>& p, frame f);

}  // namespace coppice::actors::browser_parts
