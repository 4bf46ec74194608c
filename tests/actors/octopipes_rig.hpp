// What the tests of the Octopipes broker share: a broker in a node of its own, clients that are made of system calls alone, as
// programs are that know nothing of Coppice, and mail of actors that a test's thread can wait for.
#pragma once
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/actors/octopipes.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {

namespace pipes = actors::octopipes;

inline std::vector<std::byte> bytes_of(std::string_view text) {
    const auto all = std::as_bytes(std::span{text});
    return {all.begin(), all.end()};
}
inline std::string text_of(const blob& b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }
inline std::vector<std::byte> encoded(std::string from, std::string to, std::string_view data,
                                      std::uint8_t ttl = 0, std::uint8_t options = 0) {
    return pipes::encode(pipes::frame{std::move(from), std::move(to), ttl, options, blob{std::string{data}}})
        .value();
}

/// What actors hand to the thread of the test.
template <class T>
class mail_of {
public:
    void put(T t) {
        {
            const std::lock_guard lock{state_->mutex};
            state_->all.push_back(std::move(t));
        }
        state_->changed.notify_all();
    }
    /// The next one; the watchdog ends what never comes.
    T next() {
        std::unique_lock lock{state_->mutex};
        state_->changed.wait(lock, [&] { return !state_->all.empty(); });
        T t = std::move(state_->all.front());
        state_->all.pop_front();
        return t;
    }
    /// The next one that is so; others before it stay.
    template <class F>
    T next_that(F is_so) {
        std::unique_lock lock{state_->mutex};
        for (;;) {
            const auto at = std::find_if(state_->all.begin(), state_->all.end(), is_so);
            if (at != state_->all.end()) {
                T t = std::move(*at);
                state_->all.erase(at);
                return t;
            }
            state_->changed.wait(lock);
        }
    }
    template <class F>
    std::size_t count(F is_so) const {
        const std::lock_guard lock{state_->mutex};
        return static_cast<std::size_t>(std::count_if(state_->all.begin(), state_->all.end(), is_so));
    }
    [[nodiscard]] bool empty() const {
        const std::lock_guard lock{state_->mutex};
        return state_->all.empty();
    }

private:
    struct shared_state {
        std::mutex mutex;
        std::condition_variable changed;
        std::deque<T> all;
    };
    std::shared_ptr<shared_state> state_ = std::make_shared<shared_state>();
};

/// A client of system calls. Its pipes stay open, as a client of ours keeps them.
class raw_client {
public:
    raw_client() = default;
    raw_client(const std::string& cap, const std::string& id, const std::vector<std::string>& groups = {},
               std::uint8_t options = pipes::keeps_open) {
        answer = ask(cap, id, groups, options);
        if (answer.error == pipes::accepted) open(id);
    }
    raw_client(raw_client&& other) noexcept { *this = std::move(other); }
    raw_client& operator=(raw_client&& other) noexcept {
        std::swap(tx, other.tx);
        std::swap(rx, other.rx);
        std::swap(id, other.id);
        std::swap(answer, other.answer);
        std::swap(reader, other.reader);
        return *this;
    }
    ~raw_client() { close(); }

    /// What the broker answers on the access pipe.
    static pipes::assignment ask(const std::string& cap, const std::string& id,
                                 const std::vector<std::string>& groups, std::uint8_t options) {
        const auto request =
            pipes::encode(
                pipes::frame{id, {}, 0, options, pipes::encode(pipes::subscription{groups}).value()})
                .value();
        const int door = ::open(cap.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
        EXPECT_GE(door, 0) << std::strerror(errno);
        const int edges = ::epoll_create1(EPOLL_CLOEXEC);
        epoll_event what{};
        what.events = EPOLLIN | EPOLLET;
        ::epoll_ctl(edges, EPOLL_CTL_ADD, door, &what);
        EXPECT_EQ(::write(door, request.data(), request.size()), static_cast<ssize_t>(request.size()));
        pipes::assignment told = answer_in(door, edges, id);
        ::close(edges);
        ::close(door);
        return told;
    }
    void open(const std::string& name) {
        id = name;
        tx = ::open(answer.send_path.c_str(), O_RDWR | O_CLOEXEC);
        rx = ::open(answer.receive_path.c_str(), O_RDONLY | O_CLOEXEC);
        EXPECT_GE(tx, 0);
        EXPECT_GE(rx, 0);
    }
    void close() {
        for (int* fd : {&tx, &rx}) {
            if (*fd >= 0) ::close(*fd);
            *fd = -1;
        }
    }

    void write(std::span<const std::byte> bytes) const {
        while (!bytes.empty()) {
            const ssize_t count = ::write(tx, bytes.data(), bytes.size());
            ASSERT_GT(count, 0) << std::strerror(errno);
            bytes = bytes.subspan(static_cast<std::size_t>(count));
        }
    }
    void send(const std::string& to, std::string_view data, std::uint8_t ttl = 0,
              std::uint8_t options = 0) const {
        write(encoded(id, to, data, ttl, options));
    }
    void leave() const {
        write(pipes::encode(pipes::frame{id, {}, 0, 0, pipes::encode_unsubscription()}).value());
    }
    /// Asks through its own pipe, and waits for the answer; what comes before it is in `before`.
    void regroup(const std::vector<std::string>& groups, std::vector<pipes::frame>* before = nullptr) {
        write(pipes::encode(pipes::frame{id, {}, 0, 0, pipes::encode(pipes::subscription{groups}).value()})
                  .value());
        for (;;) {
            const auto got = receive();
            ASSERT_TRUE(got);
            if (got->got.from.empty()) return;
            if (before) before->push_back(got->got);
        }
    }
    /// The next frame, or what was wrong with it; none: the broker has closed the pipe.
    std::optional<pipes::decoder::outcome> receive() {
        for (;;) {
            if (auto o = reader.next()) return o;
            std::byte room[4096];
            const ssize_t count = ::read(rx, room, sizeof room);
            if (count <= 0) return {};
            reader.feed(std::span{room, static_cast<std::size_t>(count)});
        }
    }
    std::string receive_text() {
        const auto o = receive();
        if (!o) return "(end)";
        return o->why == pipes::fault::none ? text_of(o->got.data) : std::string{pipes::to_string(o->why)};
    }

    int tx = -1;
    int rx = -1;
    std::string id;
    pipes::assignment answer;
    pipes::decoder reader{std::uint64_t{1} << 31};

private:
    static pipes::assignment answer_in(int door, int edges, const std::string& id) {
        int look[2];
        EXPECT_EQ(::pipe2(look, O_CLOEXEC | O_NONBLOCK), 0);
        for (;;) {
            epoll_event seen{};
            EXPECT_GE(::epoll_wait(edges, &seen, 1, -1), 0);
            if (::tee(door, look[1], PIPE_BUF, SPLICE_F_NONBLOCK) <= 0) continue;
            std::byte room[PIPE_BUF];
            const ssize_t count = ::read(look[0], room, sizeof room);
            pipes::decoder d;
            d.feed(std::span{room, static_cast<std::size_t>(count)});
            const auto first = d.next();
            if (!first || !first->got.from.empty() || first->got.to != id) continue;
            const std::size_t size = pipes::frame_overhead + id.size() + first->got.data.size();
            EXPECT_EQ(::read(door, room, size), static_cast<ssize_t>(size));
            ::close(look[0]);
            ::close(look[1]);
            return pipes::read_assignment(first->got.data.bytes()).value();
        }
    }
};

/// A broker in a node, and what it tells those that watch it.
class broker_rig {
public:
    explicit broker_rig(pipes::options o = {}) : options{std::move(o)} {
        if (options.directory.empty()) options.directory = folder.path("pipes");
        supervisor_spec tree;
        tree.add(child("pipes", in_coroutine, pipes::broker, options)
                     .restarts(restart::temporary)
                     .awaits_ready())
            .add(child("watcher", in_coroutine, watcher, events));
        const auto started = app.start(tree);
        EXPECT_TRUE(started) << started.error().what();
        if (!started) return;
        broker = app.resolve<pipes::broker_protocol>("pipes").value();
        const auto watches = app.resolve<pipes::watcher_protocol>("watcher").value();
        EXPECT_TRUE(app.ask<pipes::watch>(broker, 60s, watches));
    }
    [[nodiscard]] std::string cap() const { return options.directory + "/cap"; }
    [[nodiscard]] raw_client client(const std::string& id,
                                    const std::vector<std::string>& groups = {}) const {
        return raw_client{cap(), id, groups};
    }
    pipes::broker_event next(pipes::happening what) {
        return events.next_that([=](const auto& e) { return e.what == what; });
    }
    /// Until that client has left; its end is noticed by the broker itself.
    void until_left(const std::string& id) {
        events.next_that([=](const auto& e) { return e.what == pipes::happening::left && e.id == id; });
    }
    std::vector<pipes::client_info> list() { return app.ask<pipes::list_clients>(broker, 60s).value(); }

    static task<> watcher(actor<pipes::watcher_protocol> self, mail_of<pipes::broker_event> to) {
        while (auto m = co_await self.receive()) m.match([&](const pipes::broker_event& e) { to.put(e); });
    }

    own_directory folder;
    pipes::options options;
    mail_of<pipes::broker_event> events;
    node app{"app", quiet(1)};
    ref<pipes::broker_protocol> broker;
};

/// An actor of the broker's tree that has joined: what it gets, and how a test has it send.
struct told_to_send {
    pipes::publish what;
    using reply = pipes::receipt;
};
using member_actor_protocol = protocol_union<pipes::member_protocol, protocol<told_to_send>>;
inline task<> send_as_told(actor<member_actor_protocol> self, ref<pipes::broker_protocol> to,
                           request<told_to_send> r) {
    auto& p = r->what;
    auto done = co_await self.ask<pipes::publish>(to, 60s, p.from, p.to, p.data, p.ttl, p.checksum, p.within);
    if (done) r.reply(*done);
    else r.fail(done.error());
}
inline task<> member_actor(actor<member_actor_protocol> self, ref<pipes::broker_protocol> to, std::string id,
                           std::vector<std::string> groups, mail_of<pipes::frame> got) {
    const auto in = co_await self.ask<pipes::join>(to, 60s, id, groups, self.me());
    if (!in) co_return self.fail("it has not joined: {}", in.error());
    self.ready();
    while (auto m = co_await self.receive()) {
        if (auto r = m.take<told_to_send>()) {
            co_await send_as_told(self, to, std::move(r));
            continue;
        }
        m.match([&](pipes::received_frame& f) { got.put(std::move(f.frame)); }, [](request<told_to_send>) {});
    }
}

/// What a client actor's listener hears, as text and as it is.
struct heard {
    std::string what;
    pipes::frame frame;
};
inline task<> listener(actor<pipes::listener_protocol> self, mail_of<heard> to) {
    while (auto m = co_await self.receive())
        m.match(
            [&](const pipes::received_frame& f) { to.put({"received " + text_of(f.frame.data), f.frame}); },
            [&](const pipes::sent_frame& f) { to.put({"sent " + text_of(f.frame.data), f.frame}); },
            [&](const pipes::frame_error& e) {
                to.put({"error " + std::string{pipes::to_string(e.why)}, {}});
            },
            [&](const pipes::subscribed& s) {
                std::string text = "subscribed " + s.id;
                for (const auto& group : s.groups) text += " " + group;
                to.put({std::move(text), {}});
            },
            [&](const pipes::unsubscribed& u) { to.put({"unsubscribed " + u.reason, {}}); });
}

/// A client actor with its listener, in a node of its own.
class client_rig {
public:
    client_rig(const std::string& cap, const std::string& id, const std::vector<std::string>& groups = {}) {
        const auto root = town.start(supervisor_spec{});
        EXPECT_TRUE(root);
        auto hears =
            town.ask<start_child>(*root, 60s, child("listener", in_coroutine, listener, log)).value();
        started = town.ask<start_child>(*root, 60s,
                                        child("client", in_coroutine, pipes::client,
                                              pipes::client_options{cap, id, groups},
                                              hears.assume<pipes::listener_protocol>())
                                            .restarts(restart::temporary)
                                            .awaits_ready());
        if (started) client = started->assume<pipes::client_protocol>();
    }
    result<pipes::receipt> publish(const std::string& to, std::string data,
                                   std::chrono::nanoseconds within = 0ns, std::uint8_t ttl = 60,
                                   bool checksum = true) {
        return town.ask<pipes::publish>(client, 60s, std::string{}, to, blob{std::move(data)}, ttl, checksum,
                                        within);
    }
    heard next(const std::string& begins) {
        return log.next_that([&](const heard& h) { return h.what.starts_with(begins); });
    }

    mail_of<heard> log;
    node town{"town", quiet(1)};
    result<ref<>> started{errc::down};
    ref<pipes::client_protocol> client;
};

/// What a process of a client says of itself, and is told.
struct reader_report {
    std::atomic<std::uint64_t> joined;
    std::atomic<std::uint64_t> frames;
    std::atomic<std::uint64_t> last;  // first byte of the last one
    std::atomic<std::uint64_t> go;
    std::atomic<std::uint64_t> ready;
    std::atomic<std::uint64_t> wrong;
};

/// A process that joins under that name, and the group "all", and reads for ever.
inline process start_reader(const broker_rig& rig, const std::string& id, const shared<reader_report>& said) {
    process p{"octopipes_reader", {{"CAP", rig.cap()}, {"ID", id}, {"SAID", said.path()}}};
    await_that([&] { return said->joined.load() != 0; });
    EXPECT_EQ(said->joined.load(), 1u);
    return p;
}

/// Returns when it has stopped: until then it may still read.
inline void stop(const process& p) {
    p.signal(SIGSTOP);
    siginfo_t seen{};
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(p.id()), &seen, WSTOPPED | WNOWAIT), 0)
        << std::strerror(errno);
}

}  // namespace coppice::tests
