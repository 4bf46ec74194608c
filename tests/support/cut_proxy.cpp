// The proxy's thread: poll() over the listening socket, the connections and an eventfd by which it is steered. A
// direction of a connection is a queue of pieces, each with the time at which it may go on; a cut falls exactly after
// its byte, because no write passes the bytes that are left until then.
#include "support/cut_proxy.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <random>
#include <utility>
#include <vector>

namespace coppice::tests {

namespace {

using clock_type = std::chrono::steady_clock;

constexpr std::size_t held_at_most = 256 * 1024;  // bytes of one direction, before it is read no further
constexpr std::size_t piece_size = 64 * 1024;
constexpr std::chrono::milliseconds truncated_for{10};

// The test cannot go on without its proxy.
int must(int outcome, const char* what) {
    if (outcome >= 0) return outcome;
    std::perror(what);
    std::abort();
}

struct place {
    sockaddr_storage storage{};
    socklen_t length = 0;
    [[nodiscard]] const sockaddr* address() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

place tcp_place(std::uint16_t port, const std::string& address = "127.0.0.1") {
    place p;
    auto& in = reinterpret_cast<sockaddr_in&>(p.storage);
    in.sin_family = AF_INET;
    must(::inet_pton(AF_INET, address.c_str(), &in.sin_addr) == 1 ? 0 : -1, "inet_pton");
    in.sin_port = htons(port);
    p.length = sizeof in;
    return p;
}

place unix_place(const std::string& path) {
    place p;
    auto& un = reinterpret_cast<sockaddr_un&>(p.storage);
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path, path.c_str(), std::min(path.size(), sizeof un.sun_path - 1));
    p.length = sizeof un;
    return p;
}

int stream_socket(const place& of) {
    return must(::socket(of.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
}

}  // namespace

struct cut_proxy::connection {
    struct piece {
        clock_type::time_point due;
        std::vector<char> bytes;
        std::size_t done = 0;
    };
    struct lane {
        std::deque<piece> held;
        std::size_t bytes = 0;  // in `held`
        bool ended = false;     // its writer has finished
        bool told = false;      // and its reader knows
        bool swallows = false;  // a black hole since some byte
    };
    // side[0] has connected to the proxy, side[1] is the listener's; lane[0] goes up.
    std::array<int, 2> side{-1, -1};
    std::array<lane, 2> lanes;
    bool connecting = false;
    std::uint64_t until_cut = UINT64_MAX;
    how as = how::reset;
    clock_type::time_point reset_at = clock_type::time_point::max();
    bool gone = false;
};

struct cut_proxy::state {
    mutable std::mutex mutex;
    mutable std::condition_variable changed;
    // Guarded by the mutex; the thread looks at it once a turn.
    bool stopping = false;
    bool plan_changed = false;
    random_cuts plan{.times = 0};
    bool cut_now = false;
    how cut_as = how::reset;
    unsigned stalled = 0;    // of direction
    unsigned swallowed = 0;  // of direction
    bool heal = false;
    std::chrono::milliseconds delay{0};
    bool refused = false;
    std::uint64_t told = 0;  // steps of steering
    std::uint64_t done = 0;
    counts counted;

    // The thread's own.
    place own;
    place target;
    std::string own_path;  // of a unix socket, to be removed
    int listening = -1;
    int bell = -1;
    std::mt19937_64 random;
    random_cuts cuts{.times = 0};
    std::uint64_t cuts_planned = 0;
    std::list<connection> all;

    void listen();
    void run();
    void sweep();
    void accept_some();
    void plan_cut(connection& c);
    void take(connection& c, std::size_t from, unsigned stalls, std::chrono::milliseconds by);
    void pass(connection& c, std::size_t lane);
    void end(connection& c, how as);
    static void close(connection& c, bool reset);
    void ring() const {
        const std::uint64_t one = 1;
        static_cast<void>(!::write(bell, &one, sizeof one));
    }
    // Returns when the thread has done it.
    template <class F>
    void steer(F f) {
        std::unique_lock lock{mutex};
        f();
        const std::uint64_t mine = ++told;
        ring();
        changed.wait(lock, [&] { return done >= mine || stopping; });
    }
    template <class F>
    void count(F f) {
        const std::lock_guard lock{mutex};
        f(counted);
        changed.notify_all();
    }
};

// ---------------------------------------------------------------- steering

cut_proxy::cut_proxy(std::uint16_t target, const std::string& address) : state_{std::make_unique<state>()} {
    state_->target = tcp_place(target, address);
    state_->own = tcp_place(0);
    begin();
    sockaddr_in real{};
    socklen_t length = sizeof real;
    must(::getsockname(state_->listening, reinterpret_cast<sockaddr*>(&real), &length), "getsockname");
    port_ = ntohs(real.sin_port);
    state_->own = tcp_place(port_);
    thread_ = std::thread{[this] { state_->run(); }};
}

cut_proxy::cut_proxy(std::string target_path, std::string own_path) : state_{std::make_unique<state>()} {
    state_->target = unix_place(target_path);
    state_->own = unix_place(own_path);
    state_->own_path = std::move(own_path);
    begin();
    thread_ = std::thread{[this] { state_->run(); }};
}

void cut_proxy::begin() {
    state_->bell = must(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    state_->listen();
}

cut_proxy::~cut_proxy() {
    state_->steer([this] { state_->stopping = true; });
    thread_.join();
    for (connection& c : state_->all) state::close(c, true);
    if (state_->listening >= 0) ::close(state_->listening);
    ::close(state_->bell);
    if (!state_->own_path.empty()) ::unlink(state_->own_path.c_str());
}

void cut_proxy::forward() {
    state_->steer([this] {
        state& s = *state_;
        s.plan = {.times = 0};
        s.plan_changed = s.heal = true;
        s.stalled = s.swallowed = 0;
        s.delay = std::chrono::milliseconds{0};
        s.refused = false;
    });
}

void cut_proxy::cut_at_random(const random_cuts& wanted) {
    state_->steer([&] {
        state_->plan = wanted;
        state_->plan_changed = true;
    });
}

void cut_proxy::cut(how as) {
    state_->steer([&] {
        state_->cut_now = true;
        state_->cut_as = as;
    });
}

void cut_proxy::stall(direction d) {
    state_->steer([&] { state_->stalled |= static_cast<unsigned>(d); });
}

void cut_proxy::swallow(direction d) {
    state_->steer([&] { state_->swallowed |= static_cast<unsigned>(d); });
}

void cut_proxy::delay(std::chrono::milliseconds by) {
    state_->steer([&] { state_->delay = by; });
}

void cut_proxy::refuse(bool refused) {
    state_->steer([&] { state_->refused = refused; });
}

cut_proxy::counts cut_proxy::so_far() const {
    const std::lock_guard lock{state_->mutex};
    return state_->counted;
}

void cut_proxy::until(const std::function<bool(const counts&)>& holds) const {
    std::unique_lock lock{state_->mutex};
    state_->changed.wait(lock, [&] { return holds(state_->counted); });
}

// ---------------------------------------------------------------- the thread

void cut_proxy::state::listen() {
    listening = stream_socket(own);
    const int on = 1;
    must(::setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    if (!own_path.empty()) ::unlink(own_path.c_str());
    must(::bind(listening, own.address(), own.length), "bind");
    must(::listen(listening, SOMAXCONN), "listen");
}

void cut_proxy::state::run() {
    for (;;) {
        unsigned stalls = 0;
        unsigned swallows = 0;
        std::chrono::milliseconds by{0};
        bool cut_all = false;
        how as = how::reset;
        bool refuses = false;
        std::uint64_t step = 0;
        {
            const std::lock_guard lock{mutex};
            if (stopping) return;
            if (std::exchange(plan_changed, false)) {
                cuts = plan;
                cuts_planned = 0;
                random.seed(cuts.seed);
                for (connection& c : all) plan_cut(c);
            }
            stalls = stalled;
            swallows = swallowed;
            by = delay;
            cut_all = std::exchange(cut_now, false);
            as = cut_as;
            refuses = refused;
            step = told;
            if (std::exchange(heal, false))
                for (connection& c : all)
                    for (auto& lane : c.lanes)
                        for (auto& p : lane.held) p.due = {};
        }
        if (refuses && listening >= 0) ::close(std::exchange(listening, -1));
        if (!refuses && listening < 0) listen();
        for (connection& c : all)
            for (std::size_t n : {0u, 1u})
                if (swallows & (n == 0 ? 1u : 2u)) c.lanes[n].swallows = true;
        if (cut_all) {
            for (connection& c : all)
                if (!c.gone) end(c, as);
            sweep();
        }

        {
            const std::lock_guard lock{mutex};
            done = step;
            changed.notify_all();
        }

        // What waits for whom, and for how long.
        std::vector<pollfd> waits{{bell, POLLIN, 0}, {listening, POLLIN, 0}};
        auto next = clock_type::time_point::max();
        const auto now = clock_type::now();
        for (connection& c : all) {
            short wanted[2] = {0, 0};
            for (std::size_t n : {0u, 1u}) {
                auto& lane = c.lanes[n];
                const bool stalls_here = stalls & (n == 0 ? 1u : 2u);
                const bool takes = lane.swallows || (!stalls_here && lane.bytes < held_at_most);
                if (takes && !lane.ended && !c.connecting) wanted[n] |= POLLIN;
                if (stalls_here || lane.swallows || lane.held.empty()) continue;
                if (lane.held.front().due <= now) wanted[1 - n] |= POLLOUT;
                else next = std::min(next, lane.held.front().due);
            }
            if (c.connecting) wanted[1] |= POLLOUT;
            next = std::min(next, c.reset_at);
            // A side that nothing is wanted of would wake the thread without end once it hangs up.
            for (std::size_t n : {0u, 1u}) waits.push_back({wanted[n] ? c.side[n] : -1, wanted[n], 0});
        }
        int timeout = -1;
        if (next != clock_type::time_point::max())
            timeout = static_cast<int>(
                std::max<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(next - now).count(), 0));
        if (::poll(waits.data(), waits.size(), timeout) < 0 && errno != EINTR) must(-1, "poll");

        std::uint64_t rung = 0;
        static_cast<void>(!::read(bell, &rung, sizeof rung));
        std::size_t at = 2;
        for (connection& c : all) {
            const short up = waits[at++].revents;
            const short down = waits[at++].revents;
            if (c.gone) continue;
            if (c.connecting && down) {
                int failure = 0;
                socklen_t length = sizeof failure;
                ::getsockopt(c.side[1], SOL_SOCKET, SO_ERROR, &failure, &length);
                c.connecting = false;
                if (failure) close(c, true);
            }
            if (!c.gone && up) take(c, 0, stalls, by);
            if (!c.gone && down) take(c, 1, stalls, by);
            if (!c.gone && !c.connecting && !(stalls & 1u)) pass(c, 0);
            if (!c.gone && !c.connecting && !(stalls & 2u)) pass(c, 1);
            if (!c.gone && c.lanes[0].told && c.lanes[1].told) close(c, false);
            if (!c.gone && clock_type::now() >= c.reset_at) close(c, true);
        }
        sweep();
        if (waits[1].revents) accept_some();
    }
}

void cut_proxy::state::sweep() {
    const std::size_t before = all.size();
    all.remove_if([](const connection& c) { return c.gone; });
    if (all.size() != before) count([this](counts& n) { n.open = all.size(); });
}

void cut_proxy::state::accept_some() {
    for (;;) {
        const int fd = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        connection& c = all.emplace_back();
        c.side = {fd, stream_socket(target)};
        if (target.storage.ss_family == AF_INET) {
            const int on = 1;
            for (const int side : c.side) ::setsockopt(side, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        }
        c.connecting = true;  // of a connection that is there at once poll() tells at once
        if (::connect(c.side[1], target.address(), target.length) != 0 && errno != EINPROGRESS)
            close(c, true);
        plan_cut(c);
        count([this](counts& n) {
            ++n.connections;
            n.open = all.size();
        });
    }
}

void cut_proxy::state::plan_cut(connection& c) {
    c.until_cut = UINT64_MAX;
    if (cuts_planned >= cuts.times) return;
    ++cuts_planned;
    std::uniform_real_distribution<double> magnitude{0, std::log(static_cast<double>(cuts.most))};
    c.until_cut = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::exp(magnitude(random))));
    c.as = cuts.as != how::either ? cuts.as : static_cast<how>(random() % 3);
}

void cut_proxy::state::take(connection& c, std::size_t from, unsigned stalls, std::chrono::milliseconds by) {
    auto& lane = c.lanes[from];
    while (!lane.ended &&
           (lane.swallows || (lane.bytes < held_at_most && !(stalls & (from == 0 ? 1u : 2u))))) {
        std::vector<char> bytes(piece_size);
        const ssize_t n = ::recv(c.side[from], bytes.data(), bytes.size(), 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n < 0) return close(c, true);  // a side resets: so is the other
        if (n == 0) {
            lane.ended = true;
            return;
        }
        if (lane.swallows) {
            count([&](counts& all_of_it) { all_of_it.swallowed += static_cast<std::uint64_t>(n); });
            continue;
        }
        bytes.resize(static_cast<std::size_t>(n));
        lane.bytes += bytes.size();
        lane.held.push_back({clock_type::now() + by, std::move(bytes)});
    }
}

void cut_proxy::state::pass(connection& c, std::size_t n) {
    auto& lane = c.lanes[n];
    while (!lane.swallows && !lane.held.empty() && lane.held.front().due <= clock_type::now()) {
        connection::piece& p = lane.held.front();
        const std::size_t wanted = std::min<std::uint64_t>(p.bytes.size() - p.done, c.until_cut);
        const ssize_t sent = ::send(c.side[1 - n], p.bytes.data() + p.done, wanted, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (sent < 0) return close(c, true);
        const auto moved = static_cast<std::size_t>(sent);
        p.done += moved;
        lane.bytes -= moved;
        if (c.until_cut != UINT64_MAX) c.until_cut -= moved;
        if (p.done == p.bytes.size()) lane.held.pop_front();
        count([&](counts& all_of_it) { (n == 0 ? all_of_it.up : all_of_it.down) += moved; });
        if (c.until_cut == 0) {
            if (c.as == how::truncate) lane.swallows = true;
            return end(c, c.as);
        }
    }
    if (lane.ended && lane.held.empty() && !lane.told && !lane.swallows) {
        ::shutdown(c.side[1 - n], SHUT_WR);
        lane.told = true;
    }
}

void cut_proxy::state::end(connection& c, how as) {
    c.until_cut = UINT64_MAX;
    if (as == how::either) as = static_cast<how>(random() % 3);
    if (as == how::truncate) {
        if (!c.lanes[0].swallows && !c.lanes[1].swallows) c.lanes[random() % 2].swallows = true;
        for (std::size_t n : {0u, 1u})
            if (c.lanes[n].swallows) ::shutdown(c.side[1 - n], SHUT_WR);
        c.reset_at = clock_type::now() + truncated_for;
    } else {
        close(c, as == how::reset);
    }
    count([](counts& n) { ++n.cuts; });
}

// Without a reset, what was passed on still reaches both sides, as far as the kernel does not find input that was not
// read.
void cut_proxy::state::close(connection& c, bool reset) {
    for (int& side : c.side) {
        if (side < 0) continue;
        if (reset) {
            const linger at_once{1, 0};
            ::setsockopt(side, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        } else {
            // Unread input would make it a reset: it is thrown away.
            ::shutdown(side, SHUT_WR);
            std::array<char, 4096> rest;
            while (::recv(side, rest.data(), rest.size(), 0) > 0) {
            }
        }
        ::close(side);
        side = -1;
    }
    c.gone = true;
}

}  // namespace coppice::tests
