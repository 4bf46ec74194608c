// A client of an Octopipes broker, as an actor; coppice/actors/octopipes.hpp. Its coroutines are on its scheduler's thread.
//
//     mailbox ──► main ──► outgoing ──► write() ──► our pipe to the broker
//     listener ◄── read() ◄── our pipe from the broker      (ACKs that we owe go to outgoing)
//
// It keeps both pipes open as long as it lives, and says so when it joins: so the broker knows its end by theirs, and it the
// broker's. It holds a reading end of the pipe that it writes to, which keeps SIGPIPE away.
#include <fcntl.h>
#include <limits.h>

#include <boost/asio/posix/stream_descriptor.hpp>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "coppice/actors/octopipes.hpp"
#include "octopipes_acks.hpp"
#include "octopipes_fifo.hpp"
#include "octopipes_wake_up.hpp"

namespace coppice::actors::octopipes {

namespace parts {

namespace {

using pipe_stream = boost::asio::posix::stream_descriptor;

// What waits to be written to the broker: more, and publish() waits, and no more is read.
constexpr std::size_t outgoing_bytes = std::size_t{8} << 20;
// Read of the broker at once: what a pipe holds.
constexpr std::size_t incoming_at_once = std::size_t{64} << 10;

struct caller : std::enable_shared_from_this<caller> {
    using self_type = actor<client_protocol>;
    using clock = std::chrono::steady_clock;

    struct outgoing {
        frame what;
        std::vector<std::byte> bytes;
        std::optional<request<publish>> asker{};  // none, or it waits for an ACK
        bool is_users = false;                    // its listener is told
    };

    caller(self_type s, client_options o, ref<listener_protocol> l)
        : self{s},
          opt{std::move(o)},
          listener{std::move(l)},
          context{io_context_of(s)},
          reader{opt.most_data},
          more{context},
          room{context},
          room_to_read{context},
          answered{context},
          answered_time{context} {}

    task<result<void>> join();
    task<result<assignment>> ask_at_door(std::vector<std::byte> request, clock::time_point until);
    static task<> wait_for(pipe_stream* s, pipe_stream::wait_type what) {
        co_await s->async_wait(what, await);
    }
    static task<> read(std::shared_ptr<caller> c);
    static task<> write(std::shared_ptr<caller> c);
    task<> take(decoder::outcome o);
    task<> on_publish(request<publish> r);
    task<result<void>> on_regroup(std::vector<std::string> groups);
    task<result<void>> on_leave();
    task<> wait_for_room(wake_up& told);
    void notify_of_room() {
        room.notify();
        room_to_read.notify();
    }
    result<void> put(frame f);
    result<void> put_request(result<blob> data, std::uint8_t options);
    void end(const std::string& why);
    [[nodiscard]] clock::time_point limit() const {
        return clock::now() + std::min<std::chrono::nanoseconds>(opt.within, std::chrono::hours{24});
    }
    static task<> watch_acks(std::shared_ptr<caller> c);

    self_type self;
    client_options opt;
    ref<listener_protocol> listener;
    boost::asio::io_context& context;
    std::optional<pipe_stream> tx;
    std::optional<pipe_stream> rx;
    decoder reader;
    std::deque<outgoing> queue;
    std::size_t queued_bytes = 0;
    wake_up more;           // for write()
    wake_up room;           // for main, which publishes
    wake_up room_to_read;   // for read(), which answers with ACKs
    wake_up answered;       // for main: the broker's answer has come, or its end
    wake_up answered_time;  // for who looks after ACKs that do not come
    std::optional<assignment> answer;
    pending_acks acks;
    bool ended = false;
    bool leaving = false;
};

// ---- joining

// The broker's answer to us, out of the pipe that everybody reads. Looks first, and takes only what has our name on it.
task<result<assignment>> caller::ask_at_door(std::vector<std::byte> request, clock::time_point until) {
    auto out = open_pipe(opt.cap, O_WRONLY);
    if (!out) co_return out.error();
    auto in = open_pipe(opt.cap, O_RDONLY);
    if (!in) co_return in.error();
    auto edge = edges_of(in->get());
    if (!edge) co_return edge.error();
    auto peep = peeper::make();
    if (!peep) co_return peep.error();
    pipe_stream edges{context, edge->release()};
    pipe_stream door{context, out->release()};
    const error late{errc::timeout, opt.cap + ": the broker did not answer in time"};

    for (;;) {
        const auto done = write_some(door.native_handle(), request);
        if (done.failure) co_return failure_of(done.failure, opt.cap);
        if (done.count > 0) break;  // at most PIPE_BUF: all of it
        auto writable = co_await with_timeout(until - clock::now(), wait_for(&door, pipe_stream::wait_write));
        if (!writable) co_return late;
    }
    for (;;) {
        const auto seen = peep->look(in->get());
        decoder d{PIPE_BUF};
        d.feed(seen);
        const auto first = d.next();
        if (first && first->why == fault::none && first->got.from.empty() && first->got.to == opt.id) {
            const std::size_t size = frame_overhead + opt.id.size() + first->got.data.size();
            std::vector<std::byte> taken;
            static_cast<void>(read_some(in->get(), taken, size));
            if (std::equal(taken.begin(), taken.end(), seen.begin(),
                           seen.begin() + static_cast<std::ptrdiff_t>(size)))
                co_return read_assignment(first->got.data.bytes());
            // Somebody who does not look has taken it, and this is what came behind: it is not ours.
            if (!taken.empty()) static_cast<void>(write_some(door.native_handle(), taken));
        }
        if (clock::now() >= until) co_return late;
        auto told = co_await with_timeout(until - clock::now(), wait_for(&edges, pipe_stream::wait_read));
        if (!told) co_return late;
        take_edges(edges.native_handle());
    }
}

task<result<void>> caller::join() {
    if (opt.id.empty()) co_return error{errc::bad_name, "a client has a name"};
    const auto data = encode(subscription{opt.groups});
    if (!data) co_return data.error();
    auto bytes = encode(frame{opt.id, {}, 0, keeps_open, *data});
    if (!bytes) co_return bytes.error();
    if (bytes->size() > PIPE_BUF)
        co_return error{errc::too_large,
                        "so many groups do not fit into one request; join with fewer, then regroup"};
    auto told = co_await ask_at_door(*std::move(bytes), limit());
    if (!told) co_return told.error();
    if (told->error == name_is_taken) co_return error{errc::name_taken, opt.id + " has joined already"};
    if (told->error != accepted)
        co_return error{errc::failed, "the broker refuses " + opt.id + ", code " +
                                          std::to_string(told->error) + "; its log says why"};
    auto out = open_pipe(told->send_path, O_RDWR);
    if (!out) co_return out.error();
    auto in = open_pipe(told->receive_path, O_RDONLY);
    if (!in) co_return in.error();
    tx.emplace(context, out->release());
    rx.emplace(context, in->release());
    co_return result<void>{};
}

// ---- reading

task<> caller::read(std::shared_ptr<caller> c) {
    std::vector<std::byte> bytes;
    while (!c->ended) {
        auto [failure] = co_await c->rx->async_wait(pipe_stream::wait_read, boost::asio::as_tuple(await));
        if (failure) break;
        bytes.clear();
        const auto got = read_some(c->rx->native_handle(), bytes, incoming_at_once);
        if (got.ended) break;
        c->reader.feed(bytes);
        while (auto o = c->reader.next()) co_await c->take(*std::move(o));
        co_await c->wait_for_room(c->room_to_read);
    }
    c->end(c->leaving ? "it has left" : "the broker has ended it");
}

task<> caller::take(decoder::outcome o) {
    if (o.why != fault::none) {
        static_cast<void>(co_await self.send_wait<frame_error>(listener, o.why, o.got.from, o.got.to));
        co_return;
    }
    const frame f = std::move(o.got);
    if (f.from.empty()) {
        if (auto told = read_assignment(f.data.bytes())) {
            answer = *std::move(told);
            answered.notify();
            co_return;
        }
    }
    if ((f.options & is_ack) != 0 && acks.settle(f)) co_return;
    const errc taken = co_await self.send_wait<received_frame>(listener, f);
    const bool owes = (f.options & asks_ack) != 0 && (f.options & is_ack) == 0 && !f.from.empty();
    if (taken == errc::ok && owes) static_cast<void>(put(ack_for(f, opt.id)));
    if (taken != errc::ok)
        self.log.warn("a frame of {} was not taken by the listener: {}", f.from, coppice::to_string(taken));
}

// ---- writing

result<void> caller::put(frame f) {
    auto bytes = encode(f);
    if (!bytes) return bytes.error();
    queued_bytes += bytes->size();
    queue.push_back({std::move(f), *std::move(bytes)});
    more.notify();
    return {};
}

task<> caller::wait_for_room(wake_up& told) {
    while (queued_bytes > outgoing_bytes && !ended) co_await told.wait();
}

task<> caller::write(std::shared_ptr<caller> c) {
    while (!c->ended) {
        if (c->queue.empty()) {
            co_await c->more.wait();
            continue;
        }
        outgoing o = std::move(c->queue.front());
        c->queue.pop_front();
        std::span<const std::byte> left{o.bytes};
        while (!left.empty() && !c->ended) {
            const auto done = write_some(c->tx->native_handle(), left);
            left = left.subspan(done.count);
            if (done.failure) {
                c->end("its pipe cannot be written to: " + failure_of(done.failure, "write").what());
                break;
            }
            if (!left.empty() && done.count == 0)
                static_cast<void>(
                    co_await c->tx->async_wait(pipe_stream::wait_write, boost::asio::as_tuple(await)));
        }
        if (!left.empty()) {  // it has ended meanwhile, and forgotten its queue
            if (o.asker) o.asker->fail(error{errc::closed, "the broker has gone"});
            co_return;
        }
        c->queued_bytes -= o.bytes.size();
        c->notify_of_room();
        if (o.asker) o.asker->reply(receipt{});
        if (o.is_users)
            static_cast<void>(co_await c->self.send_wait<sent_frame>(c->listener, std::move(o.what)));
    }
}

task<> caller::watch_acks(std::shared_ptr<caller> c) {
    for (;;) {
        co_await c->answered_time.wait(c->acks.next().value_or(clock::time_point::max()));
        c->acks.expire(clock::now());
    }
}

// ---- messages

task<> caller::on_publish(request<publish> r) {
    co_await wait_for_room(room);
    if (ended) co_return r.fail(error{errc::closed, "the broker has gone"});
    if (!r->from.empty() && r->from != opt.id)
        co_return r.fail(error{errc::denied, "this client is " + opt.id});
    if (r->to.empty())
        co_return r.fail(
            error{errc::invalid_argument, "the broker takes no frames of its clients, and gives no ACK"});
    const bool wants_ack = r->within.count() > 0;
    const auto options =
        static_cast<std::uint8_t>((wants_ack ? asks_ack : 0) | (r->checksum ? 0 : ignores_checksum));
    if (wants_ack && acks.full()) co_return r.fail(pending_acks::too_many());
    frame f{opt.id, r->to, r->ttl, options, r->data};
    auto bytes = encode(f);
    if (!bytes) co_return r.fail(bytes.error());
    outgoing o{std::move(f), *std::move(bytes)};
    o.is_users = true;
    if (wants_ack) {
        const auto within = r->within;
        acks.add(id_of(o.bytes), o.what.to, 0, within, std::move(r));
        answered_time.notify();
    } else {
        o.asker.emplace(std::move(r));
    }
    queued_bytes += o.bytes.size();
    queue.push_back(std::move(o));
    more.notify();
}

result<void> caller::put_request(result<blob> data, std::uint8_t options) {
    if (!data) return data.error();
    return put(frame{opt.id, {}, 0, options, *std::move(data)});
}

task<result<void>> caller::on_regroup(std::vector<std::string> groups) {
    answer.reset();
    if (auto sent = put_request(encode(subscription{groups}), keeps_open); !sent) co_return sent;
    const auto until = limit();
    while (!answer && !ended && clock::now() < until) co_await answered.wait(until);
    if (ended) co_return error{errc::closed, "the broker has gone"};
    if (!answer) co_return error{errc::timeout, "the broker did not answer in time"};
    if (answer->error != accepted) co_return error{errc::bad_name, "the broker refuses these groups"};
    opt.groups = groups;
    static_cast<void>(co_await self.send_wait<subscribed>(listener, opt.id, std::move(groups)));
    co_return result<void>{};
}

// The broker answers by closing the pipe.
task<result<void>> caller::on_leave() {
    leaving = true;
    if (auto sent = put_request(encode_unsubscription(), 0); !sent) co_return sent;
    const auto until = limit();
    while (!ended && clock::now() < until) co_await answered.wait(until);
    if (!ended) co_return error{errc::timeout, "the broker did not end it in time"};
    co_return result<void>{};
}

void caller::end(const std::string& why) {
    if (std::exchange(ended, true)) return;
    boost::system::error_code ignored;
    tx->close(ignored);
    acks.fail_all(why);
    for (outgoing& o : queue)
        if (o.asker) o.asker->fail(error{errc::closed, why});
    queue.clear();
    queued_bytes = 0;
    self.send<unsubscribed>(listener, opt.id, why);
    for (wake_up* w : {&more, &room, &room_to_read, &answered}) w->notify();
    self.stop();
}

}  // namespace

}  // namespace parts

task<> client(actor<client_protocol> self, client_options o, ref<listener_protocol> listener) {
    using parts::caller;
    auto c = std::make_shared<caller>(self, std::move(o), std::move(listener));
    if (auto joined = co_await c->join(); !joined) co_return self.fail("it cannot join: {}", joined.error());
    static_cast<void>(co_await self.send_wait<subscribed>(c->listener, c->opt.id, c->opt.groups));
    self.spawn_task(caller::read(c));
    self.spawn_task(caller::write(c));
    self.spawn_task(caller::watch_acks(c));
    self.ready();
    while (auto m = co_await self.receive()) {
        if (auto publishing = m.take<publish>()) {
            co_await c->on_publish(std::move(publishing));
        } else if (auto regrouping = m.take<regroup>()) {
            auto done = co_await c->on_regroup(regrouping->groups);
            if (done) regrouping.reply();
            else regrouping.fail(done.error());
        } else if (auto leaving = m.take<leave>()) {
            auto done = co_await c->on_leave();
            if (done) leaving.reply();
            else leaving.fail(done.error());
            if (!done) c->end("the broker did not answer");
        } else {
            m.match([](request<publish>) {}, [](request<regroup>) {}, [](request<leave>) {});
        }
    }
    if (!c->ended) {
        static_cast<void>(co_await c->on_leave());
        c->end("it has left");
    } else if (!c->leaving) {
        co_return self.fail("the broker has gone");
    }
}

}  // namespace coppice::actors::octopipes
