// sim: a network that exists in one process and in virtual time, with faults on demand: for the test world, and for tests of
// one's own protocols. Endpoints are sim://name; who connects says its own name by sim://name?from=own. What it does is decided by its
// seed alone.
//
//     auto network = std::make_shared<sim_network>(seed);
//     register_transport(network);
//     network->conditions({.least_delay = 1ms, .most_delay = 20ms});
//     network->cut(0.5);          // every second link is cut, somewhere within what is under way
//
// One thread: that of the world.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "coppice/transport.hpp"

namespace coppice {

/// What happens to bytes between two names. Set for all pairs, or for one.
struct sim_conditions {
    std::chrono::nanoseconds least_delay{0};
    std::chrono::nanoseconds most_delay{0};
    std::size_t piece = 64 * 1024;  ///< bytes are delivered in random pieces of at most that many
    std::size_t room = 256 * 1024;  ///< bytes under way one way, before the writer has to wait
    bool silent = false;            ///< a black hole: what is sent stays under way until it is over
};

class sim_network final : public transport {
public:
    explicit sim_network(std::uint64_t seed);
    ~sim_network() override;
    sim_network(const sim_network&) = delete;
    sim_network& operator=(const sim_network&) = delete;

    [[nodiscard]] std::string_view scheme() const noexcept override { return "sim"; }
    [[nodiscard]] coppice::reach reach() const noexcept override { return coppice::reach::network; }
    [[nodiscard]] result<std::unique_ptr<listener>> listen(reactor& on, const endpoint& where,
                                                           accepted_function accepted) const override;
    [[nodiscard]] result<std::unique_ptr<attempt>> connect(reactor& on, const endpoint& where,
                                                           connected_function done) const override;

    // ---- faults
    /// From now on, for what is sent and connected.
    void conditions(const sim_conditions& all);
    /// Ends each link with that probability: bytes under way are lost from a random one on, both sides hear of it after a
    /// delay. Returns how many it ended.
    std::size_t cut(double probability = 1.0);
    /// The same for those between these two names. Returns how many it ended.
    std::size_t cut(std::string_view one, std::string_view other);
    /// A partition: links between these names and all others are silent until heal(), where nothing is lost and nothing
    /// arrives; new ones fail.
    void isolate(std::set<std::string> names);
    void heal();
    /// Connecting fails with `unreachable` until accept_again().
    void refuse_new(bool refuse);

    // ---- looking
    [[nodiscard]] std::size_t links() const noexcept;
    /// The most bytes that were under way on one link, one way.
    [[nodiscard]] std::size_t most_under_way() const noexcept;

    struct impl;  // of the implementation

private:
    std::shared_ptr<impl> impl_;  // shared with links, which may outlive the network
};

}  // namespace coppice
