// The transport shm: options, the listener's and the connector's side of bring-up; links themselves are in ring_link.cpp.
// Each object lives on its reactor's thread. A callback of the user may destroy the listener or the attempt that calls it:
// nothing of them is touched after the call.
#include "coppice/transport/shm.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "../support/run_directory.hpp"
#include "bring_up.hpp"
#include "ring_link.hpp"
#include "segment.hpp"
#include "watch.hpp"

namespace coppice {

using detail::system_error_of;

result<shm_options> shm_options::of(const endpoint& where) {
    if (auto known = where.only({"ring", "max-ring", "uid"}); !known) return known.error();
    shm_options options;
    for (const auto& [name, value] :
         {std::pair{"ring", &options.ring}, std::pair{"max-ring", &options.max_ring}}) {
        auto bytes = where.bytes(name, *value);
        if (!bytes) return bytes.error();
        if (!shm::valid_ring(*bytes))
            return error{errc::invalid_argument,
                         "option " + std::string{name} + ": a power of two from 4KiB to 64MiB"};
        *value = *bytes;
    }
    auto uid = where.one_of("uid", "own", {"own", "any"});
    if (!uid) return uid.error();
    options.any_uid = *uid == "any";
    return options;
}

namespace shm {
namespace {

constexpr std::size_t most_pending = 64;         // connections whose hello has not come, per listener
constexpr std::chrono::seconds hello_within{5};  // time for it
// Before accepting again when the process has no descriptors left.
constexpr std::chrono::milliseconds breath{100};
constexpr int backlog = 128;
// So that a crowd of connectors does not keep the thread from its other work.
constexpr int accepted_at_once = 16;

struct place {
    std::string name;  // for people
    std::string path;
    shm_options options;
};

result<place> place_of(const endpoint& where) {
    if (where.port != 0 || !where.path.empty())
        return error{errc::invalid_argument, "shm://NAME has neither port nor path: " + where.to_string()};
    auto options = shm_options::of(where);
    if (!options) return options.error();
    auto path = detail::socket_path(where.host);
    if (!path) return path.error();
    if (path->size() >= sizeof(sockaddr_un::sun_path))
        return error{errc::invalid_argument, *path + " is too long for a socket (107 bytes)"};
    return place{"shm://" + where.host, *path, *options};
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

bool welcome(const peer_identity& peer, const shm_options& options) noexcept {
    return options.any_uid || peer.uid == ::geteuid();
}

std::string size_text(std::uint64_t bytes) {
    return bytes >= 1024 * 1024 ? std::to_string(bytes / (1024 * 1024)) + " MiB"
                                : std::to_string(bytes / 1024) + " KiB";
}

// ---------------------------------------------------------------- the side that listens

class shm_listener final : public listener {
public:
    shm_listener(reactor& on, endpoint where, shm_options options, detail::socket_claim claim,
                 descriptor socket, accepted_function accepted)
        : on_{on},
          where_{std::move(where)},
          options_{options},
          claim_{std::move(claim)},
          accepted_{std::make_shared<accepted_function>(std::move(accepted))},
          socket_{on.io_context(), std::move(socket), [this] { accept_some(); }} {
        socket_.arm();
    }
    [[nodiscard]] const endpoint& where() const noexcept override { return where_; }

private:
    // A connection whose hello has not come yet.
    struct newcomer {
        peer_identity peer;
        watch socket;
        std::unique_ptr<pending_timer> limit;
    };

    void accept_some() {
        for (int n = 0; n < accepted_at_once && pending_.size() < most_pending; ++n) {
            descriptor one{::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
            if (one) {
                greet(std::move(one));
            } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                again_ = on_.after(breath, [this] { socket_.arm(); });
                return;
            } else if (errno != EINTR && errno != ECONNABORTED) {
                break;  // nobody else
            }
        }
        if (pending_.size() < most_pending) socket_.arm();
        else full_ = true;  // until one of them is through
    }

    void greet(descriptor one) {
        auto peer = identify(one.get());
        if (!peer) return;
        if (!welcome(*peer, options_)) {
            send_answer(one.get(), errc::denied, 0, 0);
            return;
        }
        const std::uint64_t id = ++last_;
        newcomer& entry = pending_[id];
        entry.peer = std::move(*peer);
        entry.socket = watch{on_.io_context(), std::move(one), [this, id] { hear(id); }};
        entry.limit = on_.after(hello_within, [this, id] { forget(id); });
        entry.socket.arm();
    }

    void forget(std::uint64_t id) {
        pending_.erase(id);
        if (!std::exchange(full_, false)) return;
        socket_.arm();
    }

    void hear(std::uint64_t id) {
        watch& quiet = pending_[id].socket;
        if (!something_to_read(quiet.get())) return quiet.arm();
        newcomer entry = std::move(pending_[id]);
        forget(id);
        descriptor socket = entry.socket.release();
        descriptor memory;
        descriptor lends;
        auto said = receive_hello(socket.get(), memory, lends);
        const auto refuse = [&](errc why, std::uint64_t nonce) {
            const bool known = why == errc::limit_reached || why == errc::wrong_version || why == errc::io;
            send_answer(socket.get(), known ? why : errc::bad_message, options_.max_ring, nonce);
        };
        if (!said) return refuse(said.error().code(), 0);
        if (std::max(said->ring_bytes[0], said->ring_bytes[1]) > options_.max_ring)
            return refuse(errc::limit_reached, said->nonce);
        auto attached =
            segment::attach(memory.get(), {{said->ring_bytes[0], said->ring_bytes[1]}}, said->nonce);
        if (!attached) {  // a limit of the system's, not of the ring's size
            const errc why = attached.error().code();
            return refuse(why == errc::limit_reached ? errc::io : why, said->nonce);
        }
        memory.reset();
        send_answer(socket.get(), errc::ok, options_.max_ring, said->nonce, lent_to(entry.peer));
        auto made = std::make_unique<ring_link>(on_, std::move(*attached), side::acceptor, std::move(socket),
                                                std::move(entry.peer), std::move(lends));
        const auto accepted = accepted_;  // the call may destroy this listener
        (*accepted)(std::move(made));
    }

    reactor& on_;
    endpoint where_;
    shm_options options_;
    detail::socket_claim claim_;
    std::shared_ptr<accepted_function> accepted_;
    watch socket_;
    std::unique_ptr<pending_timer> again_;
    std::map<std::uint64_t, newcomer> pending_;
    std::uint64_t last_ = 0;
    bool full_ = false;
};

// ---------------------------------------------------------------- the side that connects

class shm_attempt final : public attempt {
public:
    shm_attempt(reactor& on, place where, connected_function done)
        : on_{on}, where_{std::move(where)}, done_{std::move(done)} {
        step_ = on_.after(std::chrono::nanoseconds{0}, [this] { try_connect(); });
    }

private:
    void try_connect() {
        auto socket = open_socket();
        if (!socket) return finish(socket.error());
        const sockaddr_un address = address_of(where_.path);
        int failed = 0;
        do failed = ::connect(socket->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
        while (failed != 0 && errno == EINTR);
        if (failed != 0 && errno == EAGAIN) {
            // The listener's backlog is full. Such a socket is not on its way; it has to be tried anew.
            step_ = on_.after(wait_, [this] { try_connect(); });
            wait_ = std::min<std::chrono::milliseconds>(2 * wait_, std::chrono::milliseconds{64});
            return;
        }
        if (failed != 0 && (errno == ENOENT || errno == ECONNREFUSED))
            return finish(
                error{errc::unreachable, "nobody listens at " + where_.name + " (" + where_.path + ")"});
        if (failed != 0) return finish(system_error_of(errno, "connecting to " + where_.path));
        say_hello(std::move(*socket));
    }

    void say_hello(descriptor socket) {
        auto peer = identify(socket.get());
        if (!peer) return finish(peer.error());
        if (!welcome(*peer, where_.options))
            return finish(error{errc::denied, where_.path + " is another user's (uid " +
                                                  std::to_string(peer->uid) + "); uid=any allows that"});
        peer_ = std::move(*peer);
        if (::getrandom(&nonce_, sizeof nonce_, 0) != static_cast<ssize_t>(sizeof nonce_))
            return finish(system_error_of(errno, "drawing a random number"));
        const ring_sizes sizes{{where_.options.ring, where_.options.ring}};
        descriptor memory;
        auto created = segment::create(sizes, nonce_, memory);
        if (!created) return finish(created.error());
        memory_ = std::move(*created);
        const hello message{.magic = magic,
                            .version = version,
                            .size = sizeof(hello),
                            .ring_bytes = {sizes.bytes[0], sizes.bytes[1]},
                            .nonce = nonce_};
        if (auto sent = send_hello(socket.get(), message, memory.get(), lent_to(peer_)); !sent)
            return finish(sent.error());
        socket_ = watch{on_.io_context(), std::move(socket), [this] { hear(); }};
        socket_.arm();
    }

    void hear() {
        if (!something_to_read(socket_.get())) return socket_.arm();
        std::uint64_t limit = 0;
        descriptor lends;
        if (auto said = receive_answer(socket_.get(), nonce_, limit, lends); !said)
            return finish(explained(said.error(), limit));
        finish(std::unique_ptr<byte_link>{std::make_unique<ring_link>(on_, std::move(memory_),
                                                                      side::connector, socket_.release(),
                                                                      std::move(peer_), std::move(lends))});
    }

    [[nodiscard]] error explained(const error& why, std::uint64_t limit) const {
        switch (why.code()) {
        case errc::denied:
            return {errc::denied, "the listener at " + where_.path + " takes its own user's processes only"};
        case errc::limit_reached:
            return {errc::limit_reached, "the listener at " + where_.path + " takes rings of up to " +
                                             size_text(limit) + ", not " + size_text(where_.options.ring)};
        case errc::wrong_version:
            return {errc::wrong_version,
                    "the listener at " + where_.path + " has another version of shm links"};
        case errc::bad_message:
            return {errc::bad_message, "the listener at " + where_.path + " refused the segment"};
        default: return {why.code(), where_.path + ": " + std::string{why.text()}};
        }
    }

    // The call may destroy this attempt.
    void finish(result<std::unique_ptr<byte_link>> outcome) {
        const auto done = std::exchange(done_, nullptr);
        socket_.reset();
        done(std::move(outcome));
    }

    reactor& on_;
    place where_;
    connected_function done_;
    std::unique_ptr<pending_timer> step_;
    std::chrono::milliseconds wait_{1};
    std::uint64_t nonce_ = 0;
    segment memory_;
    peer_identity peer_;
    watch socket_;
};

class kind final : public transport {
public:
    [[nodiscard]] std::string_view scheme() const noexcept override { return "shm"; }
    [[nodiscard]] coppice::reach reach() const noexcept override { return coppice::reach::machine; }

    [[nodiscard]] result<std::unique_ptr<listener>> listen(reactor& on, const endpoint& where,
                                                           accepted_function accepted) const override {
        auto at = place_of(where);
        if (!at) return at.error();
        auto claim = detail::socket_claim::take(at->path);
        if (!claim) return claim.error();
        auto socket = open_socket();
        if (!socket) return socket.error();
        const sockaddr_un address = address_of(at->path);
        // The mode of the socket's file is that of the socket at the time of bind().
        if (::fchmod(socket->get(), at->options.any_uid ? 0666 : 0600) != 0 ||
            ::bind(socket->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(socket->get(), backlog) != 0)
            return system_error_of(errno, "listening at " + at->path);
        return std::unique_ptr<listener>{std::make_unique<shm_listener>(
            on, where, at->options, std::move(*claim), std::move(*socket), std::move(accepted))};
    }

    [[nodiscard]] result<std::unique_ptr<attempt>> connect(reactor& on, const endpoint& where,
                                                           connected_function done) const override {
        auto at = place_of(where);
        if (!at) return at.error();
        return std::unique_ptr<attempt>{std::make_unique<shm_attempt>(on, std::move(*at), std::move(done))};
    }
};

}  // namespace
}  // namespace shm

std::shared_ptr<const transport> shm_transport() {
    static const auto one = std::make_shared<const shm::kind>();
    return one;
}

}  // namespace coppice
