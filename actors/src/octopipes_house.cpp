// The Octopipes broker's folder and the pipes of its clients; octopipes_broker.hpp.
//
// The folder is the broker's alone: mode 0700, its owner's, and under a lock that ends with the process. So whatever pipes lie in it
// when a broker takes the lock are a dead one's. Only pipes with names as this broker gives them are removed, by their names
// within the folder.
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>

#include "octopipes_broker.hpp"

namespace coppice::actors::octopipes::parts {

namespace {

constexpr const char* lock_name = "/broker.lock";
constexpr const char* cap_name = "cap";
// Of a client's name, in the name of its pipe: for people who look into the folder.
constexpr std::size_t shown_of_id = 32;

// "17-clock.tx": as path_of() makes them.
bool is_clients_pipe(std::string_view name) noexcept {
    const std::size_t digits = name.find_first_not_of("0123456789");
    return digits != 0 && digits != std::string_view::npos && name[digits] == '-' &&
           (name.ends_with(".tx") || name.ends_with(".rx"));
}

}  // namespace

folder::~folder() {
    if (!lock_) return;
    if (made_cap_) remove_pipe(cap_);
    sweep();
    ::unlink((path_ + lock_name).c_str());
}

result<void> folder::take(const std::string& path) {
    if (::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) return failure_of(errno, path);
    struct stat is{};
    if (::lstat(path.c_str(), &is) != 0) return failure_of(errno, path);
    if (!S_ISDIR(is.st_mode)) return error{errc::denied, path + ": it is no directory"};
    if (is.st_uid != ::geteuid() || (is.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return error{errc::denied,
                     path + ": it belongs to somebody else, or is open to others; chmod 700 it"};
    descriptor lock{
        ::open((path + lock_name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR)};
    if (!lock) return failure_of(errno, path + lock_name);
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? error{errc::name_taken, path + ": another broker has this folder"}
                                    : failure_of(errno, path + lock_name);
    path_ = path;
    lock_ = std::move(lock);
    return {};
}

void folder::sweep() const {
    DIR* all = ::opendir(path_.c_str());
    if (!all) return;
    while (const dirent* entry = ::readdir(all)) {
        struct stat is{};
        if (is_clients_pipe(entry->d_name) &&
            ::fstatat(::dirfd(all), entry->d_name, &is, AT_SYMLINK_NOFOLLOW) == 0 && S_ISFIFO(is.st_mode))
            ::unlinkat(::dirfd(all), entry->d_name, 0);
    }
    ::closedir(all);
}

result<void> folder::make_cap() {
    struct stat is{};
    if (::lstat(cap_.c_str(), &is) == 0) {
        if (!S_ISFIFO(is.st_mode)) return error{errc::denied, cap_ + ": what is there is no pipe"};
        if (auto open = open_pipe(cap_, O_WRONLY))
            return error{errc::name_taken, cap_ + ": somebody reads this pipe already"};
        ::unlink(cap_.c_str());
    }
    auto made = make_pipe(cap_);
    made_cap_ = made.has_value();
    return made;
}

result<void> folder::open(const options& o) {
    if (o.directory.empty()) return error{errc::invalid_argument, "the broker's options name no directory"};
    std::string path = o.directory;
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    cap_ = o.cap.empty() ? path + "/" + cap_name : o.cap;
    // 20 digits, "-", the client's name, ".tx".
    if (path.size() + 1 + 20 + 1 + shown_of_id + 3 > most_name_bytes || cap_.size() > most_name_bytes)
        return error{errc::invalid_argument,
                     path + ": too long for the paths that clients are told, 255 bytes"};
    if (auto taken = take(path); !taken) return taken;
    sweep();
    return make_cap();
}

std::string folder::path_of(std::uint64_t serial, const std::string& id, const char* suffix) const {
    std::string shown = id.substr(0, shown_of_id);
    for (char& c : shown)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    return path_ + "/" + std::to_string(serial) + "-" + shown + suffix;
}

// ---- the house

house::house(self_type s, options o)
    : self{s},
      opt{std::move(o)},
      context{io_context_of(s)},
      door_reader{std::uint64_t{64} << 10},
      door{context},
      rounds{context},
      time{context} {}

house::~house() = default;

result<void> house::open() {
    if (auto opened = place.open(opt); !opened) return opened;
    auto access = open_pipe(place.cap(), O_RDWR);
    if (!access) return access.error();
    cap = *std::move(access);
    auto looked = peeper::make();
    if (!looked) return looked.error();
    peep = *std::move(looked);
    auto edge = edges_of(cap.get());
    if (!edge) return edge.error();
    edges.emplace(context, edge->release());
    descriptor notices{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
    if (!notices) return failure_of(errno, "inotify");
    cap_watch = ::inotify_add_watch(notices.get(), place.cap().c_str(), IN_CLOSE);
    if (cap_watch < 0) return failure_of(errno, "inotify of " + place.cap());
    files.emplace(context, notices.release());
    return {};
}

result<member_ptr> house::make_lines(const std::string& id, bool keeps_open) {
    const std::uint64_t serial = ++serials;
    const std::string tx = place.path_of(serial, id, ".tx");
    const std::string rx = place.path_of(serial, id, ".rx");
    struct unfinished {
        const std::string* paths[2];
        bool done = false;
        ~unfinished() {
            for (const std::string* path : paths)
                if (!done) remove_pipe(*path);
        }
    } guard{{&tx, &rx}};
    for (const std::string& path : {tx, rx})
        if (auto made = make_pipe(path); !made) return made.error();
    auto in = open_pipe(tx, O_RDONLY);
    if (!in) return in.error();
    auto out = open_pipe(rx, O_RDWR);
    if (!out) return out.error();
    auto m = std::make_shared<member>();
    m->id = id;
    m->pipes = std::make_unique<lines>(
        context, *std::move(in), *std::move(out), outbox::bounds{opt.queue_frames, opt.queue_bytes},
        [this, id](const std::string& from, const std::string& to, std::uint64_t bytes, outbox::loss why) {
            tell_loss(id, from, to, bytes, why);
        },
        opt.most_data);
    m->pipes->tx_path = tx;
    m->pipes->rx_path = rx;
    m->pipes->keeps_open = keeps_open;
    guard.done = true;
    return m;
}

// That it has come to its pipes; and a stock client opens and closes them for every frame: its signs of life, and how it says
// that it has taken one.
void house::watch_reader(const member_ptr& m) {
    lines& l = *m->pipes;
    l.watch = ::inotify_add_watch(files->native_handle(), l.rx_path.c_str(), IN_OPEN | IN_CLOSE_NOWRITE);
    if (l.watch >= 0) {
        watched[l.watch] = m;
        return;
    }
    self.log.warn("the pipes of {} cannot be watched: {}", m->id, failure_of(errno, l.rx_path));
    l.opened = true;
}

task<> house::watch_files(std::shared_ptr<house> h) {
    for (;;) {
        co_await h->files->async_wait(stream::wait_read, await);
        for (const member_ptr& m : h->read_notices()) {
            lines& l = *m->pipes;
            if (m->gone || l.keeps_open || l.readers > 0 || !l.box.pipe_is_empty()) continue;
            // Whoever has read it has opened it before; the notice of that is there by now, if it is still open.
            h->read_notices();
            if (l.readers > 0) continue;
            l.may_begin = true;
            l.work.notify();
        }
    }
}

// Some were lost: stock clients get their next frame by the clock, until they close a pipe again.
void house::forget_notices() {
    for (const auto& [id, m] : members) {
        if (!m->pipes) continue;
        m->pipes->closes = false;
        m->pipes->readers = 0;
        m->pipes->work.notify();
    }
}

// Whose pipes were opened or closed.
std::vector<member_ptr> house::read_notices() {
    std::vector<member_ptr> touched;
    alignas(inotify_event) std::array<char, 4096> room;
    for (;;) {
        const ssize_t count = ::read(files->native_handle(), room.data(), room.size());
        if (count <= 0) return touched;
        for (ssize_t at = 0; at + static_cast<ssize_t>(sizeof(inotify_event)) <= count;) {
            inotify_event seen{};
            std::memcpy(&seen, room.data() + at, sizeof seen);
            at += static_cast<ssize_t>(sizeof seen + seen.len);
            if (seen.wd == cap_watch || (seen.mask & IN_Q_OVERFLOW) != 0) door.notify();
            if ((seen.mask & IN_Q_OVERFLOW) != 0) forget_notices();
            const auto of = watched.find(seen.wd);
            if (of == watched.end()) continue;
            const member_ptr m = of->second.lock();
            if ((seen.mask & IN_IGNORED) != 0) watched.erase(of);
            if (!m || m->gone) continue;
            lines& l = *m->pipes;
            l.opened = true;
            l.seen = clock::now();
            if ((seen.mask & IN_OPEN) != 0) ++l.readers;
            if ((seen.mask & IN_CLOSE_NOWRITE) != 0) {
                l.closes = true;
                if (l.readers > 0) --l.readers;
            }
            touched.push_back(m);
        }
    }
}

}  // namespace coppice::actors::octopipes::parts
