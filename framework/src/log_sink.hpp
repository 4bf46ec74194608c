// Makes the spdlog logger that a node writes to: terminal and rotating file, by its options.
// Throws spdlog::spdlog_ex if the file cannot be opened.
#pragma once
#include <memory>

#include "coppice/node.hpp"

namespace spdlog {
class logger;
}

namespace coppice::detail {
std::shared_ptr<spdlog::logger> make_log(const node_options& options);
}
