// What the tests of process children share: actors that live in processes and do there what they are told to, good or
// bad, and the fixture that counts what a test leaves behind. The program of these tests is its own child
// (process_main.cpp).
#pragma once
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/process.hpp"
#include "support/certificates.hpp"
#include "support/leftovers.hpp"
#include "support/log_lines.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"
#include "support/sanitizers.hpp"
#include "support/seeds.hpp"

namespace coppice::tests::carried {

// ---------------------------------------------------------------- an actor that does what it is told

struct add {
    std::uint64_t amount = 0;
};
struct get {
    using reply = std::uint64_t;
};
struct which_process {
    using reply = std::uint32_t;
};
struct where {
    using reply = std::string;
};
struct which_life {
    using reply = std::uint32_t;
};
struct which_parent {
    using reply = std::string;
};
struct say {
    std::string text;
};
struct flood_log {
    std::uint32_t lines = 0;
    using reply = void;
};
struct flood_output {
    std::uint32_t lines = 0;
    using reply = void;
};
struct quit {};
struct fail {
    std::string text;
};
struct throw_it {
    std::string text;
};
struct leave {  // the whole process
    std::int32_t code = 0;
};
struct crash {  // by abort(), after a last word
    std::string word;
};
struct hang {};  // a handler that does not return; logs "hangs"
struct refuse {
    using reply = std::uint64_t;
};
/// Asks the actor of that path, from within that process: its process's id, or the error's code, negative.
struct ask_another {
    std::string path;
    using reply = std::int64_t;
};
struct limits_here {
    using reply = std::vector<std::int64_t>;  // niceness, number of processors, files, core bytes
};
using worker_protocol =
    protocol<add, get, which_process, where, which_life, which_parent, say, flood_log, flood_output, quit,
             fail, throw_it, leave, crash, hang, refuse, ask_another, limits_here>;

inline constexpr std::string_view output_line = "0123456789 a line of an output, as long as the others: ";

inline void write_lines(std::uint32_t lines) {
    std::string line;
    for (std::uint32_t i = 0; i < lines; ++i) {
        line.assign(output_line);
        line += std::to_string(i);
        line.resize(1023, '.');
        line += '\n';
        for (std::size_t at = 0; at < line.size();) {
            const ssize_t n = ::write(STDOUT_FILENO, line.data() + at, line.size() - at);
            if (n <= 0) std::_Exit(96);
            at += static_cast<std::size_t>(n);
        }
    }
}

inline task<> worker(actor<worker_protocol> self, std::uint64_t value) {
    while (auto m = co_await self.receive()) {
        if (auto asked = m.take<ask_another>()) {
            const auto other = co_await self.resolve<worker_protocol>(asked->path);
            if (!other) {
                asked.reply(-static_cast<std::int64_t>(other.error().code()));
                continue;
            }
            const auto pid = co_await self.ask<which_process>(*other, 10s);
            asked.reply(pid ? static_cast<std::int64_t>(*pid)
                            : -static_cast<std::int64_t>(pid.error().code()));
            continue;
        }
        if (m.get_if<quit>()) co_return;
        if (const fail* f = m.get_if<fail>()) co_return self.fail("{}", f->text);
        m.match([&](const add& a) { value += a.amount; }, [&](request<get> r) { r.reply(value); },
                [&](request<which_process> r) { r.reply(static_cast<std::uint32_t>(::getpid())); },
                [&](request<where> r) { r.reply(self.path()); },
                [&](request<which_life> r) { r.reply(self.incarnation()); },
                [&](request<which_parent> r) { r.reply(self.parent().to_string()); },
                [&](const say& s) { self.log.info("{}", s.text); },
                [&](request<flood_log> r) {
                    for (std::uint32_t i = 0; i < r->lines; ++i) self.log.info("flood {} of {}", i, r->lines);
                    r.reply();
                },
                [&](request<flood_output> r) {
                    write_lines(r->lines);
                    r.reply();
                },
                [](const quit&) {}, [](const fail&) {},
                [](const throw_it& t) { throw std::runtime_error{t.text}; },
                [](const leave& l) { ::_exit(l.code); },
                [&](const crash& c) {
                    self.log.info("{}", c.word);
                    std::abort();
                },
                [&](const hang&) {
                    self.log.info("hangs");
                    for (;;) ::pause();
                },
                [](request<refuse>) {}, [](request<ask_another>) {},
                [](request<limits_here> r) {
                    cpu_set_t all;
                    ::sched_getaffinity(0, sizeof all, &all);
                    rlimit files{}, core{};
                    ::getrlimit(RLIMIT_NOFILE, &files);
                    ::getrlimit(RLIMIT_CORE, &core);
                    r.reply(std::vector<std::int64_t>{::getpriority(PRIO_PROCESS, 0), CPU_COUNT(&all),
                                                      static_cast<std::int64_t>(files.rlim_cur),
                                                      static_cast<std::int64_t>(core.rlim_cur)});
                });
    }
}

// ---------------------------------------------------------------- the actor of the other program

struct arguments_there {
    using reply = std::vector<std::string>;
};
using program_protocol = protocol<arguments_there, which_process, where>;

/// What process_main.cpp runs if its first argument is this.
inline constexpr std::string_view as_program = "--as-a-program";

inline task<> program_actor(actor<program_protocol> self, std::vector<std::string> arguments) {
    while (auto m = co_await self.receive())
        m.match([&](request<arguments_there> r) { r.reply(arguments); },
                [](request<which_process> r) { r.reply(static_cast<std::uint32_t>(::getpid())); },
                [&](request<where> r) { r.reply(self.path()); });
}

// ---------------------------------------------------------------- the tests

/// No core files: tests crash on purpose.
class InProcesses : public ::testing::Test {
protected:
    InProcesses() {
        rlimit none{};
        ::getrlimit(RLIMIT_CORE, &none);
        none.rlim_cur = 0;
        ::setrlimit(RLIMIT_CORE, &none);
    }
    void TearDown() override { left_.check(); }
    leftovers left_;
};
class InProcess : public InProcesses, public ::testing::WithParamInterface<std::string> {
protected:
    InProcess() {
        if (GetParam() != "tls") return;
        const certificate_authority ca{certificates_.path(), "ca"};
        over_ += "?" + ca.issue("node", {.name = "node.test", .address = "127.0.0.1"}).options();
    }
    [[nodiscard]] process_carrier carrier() const { return in_process.over(over_); }
    /// The transport, with what it needs.
    [[nodiscard]] const std::string& over() const noexcept { return over_; }

private:
    own_directory certificates_;
    std::string over_ = GetParam();
};

inline auto transports() { return ::testing::Values("unix", "shm", "pipe", "tcp", "tls"); }
inline std::string name_of_transport(const ::testing::TestParamInfo<std::string>& tested) {
    return tested.param;
}

/// The worker of that path answers; the id of its process.
inline task<std::uint32_t> process_at(actor<anything> self, std::string path) {
    for (;;) {
        const auto found = co_await self.resolve<worker_protocol>(path);
        if (found)
            if (const auto pid = co_await self.ask<which_process>(*found, 10s)) co_return *pid;
        co_await self.sleep(1ms);
    }
}
/// Returns when that many lines with that text have been logged.
inline task<> logged(actor<anything> self, log_lines* lines, std::string text, std::size_t count = 1) {
    while (lines->count({text}) < count) co_await self.sleep(1ms);
}
/// The next `down`.
inline task<exit_reason> next_down(actor<anything> self) {
    auto d = co_await self.receive_only<down>();
    if (!d) {
        ADD_FAILURE() << "no down: " << d.error().what();
        co_return exit_reason{};
    }
    co_return d->get_if<down>()->reason;
}

}  // namespace coppice::tests::carried
