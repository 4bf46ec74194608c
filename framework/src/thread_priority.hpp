// Priority and name of the calling thread, through one scale for every operating system (Linux here).
// A refusal by the system is an error, never silently ignored.
#pragma once
#include <string>

#include "coppice/error.hpp"
#include "coppice/supervisor.hpp"

namespace coppice::detail {

[[nodiscard]] result<priority> current_thread_priority();
result<void> set_current_thread_priority(priority p);
/// The last 15 bytes of the name: what Linux has room for.
void set_current_thread_name(const std::string& name) noexcept;

}  // namespace coppice::detail
