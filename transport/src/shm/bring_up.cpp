// Hello and answer of a shm link; see bring_up.hpp.
// A message is read by one recvmsg: a sender of ours writes it by one sendmsg into an empty socket, so it arrives whole.
#include "bring_up.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "../support/run_directory.hpp"

namespace coppice::shm {
namespace {

using detail::system_error_of;

// Room for the descriptors that a peer may attach; the kernel closes what does not fit.
struct alignas(cmsghdr) control_room {
    char bytes[CMSG_SPACE(4 * sizeof(int))];
};

// Takes every descriptor out of a message, so that none leaks. True if there are as many as there are places for them.
bool take_descriptors(msghdr& message, std::span<descriptor* const> places) {
    std::size_t count = 0;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < here; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            descriptor one{fd};
            if (count < places.size()) *places[count] = std::move(one);
            ++count;
        }
    }
    return count == places.size() && (message.msg_flags & MSG_CTRUNC) == 0;
}

// Puts descriptors beside a message. At most as many as there is room for.
void put_descriptors(msghdr& message, control_room& control, std::span<const int> which) {
    if (which.empty()) return;
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(which.size_bytes());
    cmsghdr* c = CMSG_FIRSTHDR(&message);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(which.size_bytes());
    std::memcpy(CMSG_DATA(c), which.data(), which.size_bytes());
}

// One message and the descriptors beside it, by one system call.
struct parcel {
    template <class Message>
    explicit parcel(Message& message) : bytes{&message, sizeof message} {
        header.msg_iov = &bytes;
        header.msg_iovlen = 1;
    }
    parcel(const parcel&) = delete;
    parcel& operator=(const parcel&) = delete;

    ssize_t send(int socket, std::span<const int> descriptors) noexcept {
        put_descriptors(header, control, descriptors);
        ssize_t sent = 0;
        do sent = ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (sent < 0 && errno == EINTR);
        return sent;
    }
    ssize_t receive(int socket) noexcept {
        header.msg_control = control.bytes;
        header.msg_controllen = sizeof control.bytes;
        ssize_t got = 0;
        do got = ::recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        while (got < 0 && errno == EINTR);
        return got;
    }

    iovec bytes;
    control_room control{};
    msghdr header{};
};

}  // namespace

result<descriptor> open_socket() {
    descriptor made{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (made) return made;
    return system_error_of(errno, "opening a socket");
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

int lent_to(const peer_identity& peer) noexcept { return peer.uid == ::geteuid() ? lending_memory() : -1; }

bool something_to_read(int socket) noexcept {
    pollfd look{.fd = socket, .events = POLLIN, .revents = 0};
    return ::poll(&look, 1, 0) == 1;
}

result<void> send_hello(int socket, hello message, int memory, int lends) {
    message.lends = lends >= 0;
    const int both[] = {memory, lends};
    parcel out{message};
    const ssize_t sent = out.send(socket, std::span{both}.first(lends >= 0 ? 2 : 1));
    if (sent < 0) return system_error_of(errno, "sending the shared segment");
    if (static_cast<std::size_t>(sent) != sizeof message)
        return error{errc::io, "the socket took half a hello"};
    return {};
}

result<hello> receive_hello(int socket, descriptor& memory, descriptor& lends) {
    hello message;
    parcel in{message};
    const ssize_t got = in.receive(socket);
    if (got < 0) return system_error_of(errno, "receiving a hello");
    descriptor* const places[] = {&memory, &lends};
    const bool with_its_own = static_cast<std::size_t>(got) == sizeof message && message.lends == 1;
    const std::size_t wanted = with_its_own ? 2 : 1;
    const bool right = take_descriptors(in.header, std::span{places}.first(wanted));
    if (got == 0) return error{errc::io, "the peer left before its hello"};
    if (static_cast<std::size_t>(got) != sizeof message) return error{errc::bad_message, "not a whole hello"};
    if (message.magic != magic) return error{errc::bad_message, "not a hello of a shm link"};
    if (message.version != version)
        return error{errc::wrong_version, "a hello of version " + std::to_string(message.version)};
    if (message.size != sizeof message) return error{errc::bad_message, "a hello of another size"};
    // The system had no descriptor to give for one of them: it says that something was cut off, and gives fewer.
    if (!right && (in.header.msg_flags & MSG_CTRUNC) && !*places[wanted - 1])
        return error{errc::io, "no descriptor is left for the segment"};
    if (!right) return error{errc::bad_message, "a hello without its descriptors, or with more"};
    return message;
}

void send_answer(int socket, errc code, std::uint64_t largest_ring, std::uint64_t nonce, int lends) noexcept {
    answer message{.magic = magic,
                   .version = version,
                   .code = static_cast<std::uint32_t>(code),
                   .limit = largest_ring,
                   .nonce = nonce};
    parcel out{message};
    static_cast<void>(out.send(socket, std::span{&lends, lends >= 0 ? std::size_t{1} : 0}));
}

result<void> receive_answer(int socket, std::uint64_t nonce, std::uint64_t& largest_ring, descriptor& lends) {
    answer message;
    parcel in{message};
    const ssize_t got = in.receive(socket);
    descriptor* const place[] = {&lends};
    // It need not lend; and what is more than one is no reason to do without the link.
    if (got >= 0 && !take_descriptors(in.header, place)) lends.reset();
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
    if (message.code == static_cast<std::uint32_t>(errc::io))
        return error{errc::io, "the listener has no descriptors or no memory left"};
    return error{errc::io, "the listener refused, code " + std::to_string(message.code)};
}

}  // namespace coppice::shm
