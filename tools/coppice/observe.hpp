// `coppice observe`: serves the observer's page (coppice/actors/observer.hpp) for a tree that runs, as a guest of it. Main
// thread.
#pragma once
#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include "guest.hpp"

namespace coppice::command {

/// Declares its options.
void declare_observe(CLI::App& app);
/// Told why the page is served no longer, once, on another thread.
using ended_function = std::function<void(std::string why)>;
/// Serves a tree's page from the guest's node until that ends. Its address, with the port that it got. Throws command_failed
/// if it cannot be served.
std::string serve_page(guest& g, ended_function ended);

}  // namespace coppice::command
