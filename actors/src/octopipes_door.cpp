// The access pipe of the Octopipes broker; octopipes_broker.hpp.
//
// One pipe carries everybody's requests and everybody's answers, and whoever reads it takes what is in front. So there is never
// more than one answer in it, and while it lies there the broker reads nothing:
//
//     requests ──► read, all that is there ──► one is handled, its answer is put ──► looked at, not read, until it is gone
//                       ▲                                                                              │
//                       └──────────────────────────────────────────────────────────────────────────────┘
//
// Clients of ours look before they read, too, and take only what has their name on it. A request that was written just before
// the answer would hide it from them: then all is read, and the answer is put again, alone. An answer that nobody takes is read
// back after a while, and its client forgotten.
#include <boost/asio/post.hpp>

#include <algorithm>
#include <utility>

#include "octopipes_broker.hpp"

namespace coppice::actors::octopipes::parts {

namespace {

constexpr std::size_t all_of_a_pipe = std::size_t{1} << 20;
// Read, and handled, before the clients' frames have their turn: whoever floods this pipe does not have the broker for itself.
constexpr std::size_t read_a_turn = std::size_t{64} << 10;
constexpr int requests_a_turn = 64;
// Requests that wait while an answer is not taken: twice what a pipe holds of the smallest.
constexpr std::size_t most_requests = 8192;

}  // namespace

task<> house::hear_door(std::shared_ptr<house> h) {
    for (;;) {
        co_await h->edges->async_wait(stream::wait_read, await);
        take_edges(h->edges->native_handle());
        h->door.notify();
    }
}

task<> house::keep_door(std::shared_ptr<house> h) {
    for (;;) {
        if (h->step_at_door()) co_await boost::asio::post(h->context, await);
        else co_await h->door.wait(h->outstanding ? h->outstanding->until : clock::time_point::max());
    }
}

// True: there may be more, for the next turn.
bool house::step_at_door() {
    for (int n = 0; n < requests_a_turn; ++n) {
        if (look_after_answer()) return false;
        if (requests.empty()) read_requests();
        if (requests.empty()) return bytes_in(cap.get()) > 0;
        if (waits_for_end_of(requests.front().from)) return false;
        const frame f = std::move(requests.front());
        requests.pop_front();
        handle_request(f);
    }
    return true;
}

// Whether the client of that name has died, and the broker has not come to the end of its pipe yet. What it has sent comes
// first; then its name is free, and remove() looks at the door again.
bool house::waits_for_end_of(const std::string& id) {
    const member_ptr m = find(id);
    if (!m || !m->pipes || !m->pipes->keeps_open || !has_lost_writers(m->pipes->tx.native_handle()))
        return false;
    m->pipes->readable = true;
    enter_rounds(m);
    return true;
}

// Whether an answer lies in the pipe.
bool house::look_after_answer() {
    if (!outstanding) return false;
    const auto there = peep->look(cap.get());
    const auto at =
        std::search(there.begin(), there.end(), outstanding->bytes.begin(), outstanding->bytes.end());
    if (at == there.end()) {
        outstanding.reset();
        return false;
    }
    if (clock::now() >= outstanding->until) {
        take_answer_back("it did not read the answer to its request");
        return false;
    }
    if (at == there.begin()) return true;
    // Requests stand before it.
    std::vector<std::byte> all;
    static_cast<void>(read_some(cap.get(), all, all_of_a_pipe));
    const auto mine =
        std::search(all.begin(), all.end(), outstanding->bytes.begin(), outstanding->bytes.end());
    const bool had_it = mine != all.end();
    if (had_it) all.erase(mine, mine + static_cast<std::ptrdiff_t>(outstanding->bytes.size()));
    hear_requests(all, true);
    if (!had_it || write_some(cap.get(), outstanding->bytes).count == 0) outstanding.reset();
    return outstanding.has_value();
}

void house::take_answer_back(const std::string& why) {
    std::vector<std::byte> all;
    static_cast<void>(read_some(cap.get(), all, all_of_a_pipe));
    const answer old = std::move(*outstanding);
    outstanding.reset();
    const auto mine = std::search(all.begin(), all.end(), old.bytes.begin(), old.bytes.end());
    if (mine != all.end()) all.erase(mine, mine + static_cast<std::ptrdiff_t>(old.bytes.size()));
    hear_requests(all, true);
    tell(happening::refused, old.id, {}, why);
    if (const member_ptr m = old.of.lock(); m && !m->gone && !m->pipes->opened) remove(m, why);
}

void house::read_requests() {
    std::vector<std::byte> all;
    const auto seen = read_some(cap.get(), all, read_a_turn);
    if (seen.count > 0) hear_requests(all, bytes_in(cap.get()) == 0);
}

// `all`: there is no more. Requests are written in one piece, so what is not whole now never will be.
void house::hear_requests(std::span<const std::byte> bytes, bool all) {
    door_reader.feed(bytes);
    for (;;) {
        while (auto seen = door_reader.next()) {
            if (seen->why != fault::none)
                tell(happening::refused, seen->got.from, seen->got.to,
                     "in the access pipe: " + std::string{to_string(seen->why)});
            else if (requests.size() >= most_requests)
                tell(happening::refused, seen->got.from, seen->got.to,
                     "too many requests wait in the access pipe");
            else requests.push_back(std::move(seen->got));
        }
        if (!all || !door_reader.within()) return;
        tell(happening::refused, {}, {}, "in the access pipe: a frame that is cut");
        door_reader.abandon();
    }
}

void house::handle_request(const frame& f) {
    if (!f.to.empty())
        return tell(happening::refused, f.from, f.to, "the access pipe is for requests to the broker");
    if (is_unsubscription(f.data.bytes())) {
        const member_ptr m = find(f.from);
        if (!m || !m->pipes)
            return tell(happening::refused, f.from, {}, "it leaves, but has not joined by a pipe");
        // What it has sent before comes first.
        m->pipes->leaving = m->pipes->readable = true;
        return enter_rounds(m);
    }
    subscribe(f);
}

void house::subscribe(const frame& f) {
    const bool keeps = (f.options & keeps_open) != 0;
    const auto within = keeps ? opt.own_answer_within : opt.answer_within;
    const auto refuse = [&](assignment_error code, const std::string& why) {
        tell(happening::refused, f.from, {}, why);
        put_answer(f.from, {code, {}, {}}, within, nullptr);
    };
    const auto wanted = read_subscription(f.data.bytes());
    if (!wanted) return tell(happening::refused, f.from, {}, "it asks for nothing that is known");
    if (const std::string why = check_client(f.from, wanted->groups); !why.empty())
        return refuse(no_pipe, why);
    if (const member_ptr old = find(f.from)) {
        const bool quiet =
            old->pipes && !old->pipes->keeps_open && clock::now() - old->pipes->seen > opt.quiet_within;
        if (!quiet) return refuse(name_is_taken, "the name is taken");
        remove(old, "it was silent, and somebody has joined under its name");
    }
    if (members.size() >= opt.most_clients)
        return refuse(no_pipe,
                      "the broker has as many clients as it may, " + std::to_string(opt.most_clients));
    auto made = make_lines(f.from, keeps);
    if (!made) return refuse(no_pipe, made.error().what());
    const member_ptr m = *made;
    m->pipes->open_until = clock::now() + within + opt.own_answer_within;
    watch_reader(m);
    add(m, wanted->groups);
    self.spawn_task(hear(shared_from_this(), m));
    self.spawn_task(write(shared_from_this(), m));
    if (keeps) plan(m->pipes->open_until);
    put_answer(f.from, {accepted, m->pipes->tx_path, m->pipes->rx_path}, within, m);
}

void house::put_answer(const std::string& id, const assignment& a, std::chrono::nanoseconds within,
                       const member_ptr& of) {
    const auto data = encode(a);
    if (!data) return tell(happening::refused, id, {}, data.error().what());
    auto bytes = encode(frame{{}, id, 0, 0, *data});
    if (!bytes) return tell(happening::refused, id, {}, bytes.error().what());
    for (;;) {
        const auto done = write_some(cap.get(), *bytes);
        if (done.count == bytes->size()) break;  // at most PIPE_BUF: all or nothing
        if (done.failure) {
            tell(happening::refused, id, {},
                 "its answer cannot be written: " + failure_of(done.failure, place.cap()).what());
            if (of) remove(of, "it could not be answered");
            return;
        }
        read_requests();  // the pipe is full of them
    }
    outstanding = answer{std::move(*bytes), id, clock::now() + within, of};
}

}  // namespace coppice::actors::octopipes::parts
