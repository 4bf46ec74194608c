// What the suite plays with: an owner of a link that writes down what happens and holds the link to its rules,
// messages cut into frames, and a rig with a listener and a connector on one reactor. One thread, that of the link's
// reactor.
#pragma once
#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "conformance/kind.hpp"
#include "support/io_reactor.hpp"

namespace coppice::tests {

using bytes = std::vector<std::byte>;

inline bytes bytes_of(std::string_view text) {
    const auto* first = reinterpret_cast<const std::byte*>(text.data());
    return {first, first + text.size()};
}

/// Bytes that depend on their place and on `salt`.
inline bytes pattern(std::size_t size, std::uint64_t salt) {
    bytes made(size);
    std::uint64_t x = salt * 0x9e3779b97f4a7c15u + 1;
    for (std::byte& b : made) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        b = static_cast<std::byte>(x);
    }
    return made;
}

/// Descriptors that this process has open.
inline std::size_t open_descriptors() {
    std::size_t count = 0;
    DIR* listed = ::opendir("/proc/self/fd");
    if (!listed) throw std::system_error{errno, std::system_category(), "/proc/self/fd"};
    errno = 0;  // readdir ends with null in both cases
    while (::readdir(listed)) ++count;
    const int failure = errno;
    ::closedir(listed);
    if (failure != 0) throw std::system_error{failure, std::system_category(), "/proc/self/fd"};
    return count;
}

/// Owns a link. What it is told to send goes out as the link has room; what comes is kept, unless `receive` takes it.
class party final : public link_events {
public:
    explicit party(std::unique_ptr<byte_link> owned) : link_{std::move(owned)} {}
    party(const party&) = delete;
    party& operator=(const party&) = delete;

    // What a test looks at, and what it may set.
    bytes got;
    std::optional<error> end;
    std::size_t writable_events = 0;
    std::size_t batch = 4096;  // bytes a commit
    std::function<std::size_t(std::span<const std::byte>)> receive;
    std::function<void()> room;
    std::function<void()> over;

    [[nodiscard]] byte_link& link() { return *link_; }
    void start() {
        const inside noted{calls_};
        link_->start(*this);
    }
    void close() {
        closed_ = true;
        const inside noted{calls_};
        link_->close();
    }
    /// Sends as far as there is room; the rest follows in writable().
    void send(const bytes& more) {
        backlog_.insert(backlog_.end(), more.begin(), more.end());
        pump();
    }
    /// Nothing waits here.
    [[nodiscard]] bool sent() const noexcept { return sent_ == backlog_.size(); }
    std::span<std::byte> reserve(std::size_t least) {
        const inside noted{calls_};
        return link_->reserve(least);
    }
    void commit(std::size_t size) {
        const inside noted{calls_};
        link_->commit(size);
    }
    void flush() {
        const inside noted{calls_};
        link_->flush();
    }

    std::size_t received(std::span<const std::byte> shown) override {
        check();
        EXPECT_FALSE(shown.empty());
        if (receive) return receive(shown);
        got.insert(got.end(), shown.begin(), shown.end());
        return shown.size();
    }
    void writable() override {
        check();
        ++writable_events;
        if (room) room();
        else pump();
    }
    void closed(error why) override {
        check();
        end = std::move(why);
        if (over) over();
    }

private:
    // The owner is inside a function of the link, where no event may come.
    struct inside {
        explicit inside(int& d) : depth{d} { ++depth; }
        inside(const inside&) = delete;
        inside& operator=(const inside&) = delete;
        ~inside() { --depth; }
        int& depth;
    };
    void check() const {
        EXPECT_EQ(calls_, 0) << "an event within a call of the link";
        EXPECT_FALSE(closed_) << "an event after close()";
        EXPECT_FALSE(end.has_value()) << "an event after closed()";
    }
    void pump() {
        while (!sent()) {
            const std::size_t size = std::min({batch, backlog_.size() - sent_, link_->max_reserve()});
            const std::span<std::byte> to = reserve(size);
            if (to.empty()) return;
            ASSERT_GE(to.size(), size);
            std::memcpy(to.data(), backlog_.data() + sent_, size);
            commit(size);
            sent_ += size;
        }
        backlog_.clear();
        sent_ = 0;
        flush();
    }

    bytes backlog_;
    std::size_t sent_ = 0;
    int calls_ = 0;
    bool closed_ = false;
    std::unique_ptr<byte_link> link_;  // first to go
};

// ---------------------------------------------------------------- messages in frames

constexpr std::size_t frame_payload = 16 * 1024;

/// Frames of a message: u32 size, u32 1 in the last one, payload, zeros up to a multiple of 8.
inline void append_frames(bytes& out, const bytes& message) {
    std::size_t done = 0;
    do {
        const std::size_t size = std::min(frame_payload, message.size() - done);
        const std::uint32_t head[2] = {static_cast<std::uint32_t>(size),
                                       done + size == message.size() ? 1u : 0u};
        const std::size_t at = out.size();
        out.resize(at + 8 + (size + 7) / 8 * 8);
        std::memcpy(out.data() + at, head, 8);
        if (size != 0) std::memcpy(out.data() + at + 8, message.data() + done, size);
        done += size;
    } while (done != message.size());
}

/// Puts messages together again and hands them to `take`. Uses whole frames, so multiples of 8.
class message_reader {
public:
    std::function<void(bytes)> take;
    std::size_t operator()(std::span<const std::byte> shown) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(shown.data()) % 8, 0u)
            << "the bytes shown are not 8-aligned";
        std::size_t used = 0;
        while (shown.size() - used >= 8) {
            std::uint32_t head[2];
            std::memcpy(head, shown.data() + used, 8);
            if (head[0] > frame_payload || head[1] > 1) {
                ADD_FAILURE() << "not a frame: " << head[0] << ", " << head[1];
                return shown.size();
            }
            const std::size_t framed = 8 + (head[0] + 7) / 8 * 8;
            if (shown.size() - used < framed) break;
            const auto payload = shown.subspan(used + 8, head[0]);
            message_.insert(message_.end(), payload.begin(), payload.end());
            used += framed;
            if (head[1] == 1) take(std::exchange(message_, {}));
        }
        return used;
    }

private:
    bytes message_;
};

// ---------------------------------------------------------------- a listener and who connects to it

/// A suite over kinds. Its end checks that nothing is left: no descriptor, no poller.
class transport_test : public ::testing::TestWithParam<kind> {
protected:
    void SetUp() override {
        const endpoint warm_up =
            k().fresh();  // certificates and directories are made before anything is counted
        static_cast<void>(lending_memory());  // one a process, for good
        before_ = open_descriptors();
        on.emplace();
        on->run_for(std::chrono::nanoseconds{1});  // Asio opens its own descriptors with the first wait
        idle_ = open_descriptors();
    }
    void TearDown() override {
        attempts.clear();
        listening.reset();
        accepted.clear();
        connected.clear();
        // Closed links linger for as long as the other side reads.
        const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds{30};
        std::size_t left = 0;
        while ((left = open_descriptors()) != idle_ && std::chrono::steady_clock::now() < patience)
            on->run_for(std::chrono::milliseconds{1});
        EXPECT_EQ(left, idle_) << "descriptors are left";
        EXPECT_EQ(on->pollers(), 0u) << "pollers are left";
        on.reset();
        EXPECT_EQ(open_descriptors(), before_) << "descriptors are left without a reactor";
    }

    [[nodiscard]] static const kind& k() { return GetParam(); }

    void listen() { listen(k().fresh()); }
    void listen(const endpoint& where) {
        auto made = k().how->listen(*on, where, [this](std::unique_ptr<byte_link> link) {
            accepted.push_back(std::make_unique<party>(std::move(link)));
        });
        ASSERT_TRUE(made) << made.error().what();
        listening = std::move(*made);
    }
    [[nodiscard]] endpoint target() const { return k().to(listening->where()); }

    /// Begins to connect; the link or the error is written down.
    void connect() { connect(target()); }
    void connect(const endpoint& where) {
        auto made = k().how->connect(*on, where, [this](result<std::unique_ptr<byte_link>> outcome) {
            if (outcome) connected.push_back(std::make_unique<party>(std::move(*outcome)));
            else failures.push_back(outcome.error());
        });
        ASSERT_TRUE(made) << made.error().what();
        attempts.push_back(std::move(*made));
    }
    /// One link, both ends there and started.
    void join() {
        listen();
        connect();
        on->run_until([&] { return accepted.size() == 1 && connected.size() + failures.size() == 1; });
        ASSERT_TRUE(failures.empty()) << failures.front().what();
        accepted[0]->start();
        connected[0]->start();
    }
    [[nodiscard]] party& a() { return *connected[0]; }
    [[nodiscard]] party& b() { return *accepted[0]; }

    std::optional<io_reactor> on;
    std::unique_ptr<listener> listening;
    std::vector<std::unique_ptr<attempt>> attempts;
    std::vector<std::unique_ptr<party>> accepted;
    std::vector<std::unique_ptr<party>> connected;
    std::vector<error> failures;

private:
    std::size_t before_ = 0;
    std::size_t idle_ = 0;
};

}  // namespace coppice::tests
