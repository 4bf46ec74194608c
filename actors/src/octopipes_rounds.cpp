// What the clients of the Octopipes broker send and get; octopipes_broker.hpp.
//
//     a client's pipe ──► hear(): there is something ──► rounds: one frame, or one piece of a large one, of each ──► outboxes
//     outbox ──► write(), one for each client ──► its pipe
//
// A round takes one frame of each client that has one, then lets I/O in; so a flood of one delays each frame of another by one
// round. Nobody waits for a slow reader: its queue is bounded, and only who passes a large frame on in pieces waits for room,
// for so long, and then without it.
#include <boost/asio/post.hpp>

#include <algorithm>

#include "octopipes_broker.hpp"

namespace coppice::actors::octopipes::parts {

namespace {

// Read of one client at once, and so the piece of a large frame: what a pipe holds.
constexpr std::size_t read_at_once = std::size_t{64} << 10;
// The published library takes a frame to be complete when nothing has come for 50 ms, drops what comes with it, and closes its pipe.
// This is for a client that neither does so nor says that it keeps it open: so long after it has read a frame it gets the next.
constexpr auto stock_pause = std::chrono::milliseconds{500};

letter letter_of(const scanner::header_fields& h, blob bytes) {
    return {h.from, h.to, h.ttl, h.options, frame_size(h), std::move(bytes)};
}

}  // namespace

std::uint64_t frame_size(const scanner::header_fields& h) noexcept {
    return frame_overhead + h.from.size() + h.to.size() + h.size;
}

std::optional<clock::time_point> expiry_of(std::uint8_t ttl) {
    if (ttl == 0) return {};
    return clock::now() + std::chrono::seconds{ttl};
}

// ---- the coroutines

task<> house::hear(std::shared_ptr<house> h, member_ptr m) {
    lines& l = *m->pipes;
    while (!m->gone) {
        auto [failure] = co_await l.tx.async_wait(stream::wait_read, boost::asio::as_tuple(await));
        if (m->gone || failure) co_return;
        l.readable = true;
        h->enter_rounds(m);
        while (l.readable && !m->gone) co_await l.drained.wait();
    }
}

task<> house::write(std::shared_ptr<house> h, member_ptr m) {
    lines& l = *m->pipes;
    while (!m->gone) {
        const std::uint64_t given = l.box.given();
        const auto made = l.box.step(l.keeps_open || l.may_begin);
        if (l.box.given() != given) l.may_begin = false;
        if (const int failure = l.box.failure()) {
            h->remove(m, "its pipe cannot be written to: " + failure_of(failure, l.rx_path).what());
            co_return;
        }
        if (!h->in_rounds.empty()) h->rounds.notify();  // there may be room for a piece that waits
        if (made == outbox::progress::moved) {
            co_await h->self.yield();
        } else if (made == outbox::progress::full) {
            static_cast<void>(co_await l.rx.async_wait(stream::wait_write, boost::asio::as_tuple(await)));
        } else {
            if (!l.keeps_open && !l.closes && l.box.queued()) h->plan(clock::now() + stock_pause);
            co_await l.work.wait();
        }
    }
}

task<> house::serve_in_rounds(std::shared_ptr<house> h) {
    for (;;) {
        bool moved = false;
        // Who joins meanwhile is in the next round.
        const std::vector<member_ptr> round = std::exchange(h->in_rounds, {});
        for (const member_ptr& m : round) {
            m->pipes->in_rounds = false;
            if (m->gone) continue;
            moved |= h->serve(m);
            if (!m->gone && (m->pipes->readable || h->held_up(m))) h->enter_rounds(m, false);
        }
        if (moved) co_await boost::asio::post(h->context, await);  // I/O, timers and the others' coroutines
        else co_await h->rounds.wait();
    }
}

void house::enter_rounds(const member_ptr& m, bool wake) {
    if (!std::exchange(m->pipes->in_rounds, true)) in_rounds.push_back(m);
    if (wake) rounds.notify();
}

// ---- what comes

bool house::held_up(const member_ptr& m) const {
    const inflow& c = m->pipes->coming;
    return c.what == inflow::fate::passed && std::any_of(c.to.begin(), c.to.end(), [](const auto& t) {
               return !t.first->gone && !t.first->pipes->box.has_room(t.second);
           });
}

// One frame, or one piece, of that client. False: it has none.
bool house::serve(const member_ptr& m) {
    lines& l = *m->pipes;
    if (held_up(m)) return false;
    for (;;) {
        const auto seen = l.reader.next();
        if (!seen) {
            if (!fill(m)) return false;
            continue;
        }
        const auto& h = l.reader.header();
        switch (seen->kind) {
        case scanner::kind::header: begin(m, seen->bytes); break;
        case scanner::kind::data: pass_on(m, seen->bytes); return true;
        case scanner::kind::end: finish(m, seen->why, seen->bytes); return true;
        case scanner::kind::skipped:
            tell(happening::refused, m->id, h.to, std::string{to_string(seen->why)}, h.size);
            return true;
        }
    }
}

// Reads once. False: there is nothing to read.
bool house::fill(const member_ptr& m) {
    lines& l = *m->pipes;
    if (!l.readable) return false;
    std::vector<std::byte> bytes;
    const auto got = read_some(l.tx.native_handle(), bytes, read_at_once);
    if (got.count > 0) {
        l.opened = true;
        l.seen = l.coming.moved = clock::now();
        l.reader.feed(bytes);
        return true;
    }
    l.readable = false;
    if (l.leaving) remove(m, "it has left");
    else if (got.ended) at_end_of_pipe(m);
    else l.drained.notify();
    return false;
}

// The last writer has closed it: a client that keeps its pipes open has died, or left; a stock client does so after every frame.
void house::at_end_of_pipe(const member_ptr& m) {
    lines& l = *m->pipes;
    if (l.coming.what != inflow::fate::nothing) cut_off(m, "its sender has gone within it");
    l.reader = scanner{opt.most_data};
    if (l.keeps_open) return remove(m, "its end of the pipe is closed: it has ended");
    // The old descriptor would say for ever that the end has come. What is in the pipe stays in it, as the other end is open.
    auto again = open_pipe(l.tx_path, O_RDONLY);
    if (!again) return remove(m, "its pipe cannot be opened again: " + again.error().what());
    const descriptor old{l.tx.release()};
    l.tx.assign(again->release());
    l.drained.notify();
}

void house::begin(const member_ptr& m, std::span<const std::byte> header) {
    lines& l = *m->pipes;
    inflow& c = l.coming;
    const auto& h = l.reader.header();
    c = {};
    c.moved = clock::now();
    c.head = letter_of(h, blob::copy_of(header));
    if (h.from != m->id) {
        c.what = inflow::fate::dropped;
        c.refusal = "it says that it is from " + h.from;
    } else if (h.size <= opt.whole_data || h.to.empty()) {
        c.what = h.size <= opt.whole_data ? inflow::fate::kept : inflow::fate::dropped;
        c.refusal = "too large for a request";
        c.kept.assign(header.begin(), header.end());
        if (c.what == inflow::fate::dropped) c.kept.clear();
    } else {
        begin_passing(m);
    }
}

void house::begin_passing(const member_ptr& m) {
    inflow& c = m->pipes->coming;
    c.what = inflow::fate::passed;
    for (const member_ptr& r : receivers(c.head.to, m)) {
        if (r->pipes) {
            passage p{c.head.from, c.head.to, c.head.size, expiry_of(c.head.ttl), {c.head.bytes}};
            p.fed = c.head.bytes.size();
            c.to.emplace_back(r, r->pipes->box.add(std::move(p)));
            r->pipes->work.notify();
            if (c.head.ttl) plan(clock::now() + std::chrono::seconds{c.head.ttl});
        } else if (m->pipes->reader.header().size > most_frame_data) {
            ++r->lost;
            tell(happening::unread, m->id, r->id, "too large for an actor", c.head.size);
        } else {
            c.actors.push_back(r);
        }
    }
    if (!c.actors.empty()) c.kept.assign(c.head.bytes.begin(), c.head.bytes.end());
    if (c.to.empty() && c.actors.empty())
        tell(happening::nobody, m->id, c.head.to, "nobody has that name", c.head.size);
    ++m->sent;
    plan(clock::now() + opt.piece_within);
}

void house::pass_on(const member_ptr& m, std::span<const std::byte> piece) {
    inflow& c = m->pipes->coming;
    if (c.what == inflow::fate::kept || (c.what == inflow::fate::passed && !c.actors.empty()))
        c.kept.insert(c.kept.end(), piece.begin(), piece.end());
    if (c.what != inflow::fate::passed || c.to.empty()) return;
    const blob shared = blob::copy_of(piece);
    for (const auto& [to, number] : c.to) {
        if (to->gone) continue;
        to->pipes->box.feed(number, shared);
        to->pipes->work.notify();
    }
}

void house::finish(const member_ptr& m, fault why, std::span<const std::byte> end) {
    inflow& c = m->pipes->coming;
    if (c.what == inflow::fate::passed) finish_passing(m, why, end);
    else if (c.what == inflow::fate::dropped)
        tell(happening::refused, m->id, c.head.to, c.refusal, c.head.size);
    else if (why != fault::none)
        tell(happening::refused, m->id, c.head.to, std::string{to_string(why)}, c.head.size);
    else {
        c.kept.insert(c.kept.end(), end.begin(), end.end());
        letter whole = std::move(c.head);
        whole.bytes = blob{std::move(c.kept)};
        ++m->sent;
        c = {};
        if (whole.to.empty()) to_broker(whole, m);
        else route(whole, m);
        return;
    }
    c = {};
}

// Its receivers have most of it: a wrong checksum they see themselves, a missing end byte is given to them as it is.
void house::finish_passing(const member_ptr& m, fault why, std::span<const std::byte> end) {
    inflow& c = m->pipes->coming;
    if (why != fault::none)
        tell(happening::refused, m->id, c.head.to, std::string{to_string(why)} + ", as its receivers see",
             c.head.size);
    if (why == fault::no_end_byte) {
        for (const auto& [to, number] : c.to) cut_copy(to, number);
        return;
    }
    pass_on(m, end);
    if (why != fault::none) return;
    c.head.bytes = blob{std::move(c.kept)};
    for (const member_ptr& r : c.actors)
        if (!r->gone) give_actor(c.head, r);
}

void house::cut_copy(const member_ptr& of, std::uint64_t number) {
    if (of->gone) return;
    of->pipes->box.cut(number);
    of->pipes->work.notify();
}

void house::cut_off(const member_ptr& m, const std::string& why) {
    inflow& c = m->pipes->coming;
    tell(happening::refused, m->id, c.head.to, why, c.head.size);
    for (const auto& [to, number] : c.to) cut_copy(to, number);
    c = {};
}

// ---- time

void house::plan(clock::time_point at) {
    if (at >= planned) return;
    planned = at;
    time.notify();
}

task<> house::watch_time(std::shared_ptr<house> h) {
    for (;;) {
        co_await h->time.wait(h->planned);
        const auto now = clock::now();
        if (now < h->planned) continue;
        h->planned = clock::time_point::max();
        if (const auto next = h->look_at_time(now)) h->plan(*next);
    }
}

namespace {

void earlier(std::optional<clock::time_point>& first, const std::optional<clock::time_point>& at) {
    if (at && (!first || *at < *first)) first = at;
}

}  // namespace

std::optional<clock::time_point> house::look_at_time(clock::time_point now) {
    std::optional<clock::time_point> next;
    std::vector<member_ptr> all;
    for (const auto& [id, m] : members) all.push_back(m);
    for (const member_ptr& m : all) {
        m->acks.expire(now);
        earlier(next, m->acks.next());
        if (m->pipes) earlier(next, look_at_lines(m, now));
    }
    return next;
}

// Cuts the copies of those who have not taken anything of the frame for too long. When to look again.
clock::time_point house::cut_stalled(const inflow& c, clock::time_point now) {
    clock::time_point next = now + opt.piece_within;
    for (const auto& [to, number] : c.to) {
        if (to->gone || to->pipes->box.has_room(number)) continue;
        const auto moved = to->pipes->box.moved(number);
        // With room in its pipe it is this process that was slow.
        if (!moved || can_write(to->pipes->rx.native_handle())) continue;
        if (now - *moved >= opt.piece_within) cut_copy(to, number);
        else next = std::min(next, *moved + opt.piece_within);
    }
    return next;
}

std::optional<clock::time_point> house::look_at_lines(const member_ptr& m, clock::time_point now) {
    lines& l = *m->pipes;
    std::optional<clock::time_point> next;
    if (l.keeps_open && !l.opened) {
        if (now >= l.open_until) {
            remove(m, "it has not opened its pipes");
            return {};
        }
        next = l.open_until;
    }
    l.box.expire(now);
    earlier(next, l.box.next_expiry());
    if (!l.keeps_open && !l.closes && l.box.queued() && !l.may_begin) {
        if (!l.box.pipe_is_empty()) l.empty_since.reset();
        else if (!l.empty_since) l.empty_since = now;
        l.may_begin = l.empty_since && now - *l.empty_since >= stock_pause;
        if (l.may_begin) l.empty_since.reset();
        earlier(next, now + stock_pause);
    }
    l.work.notify();
    inflow& c = l.coming;
    if (c.what == inflow::fate::passed && !held_up(m)) {
        // With something to read it is this process that was slow.
        if (l.readable || bytes_in(l.tx.native_handle()) > 0) c.moved = now;
        if (now - c.moved >= opt.piece_within) cut_off(m, "its sender has stopped within it");
        else earlier(next, c.moved + opt.piece_within);
    } else if (c.what == inflow::fate::passed) {
        earlier(next, cut_stalled(c, now));
        c.moved = now;  // the sender waits for its receivers
        rounds.notify();
    }
    return next;
}

}  // namespace coppice::actors::octopipes::parts
