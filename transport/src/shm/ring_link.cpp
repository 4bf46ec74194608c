// Showing, sleeping, waking and ending of shm links; see ring_link.hpp.
// Reactor thread. Whenever the owner is called it may have closed the link: ended_ is looked at after each event.
#include "ring_link.hpp"

#include <chrono>
#include <sys/socket.h>
#include <thread>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

namespace coppice::shm {
namespace {

constexpr std::chrono::seconds look_every{1};

// Counts what no test may find above 0. Relaxed: a number, nothing hangs on it.
std::atomic<std::uint64_t> all_missed{0};

side other(side own) noexcept { return own == side::connector ? side::acceptor : side::connector; }

}  // namespace

ring_link::ring_link(reactor& on, segment memory, side own, descriptor socket, peer_identity peer,
                     descriptor lends)
    : on_{on},
      memory_{std::move(memory)},
      writer_{memory_.words(own), memory_.data(own), memory_.size(own)},
      reader_{memory_.words(other(own)), memory_.data(other(own)), memory_.size(other(own))},
      // A reader that waits for the rest of one reservation holds less than half a ring, so the other half is free for it.
      most_{memory_.size(own) / 2},
      batch_{memory_.size(own) / 8},
      part_{memory_.size(other(own)) / 8},
      own_{own},
      socket_{on.io_context(), std::move(socket), [this] { on_socket(); }},
      peer_{std::move(peer)},
      lends_{std::move(lends)} {}

std::uint64_t ring_link::missed_wakeups() noexcept { return all_missed.load(std::memory_order_relaxed); }

void ring_link::start(link_events& owner) {
    if (ended_) return;
    owner_ = &owner;
    on_.add(*this);
    socket_.arm();
    look_after();
}

// ---------------------------------------------------------------- output

std::span<std::byte> ring_link::reserve(std::size_t least) {
    if (ended_) return {};
    const auto room = writer_.reserve(std::max<std::size_t>(least, 1));
    if (!room.empty()) [[likely]]
        return room.first(std::min(room.size(), most_));
    // The reader can only make room by what it sees.
    flush();
    wanted_ = std::max<std::size_t>(least, 1);
    return {};
}

void ring_link::commit(std::size_t size) {
    writer_.commit(size);
    if (writer_.unpublished() >= batch_) [[unlikely]]
        flush();
}

void ring_link::flush() {
    if (!ended_ && writer_.publish()) ring();
}

std::size_t ring_link::unsent() const noexcept {
    if (ended_) return 0;
    // A copy looks, so that this stays a question.
    ring_writer now = writer_;
    now.look(0);
    return static_cast<std::size_t>(now.broken() ? writer_.pending() : now.pending());
}

void ring_link::ring() noexcept {
    ++counters_.bells_sent;
    // No room for the byte: others wait there already, and wake the peer as well. No peer: our own read will tell.
    static constexpr char byte = 0;
    while (::send(socket_.get(), &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

// ---------------------------------------------------------------- input

// A part: the peer can write to its room while the next is looked at, and what came of it is still in the cache when the
// actors run that it is for.
bool ring_link::show() {
    idle_bells_ = 0;
    const auto all = reader_.readable();
    auto shown = all.first(std::min(all.size(), part_));
    std::size_t used = owner_->received(shown);
    if (ended_) return false;
    if (used == 0 && shown.size() != all.size()) {  // its first frame is larger than a part
        shown = all;
        used = owner_->received(shown);
        if (ended_) return false;
    }
    const bool last_of_several = std::exchange(more_, shown.size() != all.size()) && !more_;
    if (used == 0 && all.size() > memory_.size(other(own_)) / 2) {
        // More than the peer can reserve at once, and still no whole of anything: neither side would ever get on.
        fail({errc::bad_message,
              "the peer sent " + std::to_string(all.size()) + " bytes of which none could be used"},
             side_broken_off);
        return false;
    }
    const bool half_free = reader_.consume(std::min(used, shown.size()));
    if (half_free || (last_of_several && reader_.settle())) ring();
    return true;
}

bool ring_link::poll() {
    if (ended_ || !owner_) return false;
    if (armed_) {
        armed_ = false;
        reader_.awake();
        writer_.awake();
    }
    bool found = false;
    // The end first: what was published before it has been, is seen by the look after it.
    const bool last = gone_;
    if (reader_.look() || more_) {
        found = true;
        if (!show()) return true;
    } else if (std::exchange(idle_, true)) {
        // Nothing twice in a row: time to tell the writer how far we are.
        if (reader_.settle()) ring();
    }
    if (wanted_ != 0 && writer_.look(wanted_)) {
        found = true;
        idle_bells_ = 0;
        wanted_ = 0;
        owner_->writable();
        if (ended_) return true;
    }
    if (found) {
        idle_ = false;
        return true;
    }
    if (reader_.broken() || writer_.broken()) {
        fail({errc::bad_message, reader_.broken() ? "the peer's writing position is impossible"
                                                  : "the peer's reading position is impossible"},
             side_broken_off);
        return true;
    }
    if (rude_) {
        fail({errc::bad_message, "the peer rings the bell without having anything"}, side_broken_off);
        return true;
    }
    if (last) {
        // The peer's last store; a peer that lies about how it ended deceives nobody but itself.
        const std::uint32_t state = memory_.live(other(own_)).state.load(std::memory_order_acquire);
        if (state == side_closed) fail({errc::closed, "the peer closed the link"}, side_closed);
        else if (state == side_broken_off) fail({errc::io, "the peer broke the link off"}, side_closed);
        else fail({errc::io, "the peer died"}, side_closed);
        return true;
    }
    return false;
}

bool ring_link::prepare_sleep() {
    if (ended_ || !owner_) return true;
    if (gone_ || rude_ || more_ || reader_.broken() || writer_.broken()) return false;
    if (reader_.settle()) ring();
    if (wanted_ != 0) flush();
    armed_ = true;  // poll() takes the flags back, whichever way this goes
    if (!reader_.ask()) return false;
    if (wanted_ != 0 && !writer_.ask(wanted_)) return false;
    ++counters_.sleeps;
    return true;
}

void ring_link::on_socket() {
    char bytes[256];
    const ssize_t got = ::recv(socket_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
    if (got > 0) {
        const auto bells = static_cast<std::uint64_t>(got);
        counters_.bells_received += bells;
        idle_bells_ += bells;
        if (idle_bells_ > most_idle_bells) rude_ = true;
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        gone_ = true;  // an end, or a reset because the peer had not read our bells
    }
    if (!gone_ && !rude_) socket_.arm();
    on_.post([] {});  // poll() comes after it; an I/O handler alone does not bring it about
}

// Between the peer's store and its bell it looks as if a wake had been lost; the peer, which may wait for a processor, is let run. Who has
// really lost one has slept for longer than this takes.
bool ring_link::has_lost_a_wake() {
    constexpr auto patience = std::chrono::milliseconds{100};
    const auto overslept = [this] {
        return armed_ && (reader_.overslept() || (wanted_ != 0 && writer_.overslept(wanted_)));
    };
    for (const auto until = std::chrono::steady_clock::now() + patience; overslept();
         std::this_thread::yield())
        if (std::chrono::steady_clock::now() > until) return true;
    return false;
}

// Once a second: shows the peer that we get to run, and that no wake was lost.
void ring_link::look_after() {
    look_ = on_.after(look_every, [this] {
        memory_.live(own_).progress.store(++progress_, std::memory_order_relaxed);
        if (has_lost_a_wake()) {
            ++counters_.missed_wakeups;
            all_missed.fetch_add(1, std::memory_order_relaxed);
        }
        idle_bells_ = 0;
        look_after();
    });
}

// ---------------------------------------------------------------- the end

void ring_link::end(side_state how) noexcept {
    if (ended_) return;
    if (writer_.publish()) ring();
    ended_ = true;
    memory_.live(own_).state.store(how, std::memory_order_release);
    if (owner_) on_.remove(*this);
    look_.reset();
    // The peer's wake. Not the closing alone: a child that was forked may have the socket as well.
    ::shutdown(socket_.get(), SHUT_RDWR);
    socket_.reset();
}

void ring_link::fail(error why, side_state how) {
    end(how);
    owner_->closed(std::move(why));
}

}  // namespace coppice::shm
