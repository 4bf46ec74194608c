// for_each_seed: runs a test in many small worlds, each with its own seed, and names the first seed that fails.
//
//     for_each_seed(1000, [](testing::world& world) { ... EXPECT_EQ(...); });
//
// After each run the world is finished, and what it leaves behind is a failure. COPPICE_SEED=<n> replays seed n alone.
// The actors still run when the body returns: what they write to at their end must not be a local of the body.
// The number of schedulers of a node is 1 to 3, by the seed, unless the test gives world_options.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string>

#include <gtest/gtest.h>

#include "coppice/testing/world.hpp"
#include "support/sanitizers.hpp"

namespace coppice::tests {

/// COPPICE_SEED, or 0.
inline std::uint64_t seed_to_replay() {
    const char* text = std::getenv("COPPICE_SEED");
    return text ? std::strtoull(text, nullptr, 10) : 0;
}

/// Worlds of a scene that takes long: `few` in a run of the tests, some of them where a sanitizer slows them down, which finds no
/// more in more of what one thread does, COPPICE_SEEDS in tools/sim.
inline std::uint64_t number_of_seeds(std::uint64_t few) {
    const char* wanted = std::getenv("COPPICE_SEEDS");
    return wanted ? std::strtoull(wanted, nullptr, 10) : slow_build ? few / 6 + 1 : few;
}

template <class Body>
bool run_seed(std::uint64_t seed, const testing::world_options& options, Body& body) {
    ::testing::ScopedTrace trace{__FILE__, __LINE__, "replay with COPPICE_SEED=" + std::to_string(seed)};
    const bool failed_before = ::testing::Test::HasFailure();
    testing::world world{seed, options};
    try {
        body(world);
    } catch (const std::exception& e) {
        ADD_FAILURE() << "threw: " << e.what();
    }
    for (const std::string& left : world.finish()) ADD_FAILURE() << "left behind: " << left;
    return failed_before || !::testing::Test::HasFailure();
}

template <class Body>
void for_each_seed(std::uint64_t count, const testing::world_options& options, Body body) {
    if (const std::uint64_t only = seed_to_replay()) {
        run_seed(only, options, body);
        return;
    }
    for (std::uint64_t seed = 1; seed <= count; ++seed)
        if (!run_seed(seed, options, body)) return;
}

template <class Body>
void for_each_seed(std::uint64_t count, Body body) {
    const auto run = [&](std::uint64_t seed) {
        testing::world_options options;
        options.schedulers = 1 + static_cast<std::uint32_t>(seed % 3);
        return run_seed(seed, options, body);
    };
    if (const std::uint64_t only = seed_to_replay()) {
        run(only);
        return;
    }
    for (std::uint64_t seed = 1; seed <= count; ++seed)
        if (!run(seed)) return;
}

}  // namespace coppice::tests
