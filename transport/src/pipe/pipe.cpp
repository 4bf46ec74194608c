// The transport "pipe": the listener's and the connector's side of joining; what they open is fifo.hpp's affair, what they
// say join.hpp's, and the link is a stream_link over a fifo_channel.
//
//     connector: makes down and up, opens both --- request ---> listener: opens both, removes their names
//                reads the answer, and the link stands <- answer -- (on down)
//
// The listener keeps nothing of a peer between two requests, so there is no crowd of half-open ones to be bounded. A connector
// learns that its listener is gone from the access pipe's error condition. Reactor thread; listening and joining are shared by
// their pending waits and call nobody after stop().
#include "coppice/transport/pipe.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "pipe/fifo.hpp"
#include "pipe/fifo_channel.hpp"
#include "pipe/join.hpp"
#include "support/run_directory.hpp"

namespace coppice {

namespace pipes {

using namespace detail;  // NOLINT(google-build-using-namespace): the transports' shared parts

// ---------------------------------------------------------------- the bytes of a link

stream_channel::outcome fifo_channel::read(std::span<std::byte> into, std::size_t& count, error& why) {
    return read_descriptor(in_, into, count, why);
}

stream_channel::outcome fifo_channel::write(std::span<const iovec> parts, std::size_t& count, error& why) {
    for (;;) {
        const ssize_t n = ::writev(out_.native_handle(), parts.data(), static_cast<int>(parts.size()));
        if (n >= 0) {
            count = static_cast<std::size_t>(n);
            return outcome::moved;
        }
        if (errno == EINTR) continue;
        if (errno == EAGAIN) return outcome::blocked;
        why = system_error_of(errno, "writing to the peer");
        return outcome::failed;
    }
}

bool fifo_channel::finish() noexcept {
    boost::system::error_code ignored;  // it is closed whatever close() says
    out_.close(ignored);
    guard_ = unique_fd{};
    return true;
}

namespace {

constexpr int joins_per_turn = 16;
constexpr std::chrono::milliseconds breath{100};    // out of descriptors: time for some to be closed
constexpr std::chrono::milliseconds first_wait{1};  // the access pipe is full, or the directory is locked
constexpr std::chrono::milliseconds longest_wait{64};

result<location> read(const endpoint& where) {
    if (auto known = where.only({"dir", "rights", "buffer"}); !known) return known.error();
    const auto rights = where.one_of("rights", "own", {"own", "group"});
    if (!rights) return rights.error();
    const auto buffer = where.bytes("buffer", std::uint64_t{64} << 10);
    if (!buffer) return buffer.error();
    if (*buffer < 4096 || *buffer > (1 << 20))
        return error{errc::invalid_argument, "option buffer: 4KiB to 1MiB"};
    location at{.path = {}, .place = place(where), .group = *rights == "group", .buffer = *buffer};
    if (where.port != 0) return error{errc::invalid_argument, at.place + ": a pipe has no port"};
    if (!where.path.empty())
        return error{errc::invalid_argument,
                     at.place + ": expected pipe://name; dir=/run/app says where it lies"};
    const auto dir = where.options.find("dir");
    std::string directory = dir == where.options.end() ? std::string{} : dir->second;
    if (dir != where.options.end() && !directory.starts_with('/'))
        return error{errc::invalid_argument, "option dir: a path that begins with '/'"};
    while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
    auto path = pipe_path(where.host, directory);
    if (!path) return path.error();
    at.path = std::move(*path);
    return at;
}

result<std::unique_ptr<byte_link>> link_of(boost::asio::io_context& io, const location& at, unique_fd in,
                                           unique_fd out, unique_fd guard, std::string address) {
    const int from = in.get();
    auto reads = watch(io, std::move(in), at.place);
    if (!reads) return reads.error();
    auto writes = watch(io, std::move(out), at.place);
    if (!writes) return writes.error();
    peer_identity peer;
    peer.same_machine = true;
    peer.address = std::move(address);
    return make_stream_link(std::move(*reads),
                            std::make_unique<fifo_channel>(from, std::move(*writes), std::move(guard)),
                            std::move(peer));
}

// ---------------------------------------------------------------- the side that listens

class listening final : public std::enable_shared_from_this<listening> {
public:
    listening(boost::asio::io_context& io, location at, stream_descriptor access)
        : io_{io}, at_{std::move(at)}, access_{std::move(access)}, pause_{io} {}

    void run(accepted_function accepted) {
        accepted_ = std::make_shared<accepted_function>(std::move(accepted));
        wait();
    }
    void stop() noexcept {
        accepted_ = nullptr;
        boost::system::error_code ignored;
        pause_.cancel(ignored);
        access_.close(ignored);
    }

private:
    void wait() {
        access_.async_wait(stream_descriptor::wait_read,
                           [self = shared_from_this()](const boost::system::error_code& failure) {
                               if (!failure) self->turn();
                           });
    }

    // Reads and admits, a bounded number at a time.
    void turn() {
        bool empty = false;
        for (int n = 0; n < joins_per_turn && accepted_; ++n) {
            if (!next_) next_ = scanner_.next(empty);
            if (next_) {
                if (!admit(*next_)) return pause();
                next_.reset();
            } else if (empty) {
                return wait();
            } else {
                const std::span<std::byte> room = scanner_.room();
                const ssize_t got = ::read(access_.native_handle(), room.data(), room.size());
                if (got > 0) scanner_.filled(static_cast<std::size_t>(got));
                else if (got == 0 || errno != EINTR) empty = true;
            }
        }
        if (accepted_) boost::asio::post(io_, [self = shared_from_this()] { self->turn(); });
    }

    void pause() {
        pause_.expires_after(breath);
        pause_.async_wait([self = shared_from_this()](const boost::system::error_code&) { self->turn(); });
    }

    // False: out of descriptors, try that one again later. A peer that is gone, or whose pipes are not what they should be, is
    // forgotten.
    bool admit(const request& asked) {
        const std::string down = down_path(at_, asked.id);
        const std::string up = up_path(at_, asked.id);
        auto guard = open_pipe(at_, down, O_RDONLY);
        if (!guard) return guard.error() != errc::limit_reached;
        if (abandoned(guard->get())) {
            ::unlink(up.c_str());
            ::unlink(down.c_str());
            return true;
        }
        auto in = open_pipe(at_, up, O_RDONLY);
        if (!in) return in.error() != errc::limit_reached;
        auto out = open_pipe(at_, down, O_WRONLY);
        if (!out) return out.error() != errc::limit_reached;
        if (!same_pipe(guard->get(), out->get())) return true;
        if (asked.version != version) {
            reply(out->get(), asked, errc::wrong_version);
            return true;
        }
        const int answered = out->get();
        auto made = link_of(io_, at_, std::move(*in), std::move(*out), std::move(*guard),
                            "pipe, of pid " + std::to_string(asked.pid) + " as it says");
        if (!made) return false;
        ::unlink(up.c_str());
        ::unlink(down.c_str());
        if (!reply(answered, asked, errc::ok)) return true;
        // The function may stop us, and its owner may go: the copy outlives the call.
        const auto accepted = accepted_;
        (*accepted)(std::move(*made));
        return true;
    }

    static bool reply(int fd, const request& asked, errc code) {
        answer said;
        said.code = static_cast<std::uint32_t>(code);
        said.id = asked.id;
        said = sealed(said);
        return write_quietly(fd, &said, sizeof said) == 0;
    }

    boost::asio::io_context& io_;
    location at_;
    stream_descriptor access_;
    boost::asio::steady_timer pause_;
    std::shared_ptr<accepted_function> accepted_;  // null: stopped
    request_scanner scanner_;
    std::optional<request> next_;  // found and not admitted yet
};

class pipe_listener final : public listener {
public:
    pipe_listener(endpoint where, socket_claim claim, std::shared_ptr<listening> running)
        : where_{std::move(where)}, claim_{std::move(claim)}, running_{std::move(running)} {}
    pipe_listener(const pipe_listener&) = delete;
    pipe_listener& operator=(const pipe_listener&) = delete;
    // The name goes first, by the claim, so that nobody new finds it; then the pipe, which tells those who wait.
    ~pipe_listener() override {
        claim_.release();
        running_->stop();
    }
    [[nodiscard]] const endpoint& where() const noexcept override { return where_; }

private:
    endpoint where_;
    socket_claim claim_;
    std::shared_ptr<listening> running_;
};

// ---------------------------------------------------------------- the side that connects

class joining final : public std::enable_shared_from_this<joining> {
public:
    joining(boost::asio::io_context& io, location at) : io_{io}, at_{std::move(at)}, retry_{io} {}

    void run(connected_function done) {
        done_ = std::move(done);
        boost::asio::post(io_, [self = shared_from_this()] { self->ask(); });
    }
    void stop() noexcept {
        done_ = nullptr;
        boost::system::error_code ignored;
        retry_.cancel(ignored);
        access_.reset();
        answer_.reset();
        pair_.reset();
    }

private:
    void ask() {
        if (!done_) return;
        if (!access_) {
            auto fd = open_pipe(at_, at_.path, O_WRONLY);
            if (!fd) return finish(fd.error());
            auto watched = watch(io_, std::move(*fd), at_.place);
            if (!watched) return finish(watched.error());
            access_ = std::make_unique<stream_descriptor>(std::move(*watched));
        }
        if (!pair_) {
            struct stat is{};
            if (::fstat(access_->native_handle(), &is) != 0) return finish(system_error_of(errno, at_.place));
            auto made = private_pair::make(at_, is.st_gid);
            if (!made) return finish(made.error());
            if (!*made) return again();
            pair_ = std::make_unique<private_pair>(std::move(**made));
        }
        request asked;
        asked.id = pair_->id();
        asked.pid = ::getpid();
        asked = sealed(asked);
        switch (const int number = write_quietly(access_->native_handle(), &asked, sizeof asked)) {
        case 0: return wait();
        case EAGAIN: return again();
        case EPIPE: return finish(nobody());
        default: return finish(system_error_of(number, at_.place + ": asking to join"));
        }
    }

    void again() {
        retry_.expires_after(pace_);
        pace_ = std::min(2 * pace_, longest_wait);
        retry_.async_wait([self = shared_from_this()](const boost::system::error_code& failure) {
            if (!failure) self->ask();
        });
    }

    void wait() {
        auto watched = watch(io_, std::move(pair_->in), at_.place);
        if (!watched) return finish(watched.error());
        answer_ = std::make_unique<stream_descriptor>(std::move(*watched));
        wait_for_answer();
        wait_for_the_end();
    }

    void wait_for_answer() {
        answer_->async_wait(stream_descriptor::wait_read,
                            [self = shared_from_this()](const boost::system::error_code& failure) {
                                if (!failure && self->done_ && !self->hear()) self->wait_for_answer();
                            });
    }

    void wait_for_the_end() {
        access_->async_wait(stream_descriptor::wait_error,
                            [self = shared_from_this()](const boost::system::error_code& failure) {
                                if (!failure && self->done_ && !self->hear()) self->wait_for_the_end();
                            });
    }

    // False: nothing has come. Asio's waits end too soon at times (a new descriptor may get the events of a closed one), so
    // both pipes are asked. What follows the answer is the link's: not a byte more is read here.
    bool hear() {
        const bool gone = deserted(access_->native_handle());  // before the look: its answer is there then
        answer said;
        const ssize_t got = ::read(answer_->native_handle(), &said, sizeof said);
        if (got < 0 && errno == EAGAIN && !gone) return false;
        if (got < 0 && errno == EAGAIN) finish(nobody());
        else if (got < 0) finish(system_error_of(errno, at_.place + ": reading the answer"));
        else take(said, static_cast<std::size_t>(got));
        return true;
    }

    void take(const answer& said, std::size_t size) {
        if (size != sizeof said) return finish(error{errc::io, at_.place + ": half an answer"});
        if (auto welcome = pipes::read(said, pair_->id()); !welcome)
            return finish(error{welcome.error().code(), at_.place + ": " + welcome.error().what()});
        unique_fd in{answer_->release()};
        answer_.reset();
        pair_->dummy = unique_fd{};  // the listener is the only writer from now on
        finish(link_of(io_, at_, std::move(in), std::move(pair_->out), std::move(pair_->guard),
                       "pipe " + at_.path));
    }

    [[nodiscard]] error nobody() const { return {errc::unreachable, at_.place + ": nobody listens there"}; }

    void finish(result<std::unique_ptr<byte_link>> outcome) {
        const auto self = shared_from_this();  // the owner may destroy the attempt within the call
        const connected_function done = std::exchange(done_, nullptr);
        stop();
        done(std::move(outcome));
    }

    boost::asio::io_context& io_;
    location at_;
    boost::asio::steady_timer retry_;
    std::chrono::milliseconds pace_ = first_wait;
    connected_function done_;  // empty: told or stopped
    std::unique_ptr<stream_descriptor> access_;
    std::unique_ptr<private_pair> pair_;
    std::unique_ptr<stream_descriptor> answer_;  // the pair's `in`, once the request is out
};

class pipe_attempt final : public attempt {
public:
    explicit pipe_attempt(std::shared_ptr<joining> running) : running_{std::move(running)} {}
    pipe_attempt(const pipe_attempt&) = delete;
    pipe_attempt& operator=(const pipe_attempt&) = delete;
    ~pipe_attempt() override { running_->stop(); }

private:
    std::shared_ptr<joining> running_;
};

class pipe_kind final : public transport {
public:
    [[nodiscard]] std::string_view scheme() const noexcept override { return "pipe"; }
    [[nodiscard]] coppice::reach reach() const noexcept override { return coppice::reach::machine; }

    [[nodiscard]] result<std::unique_ptr<listener>> listen(reactor& on, const endpoint& where,
                                                           accepted_function accepted) const override {
        auto at = read(where);
        if (!at) return at.error();
        const auto io = io_of(on, where);
        if (!io) return io.error();
        auto claim = socket_claim::take_pipe(at->path);
        if (!claim) return claim.error();
        sweep(*at);
        auto access = make_access(*at);
        if (!access) return access.error();
        auto watched = watch(**io, std::move(*access), at->place);
        if (!watched) return watched.error();
        auto running = std::make_shared<listening>(**io, std::move(*at), std::move(*watched));
        running->run(std::move(accepted));
        return std::unique_ptr<listener>{
            std::make_unique<pipe_listener>(where, std::move(*claim), std::move(running))};
    }

    [[nodiscard]] result<std::unique_ptr<attempt>> connect(reactor& on, const endpoint& where,
                                                           connected_function done) const override {
        auto at = read(where);
        if (!at) return at.error();
        const auto io = io_of(on, where);
        if (!io) return io.error();
        auto running = std::make_shared<joining>(**io, std::move(*at));
        running->run(std::move(done));
        return std::unique_ptr<attempt>{std::make_unique<pipe_attempt>(std::move(running))};
    }
};

}  // namespace
}  // namespace pipes

std::shared_ptr<const transport> pipe_transport() { return std::make_shared<pipes::pipe_kind>(); }

}  // namespace coppice
