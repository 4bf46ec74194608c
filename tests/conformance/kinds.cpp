// One entry a kind; and what the entries need: a directory, certificates, plain connections.
#include "conformance/kind.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "coppice/transport/inproc.hpp"
#include "coppice/transport/pipe.hpp"
#include "coppice/transport/shm.hpp"
#include "coppice/transport/tcp.hpp"
#include "coppice/transport/tls.hpp"
#include "coppice/transport/unix.hpp"
#include "support/certificates.hpp"
#include "support/loopback.hpp"
#include "support/own_directory.hpp"

namespace coppice::tests {

namespace {

std::string fresh_name() {
    static int last = 0;
    return "n" + std::to_string(++last);
}

endpoint same(const endpoint& where) { return where; }

// Made once, because keys take time.
const std::string& tls_options() {
    static const std::string options = [] {
        const certificate_authority ca{test_directory(), "ca"};
        return ca.issue("node", {.name = "node.test", .address = "127.0.0.1"}).options();
    }();
    return options;
}

}  // namespace

std::vector<kind> kinds() {
    using proof = peer_identity::proof;
    const auto named = [](const std::string& scheme) {
        return [scheme] {
            test_directory();  // where names lie
            return at(scheme + "://" + fresh_name());
        };
    };
    return {
        {.name = "inproc",
         .how = inproc_transport(),
         .fresh = named("inproc"),
         .to = same,
         .proof = proof::same_process,
         .between_processes = false},
        {.name = "unix", .how = unix_transport(), .fresh = named("unix"), .to = same, .proof = proof::kernel},
        {.name = "shm",
         .how = shm_transport(),
         .fresh = named("shm"),
         .to = same,
         .proof = proof::kernel,
         .stranger = [](const endpoint& e) { return plain_unix(test_directory() + "/" + e.host + ".sock"); },
         .tells_death = true},
        {.name = "pipe", .how = pipe_transport(), .fresh = named("pipe"), .to = same},
        {.name = "tcp", .how = tcp_transport(), .fresh = [] { return at("tcp://127.0.0.1:0"); }, .to = same},
        {.name = "tcp6", .how = tcp_transport(), .fresh = [] { return at("tcp://[::1]:0"); }, .to = same},
        {.name = "tls",
         .how = tls_transport(),
         .fresh = [] { return at("tls://127.0.0.1:0?" + tls_options()); },
         .to = same,
         .proof = proof::certificate,
         .stranger = [](const endpoint& e) { return plain_tcp(e.port); },
         .tells_death = true},
    };
}

const std::string& test_directory() {
    static const own_run_directory own;  // a forked child ends without removing it
    return own.path();
}

endpoint at(const std::string& uri) {
    auto parsed = endpoint::parse(uri);
    if (!parsed) {
        ADD_FAILURE() << parsed.error().what();
        return {};
    }
    return *parsed;
}

int plain_tcp(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in to = loopback(port);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return fd;
    ::close(fd);
    return -1;
}

int plain_unix(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, path.c_str(), std::min(path.size() + 1, sizeof to.sun_path - 1));
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return fd;
    ::close(fd);
    return -1;
}

}  // namespace coppice::tests
