// The child's side of a process child; see this_process.hpp and docs/processes.md.
//
// A thread of its own, the watch, keeps the channel: it says that this process lives and whose handlers do not return, hears the
// parent, and sees to it that this process ends when the parent has. It needs no scheduler for that: one that is stuck is what it
// tells of, and a process that is stuck still leaves. Log records go out on the thread that writes them, so that what was logged
// before a crash is in the kernel's hands.
#include "process/this_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include "cell_ext.hpp"
#include "coppice/log.hpp"
#include "net/router.hpp"
#include "node_core.hpp"
#include "process/channel.hpp"
#include "process/child_watch.hpp"
#include "process/os_process.hpp"
#include "process/portable_child.hpp"
#include "process_state.hpp"

namespace coppice {

namespace {

// Of the channel, as the environment says; -1: none, or it has been taken.
int channel_of_environment() noexcept {
    const char* text = std::getenv(detail::channel_variable);
    if (!text) return -1;
    int fd = -1;
    const auto [end, failed] = std::from_chars(text, text + std::strlen(text), fd);
    struct stat is{};
    return failed == std::errc{} && *end == '\0' && ::fstat(fd, &is) == 0 && S_ISSOCK(is.st_mode) ? fd : -1;
}

}  // namespace

bool is_child() noexcept { return channel_of_environment() >= 0; }

namespace detail {

namespace {

result<void> limit(int what, const char* name, std::uint64_t to) {
    if (to == process_limits::unset) return {};
    rlimit l{};
    if (::getrlimit(static_cast<__rlimit_resource>(what), &l) != 0)
        return error{errc::io, errno_words(errno)};
    l.rlim_cur = to;
    l.rlim_max = std::min<rlim_t>(l.rlim_max, to);
    if (l.rlim_cur > l.rlim_max || ::setrlimit(static_cast<__rlimit_resource>(what), &l) != 0)
        return error{errc::denied,
                     std::string{"limit "} + name + " = " + std::to_string(to) + ": " +
                         (l.rlim_cur > l.rlim_max ? "more than this process may have" : errno_words(errno))};
    return {};
}

// Before there are threads, so that they are of all.
result<void> take_limits(const channel_join& join) {
    const process_limits& l = join.limits;
    const struct {
        int what;
        const char* name;
        std::uint64_t to;
    } all[] = {{RLIMIT_AS, "memory", l.memory},
               {RLIMIT_NOFILE, "files", l.files},
               {RLIMIT_CPU, "cpu_seconds", l.cpu_seconds},
               {RLIMIT_CORE, "core_bytes", l.core_bytes},
               {RLIMIT_NPROC, "processes", l.processes}};
    for (const auto& one : all)
        if (auto set = limit(one.what, one.name, one.to); !set) return set;
    if (join.nice && ::setpriority(PRIO_PROCESS, 0, *join.nice) != 0)
        return error{errc::priority_refused,
                     "niceness " + std::to_string(*join.nice) + ": " + errno_words(errno)};
    if (!join.cpus.empty()) {
        cpu_set_t set;
        CPU_ZERO(&set);
        for (const std::uint32_t cpu : join.cpus)
            if (cpu < CPU_SETSIZE) CPU_SET(cpu, &set);
        if (::sched_setaffinity(0, sizeof set, &set) != 0)
            return error{errc::invalid_argument, "the processors that it may run on: " + errno_words(errno)};
    }
    return {};
}

}  // namespace

// ---------------------------------------------------------------- the channel and its watch

struct child_life::channel final : child_watch::surroundings {
    explicit channel(int descriptor) : fd{descriptor} {}
    ~channel() override {
        if (thread.joinable()) {
            ending = true;
            wake();
            thread.join();
        }
        if (waker >= 0) ::close(waker);
        ::close(fd);
    }
    channel(const channel&) = delete;
    channel& operator=(const channel&) = delete;

    // ---- any thread
    /// Waits for room. False if the parent is gone.
    bool say(channel_record_body r) {
        const auto bytes = encode_channel(std::move(r));
        for (;;) {
            if (::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0) return true;
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return false;
            pollfd room{fd, POLLOUT, 0};
            ::poll(&room, 1, -1);
        }
    }
    bool say_if_room(channel_record_body r) override {
        const auto bytes = encode_channel(std::move(r));
        return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
    }
    void log(level l, std::string_view path, std::string_view text, std::uint32_t pid) {
        constexpr std::size_t longest = 48 * 1024;
        const std::uint64_t lost = dropped.exchange(0);
        channel_log record{pid ? pid : static_cast<std::uint32_t>(::getpid()), static_cast<std::uint8_t>(l),
                           std::string{path}, std::string{text.substr(0, longest)}, lost};
        if (text.size() > longest) record.text += " [cut]";
        if (!say_if_room({std::move(record)})) dropped.fetch_add(lost + 1);
    }
    void wake() noexcept {
        const std::uint64_t one = 1;
        if (waker >= 0) static_cast<void>(::write(waker, &one, sizeof one));
    }

    // ---- before there are threads
    /// The parent sends it as soon as this process runs.
    result<void> read_join() {
        std::vector<std::byte> bytes(channel_record);
        ssize_t got = 0;
        do got = ::recv(fd, bytes.data(), bytes.size(), 0);
        while (got < 0 && errno == EINTR);
        if (got <= 0)
            return error{errc::closed, got < 0 ? errno_words(errno) : std::string{"the parent is gone"}};
        bytes.resize(static_cast<std::size_t>(got));
        auto record = decode_channel(bytes);
        if (!record)
            return error{errc::bad_message, "the first record of the channel: " + record.error().what()};
        auto* first = std::get_if<channel_join>(&record->what);
        if (!first) return error{errc::bad_message, "the first record of the channel is no join"};
        if (first->version != channel_version)
            return error{errc::wrong_version, "the parent speaks version " + std::to_string(first->version) +
                                                  " of the channel, this program " +
                                                  std::to_string(channel_version)};
        if (!first->path.starts_with('/') || !valid_node_name(std::string_view{first->path}.substr(1)))
            return error{errc::bad_message, "a path that is none: " + first->path};
        join = std::move(*first);
        return {};
    }
    result<void> start_watch() {
        waker = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (waker < 0) return error{errc::limit_reached, "eventfd: " + errno_words(errno)};
        watch.emplace(join, *this);
        thread = std::thread{[this] { keep_watch(); }};
        return {};
    }

    const int fd;
    int waker = -1;
    channel_join join;
    std::atomic<std::uint64_t> dropped{0};
    std::atomic<bool> ending{false};
    /// From now on the watch looks at that node; null: at none any more, when this returns.
    void look_at(node* n) {
        const std::lock_guard lock{mutex};
        watch->look_at(n ? &n->core() : nullptr);
    }

private:
    // ---- surroundings: the watch's thread
    std::int64_t now() override { return std::chrono::steady_clock::now().time_since_epoch().count(); }
    bool parent_has_ended() override { return process_ended(join.parent_pid); }
    char state_of_parent() override { return state_of_process(join.parent_pid); }
    void leave(int code) override {
        static constexpr char text[] =
            "coppice: the parent process is gone, and the actors here did not end in time\n";
        static_cast<void>(::write(STDERR_FILENO, text, sizeof text - 1));
        std::_Exit(code);
    }

    void keep_watch() {
        ::prctl(PR_SET_NAME, "coppice-watch");
        std::unique_lock lock{mutex};
        while (!ending) {
            watch->look();
            const std::int64_t again = watch->next_look();
            const bool hears = !watch->is_parent_gone();
            lock.unlock();
            wait_until(again, hears);
            lock.lock();
            if (hears) hear();
        }
    }

    void wait_until(std::int64_t when, bool hears) {
        pollfd both[2] = {{hears ? fd : -1, POLLIN, 0}, {waker, POLLIN, 0}};
        const std::int64_t left = std::max<std::int64_t>(when - now(), 0);
        const timespec limit{left / 1'000'000'000, left % 1'000'000'000};
        ::ppoll(both, 2, &limit, nullptr);
    }

    void hear() {
        std::array<std::byte, 4096> small;  // what a parent says after the first record is short
        for (;;) {
            const ssize_t got = ::recv(fd, small.data(), small.size(), MSG_DONTWAIT);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0 && errno == EAGAIN) return;
            if (got <= 0) return watch->closed();
            watch->heard({small.data(), static_cast<std::size_t>(got)});
        }
    }

    std::mutex mutex;  // of the watch
    std::optional<child_watch> watch;
    std::thread thread;
};

// ---------------------------------------------------------------- the life

child_life::child_life(std::unique_ptr<channel> c) : channel_{std::move(c)} {}
child_life::~child_life() = default;

int child_life::run(const child_spec& own, bool own_program, const result<void>& read, node_options options) {
    const int fd = channel_of_environment();
    if (fd < 0) {
        std::fprintf(stderr, "This program runs one actor of a Coppice tree; a supervisor starts it, by\n"
                             "    child(\"name\", in_process(\"this program\"))\n"
                             "or by an [[actor]] with program = \"...\" in a deployment file.\n");
        return static_cast<int>(run_result::bad_options);
    }
    ::unsetenv(channel_variable);  // there are no threads yet; what this process starts is not the child
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    child_life life{std::make_unique<channel>(fd)};
    channel& c = *life.channel_;
    const auto fail = [&](const error& why) {
        const exit_reason reason =
            exit_reason{exit_kind::not_started, why.what(), c.join.path}.coded(why.code());
        static_cast<void>(c.say({channel_ended{c.join.generation, encode_reason(reason)}}));
        return static_cast<int>(run_result::start_failed);
    };
    if (auto joined = c.read_join(); !joined) {
        std::fprintf(stderr, "coppice: %s\n", joined.error().what().c_str());
        return static_cast<int>(run_result::start_failed);
    }
    if (!read) return fail(read.error());
    // A stopped child would not notice that its parent is gone: it is made to go on, and finds the channel closed.
    ::prctl(PR_SET_PDEATHSIG, SIGCONT);
    ::signal(SIGINT, SIG_IGN);  // of the terminal, to the whole group: the root ends the tree in order
    if (auto limited = take_limits(c.join); !limited) return fail(limited.error());
    if (auto watched = c.start_watch(); !watched) return fail(watched.error());
    return life.live(own, own_program, std::move(options));
}

int child_life::live(const child_spec& own, bool own_program, node_options options) {
    channel& c = *channel_;
    const channel_join& join = c.join;
    options.network = {};
    options.network.parent = join.endpoint;
    options.network.hold = join.hold;
    // When a process above has died, all below it end one after the other, level by level, and hear from nobody else meanwhile:
    // each would keep the others waiting, and those that are started again.
    options.network.linger = std::chrono::nanoseconds{0};
    if (!join.rights.empty()) {
        auto rights = parse_rights(join.rights);
        if (!rights) {
            std::fprintf(stderr, "coppice: %s\n", rights.error().what().c_str());
            return static_cast<int>(run_result::start_failed);
        }
        options.network.rights = *std::move(rights);
    }
    options.control = false;  // it is found by way of its parent
    options.log_terminal = false;
    options.log_file.clear();
    options.level = static_cast<level>(join.level);
    options.levels.clear();
    for (const auto& [path, l] : join.levels) options.levels.emplace_back(path, static_cast<level>(l));
    if (options.schedulers == 0) options.schedulers = 1;
    options.shutdown_within =
        std::max<std::chrono::nanoseconds>(join.shutdown_within, limits::shutdown_deadline);

    node n{node::of_a_child{}, join.path.substr(1), std::move(options)};
    node_core& core = n.core();
    core.parent_secret = join.secret;
    core.on_place_for_children = [&c](const std::string& place) {
        static_cast<void>(c.say({channel_place{place}}));
    };
    core.incarnation_of_root = static_cast<std::uint32_t>(join.generation);
    core.log_upward = [&c](level l, std::string_view path, std::string_view text, std::uint32_t pid) {
        c.log(l, path, text, pid);
    };
    const auto make = [&](scheduler& s) {
        auto root = root_of_child(join, own_program, own, *s.node);
        if (root) c.look_at(&n);
        return root;
    };
    const int code = n.run_tree(
        make,
        [&](const address& root) {
            std::promise<net::node_id> told;
            auto id = told.get_future();
            post_control(core.index_list.front()->index,
                         [&](scheduler& s) { told.set_value(s.node->net->id()); });
            static_cast<void>(c.say({channel_ready{join.generation, id.get(), root.id()}}));
        },
        nullptr);
    c.look_at(nullptr);
    if (auto reason = n.wait_for(std::chrono::nanoseconds{0}))
        static_cast<void>(c.say({channel_ended{join.generation, encode_reason(*reason)}}));
    return code;
}

int run_child(int& argc, char** argv, const child_spec* own) {
    const node as_said{"child", argc, argv};  // for its options alone
    const child_spec none;
    return child_life::run(own ? *own : none, own != nullptr, child_life::options_of(as_said),
                           as_said.core().options);
}

}  // namespace detail
}  // namespace coppice
