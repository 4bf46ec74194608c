// Hello and answer of a shm link; see bring_up.hpp.
// A message is read by one recvmsg: a sender of ours writes it by one sendmsg into an empty socket, so it arrives whole.
#include "bring_up.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "../support/run_directory.hpp"

namespace coppice::shm {
namespace {

using detail::system_error_of;

// Room for the descriptors that a peer may attach; the kernel closes what does not fit.
struct alignas(cmsghdr) control_room {
    char bytes[CMSG_SPACE(4 * sizeof(int))];
};

// Takes every descriptor out of a message, so that none leaks: the first is returned, further ones are an error.
bool take_descriptor(msghdr& message, descriptor& memory) {
    std::size_t count = 0;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < here; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            descriptor one{fd};
            if (count++ == 0) memory = std::move(one);
        }
    }
    return count == 1 && (message.msg_flags & MSG_CTRUNC) == 0;
}

}  // namespace

result<descriptor> open_socket() {
    descriptor made{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (made) return made;
    const error why = system_error_of(errno, "opening a socket");
    if (errno == EMFILE || errno == ENFILE) return error{errc::limit_reached, std::string{why.text()}};
    return why;
}

result<peer_identity> identify(int socket) {
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0)
        return system_error_of(errno, "asking who the peer is");
    peer_identity peer;
    peer.by = peer_identity::proof::kernel;
    peer.same_machine = true;
    peer.uid = who.uid;
    peer.pid = who.pid;
    peer.address = "shm pid " + std::to_string(who.pid);
    return peer;
}

bool something_to_read(int socket) noexcept {
    pollfd look{.fd = socket, .events = POLLIN, .revents = 0};
    return ::poll(&look, 1, 0) == 1;
}

result<void> send_hello(int socket, const hello& message, int memory) {
    hello copy = message;
    iovec bytes{&copy, sizeof copy};
    control_room control{};
    msghdr out{};
    out.msg_iov = &bytes;
    out.msg_iovlen = 1;
    out.msg_control = control.bytes;
    out.msg_controllen = CMSG_SPACE(sizeof(int));
    cmsghdr* c = CMSG_FIRSTHDR(&out);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(c), &memory, sizeof memory);
    ssize_t sent = 0;
    do sent = ::sendmsg(socket, &out, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return system_error_of(errno, "sending the shared segment");
    if (static_cast<std::size_t>(sent) != sizeof copy) return error{errc::io, "the socket took half a hello"};
    return {};
}

result<hello> receive_hello(int socket, descriptor& memory) {
    hello message;
    iovec bytes{&message, sizeof message};
    control_room control{};
    msghdr in{};
    in.msg_iov = &bytes;
    in.msg_iovlen = 1;
    in.msg_control = control.bytes;
    in.msg_controllen = sizeof control.bytes;
    ssize_t got = 0;
    do got = ::recvmsg(socket, &in, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0) return system_error_of(errno, "receiving a hello");
    const bool one = take_descriptor(in, memory);
    if (got == 0) return error{errc::io, "the peer left before its hello"};
    if (static_cast<std::size_t>(got) != sizeof message) return error{errc::bad_message, "not a whole hello"};
    if (message.magic != magic) return error{errc::bad_message, "not a hello of a shm link"};
    if (message.version != version)
        return error{errc::wrong_version, "a hello of version " + std::to_string(message.version)};
    if (message.size != sizeof message) return error{errc::bad_message, "a hello of another size"};
    if (!one) return error{errc::bad_message, "a hello without its one segment"};
    return message;
}

void send_answer(int socket, errc code, std::uint64_t largest_ring, std::uint64_t nonce) noexcept {
    const answer message{.magic = magic,
                         .version = version,
                         .code = static_cast<std::uint32_t>(code),
                         .limit = largest_ring,
                         .nonce = nonce};
    while (::send(socket, &message, sizeof message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
}

result<void> receive_answer(int socket, std::uint64_t nonce, std::uint64_t& largest_ring) {
    answer message;
    ssize_t got = 0;
    do got = ::recv(socket, &message, sizeof message, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got == 0 || (got < 0 && errno == ECONNRESET))
        return error{errc::io, "the listener closed the connection without an answer"};
    if (got < 0) return system_error_of(errno, "receiving the listener's answer");
    if (static_cast<std::size_t>(got) != sizeof message || message.magic != magic)
        return error{errc::io, "what listens there is no shm listener"};
    largest_ring = message.limit;
    if (message.code == static_cast<std::uint32_t>(errc::ok)) {
        if (message.version == version && message.nonce == nonce) return {};
        return error{errc::io, "the listener's answer is for another hello"};
    }
    for (const errc known : {errc::denied, errc::limit_reached, errc::wrong_version, errc::bad_message})
        if (message.code == static_cast<std::uint32_t>(known)) return known;
    return error{errc::io, "the listener refused, code " + std::to_string(message.code)};
}

}  // namespace coppice::shm
