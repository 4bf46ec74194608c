// A shm link: two rings in a segment, and the socket over which the segment came as bell and as sensor of death.
// A byte_link for its owner and a poller for its reactor: while the thread is awake it looks at the rings without system
// calls; before it sleeps it asks the peer for the bell, one byte on the socket. The end of the socket is the end of the
// link: what the peer published before is still shown, and a word in the segment tells a proper end from a death.
// One thread, the reactor's, as transport.hpp says. It knows nothing of endpoints and of how the peer was found.
#pragma once
#include <cstdint>
#include <memory>

#include "coppice/transport.hpp"
#include "ring.hpp"
#include "segment.hpp"
#include "watch.hpp"

namespace coppice::shm {

/// What links count, for tests.
struct link_counters {
    /// Sleeps that the look of once a second had to end; always 0, or there is a bug.
    std::uint64_t missed_wakeups = 0;
    std::uint64_t bells_sent = 0;
    std::uint64_t bells_received = 0;
    std::uint64_t sleeps = 0;  ///< times that the reactor was let sleep
};

class ring_link final : public byte_link, public poller {
public:
    /// Bells that are allowed in a second without anything behind them: a peer that only rings costs us our time.
    static constexpr std::uint64_t most_idle_bells = 1000;

    /// `lends`: the memory that the peer's process lends from, if it has any.
    ring_link(reactor& on, segment memory, side own, descriptor socket, peer_identity peer,
              descriptor lends = {});
    ring_link(const ring_link&) = delete;
    ring_link& operator=(const ring_link&) = delete;
    ~ring_link() override { close(); }

    void start(link_events& owner) override;
    std::span<std::byte> reserve(std::size_t least) override;
    void commit(std::size_t size) override;
    void flush() override;
    [[nodiscard]] std::size_t max_reserve() const noexcept override { return most_; }
    [[nodiscard]] bool peer_can_write() const noexcept override { return true; }
    int take_lent_memory() noexcept override { return lends_.release(); }
    [[nodiscard]] std::size_t unsent() const noexcept override;
    void close() noexcept override { end(side_closed); }
    [[nodiscard]] const peer_identity& peer() const noexcept override { return peer_; }

    bool poll() override;
    bool prepare_sleep() override;

    [[nodiscard]] const link_counters& counters() const noexcept { return counters_; }
    /// The missed wakeups of all links of the process. Any thread.
    static std::uint64_t missed_wakeups() noexcept;

private:
    void end(side_state how) noexcept;
    void fail(error why, side_state how);
    bool show();
    void on_socket();
    void ring() noexcept;
    void look_after();
    bool has_lost_a_wake();

    reactor& on_;
    segment memory_;
    ring_writer writer_;
    ring_reader reader_;
    std::size_t most_;        // bytes of output at a time: half a ring
    std::size_t batch_;       // bytes of output that are kept unpublished: an eighth
    std::size_t part_;        // bytes of input that are shown at a time: an eighth
    std::size_t wanted_ = 0;  // the room that writable() is owed for; 0: none
    link_events* owner_ = nullptr;
    bool ended_ = false;
    bool armed_ = false;  // the waiting flags are set
    bool idle_ = false;   // the last poll found nothing
    bool more_ = false;   // the last look found more than the part that was shown
    bool gone_ = false;   // the socket has ended
    bool rude_ = false;   // too many bells
    side own_;
    watch socket_;
    std::unique_ptr<pending_timer> look_;
    std::uint64_t idle_bells_ = 0;
    std::uint64_t progress_ = 0;
    link_counters counters_;
    peer_identity peer_;
    descriptor lends_;
};

}  // namespace coppice::shm
