// What the tests of shm links share: segments mapped twice, links without a listener, owners
// that write down what they get, and child processes that play one side.
// One thread, unless a helper says otherwise.
#pragma once
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "../../transport/src/shm/ring.hpp"
#include "../../transport/src/shm/ring_link.hpp"
#include "../../transport/src/shm/segment.hpp"
#include "coppice/transport/shm.hpp"
#include "support/io_reactor.hpp"
#include "support/own_directory.hpp"

namespace coppice::tests {

/// A number from a seed, as good as random (splitmix64, Steele, Lea and Flood 2014).
inline std::uint64_t next_random(std::uint64_t& seed) noexcept {
    std::uint64_t z = seed += 0x9e37'79b9'7f4a'7c15;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
}

/// A segment as both sides have it mapped, each for itself.
struct two_mappings {
    shm::segment connector;
    shm::segment acceptor;
    shm::descriptor memory;

    explicit two_mappings(std::uint64_t ring = 4096) : two_mappings{ring, ring} {}
    two_mappings(std::uint64_t forth, std::uint64_t back) {
        connector = shm::segment::create({{forth, back}}, 1, memory).value();
        acceptor = shm::segment::attach(memory.get(), {{forth, back}}, 1).value();
    }
    [[nodiscard]] shm::segment third() const {
        const ring_pair sizes = rings();
        return shm::segment::attach(memory.get(), {{sizes.forth, sizes.back}}, 1).value();
    }

private:
    struct ring_pair {
        std::uint64_t forth;
        std::uint64_t back;
    };
    [[nodiscard]] ring_pair rings() const {
        return {connector.size(shm::side::connector), connector.size(shm::side::acceptor)};
    }
};

/// An owner that keeps what comes, or hands it to `on_received`.
struct recorder final : link_events {
    std::vector<std::byte> bytes;
    std::size_t times_writable = 0;
    std::optional<error> end;
    std::function<std::size_t(std::span<const std::byte>)> on_received;
    std::function<void()> on_writable;

    std::size_t received(std::span<const std::byte> shown) override {
        EXPECT_FALSE(end) << "bytes after the end";
        if (on_received) return on_received(shown);
        bytes.insert(bytes.end(), shown.begin(), shown.end());
        return shown.size();
    }
    void writable() override {
        EXPECT_FALSE(end) << "writable after the end";
        ++times_writable;
        if (on_writable) on_writable();
    }
    void closed(error why) override {
        EXPECT_FALSE(end) << "ended twice";
        end = std::move(why);
    }
};

/// Two ends of a link on one reactor or two, and a third mapping of its memory for a hostile hand.
struct joined_links {
    std::unique_ptr<shm::ring_link> connector;
    std::unique_ptr<shm::ring_link> acceptor;
    shm::segment hand;
    int connector_socket = -1;  ///< the links'; for a hand that rings
    int acceptor_socket = -1;

    joined_links(reactor& one, reactor& other, std::uint64_t ring = 4096) {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) std::abort();
        connector_socket = ends[0];
        acceptor_socket = ends[1];
        two_mappings both{ring};
        hand = both.third();
        connector = std::make_unique<shm::ring_link>(one, std::move(both.connector), shm::side::connector,
                                                     shm::descriptor{ends[0]}, peer_identity{});
        acceptor = std::make_unique<shm::ring_link>(other, std::move(both.acceptor), shm::side::acceptor,
                                                    shm::descriptor{ends[1]}, peer_identity{});
    }
    explicit joined_links(reactor& on, std::uint64_t ring = 4096) : joined_links{on, on, ring} {}
};

/// Writes all of it that fits; true if all did.
inline bool write_some(byte_link& link, std::span<const std::byte>& bytes) {
    while (!bytes.empty()) {
        const auto room = link.reserve(1);
        if (room.empty()) return false;
        const std::size_t n = std::min(room.size(), bytes.size());
        std::memcpy(room.data(), bytes.data(), n);
        link.commit(n);
        bytes = bytes.subspan(n);
    }
    link.flush();
    return true;
}

inline bool write_text(byte_link& link, std::string_view text) {
    auto bytes = std::as_bytes(std::span{text});
    return write_some(link, bytes);
}

inline std::string text_of(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

inline endpoint shm_endpoint(const std::string& uri) { return endpoint::parse(uri).value(); }

/// Starts this test program again to run one test in a process of its own, which finds `part` in the environment variable
/// COPPICE_SHM_PART.
class other_process {
public:
    other_process(const std::string& test, const std::string& part) {
        std::vector<std::string> arguments{"/proc/self/exe", "--gtest_filter=" + test};
        std::vector<char*> argv;
        for (std::string& a : arguments) argv.push_back(a.data());
        argv.push_back(nullptr);
        std::vector<std::string> variables{"COPPICE_SHM_PART=" + part};
        for (char** e = environ; *e; ++e) variables.emplace_back(*e);
        std::vector<char*> envp;
        for (std::string& v : variables) envp.push_back(v.data());
        envp.push_back(nullptr);
        // vfork's child only execs.
        pid_ = ::fork();
        if (pid_ == 0) {
            const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
            ::dup2(null, STDOUT_FILENO);
            ::execve(argv[0], argv.data(), envp.data());
            ::_exit(127);
        }
    }
    ~other_process() {
        if (pid_ > 0) {
            kill();
            wait();
        }
    }
    other_process(const other_process&) = delete;
    other_process& operator=(const other_process&) = delete;

    void kill() const { ::kill(pid_, SIGKILL); }
    [[nodiscard]] pid_t id() const { return pid_; }
    /// How it ended, as waitpid says.
    int wait() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return status;
    }
    static std::string part() {
        const char* text = std::getenv("COPPICE_SHM_PART");
        return text ? text : "";
    }

private:
    pid_t pid_ = -1;
};

}  // namespace coppice::tests
