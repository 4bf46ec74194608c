// Unix sockets: paths and their claims, modes, and who is at the other end.
// The socket gets its mode before it gets its name, so there is no moment at which others could connect.
#include "coppice/transport/unix.hpp"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "stream/activation.hpp"
#include "stream/socket.hpp"
#include "support/run_directory.hpp"

namespace coppice {

namespace {

using namespace detail;  // NOLINT(google-build-using-namespace): the transports' shared parts

struct unix_settings {
    std::string path;
    bool any_uid = false;
};

result<unix_settings> read(const endpoint& where) {
    if (auto known = where.only({"uid"}); !known) return known.error();
    const auto uid = where.one_of("uid", "own", {"own", "any"});
    if (!uid) return uid.error();
    unix_settings s;
    s.any_uid = *uid == "any";
    if (where.port != 0) return error{errc::invalid_argument, place(where) + ": a unix socket has no port"};
    if (where.host.empty() == where.path.empty())
        return error{errc::invalid_argument,
                     place(where) + ": expected a name or a path: unix://name or unix:///run/app/node.sock"};
    if (where.host.empty()) {
        s.path = where.path;
        if (s.path.size() >= sizeof(sockaddr_un::sun_path))
            return error{errc::invalid_argument,
                         place(where) + ": the path of a socket has at most 107 bytes"};
        return s;
    }
    auto path = socket_path(where.host);
    if (!path) return path.error();
    s.path = std::move(*path);
    return s;
}

socket_address address_of(const std::string& path) {
    socket_address address;
    auto& un = reinterpret_cast<sockaddr_un&>(address.storage);
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path, path.c_str(), path.size() + 1);
    address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return address;
}

// Who is at the other end, attested when the connection was made; denied, if that is another user and may not be.
result<peer_identity> identify(int fd, bool any_uid, const std::string& place) {
    ucred who{};
    socklen_t length = sizeof who;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length) != 0)
        return system_error_of(errno, place + ": SO_PEERCRED");
    if (!any_uid && who.uid != ::geteuid())
        return error{errc::denied, place + ": the process at the other end belongs to uid " +
                                       std::to_string(who.uid) + ", not to " + std::to_string(::geteuid()) +
                                       "; the option uid=any allows it"};
    peer_identity peer;
    peer.by = peer_identity::proof::kernel;
    peer.same_machine = true;
    peer.uid = who.uid;
    peer.pid = who.pid;
    peer.address = "unix pid " + std::to_string(who.pid);
    return peer;
}

result<std::unique_ptr<byte_link>> link_of(stream_descriptor descriptor, bool any_uid,
                                           const std::string& place) {
    const int fd = descriptor.native_handle();
    auto peer = identify(fd, any_uid, place);
    if (!peer) return peer.error();
    return make_stream_link(std::move(descriptor), std::make_unique<socket_channel>(fd), std::move(*peer));
}

class unix_listener final : public listener {
public:
    unix_listener(endpoint where, socket_claim claim, std::shared_ptr<accept_loop> loop)
        : where_{std::move(where)}, claim_{std::move(claim)}, loop_{std::move(loop)} {}
    unix_listener(const unix_listener&) = delete;
    unix_listener& operator=(const unix_listener&) = delete;
    ~unix_listener() override { loop_->stop(); }
    [[nodiscard]] const endpoint& where() const noexcept override { return where_; }

private:
    endpoint where_;
    socket_claim claim_;
    std::shared_ptr<accept_loop> loop_;
};

class unix_attempt final : public attempt {
public:
    explicit unix_attempt(std::shared_ptr<socket_connector> connector) : connector_{std::move(connector)} {}
    unix_attempt(const unix_attempt&) = delete;
    unix_attempt& operator=(const unix_attempt&) = delete;
    ~unix_attempt() override { connector_->stop(); }

private:
    std::shared_ptr<socket_connector> connector_;
};

// `claim`: of the socket's file, if that is ours.
result<std::unique_ptr<listener>> accept_at(boost::asio::io_context& io, const endpoint& where, bool any_uid,
                                            unique_fd listening, socket_claim claim,
                                            accepted_function accepted) {
    const std::string at = place(where);
    auto descriptor = watch(io, std::move(listening), at);
    if (!descriptor) return descriptor.error();
    auto loop = std::make_shared<accept_loop>(io, std::move(*descriptor));
    loop->run([&io, any_uid, at, tell = std::move(accepted)](unique_fd peer) {
        auto watched = watch(io, std::move(peer), at);
        if (!watched) return;
        if (auto link = link_of(std::move(*watched), any_uid, at)) tell(std::move(*link));
    });
    return std::unique_ptr<listener>{
        std::make_unique<unix_listener>(where, std::move(claim), std::move(loop))};
}

class unix_kind final : public transport {
public:
    [[nodiscard]] std::string_view scheme() const noexcept override { return "unix"; }
    [[nodiscard]] coppice::reach reach() const noexcept override { return coppice::reach::machine; }

    [[nodiscard]] result<std::unique_ptr<listener>> listen(reactor& on, const endpoint& where,
                                                           accepted_function accepted) const override {
        auto wanted = read(where);
        if (!wanted) return wanted.error();
        const auto io = io_of(on, where);
        if (!io) return io.error();
        const std::string at = place(where);
        const auto run = [&](unique_fd listening, socket_claim claim) {
            return accept_at(**io, where, wanted->any_uid, std::move(listening), std::move(claim),
                             std::move(accepted));
        };
        // Its file is its maker's: it stays, so that the next connection starts a process again.
        if (auto given = activated_socket(address_of(wanted->path))) return run(*std::move(given), {});
        auto fd = open_socket(AF_UNIX, at);
        if (!fd) return fd.error();
        auto claim = socket_claim::take(wanted->path);
        if (!claim) return claim.error();
        // Linux takes the mode of an unnamed socket over to its file; that is narrowed further by the umask.
        const socket_address address = address_of(wanted->path);
        if (::fchmod(fd->get(), S_IRUSR | S_IWUSR) != 0 ||
            ::bind(fd->get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0)
            return system_error_of(errno, at);
        constexpr mode_t all = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;
        if (wanted->any_uid && ::chmod(wanted->path.c_str(), all) != 0) return system_error_of(errno, at);
        if (::listen(fd->get(), SOMAXCONN) != 0) return system_error_of(errno, at);
        return run(std::move(*fd), std::move(*claim));
    }

    [[nodiscard]] result<std::unique_ptr<attempt>> connect(reactor& on, const endpoint& where,
                                                           connected_function done) const override {
        auto wanted = read(where);
        if (!wanted) return wanted.error();
        const auto io = io_of(on, where);
        if (!io) return io.error();
        auto connector = std::make_shared<socket_connector>(**io, place(where));
        connector->run({address_of(wanted->path)}, {},
                       [any = wanted->any_uid, at = place(where),
                        tell = std::move(done)](result<stream_descriptor> connected) {
                           if (!connected) return tell(connected.error());
                           tell(link_of(std::move(*connected), any, at));
                       });
        return std::unique_ptr<attempt>{std::make_unique<unix_attempt>(std::move(connector))};
    }
};

}  // namespace

std::shared_ptr<const transport> unix_transport() { return std::make_shared<unix_kind>(); }

}  // namespace coppice
