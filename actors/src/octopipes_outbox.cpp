// The queue of one client and its pipe; octopipes_outbox.hpp. Nothing here waits: the broker comes again when the pipe has room, or
// when the first frame expires. On the broker's thread.
#include "octopipes_outbox.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>

namespace coppice::actors::octopipes::parts {

namespace {

// Of a frame in pieces, for one client: enough to keep a pipe busy.
constexpr std::uint64_t piece_room = std::uint64_t{256} << 10;
// What stands in for data that did not come; and no end byte.
constexpr std::array<std::byte, std::size_t{64} << 10> filler{};

}  // namespace

void outbox::lose(const std::string& from, const std::string& to, std::uint64_t bytes, loss why) {
    ++lost_;
    tell_(from, to, bytes, why);
}

passage* outbox::find(std::uint64_t number) noexcept {
    const auto at =
        std::find_if(queue_.begin(), queue_.end(), [&](const passage& p) { return p.number == number; });
    return at == queue_.end() ? nullptr : &*at;
}

// A frame that is begun in the pipe, or that still comes in pieces, is not dropped: the client has its length, or its sender
// counts on it.
void outbox::make_room(std::uint64_t bytes) {
    while (!queue_.empty() && (queue_.size() >= most_.frames || bytes_ + bytes > most_.bytes)) {
        const auto oldest = std::find_if(queue_.begin(), queue_.end(),
                                         [](const passage& p) { return p.written == 0 && p.fed == p.size; });
        if (oldest == queue_.end()) return;
        const passage gone = std::move(*oldest);
        queue_.erase(oldest);
        bytes_ -= gone.fed;
        lose(gone.from, gone.to, gone.size, loss::no_room);
    }
}

std::uint64_t outbox::add(passage p) {
    settle();
    make_room(p.fed);
    p.number = ++numbers_;
    bytes_ += p.fed;
    queue_.push_back(std::move(p));
    return numbers_;
}

void outbox::feed(std::uint64_t number, blob piece) {
    passage* p = find(number);
    if (!p || p->cut) return;
    p->fed += piece.size();
    bytes_ += piece.size();
    p->pieces.push_back(std::move(piece));
}

void outbox::cut(std::uint64_t number) {
    passage* p = find(number);
    if (!p || p->fed == p->size) return;
    lose(p->from, p->to, p->size, loss::no_room);
    if (p->written == 0) {
        bytes_ -= p->fed;
        queue_.erase(queue_.begin() + (p - &queue_.front()));
        return;
    }
    p->cut = true;
}

bool outbox::has_room(std::uint64_t number) const noexcept {
    const auto at =
        std::find_if(queue_.begin(), queue_.end(), [&](const passage& p) { return p.number == number; });
    return at == queue_.end() || at->cut || at->fed - at->written < piece_room;
}

std::optional<clock::time_point> outbox::moved(std::uint64_t number) const noexcept {
    const auto at =
        std::find_if(queue_.begin(), queue_.end(), [&](const passage& p) { return p.number == number; });
    return at == queue_.end() ? std::nullopt : std::optional{at->moved};
}

// ---- writing

outbox::progress outbox::write(std::span<const std::byte> bytes, std::size_t& count) {
    const auto done = write_some(pipe_, bytes);
    if (done.failure && !failure_) failure_ = done.failure;
    count = done.count;
    written_ += count;
    return count > 0 ? progress::moved : done.failure ? progress::idle : progress::full;
}

outbox::progress outbox::write_back() {
    std::size_t count = 0;
    const progress made = write(back_, count);
    back_.erase(back_.begin(), back_.begin() + static_cast<std::ptrdiff_t>(count));
    return made;
}

outbox::progress outbox::write_filler(passage& head) {
    const std::uint64_t left = head.size - head.written;
    std::size_t count = 0;
    const progress made =
        write(std::span{filler}.first(static_cast<std::size_t>(std::min<std::uint64_t>(left, filler.size()))),
              count);
    head.written += count;
    return made;
}

outbox::progress outbox::step(bool may_begin) {
    if (!back_.empty()) return write_back();
    if (queue_.empty()) return progress::idle;
    passage& head = queue_.front();
    if (!may_begin && head.written == 0) return progress::idle;
    progress made = progress::idle;
    if (!head.pieces.empty()) {
        std::size_t count = 0;
        made = write(head.pieces.front().bytes().subspan(head.offset), count);
        head.offset += count;
        head.written += count;
        bytes_ -= count;
        if (count > 0) head.moved = clock::now();
        if (head.offset == head.pieces.front().size()) {
            head.pieces.pop_front();
            head.offset = 0;
        }
    } else if (head.cut) {
        made = write_filler(head);
    }
    if (head.written < head.size) return made;
    if (!head.cut) {
        ++given_;
        unread_.push_back({head.from, head.to, head.size, head.expires, written_});
    }
    queue_.pop_front();
    return progress::moved;
}

// ---- what is read, expires, is left

void outbox::settle() {
    const std::uint64_t read = written_ - bytes_in(pipe_);
    while (!unread_.empty() && unread_.front().end <= read) unread_.pop_front();
}

void outbox::expire(clock::time_point now) {
    settle();
    for (auto p = queue_.begin(); p != queue_.end();) {
        if (p->written > 0 || !p->expires || *p->expires > now) {
            ++p;
            continue;
        }
        const passage gone = std::move(*p);
        p = queue_.erase(p);
        bytes_ -= gone.fed;
        lose(gone.from, gone.to, gone.size, loss::expired);
    }
    const std::uint64_t read = written_ - bytes_in(pipe_);
    if (std::any_of(unread_.begin(), unread_.end(), [&](const written_frame& f) {
            return f.expires && *f.expires <= now && f.begin() >= read;
        }))
        take_back(now);
}

void outbox::take_back(clock::time_point now) {
    const int capacity = ::fcntl(pipe_, F_GETPIPE_SZ);
    std::vector<std::byte> was;
    static_cast<void>(
        read_some(pipe_, was, capacity > 0 ? static_cast<std::size_t>(capacity) : filler.size()));
    was.insert(was.end(), back_.begin(), back_.end());
    const std::uint64_t end = written_ + back_.size();
    const std::uint64_t read = end - was.size();
    std::vector<std::byte> kept;
    std::deque<written_frame> left;
    std::uint64_t at = read;  // up to here `was` is dealt with
    for (written_frame& f : unread_) {
        if (f.end <= read) continue;
        const auto bytes = std::span{was}.subspan(at - read, f.end - at);
        const bool begun = f.begin() < read;
        at = f.end;
        if (!begun && f.expires && *f.expires <= now) {
            --given_;
            lose(f.from, f.to, f.size, loss::expired);
            continue;
        }
        if (begun) f.expires.reset();  // the client is reading it
        kept.insert(kept.end(), bytes.begin(), bytes.end());
        f.end = read + kept.size();
        left.push_back(std::move(f));
    }
    // The beginning of the frame that is being written.
    kept.insert(kept.end(), was.begin() + static_cast<std::ptrdiff_t>(at - read), was.end());
    unread_ = std::move(left);
    back_ = std::move(kept);
    written_ = read;
    while (!back_.empty() && write_back() == progress::moved) {
    }
}

std::optional<clock::time_point> outbox::next_expiry() const {
    std::optional<clock::time_point> first;
    const auto look = [&](const std::optional<clock::time_point>& at) {
        if (at && (!first || *at < *first)) first = at;
    };
    for (const passage& p : queue_)
        if (p.written == 0) look(p.expires);
    for (const written_frame& f : unread_) look(f.expires);
    return first;
}

void outbox::give_up() {
    settle();
    for (const written_frame& f : unread_) {
        --given_;
        lose(f.from, f.to, f.size, loss::left);
    }
    for (const passage& p : queue_)
        if (!p.cut) lose(p.from, p.to, p.size, loss::left);  // else it was told
    unread_.clear();
    queue_.clear();
    back_.clear();
    bytes_ = 0;
}

}  // namespace coppice::actors::octopipes::parts
