// The rows "cut" of suite `links`: numbered messages of 64 bytes, 10,000 a second, one way over a TCP path that is cut and
// comes back. Between the two sides stands cut_path, a process of its own, whatever the program is. Their figure: from the
// moment at which the path is there again to the first message that arrives.
//
//     tcp_cut_hole     for 2 s the path takes everything and passes nothing on; then it resets its connections
//     tcp_cut_refuse   it resets its connections and refuses new ones for 2 s
//     tcp_cut_reset    it resets its connections, and is there at once
//
// A message counts as sent if the program took it without an error; those of them that never arrive are lost, without a word.
// Times are of the system's clock, which all processes, whatever they are written in, have in common.
#pragma once

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <mutex>
#include <thread>
#include <vector>

#include "links/links.hpp"

namespace links {

inline std::int64_t time_of_day_ns() {
    return std::chrono::nanoseconds{std::chrono::system_clock::now().time_since_epoch()}.count();
}

inline constexpr std::size_t outage_size = 64;

inline void add_outage_rows(std::vector<row>& rows,
                            const std::function<void(const row&, const bench::reporter&)>& play,
                            std::initializer_list<std::string_view> variants_of_hole = {}) {
    const auto add = [&](std::string name) {
        rows.push_back({std::move(name), "tcp", work::outage, outage_size, false, play});
    };
    for (const char* how : {"hole", "refuse", "reset"}) add(std::string{"tcp_cut_"} + how);
    for (const auto variant : variants_of_hole) add("tcp_cut_hole_" + std::string{variant});
}

// ---- the path

/// cut_path in front of a port of this machine. Make it before the partner: it runs on any core.
class cut_path {
public:
    cut_path()
        : proxy_{{(std::filesystem::read_symlink("/proc/self/exe").parent_path() / "cut_path").string()}} {}

    /// Where to connect instead of `port`.
    [[nodiscard]] std::string in_front_of(const std::string& port) const { return proxy_.ask(port); }
    /// A word that cut_path knows. Returns when.
    std::int64_t now(const std::string& what) const { return std::stoll(proxy_.ask(what)); }

private:
    helper proxy_;
};

// ---- the receiving side

/// What has arrived. Any thread.
class arrivals {
public:
    void came(std::uint64_t number) {
        const std::int64_t at = time_of_day_ns();
        const std::lock_guard lock{mutex_};
        if (number >= first_.size()) first_.resize(number + 1);
        if (first_[number]) ++doubled_;
        else {
            first_[number] = at;
            ++received_;
        }
        times_.push_back(at);
    }
    void came(const void* message) {
        std::uint64_t number = 0;
        std::memcpy(&number, message, sizeof number);
        came(number);
    }
    /// In a partner, until it is no longer needed: for each line, a time, says how many have come, how many of them
    /// twice, and when the first one came after that time; 0: none.
    void tell_until_released() {
        std::string line;
        for (char c = 0; read(STDIN_FILENO, &c, 1) == 1;) {
            if (c != '\n') {
                line += c;
                continue;
            }
            const std::lock_guard lock{mutex_};
            const auto after = std::ranges::upper_bound(times_, std::stoll(std::exchange(line, {})));
            greet(std::to_string(received_) + " " + std::to_string(doubled_) + " " +
                  std::to_string(after == times_.end() ? 0 : *after));
        }
    }

private:
    std::mutex mutex_;
    std::vector<std::int64_t> first_;  // by number; 0: not yet
    std::vector<std::int64_t> times_;  // of all
    std::uint64_t received_ = 0;
    std::uint64_t doubled_ = 0;
};

// ---- the sending side

/// One game: says when which number is due, and cuts the path meanwhile, from a thread of its own.
class outage {
public:
    outage(const row& of, const helper& far, const cut_path& way) : of_{of}, far_{far}, way_{way} {
        using namespace std::chrono_literals;
        const bool lasts = !of.name.starts_with("tcp_cut_reset");
        const auto length = lasts ? 2s : 0s;
        end_ = start_ + 500ms + length + 1500ms;
        conductor_ = std::thread{[this, lasts, length] {
            std::this_thread::sleep_until(start_ + 500ms);
            if (lasts) way_.now(of_.name.starts_with("tcp_cut_hole") ? "hole" : "refuse");
            std::this_thread::sleep_for(length);
            back_ = way_.now(lasts ? "open" : "reset");
        }};
    }
    ~outage() {
        if (conductor_.joinable()) conductor_.join();
    }
    outage(const outage&) = delete;
    outage& operator=(const outage&) = delete;

    [[nodiscard]] bool goes_on() const { return bench::clock::now() < end_; }
    /// How many should have been sent by now.
    [[nodiscard]] std::uint64_t due() const {
        return static_cast<std::uint64_t>((bench::clock::now() - start_) / std::chrono::microseconds{100});
    }
    void sent(bool taken) { ++(taken ? sent_ : refused_); }
    /// After the last one, every tenth of a second until it is true: all have come, or nothing comes any more.
    [[nodiscard]] bool has_settled() {
        if (conductor_.joinable()) conductor_.join();
        const std::uint64_t before = received_;
        look();
        constexpr int patience = 15;
        quiet_ = received_ == before ? quiet_ + 1 : 0;
        return received_ >= sent_ || quiet_ == patience;
    }
    void report(const bench::reporter& out) const {
        const double gap = first_after_ ? static_cast<double>(first_after_ - back_) * 1e-6
                                        : std::numeric_limits<double>::infinity();
        out.value(of_.name, gap, "ms",
                  {{"sent", static_cast<double>(sent_)},
                   {"refused", static_cast<double>(refused_)},
                   {"lost", static_cast<double>(sent_) - static_cast<double>(received_)},
                   {"doubled", static_cast<double>(doubled_)}});
    }

private:
    void look() {
        const std::string told = far_.ask(std::to_string(back_));
        char* rest = nullptr;
        received_ = std::strtoull(told.c_str(), &rest, 10);
        doubled_ = std::strtoull(rest, &rest, 10);
        first_after_ = std::strtoll(rest, &rest, 10);
    }
    const row& of_;
    const helper& far_;
    const cut_path& way_;
    const bench::clock::time_point start_ = bench::clock::now();
    bench::clock::time_point end_;
    std::thread conductor_;
    std::int64_t back_ = 0;  // the conductor's until it was joined
    std::uint64_t sent_ = 0;
    std::uint64_t refused_ = 0;
    std::uint64_t received_ = 0;
    std::uint64_t doubled_ = 0;
    std::int64_t first_after_ = 0;
    int quiet_ = 0;
};

/// For programs that send by calls: `send` takes a message and returns whether the program took it.
template <class Send>
void play_outage(const row& of, const bench::reporter& out, const helper& far, const cut_path& way,
                 Send&& send) {
    using namespace std::chrono_literals;
    outage game{of, far, way};
    std::array<std::byte, outage_size> message{};
    for (std::uint64_t number = 0; game.goes_on(); std::this_thread::sleep_for(1ms))
        for (const std::uint64_t due = game.due(); number < due && game.goes_on(); ++number) {
            std::memcpy(message.data(), &number, sizeof number);
            game.sent(send(message));
        }
    while (!game.has_settled()) std::this_thread::sleep_for(100ms);
    game.report(out);
}

}  // namespace links
