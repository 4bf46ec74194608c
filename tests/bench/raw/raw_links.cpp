// The limits of suite `links`: sockets, pipes and memory between two processes, with nothing on top: no headers, no
// addresses, no acknowledgements. Both processes have one thread; each stays on a core of its own.
//
//   unix, tcp, pipe   blocking reads and writes; with _poll reads that do not block, again and again. One way, messages
//                     of up to 1 KiB go in batches of 64 KiB, larger ones in one write each
//   shm               a ring of fixed slots each way; who waits sleeps on an eventfd, or with _poll looks again
//   the rows cut      a socket that is connected anew, when a message is due, once writing to it has failed
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <atomic>
#include <cstring>

#include "links/echo.hpp"
#include "links/outage.hpp"
#include "support/loopback.hpp"

namespace {

using coppice::tests::loopback;
using links::row;

void must(bool holds, const char* what) { bench::require(holds, what); }

// ---- descriptors ---------------------------------------------------------------------------------------------------

class fd_wire final : public links::wire {
public:
    fd_wire(int in, int out, const row& of)
        : in_{in},
          out_{out},
          size_{of.size},
          polls_{of.polls},
          batch_{of.what == links::work::one_way && of.size <= 1024 ? std::size_t{64 * 1024} : 0},
          received_(std::max<std::size_t>(256 * 1024, 2 * of.size)) {
        collected_.reserve(batch_ + size_);
    }
    ~fd_wire() override {
        close(in_);
        if (out_ != in_) close(out_);
    }
    fd_wire(const fd_wire&) = delete;
    fd_wire& operator=(const fd_wire&) = delete;

    void send(std::span<const std::byte> message) override {
        if (!batch_) return write_all(message);
        collected_.insert(collected_.end(), message.begin(), message.end());
        if (collected_.size() >= batch_) flush();
    }
    void flush() override {
        write_all(collected_);
        collected_.clear();
    }
    std::span<const std::byte> receive() override {
        if (end_ - begin_ < size_ && begin_) {
            std::memmove(received_.data(), received_.data() + begin_, end_ - begin_);
            end_ -= begin_;
            begin_ = 0;
        }
        while (end_ - begin_ < size_) {
            const std::size_t room = received_.size() - end_;
            const ssize_t n = polls_ ? recv(in_, received_.data() + end_, room, MSG_DONTWAIT)
                                     : read(in_, received_.data() + end_, room);
            if (n < 0 && polls_ && errno == EAGAIN) continue;
            must(n > 0, "a read gives bytes");
            end_ += static_cast<std::size_t>(n);
        }
        const auto message = std::span<const std::byte>{received_}.subspan(begin_, size_);
        begin_ += size_;
        return message;
    }

private:
    void write_all(std::span<const std::byte> bytes) {
        while (!bytes.empty()) {
            const ssize_t n = write(out_, bytes.data(), bytes.size());
            must(n > 0, "a write takes bytes");
            bytes = bytes.subspan(static_cast<std::size_t>(n));
        }
    }
    int in_;
    int out_;
    std::size_t size_;
    bool polls_;
    std::size_t batch_;  // 0: every message is written at once
    std::vector<std::byte> collected_;
    std::vector<std::byte> received_;  // not yet given out: [begin_, end_)
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

void no_delay(int fd) {
    const int on = 1;
    must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY is set");
}

// ---- memory ----------------------------------------------------------------------------------------------------------

// One direction. Positions count messages and never wrap; a slot is position modulo `slots`.
struct ring {
    alignas(128) std::atomic<std::uint64_t> written;        // by the writer; pairs with the reader's acquire
    alignas(128) std::atomic<std::uint64_t> read;           // by the reader; pairs with the writer's acquire
    alignas(128) std::atomic<std::uint32_t> reader_sleeps;  // 1 before it looks a last time, then sleeps
    alignas(128) std::atomic<std::uint32_t> writer_sleeps;

    std::byte* slot(std::uint64_t position, std::size_t size) noexcept {
        return reinterpret_cast<std::byte*>(this + 1) + (position % slots(size)) * stride(size);
    }
    static std::size_t stride(std::size_t size) noexcept { return (size + 63) / 64 * 64; }
    // 64 KiB of small messages, 2 MiB of larger ones, at least 4.
    static std::uint64_t slots(std::size_t size) noexcept {
        const std::size_t bytes = size <= 1024 ? 64 * 1024 : 2 * 1024 * 1024;
        return std::max<std::uint64_t>(4, bytes / stride(size));
    }
    static std::size_t bytes(std::size_t size) noexcept {
        return (sizeof(ring) + slots(size) * stride(size) + 4095) / 4096 * 4096;
    }
};

class bell {
public:
    explicit bell(int fd) : fd_{fd} {}
    void ring() const {
        const std::uint64_t one = 1;
        must(write(fd_, &one, sizeof one) == sizeof one, "the bell rings");
    }
    void wait() const {
        std::uint64_t rung = 0;
        must(read(fd_, &rung, sizeof rung) == sizeof rung, "the bell is heard");
    }

private:
    int fd_;
};

// Each side has one bell, which serves both reasons for sleeping; a bell too many does no harm.
class shm_wire final : public links::wire {
public:
    shm_wire(ring& out, ring& in, bell own, bell other, const row& of)
        : out_{out}, in_{in}, own_{own}, other_{other}, size_{of.size}, polls_{of.polls} {}

    void send(std::span<const std::byte> message) override {
        if (written_ - out_read_ >= ring::slots(size_)) {
            const auto room = [&] {
                out_read_ = out_.read.load(std::memory_order_acquire);
                return written_ - out_read_ < ring::slots(size_);
            };
            until(room, out_.writer_sleeps);
        }
        std::memcpy(out_.slot(written_, size_), message.data(), size_);
        out_.written.store(++written_, std::memory_order_release);
        wake(out_.reader_sleeps);
    }
    std::span<const std::byte> receive() override {
        if (read_ != told_ && (read_ == in_written_ || read_ - told_ >= ring::slots(size_) / 4)) {
            in_.read.store(told_ = read_, std::memory_order_release);
            wake(in_.writer_sleeps);
        }
        if (read_ == in_written_) {
            const auto message = [&] {
                in_written_ = in_.written.load(std::memory_order_acquire);
                return in_written_ != read_;
            };
            until(message, in_.reader_sleeps);
        }
        return {in_.slot(read_++, size_), size_};
    }

private:
    // The fence orders what was published before the look at the flag; it pairs with the one in until().
    void wake(std::atomic<std::uint32_t>& sleeps) const {
        if (polls_) return;
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (sleeps.load(std::memory_order_relaxed) && sleeps.exchange(0, std::memory_order_acq_rel))
            other_.ring();
    }
    template <typename Ready>
    void until(Ready ready, std::atomic<std::uint32_t>& sleeps) const {
        while (!ready()) {
            if (polls_) continue;
            sleeps.store(1, std::memory_order_relaxed);
            std::atomic_thread_fence(std::memory_order_seq_cst);
            if (!ready()) own_.wait();
            sleeps.store(0, std::memory_order_relaxed);
            if (ready()) return;
        }
    }
    ring& out_;
    ring& in_;
    bell own_;
    bell other_;
    std::size_t size_;
    bool polls_;
    std::uint64_t written_ = 0;     // our position in out_
    std::uint64_t out_read_ = 0;    // the other's, as of our last look
    std::uint64_t read_ = 0;        // messages given out of in_, the one in use included
    std::uint64_t told_ = 0;        // what the other knows of that
    std::uint64_t in_written_ = 0;  // the other's, as of our last look
};

struct shared {
    ring* there;  // to the partner
    ring* back;
};

shared map(int fd, const row& of) {
    const std::size_t each = ring::bytes(of.size);
    void* at = mmap(nullptr, 2 * each, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
    must(at != MAP_FAILED, "the memory is mapped");
    auto* bytes = static_cast<std::byte*>(at);
    return {reinterpret_cast<ring*>(bytes), reinterpret_cast<ring*>(bytes + each)};
}

// ---- rows ------------------------------------------------------------------------------------------------------------

std::string text(int fd) { return std::to_string(fd); }

// Plays over `own` with a partner to whom the other descriptors are left; ours of them are closed once it has them.
void play_with(const row& of, const bench::reporter& out, const std::vector<int>& for_partner,
               const std::function<std::unique_ptr<links::wire>()>& own) {
    std::vector<std::string> arguments;
    for (const int fd : for_partner) arguments.push_back(text(fd));
    const links::partner far{of, arguments};
    links::play_over(*own(), of, out, far.id());
}

void play_shm(const row& of, const bench::reporter& out) {
    const int memory = memfd_create("bench", 0);
    const int here = eventfd(0, 0);
    const int there = eventfd(0, 0);
    must(memory >= 0 && here >= 0 && there >= 0, "memory and bells are made");
    must(ftruncate(memory, static_cast<off_t>(2 * ring::bytes(of.size))) == 0, "the memory has its size");
    const shared both = map(memory, of);
    play_with(of, out, {memory, there, here}, [&] {
        return std::make_unique<shm_wire>(*both.there, *both.back, bell{here}, bell{there}, of);
    });
    munmap(both.there, 2 * ring::bytes(of.size));
    for (const int fd : {memory, here, there}) close(fd);
}

void play_unix(const row& of, const bench::reporter& out) {
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "a socketpair is made");
    play_with(of, out, {pair[1], pair[1]}, [&] { return std::make_unique<fd_wire>(pair[0], pair[0], of); });
    close(pair[1]);
}

void play_pipe(const row& of, const bench::reporter& out) {
    int to[2];
    int from[2];
    must(pipe(to) == 0 && pipe(from) == 0, "pipes are made");
    play_with(of, out, {to[0], from[1]}, [&] { return std::make_unique<fd_wire>(from[0], to[1], of); });
    close(to[0]);
    close(from[1]);
}

void play_tcp(const row& of, const bench::reporter& out) {
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where = loopback(0);
    socklen_t length = sizeof where;
    auto* plain = reinterpret_cast<sockaddr*>(&where);
    must(bind(listening, plain, sizeof where) == 0 && listen(listening, 1) == 0 &&
             getsockname(listening, plain, &length) == 0,
         "a socket listens");
    play_with(of, out, {ntohs(where.sin_port)}, [&] {
        const int fd = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
        must(fd >= 0, "the partner connects");
        no_delay(fd);
        return std::make_unique<fd_wire>(fd, fd, of);
    });
    close(listening);
}

// ---- a path that is cut

// -1 if nobody takes it.
int connected_to(std::uint16_t port) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in where = loopback(port);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0) {
        no_delay(fd);
        return fd;
    }
    close(fd);
    return -1;
}

void play_outage(const row& of, const bench::reporter& out) {
    const links::cut_path way;
    const links::partner far{of};
    const auto port = static_cast<std::uint16_t>(std::stoi(way.in_front_of(far.greeting())));
    int fd = connected_to(port);
    links::play_outage(of, out, far, way, [&](std::span<const std::byte> message) {
        if (fd < 0) fd = connected_to(port);
        if (fd < 0) return false;
        if (send(fd, message.data(), message.size(), 0) == static_cast<ssize_t>(message.size())) return true;
        close(std::exchange(fd, -1));
        return false;
    });
    close(fd);
}

void outage_partner() {
    const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where = loopback(0);
    socklen_t length = sizeof where;
    must(bind(listening, reinterpret_cast<sockaddr*>(&where), length) == 0 && listen(listening, 8) == 0 &&
             getsockname(listening, reinterpret_cast<sockaddr*>(&where), &length) == 0,
         "it listens");
    links::arrivals seen;
    std::thread receiver{[&] {
        for (int fd = -1; (fd = accept(listening, nullptr, nullptr)) >= 0; close(fd)) {
            std::array<std::byte, links::outage_size> message{};
            while (recv(fd, message.data(), message.size(), MSG_WAITALL) ==
                   static_cast<ssize_t>(message.size()))
                seen.came(message.data());
        }
    }};
    links::greet(std::to_string(ntohs(where.sin_port)));
    seen.tell_until_released();
    std::_Exit(0);  // the receiver waits for another connection
}

void as_partner(const row& of, std::span<char* const> arguments) {
    if (of.what == links::work::outage) return outage_partner();
    const auto number = [&](std::size_t i) { return std::atoi(arguments[i]); };
    std::unique_ptr<links::wire> over;
    if (of.kind == "shm") {
        const shared both = map(number(0), of);
        over = std::make_unique<shm_wire>(*both.back, *both.there, bell{number(1)}, bell{number(2)}, of);
    } else if (of.kind == "tcp") {
        const int fd = socket(AF_INET, SOCK_STREAM, 0);
        const sockaddr_in where = loopback(static_cast<std::uint16_t>(number(0)));
        must(connect(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0, "it connects");
        no_delay(fd);
        over = std::make_unique<fd_wire>(fd, fd, of);
    } else {
        over = std::make_unique<fd_wire>(number(0), number(1), of);
    }
    links::answer_until_end(*over, of.size);
}

std::vector<row> all_rows() {
    std::vector<row> rows;
    links::add_rows(rows, "shm", true, &play_shm);
    links::add_rows(rows, "unix", true, &play_unix);
    links::add_rows(rows, "tcp", true, &play_tcp);
    links::add_rows(rows, "pipe", false, &play_pipe);
    links::add_outage_rows(rows, &play_outage);
    return rows;
}

}  // namespace

int main(int argc, char** argv) { return links::main(argc, argv, all_rows(), &as_partner); }
