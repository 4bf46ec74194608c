// The command line and the result lines that the C++ programs of this folder share, so that a row of ours, of the raw
// limit and of a peer are called and read in the same way.
//
//   PROGRAM [--row NAME]... [--json] [--quick] [--list]
//
// Without --row every row runs, one after the other. With --json each figure is one line
// {"row":"pingpong","value":5.2e7,"unit":"1/s"}, or {"row":"timers","skip":"reason"} where the program has no such thing.
// What else is known of a figure stands behind it under names of its own: {..., "p99":61.2,"wakeups":1000000}.
// Used from main() alone; it starts no thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <initializer_list>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace bench {

using clock = std::chrono::steady_clock;

// Prints the figures of a run; rows are handed it and call value() or skip() at least once.
class reporter {
public:
    reporter(bool quick, bool json) : quick_(quick), json_(json) {}

    // How often to repeat: a tenth of `full` (at least once) in a quick run.
    template <std::integral Count>
    Count count(Count full) const {
        return quick_ ? std::max(Count{1}, static_cast<Count>(full / 10)) : full;
    }

    // More that is known of a figure: a name and a number each.
    using details = std::initializer_list<std::pair<std::string_view, double>>;

    // An infinite figure stands for what never happened.
    void value(std::string_view row, double figure, std::string_view unit, details more = {}) const {
        char number[32];
        std::snprintf(number, sizeof number, "%.6g", figure);
        std::printf(json_ ? "{\"row\":\"%.*s\",\"value\":%s,\"unit\":\"%.*s\"" : "%-22.*s %14s %.*s",
                    static_cast<int>(row.size()), row.data(), std::isinf(figure) ? "Infinity" : number,
                    static_cast<int>(unit.size()), unit.data());
        for (const auto& [name, detail] : more)
            std::printf(json_ ? ",\"%.*s\":%.6g" : "  %.*s %.6g", static_cast<int>(name.size()), name.data(),
                        detail);
        std::puts(json_ ? "}" : "");
        std::fflush(stdout);
    }

    // `reason` must not contain a quotation mark: it is printed into JSON as it stands.
    void skip(std::string_view row, std::string_view reason) const {
        std::printf(json_ ? "{\"row\":\"%.*s\",\"skip\":\"%.*s\"}\n" : "%-22.*s skipped: %.*s\n",
                    static_cast<int>(row.size()), row.data(), static_cast<int>(reason.size()), reason.data());
        std::fflush(stdout);
    }

    void per_second(std::string_view row, std::uint64_t events, clock::duration taken) const {
        value(row, static_cast<double>(events) / std::chrono::duration<double>(taken).count(), "1/s");
    }

    void milliseconds(std::string_view row, clock::duration taken) const {
        value(row, std::chrono::duration<double, std::milli>(taken).count(), "ms");
    }

    void median_microseconds(std::string_view row, std::vector<clock::duration> samples) const {
        auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
        std::nth_element(samples.begin(), middle, samples.end());
        value(row, std::chrono::duration<double, std::micro>(*middle).count(), "us");
    }

private:
    bool quick_;
    bool json_;
};

struct row {
    std::string_view name;
    void (*run)(const reporter&);
};

template <typename Work>
clock::duration time_of(Work&& work) {
    const auto start = clock::now();
    std::forward<Work>(work)();
    return clock::now() - start;
}

// A line of /proc/self/status such as "VmRSS:", in KiB; 0 where the kernel has none.
inline std::uint64_t status_kib(std::string_view key) {
    std::ifstream status{"/proc/self/status"};
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(key)) return std::strtoull(line.c_str() + key.size(), nullptr, 10);
    return 0;
}

inline std::uint64_t resident_bytes() { return status_kib("VmRSS:") * 1024; }

inline double peak_mib() { return static_cast<double>(status_kib("VmHWM:")) / 1024; }

// Forgets the peak of earlier rows, see proc(5), clear_refs.
inline void reset_peak() { std::ofstream{"/proc/self/clear_refs"} << "5"; }

// A figure is only worth printing if the work was done: ends the process with a message otherwise.
inline void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "bench: wrong result: %s\n", what);
    std::abort();
}

// Runs what the command line asks for. A row has a name, and run(reporter), which may be a function or a member.
template <std::ranges::range Rows>
int main(int argc, char** argv, const Rows& rows) {
    using each_row = std::ranges::range_value_t<Rows>;
    bool quick = false;
    bool json = false;
    std::vector<std::string_view> wanted;
    const std::span arguments{argv + 1, static_cast<std::size_t>(std::max(argc - 1, 0))};
    for (auto at = arguments.begin(); at != arguments.end(); ++at) {
        const std::string_view argument{*at};
        if (argument == "--quick") quick = true;
        else if (argument == "--json") json = true;
        else if (argument == "--row" && at + 1 != arguments.end()) wanted.emplace_back(*++at);
        else if (argument == "--list") {
            for (const auto& each : rows)
                std::printf("%.*s\n", static_cast<int>(each.name.size()), each.name.data());
            return 0;
        } else {
            std::fprintf(stderr, "usage: %s [--row NAME]... [--json] [--quick] [--list]\n", argv[0]);
            return 2;
        }
    }
    for (auto name : wanted) {
        if (std::ranges::find(rows, name, &each_row::name) != std::ranges::end(rows)) continue;
        std::fprintf(stderr, "%s: no row '%.*s'; --list names them\n", argv[0], static_cast<int>(name.size()),
                     name.data());
        return 2;
    }
    const reporter out{quick, json};
    for (const auto& each : rows) {
        if (!wanted.empty() && std::ranges::find(wanted, each.name) == wanted.end()) continue;
        try {
            each.run(out);
        } catch (const std::exception& error) {
            std::fprintf(stderr, "%s: row %s: %s\n", argv[0], std::string{each.name}.c_str(), error.what());
            return 1;
        }
    }
    return 0;
}

}  // namespace bench
