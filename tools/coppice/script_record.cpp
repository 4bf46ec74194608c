// `coppice script record`; see script_record.hpp.
//
//     tree ── batches ─► recorder, an actor in_thread of the guest ── whole lines ─► file
//                            └── an eventfd ─► main thread, which waits for it, a signal and the limit of time
//
// The recorder's thread may wait for whoever reads the file; then the tree's node waits with what it has for it, and what that has no
// room for is missed and counted there. So nothing here grows.
#include "script_record.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <optional>
#include <string>

#include "coppice/control_actor.hpp"
#include "guest.hpp"
#include "recording.hpp"
#include "units.hpp"

namespace coppice::command {

namespace {

using std::chrono::nanoseconds;
using clock = std::chrono::steady_clock;

struct record_arguments {
    std::string path;
    std::string output;
    std::string duration;
    std::uint64_t count = 0;
    double within = 5;
    bool no_pauses = false;
    bool verbose = false;
    [[nodiscard]] nanoseconds limit() const { return nanoseconds{static_cast<std::int64_t>(within * 1e9)}; }
} wanted_record;

/// The main thread asks for the end: after what is here already.
struct finish_record {};
using recorder_protocol = protocol<control::mail_batch, finish_record>;

/// How a recording ended.
struct record_outcome {
    result<void> wrote;
    bool actor_ended = false;
    bool tree_ended = false;
    std::uint64_t missed = 0;
    std::uint64_t not_replayed = 0;
};

/// A descriptor, closed with it.
struct held_descriptor {
    int fd;
    explicit held_descriptor(int f) : fd{f} {
        if (fd < 0) throw command_failed{exit_code::failed, std::strerror(errno)};
    }
    ~held_descriptor() { ::close(fd); }
    held_descriptor(const held_descriptor&) = delete;
    held_descriptor& operator=(const held_descriptor&) = delete;
};

/// What main and recorder share.
struct record_shared {
    explicit record_shared(const std::string& output) : file{output} {}
    output_file file;
    held_descriptor over{::eventfd(0, EFD_CLOEXEC)};
    std::promise<result<ref<recorder_protocol>>> followed;
    std::promise<record_outcome> ended;
    void tell(record_outcome how) {
        ended.set_value(std::move(how));
        const std::uint64_t one = 1;
        static_cast<void>(::write(over.fd, &one, sizeof one));
    }
};

task<> recorder(actor<recorder_protocol> self, std::shared_ptr<record_shared> shared,
                ref<control_protocol> control, recording_options o, known_names names) {
    record_outcome how;
    const std::uint64_t node_lost = self.monitor(control);
    auto done = co_await self.ask<control::follow_mail>(control, limits::ask_deadline, o.path, ref<>{},
                                                        ref<control::mail_reader>{self.me()});
    if (!done) co_return shared->followed.set_value(done.error());
    recording text{std::move(o), std::move(names), shared->file};
    shared->followed.set_value(self.me());
    how.wrote = text.begin();  // may wait for a reader
    bool over = !how.wrote;
    while (!over) {
        auto m = co_await self.receive();
        if (!m) break;
        if (const auto* d = m.get_if<down>()) {
            over = how.tree_ended = d->monitor == node_lost;
            continue;
        }
        m.match(
            [&](request<control::mail_batch> b) {
                how.wrote = text.add(*b);
                how.actor_ended = b->ended;
                over = !how.wrote || b->ended || text.done();
                b.reply();
            },
            [&](const finish_record&) { over = true; });
    }
    // What could be written is a script; only where writing itself failed there is no end to write.
    if (how.wrote || how.wrote.error() != errc::io) {
        const auto end = text.end();
        const auto closed = shared->file.close();
        if (how.wrote && !end) how.wrote = end;
        if (how.wrote && !closed) how.wrote = closed;
    }
    how.missed = text.missed();
    how.not_replayed = text.not_replayed();
    shared->tell(std::move(how));
}

// As many of the tree's actors as can be asked now: refs in messages are written by their paths.
task<known_names> names_of(actor<anything> self, std::vector<node_description> nodes) {
    known_names names;
    for (const node_description& node : nodes)
        for (const actor_info& a : node.seen.actors) {
            const wire_reference r = self.reference_to(a.who);
            if (r.actor != 0 && !a.path.empty() && a.path.front() == '/')
                names.paths[{r.node, r.actor}] = a.path;
        }
    co_return names;
}

known_names names_in(guest& g, nanoseconds limit) {
    known_names names = g.perform(&names_of, g.describe(limit / 2).nodes);
    for (const auto& control : g.controls(limit / 2)) {
        const auto types = g.self().ask<control::message_types>(control, limit);
        if (!types) continue;  // its types are written by their numbers
        for (const std::string& name : *types) names.types.emplace(type_id(name), name);
    }
    return names;
}

nanoseconds duration_of(const std::string& text) {
    const auto d = detail::read_duration(text);
    if (!d || *d <= nanoseconds::zero())
        throw command_failed{exit_code::usage,
                             "--for: expected a duration with its unit, as 250ms, 2s or 1m30s, not '" + text +
                                 "'"};
    return *d;
}

// Until the recorder has ended, a signal has come, or the time is over.
void wait_for_end(int recorder_over, int signals, std::optional<clock::time_point> until) {
    for (;;) {
        int left = -1;
        if (until) {
            const auto ms = std::chrono::ceil<std::chrono::milliseconds>(*until - clock::now()).count();
            if (ms <= 0) return;
            left = static_cast<int>(std::min<std::int64_t>(ms, 1'000'000));
        }
        pollfd ready[] = {{recorder_over, POLLIN, 0}, {signals, POLLIN, 0}};
        if (::poll(ready, 2, left) > 0) return;
    }
}

int tell_outcome(const record_outcome& how, const std::string& path) {
    const auto say = [](const std::string& text) { std::fprintf(stderr, "coppice: %s\n", text.c_str()); };
    if (how.not_replayed)
        say(std::to_string(how.not_replayed) +
            " messages are not sent again: the script has a comment for each");
    if (!how.wrote) {
        say(std::string{how.wrote.error().text()});
        return static_cast<int>(exit_code::failed);
    }
    if (how.missed) {
        say(std::to_string(how.missed) + " messages came faster than they could be recorded: the script has "
                                         "comments where they are missing");
        return static_cast<int>(exit_code::failed);
    }
    if (how.tree_ended || how.actor_ended) {
        say(path + " has ended; the script has what it took until then");
        return static_cast<int>(exit_code::unreachable);
    }
    return 0;
}

}  // namespace

void declare_record(CLI::App& app) {
    app.add_option("PATH", wanted_record.path, "of an actor: /app/counter")->required();
    app.add_option("-o,--output", wanted_record.output, "file for the script; else standard output");
    app.add_option("--count", wanted_record.count, "end after so many messages; 0: endless")
        ->capture_default_str();
    app.add_option("--for", wanted_record.duration, "end after that time: 250ms, 2s, 1m30s");
    app.add_option("--within", wanted_record.within, "seconds to wait for an answer")->capture_default_str();
    app.add_flag("--no-pauses", wanted_record.no_pauses, "one message right after the other");
    app.add_flag("-v,--verbose", wanted_record.verbose, "say on standard error when it has begun");
}

int run_record() {
    const record_arguments& a = wanted_record;
    const std::optional<nanoseconds> length =
        a.duration.empty() ? std::nullopt : std::optional{duration_of(a.duration)};
    // Before there are threads, which inherit it: signals are read here, from a descriptor.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
    ::signal(SIGPIPE, SIG_IGN);  // a reader that goes is an error of the write
    const held_descriptor signals{::signalfd(-1, &ends, SFD_CLOEXEC)};

    const std::string path = path_of(a.path);
    guest g{tree_of(path)};
    static_cast<void>(g.find(path));
    const auto control = g.control_of(path);
    known_names names = names_in(g, a.limit());
    auto shared = std::make_shared<record_shared>(a.output);
    recording_options o{path, g.tree(), !a.no_pauses, a.count};
    g.start(child("record", in_thread, &recorder, shared, control, o, std::move(names)));
    const auto followed = shared->followed.get_future().get();
    if (!followed) throw command_failed{path, followed.error()};
    if (a.verbose) std::fputs("recording\n", stderr);
    wait_for_end(shared->over.fd, signals.fd, length ? std::optional{clock::now() + *length} : std::nullopt);
    g.self().send<finish_record>(*followed);
    auto ended = shared->ended.get_future();
    if (ended.wait_for(a.limit()) != std::future_status::ready) {
        std::fprintf(stderr, "coppice: %s takes no more: the end of the script is not written\n",
                     shared->file.shown().c_str());
        std::_Exit(
            static_cast<int>(exit_code::failed));  // the recorder's thread does not come back to be joined
    }
    return tell_outcome(ended.get(), path);
}

}  // namespace coppice::command
