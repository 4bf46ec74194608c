// Output collects in a ring of three chunks; the direct, non-blocking write comes first, and only what the socket does
// not take waits for readiness. No operation of Asio ever holds one of our buffers: it is asked for readiness alone,
// and each wait is re-armed by epoll_ctl, so a short read needs no further read to see that there is nothing more.
//
//     chunks   [ sent | unsent ......... ][ unsent ...... | free ][ free ]      in order: first_ ... fill_
//     input    [ used | shown, not used ... | free for the next read    ]
//
// A connection passes idle -> open -> lingering -> ended, or leaves out some of them, and never goes back.
#include "stream/stream_link.hpp"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "support/run_directory.hpp"

namespace coppice::detail {

// ---------------------------------------------------------------- the plain socket

stream_channel::outcome read_descriptor(int fd, std::span<std::byte> into, std::size_t& count, error& why) {
    using outcome = stream_channel::outcome;
    for (;;) {
        const ssize_t n = ::read(fd, into.data(), into.size());
        if (n > 0) {
            count = static_cast<std::size_t>(n);
            return outcome::moved;
        }
        if (n == 0) return outcome::ended;
        if (errno == EINTR) continue;
        if (errno == EAGAIN) return outcome::blocked;
        why = system_error_of(errno, "reading from the peer");
        return outcome::failed;
    }
}

stream_channel::outcome socket_channel::read(std::span<std::byte> into, std::size_t& count, error& why) {
    return read_descriptor(socket_, into, count, why);
}

stream_channel::outcome socket_channel::write(std::span<const iovec> parts, std::size_t& count, error& why) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());  // sendmsg only reads it
    message.msg_iovlen = parts.size();
    for (;;) {
        const ssize_t n = ::sendmsg(socket_, &message, MSG_NOSIGNAL);
        if (n >= 0) {
            count = static_cast<std::size_t>(n);
            return outcome::moved;
        }
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == ENOBUFS) return outcome::blocked;
        why = errno == EPIPE ? error{errc::closed} : system_error_of(errno, "writing to the peer");
        return outcome::failed;
    }
}

bool socket_channel::finish() noexcept {
    ::shutdown(socket_, SHUT_WR);  // fails only if the connection is gone
    return true;
}

namespace {

using outcome = stream_channel::outcome;
using limits = stream_limits;

// ---------------------------------------------------------------- output

// Bytes that are committed and not sent, in order. 192 KiB of a chunk are usable whatever is reserved, so two full
// chunks and a bit of the third are the high-water mark.
class output_chunks {
public:
    std::span<std::byte> reserve(std::size_t least) {
        if (unsent_ + least > limits::high_water) return {};
        if (size - chunks_[fill_].end < least) {
            const std::size_t next = (fill_ + 1) % count;
            if (chunks_[next].begin != chunks_[next].end) return {};
            chunks_[next].begin = chunks_[next].end = 0;
            fill_ = next;
        }
        chunk& c = chunks_[fill_];
        if (!c.memory) c.memory = std::make_unique_for_overwrite<std::byte[]>(size);
        reserved_ = std::min(size - c.end, limits::high_water - unsent_);
        return {c.memory.get() + c.end, reserved_};
    }
    void commit(std::size_t bytes) {
        COPPICE_ASSERT(bytes <= reserved_, "a link's owner commits more than it reserved");
        reserved_ = 0;
        chunks_[fill_].end += bytes;
        unsent_ += bytes;
    }
    std::size_t parts(std::array<iovec, 3>& out) const noexcept {
        std::size_t n = 0;
        for (std::size_t i = first_;; i = (i + 1) % count) {
            const chunk& c = chunks_[i];
            if (c.begin != c.end) out[n++] = {c.memory.get() + c.begin, c.end - c.begin};
            if (i == fill_) return n;
        }
    }
    void sent(std::size_t bytes) noexcept {
        unsent_ -= bytes;
        for (;;) {
            chunk& c = chunks_[first_];
            const std::size_t here = std::min(bytes, c.end - c.begin);
            c.begin += here;
            bytes -= here;
            if (c.begin != c.end) return;
            c.begin = c.end = 0;
            if (first_ == fill_) return;
            first_ = (first_ + 1) % count;
        }
    }
    void clear() noexcept {
        chunks_ = {};
        first_ = fill_ = unsent_ = reserved_ = 0;
    }
    [[nodiscard]] std::size_t unsent() const noexcept { return unsent_; }

private:
    static constexpr std::size_t count = 3;
    static constexpr std::size_t size = std::size_t{256} << 10;
    struct chunk {
        std::unique_ptr<std::byte[]> memory;  // kept once it is there
        std::size_t begin = 0;
        std::size_t end = 0;
    };
    std::array<chunk, count> chunks_;
    std::size_t first_ = 0;
    std::size_t fill_ = 0;
    std::size_t unsent_ = 0;
    std::size_t reserved_ = 0;  // what the last reserve() granted and no commit() has used
};

// ---------------------------------------------------------------- input

// Bytes that were read and not used, always contiguous. They move to the front only when less than a quarter is free
// behind them; the front is as aligned as memory can be, so uses of multiples of 8 keep the shown region 8-aligned.
class input_buffer {
public:
    std::span<std::byte> room() {
        if (!memory_) memory_ = std::make_unique_for_overwrite<std::byte[]>(limits::input);
        return {memory_.get() + end_, limits::input - end_};
    }
    void filled(std::size_t bytes) noexcept { end_ += bytes; }
    [[nodiscard]] std::span<const std::byte> shown() const noexcept {
        return {memory_.get() + begin_, end_ - begin_};
    }
    // False: the buffer is full of what the owner does not use.
    bool used(std::size_t bytes) noexcept {
        begin_ += bytes;
        if (begin_ == end_) begin_ = end_ = 0;
        else if (limits::input - end_ < limits::input / 4 && begin_ != 0) {
            std::memmove(memory_.get(), memory_.get() + begin_, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
        }
        return end_ != limits::input;
    }
    void clear() noexcept { begin_ = end_ = 0; }

private:
    std::unique_ptr<std::byte[]> memory_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

// ---------------------------------------------------------------- the connection

class connection final : public std::enable_shared_from_this<connection> {
public:
    connection(stream_descriptor descriptor, std::unique_ptr<stream_channel> channel)
        : descriptor_{std::move(descriptor)},
          channel_{std::move(channel)},
          timer_{descriptor_.get_executor()} {}

    void start(link_events& owner) {
        if (phase_ != phase::idle) return;  // closed before, or started twice
        phase_ = phase::open;
        events_ = &owner;
        // By a post: a channel may have bytes already, and a write may have failed.
        read_soon();
    }

    std::span<std::byte> reserve(std::size_t least) {
        COPPICE_ASSERT(least <= limits::max_reserve, "a link's owner reserves more than max_reserve()");
        if (!sends()) return {};
        auto room = output_.reserve(least);
        if (!room.empty()) return room;
        // Nobody may have flushed: without this, writable() would never follow.
        send();
        if (sends()) room = output_.reserve(least);
        if (room.empty()) wants_room_ = true;
        return room;
    }

    void commit(std::size_t size) {
        if (!sends()) return;  // it failed or closed since reserve()
        output_.commit(size);
        if (output_.unsent() >= limits::eager) send();
    }

    void flush() {
        if (sends()) send();
    }

    void close() noexcept {
        if (phase_ == phase::lingering || phase_ == phase::ended) return;
        phase_ = phase::lingering;
        events_ = nullptr;
        if (write_failed_) return end();
        send();
        if (phase_ == phase::ended) return;
        finish();
        // A socket that is closed with unread input resets the connection, and the reset destroys at the peer what it
        // has not read yet. So input is thrown away until the peer ends too, or until time is over.
        input_.clear();
        timer_.expires_after(limits::linger);
        timer_.async_wait([c = shared_from_this()](const boost::system::error_code& failure) {
            if (!failure) c->end();
        });
        read_soon();
    }

    [[nodiscard]] std::size_t unsent() const noexcept { return output_.unsent(); }

private:
    enum class phase : std::uint8_t {
        idle,       // not started: sends, does not read
        open,       // sends and reads
        lingering,  // closed by the owner: sends the rest, reads and throws away
        ended       // the descriptor is closed
    };

    [[nodiscard]] bool sends() const noexcept {
        return (phase_ == phase::idle || phase_ == phase::open) && !write_failed_;
    }

    // Sends until all is sent or the socket takes no more; then a wait is under way.
    void send() {
        if (write_waits_) return;
        while (output_.unsent() != 0) {
            std::array<iovec, 3> parts;
            const std::size_t n = output_.parts(parts);
            std::size_t count = 0;
            error why;
            switch (channel_->write({parts.data(), n}, count, why)) {
            case outcome::moved: output_.sent(count); break;
            case outcome::blocked: return wait_to_write();
            case outcome::ended:
            case outcome::failed: return write_failed(std::move(why));
            }
        }
    }

    // Input that came before the failure is shown first: the reading side tells the end.
    void write_failed(error why) {
        output_.clear();
        if (phase_ == phase::lingering) return end();
        write_failed_ = true;
        write_failure_ = std::move(why);
        if (phase_ == phase::open) read_soon();
    }

    // Tells the peer that all has been sent, once it has.
    void finish() {
        if (output_.unsent() == 0 && !channel_->finish()) wait_to_write();
    }

    void wait_to_write() {
        write_waits_ = true;
        stream_descriptor* const other = channel_->output();
        (other ? *other : descriptor_)
            .async_wait(stream_descriptor::wait_write,
                        [c = shared_from_this()](const boost::system::error_code& failure) {
                            c->write_waits_ = false;
                            if (!failure) c->write_ready();
                        });
    }

    void write_ready() {
        if (phase_ == phase::ended || write_failed_) return;
        send();
        if (phase_ == phase::lingering) return finish();
        if (phase_ == phase::open && !write_failed_ && wants_room_ &&
            output_.unsent() <= limits::high_water / 2) {
            wants_room_ = false;
            events_->writable();
        }
    }

    void wait_to_read() {
        if (read_waits_) return;
        read_waits_ = true;
        descriptor_.async_wait(stream_descriptor::wait_read,
                               [c = shared_from_this()](const boost::system::error_code& failure) {
                                   c->read_waits_ = false;
                                   if (!failure) c->read_ready();
                               });
    }

    void read_soon() {
        if (read_posted_) return;
        read_posted_ = true;
        boost::asio::post(descriptor_.get_executor(), [c = shared_from_this()] {
            c->read_posted_ = false;
            c->read_ready();
        });
    }

    void read_ready() {
        if (phase_ != phase::open && phase_ != phase::lingering) return;
        const std::size_t turn = phase_ == phase::open
                                     ? std::clamp(events_->appetite(), limits::least_turn, limits::turn)
                                     : limits::turn;
        std::size_t taken = 0;
        while (taken < turn) {
            std::span<std::byte> room = input_.room();
            room = room.first(std::min(room.size(), turn - taken));
            std::size_t count = 0;
            error why;
            switch (channel_->read(room, count, why)) {
            case outcome::moved: break;
            case outcome::blocked: return write_failed_ ? fail(write_failure_) : wait_to_read();
            case outcome::ended: return fail(write_failed_ ? write_failure_ : error{errc::closed});
            case outcome::failed: return fail(std::move(why));
            }
            taken += count;
            if (phase_ == phase::open && !show(count)) return;
            // Less than there was room for: the socket is empty. A wait tells at once if it is not any more.
            if (count < room.size() && !channel_->buffered() && !write_failed_) return wait_to_read();
        }
        read_soon();  // there was as much as could be read: probably there is more
    }

    // False: the connection does not read on.
    bool show(std::size_t count) {
        input_.filled(count);
        const std::span<const std::byte> shown = input_.shown();
        const std::size_t used = events_->received(shown);
        if (phase_ != phase::open)
            return phase_ == phase::lingering;  // closed in there: what comes is thrown away
        COPPICE_ASSERT(used <= shown.size(), "a link's owner uses more than it was shown");
        if (input_.used(used)) return true;
        fail(error{errc::bad_message,
                   "the peer sent " + std::to_string(limits::input) + " bytes of which none could be used"});
        return false;
    }

    void fail(error why) {
        link_events* const owner = phase_ == phase::open ? std::exchange(events_, nullptr) : nullptr;
        end();
        if (owner) owner->closed(std::move(why));
    }

    void end() noexcept {
        phase_ = phase::ended;
        boost::system::error_code ignored;  // the descriptor is closed whatever close() says
        timer_.cancel(ignored);
        descriptor_.close(ignored);
        if (stream_descriptor* const other = channel_->output()) other->close(ignored);
        output_.clear();  // the input stays: the owner may be looking at it, within received()
    }

    stream_descriptor descriptor_;
    std::unique_ptr<stream_channel> channel_;  // after the descriptor: it goes first
    boost::asio::steady_timer timer_;          // of the lingering
    link_events* events_ = nullptr;            // set while open
    output_chunks output_;
    input_buffer input_;
    error write_failure_;  // errc::closed: the peer does not read any more
    phase phase_ = phase::idle;
    bool write_failed_ = false;
    bool wants_room_ = false;  // reserve() gave none
    bool read_waits_ = false;
    bool read_posted_ = false;
    bool write_waits_ = false;
};

class stream_link final : public byte_link {
public:
    stream_link(std::shared_ptr<connection> behind, peer_identity peer)
        : connection_{std::move(behind)}, peer_{std::move(peer)} {}
    stream_link(const stream_link&) = delete;
    stream_link& operator=(const stream_link&) = delete;
    ~stream_link() override { connection_->close(); }

    void start(link_events& owner) override { connection_->start(owner); }
    std::span<std::byte> reserve(std::size_t least) override { return connection_->reserve(least); }
    void commit(std::size_t size) override { connection_->commit(size); }
    void flush() override { connection_->flush(); }
    [[nodiscard]] std::size_t max_reserve() const noexcept override { return limits::max_reserve; }
    [[nodiscard]] std::size_t unsent() const noexcept override { return connection_->unsent(); }
    void close() noexcept override { connection_->close(); }
    [[nodiscard]] const peer_identity& peer() const noexcept override { return peer_; }

private:
    std::shared_ptr<connection> connection_;
    peer_identity peer_;
};

}  // namespace

std::unique_ptr<byte_link> make_stream_link(stream_descriptor descriptor,
                                            std::unique_ptr<stream_channel> channel, peer_identity peer) {
    return std::make_unique<stream_link>(
        std::make_shared<connection>(std::move(descriptor), std::move(channel)), std::move(peer));
}

}  // namespace coppice::detail
