// service<P, N>: one server for many clients. It lives inside an actor of yours, which takes one request after the other from
// it: of each client that has any waiting, one in turn, whatever a flood one of them sends. Its clients are actors
// anywhere in the tree; it knows them by small numbers, sends them notifications, and hears of their ends. Knows only the
// framework's public headers. All of it on its actor's thread.
//
//     task<> math(actors::service_actor<math_protocol, math_notes> self) {           // P: requests; N: notifications
//         actors::service<math_protocol, math_notes> clients{self, {.queue = 16}};
//         while (auto turn = co_await clients.next())                                // one request of one client
//             turn.match([&](request<sum> r) { r.reply(r->a + r->b); });
//     }
//
//     auto at = co_await actors::join<math_protocol, math_notes>(self, service);      // in the client
//     auto five = co_await self.ask<sum>(at->requests, 1s, 2, 3);
//
//        client 1 ──► gate 1 (a mailbox of its own: its bound is felt by client 1 alone) ──┐  one of each
//        client 2 ──► gate 2 ──────────────────────────────────────────────────────────────┼─► in turn ──► next()
//        inbox 1  ◄── notify: each client's inbox tells whether its mailbox took it      ──┘
//
// The gates are children of the service, "/app/math/client-1.1". A gate takes one message out of its mailbox and no more
// before that one has had its turn, so what waits is bounded there, and one more is refused with `mailbox_full` as by
// every actor. The inboxes are children of the clients, on their schedulers: there alone it is known what a mailbox takes.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "coppice/coppice.hpp"

namespace coppice::actors {

/// Actors that one service tells of its clients (watch_clients); one more is refused with `limit_reached`. They are
/// programs of one tree, not clients.
inline constexpr std::size_t most_service_watchers = 64;

struct service_options {
    /// Clients at once; one more is refused with `limit_reached`. Each costs an actor here and one there.
    std::uint32_t clients = 1024;
    /// Requests of one client that wait; one more is refused with `mailbox_full`. Enough to keep the service busy over a round
    /// trip; what waits longer than that is late anyway.
    std::uint32_t queue = 64;
    /// Notifications to one client that are under way; one more has the outcome `mailbox_full`. Bounds what a client that is
    /// stopped, or behind a link that is, holds here.
    std::uint32_t notifications = 64;
    /// How long a notification's outcome is awaited; then it is `timeout`, and the client may have got it.
    std::chrono::nanoseconds notify_within = limits::ask_deadline;
};

// ---- what a service answers

/// What a client has when it has joined.
template <any_protocol P>
struct admission {
    std::uint32_t number = 0;  ///< from 1; the lowest that no client had
    ref<P> requests;           ///< its own gate; whoever has this ref sends in its name
};

template <message M>
struct notice {
    M what;
    using reply = void;
};
namespace service_parts {
template <class N>
struct notices_of;
template <class... Ms>
struct notices_of<protocol<Ms...>> {
    using type = protocol<notice<Ms>...>;
};
}  // namespace service_parts
/// What the inbox of a client takes: its notifications, each answered when the client's mailbox has taken it.
template <any_protocol N>
using notice_protocol = typename service_parts::notices_of<N>::type;

/// Makes the sender a client; join() below sends it. `limit_reached` beyond service_options::clients, `bad_name` for a path
/// that is too long. Who is a client already joins anew: what it has waiting keeps its turns, its number may change.
template <any_protocol P, any_protocol N>
struct join_service {
    std::string path;  ///< for people: logs, lists
    ref<notice_protocol<N>> inbox;
    using reply = admission<P>;
};
/// Ends the sender's membership, politely: what it has waiting is still served. `not_found`, `denied` for another's number.
struct leave_service {
    std::uint32_t number = 0;
    using reply = void;
};

struct service_client {
    std::uint32_t number = 0;
    std::string path;
    ref<> who;
    std::chrono::nanoseconds joined_ago{0};
    std::uint64_t queued = 0;  ///< requests that wait now
    std::uint64_t served = 0;  ///< that had their turn
    std::uint64_t longest_wait =
        0;  ///< turns of others that one of its requests waited for, at most, once it was first of its own
    bool leaving = false;  ///< it has left, or was lost, and has requests that wait
};
/// The clients, by number.
struct list_clients {
    using reply = std::vector<service_client>;
};

/// What became of a notification: ok: it is in the client's mailbox; `mailbox_full`: that is full, or too many are under way;
/// `down`, `stopping`, `unreachable`, `node_lost`; `timeout`: nothing was heard in time; `not_found`: no client has the number.
struct notified {
    std::uint32_t client = 0;
    errc outcome = errc::ok;
};
/// Sends the clients of these numbers a notification, each once, however often it is named. Of any actor of the tree.
template <message M>
struct notify {
    std::vector<std::uint32_t> to;
    M what;
    using reply = std::vector<notified>;
};
template <message M>
struct notify_all {
    M what;
    using reply = std::vector<notified>;
};

enum class client_change : std::uint8_t {
    joined,
    left,  ///< it said so, joined anew, or ended cleanly
    lost,  ///< it ended in another way: crashed, killed, its process or node is gone; the text says which
};
[[nodiscard]] std::string_view to_string(client_change c) noexcept;
struct client_event {
    std::uint32_t number = 0;
    std::string path;
    client_change what = client_change::joined;
    std::string text;  ///< the exit reason, or why; empty for `joined`
};
/// Tells an actor of each client that joins, leaves or is lost from now on, until it ends itself.
struct watch_clients {
    ref<protocol<client_event>> who;
    using reply = void;
};

/// Disposes of what no handler took, as match() would: a dead letter, and `no_handler` to an asker.
template <any_protocol P>
void refuse(received<P> m) {
    received<protocol<>>{m.release()}.match();
}

namespace service_parts {

/// A gate has a request that waits for its turn; answered when it had it.
struct ready {
    static constexpr auto lane = coppice::lane::priority;
    std::uint32_t number = 0;
    using reply = void;
};
/// A gate hands over all that it has and ends; never answered but by its end.
struct until_ended {
    static constexpr auto lane = coppice::lane::priority;
    using reply = void;
};

template <class N>
struct notifies_of;
template <class... Ms>
struct notifies_of<protocol<Ms...>> {
    using type = protocol<notify<Ms>..., notify_all<Ms>...>;
};

template <any_protocol P>
using gate_protocol = protocol_union<P, protocol<until_ended>>;

}  // namespace service_parts

/// What the ref of a service takes.
template <any_protocol P, any_protocol N = protocol<>>
using service_protocol =
    protocol_union<protocol<join_service<P, N>, leave_service, list_clients, watch_clients>,
                   typename service_parts::notifies_of<N>::type>;
/// The first parameter of the actor function that has a service.
template <any_protocol P, any_protocol N = protocol<>>
using service_actor = actor<protocol_union<service_protocol<P, N>, protocol<service_parts::ready>>>;

namespace service_parts {

constexpr std::chrono::nanoseconds for_ever = std::chrono::hours{24 * 365};

/// What is known of a client, whatever its protocol.
struct client_record {
    std::uint32_t number = 0;
    std::string path;
    ref<> who;
    ref<> gate;
    ref<> inbox;
    std::uint64_t client_monitor = 0;
    std::uint64_t gate_monitor = 0;
    std::chrono::steady_clock::time_point joined;
    std::uint64_t served = 0;
    std::uint64_t longest_wait = 0;
    std::uint64_t in_line_since = 0;  // the turn that was then
    bool in_line = false;
    bool departed = false;  // it has left or was lost
    bool gate_ended = false;
    std::shared_ptr<std::uint32_t> under_way = std::make_shared<std::uint32_t>(0);  // notifications
};

/// One notification that is under way, from before it is sent until its outcome is known.
class counted {
public:
    explicit counted(std::shared_ptr<std::uint32_t> of) noexcept : of_{std::move(of)} { ++*of_; }
    counted(counted&& other) noexcept : of_{std::move(other.of_)} {}
    counted& operator=(counted&&) = delete;
    ~counted() {
        if (of_) --*of_;
    }

private:
    std::shared_ptr<std::uint32_t> of_;
};

/// The clients by number, and whose turn it is. No actor, no I/O: src/service.cpp.
class service_book {
public:
    /// The record of a new client, with the lowest free number.
    client_record& add();
    void remove(std::uint32_t number);
    [[nodiscard]] client_record* find(std::uint32_t number);
    /// The client that this actor is now; null: none.
    [[nodiscard]] client_record* client_of(const ref<>& who);
    /// Whose monitor that is; null: nobody's (any more).
    [[nodiscard]] client_record* monitored_by(std::uint64_t monitor);
    [[nodiscard]] std::size_t size() const noexcept { return clients_.size(); }
    [[nodiscard]] std::map<std::uint32_t, client_record>& all() noexcept { return clients_; }

    /// Puts a client at the end of the line; it stands there once at most.
    void line_up(client_record& client);
    /// The first in line, which has its turn; null if nobody is.
    [[nodiscard]] client_record* next_turn();

private:
    std::map<std::uint32_t, client_record> clients_;
    std::deque<std::uint32_t> line_;
    std::uint64_t turns_ = 0;
};

/// Each number once, in order.
[[nodiscard]] std::vector<std::uint32_t> each_once(std::vector<std::uint32_t> numbers);
/// left or lost, by how an actor ended.
[[nodiscard]] client_change change_of(const exit_reason& reason) noexcept;

/// What a gate and its service share: both run on one scheduler.
template <any_protocol P>
struct client_queue {
    std::deque<received<P>> taken;  // out of the mailbox: one; all that is left once the service ends
    std::optional<request<ready>> gate_waits;
    std::optional<actor<gate_protocol<P>>> gate;  // while it lives
    [[nodiscard]] std::uint64_t waiting() const {
        if (!gate) return taken.size();
        const mailbox_depth depth = gate->depth();
        return taken.size() + depth.normal + depth.priority;
    }
};

template <any_protocol P>
task<> gate(actor<gate_protocol<P>> self, std::shared_ptr<client_queue<P>> queue,
            ref<protocol<ready>> service, std::uint32_t number) {
    struct present {
        client_queue<P>* queue;
        ~present() { queue->gate.reset(); }
    } here{queue.get()};
    queue->gate = self;
    std::optional<request<until_ended>> ending;  // answered by its destruction
    while (auto m = co_await self.receive()) {
        if (auto end = m.template take<until_ended>()) {
            ending.emplace(std::move(end));
            self.stop();  // takes no more; what is there still comes
            continue;
        }
        queue->taken.emplace_back(m.release());
        bool told = ending.has_value();
        while (!told) {
            auto had_its_turn = co_await self.template ask<ready>(service, for_ever, number);
            // Full of other mail, the service has not heard of it: again, but not at once. Ending, it looks by itself.
            told = had_its_turn || had_its_turn.error() != errc::mailbox_full;
            if (!told) co_await self.sleep(std::chrono::milliseconds{1});
        }
    }
}

template <any_protocol N>
struct inbox_of;
template <class... Ms>
struct inbox_of<protocol<Ms...>> {
    using N = protocol<Ms...>;
    static task<> run(actor<notice_protocol<N>> self, ref<N> owner) {
        while (auto m = co_await self.receive())
            if (!(pass_on<Ms>(self, m, owner) || ...)) refuse(std::move(m));
    }
    template <class M>
    static bool pass_on(actor<notice_protocol<N>> self, received<notice_protocol<N>>& m,
                        const ref<N>& owner) {
        auto r = m.template take<notice<M>>();
        if (!r) return false;
        const errc outcome = self.template send<M>(owner, std::move(r->what));
        if (outcome == errc::ok) r.reply();
        else r.fail(error{outcome});
        return true;
    }
};

}  // namespace service_parts

/// One request of one client: what next() gives. A received<P>, so match(), take() and get_if() are there.
template <any_protocol P>
class turn : public received<P> {
public:
    turn() noexcept = default;
    turn(std::uint32_t client, received<P> mail) noexcept : received<P>{std::move(mail)}, client_{client} {}
    /// Its number; it may have left meanwhile, and then another client may get it, once this request has had its turn.
    [[nodiscard]] std::uint32_t client() const noexcept { return client_; }

private:
    std::uint32_t client_ = 0;
};

/// See the file's comment. Made and used by one actor, in its main coroutine; goes with it.
template <any_protocol P, any_protocol N = protocol<>>
class service {
public:
    using self_type = service_actor<P, N>;
    using mail = received<typename self_type::protocol_type>;

    explicit service(self_type self, service_options options = {}) : self_{self}, options_{options} {
        options_.queue = std::max(options_.queue, 1u);
    }
    service(const service&) = delete;
    service& operator=(const service&) = delete;

    /// The next request, of the client whose turn it is. Empty once the actor is to stop and all that its clients had waiting
    /// has been given out; at once after shutdown. Clients join, leave and are listed while this is awaited; so a handler that
    /// awaits something else for long delays them, and what takes long is better delegated (request::delegate).
    [[nodiscard]] task<turn<P>> next() {
        for (;;) {
            // What has come meanwhile, but not all of a flood of it before the next turn.
            for (int n = 0; n < own_mail_per_turn && has_mail(); ++n) {
                auto m = co_await self_.receive();
                if (!m) break;
                co_await handle(std::move(m));
            }
            if (service_parts::client_record* client = book_.next_turn()) co_return take_from(*client);
            if (drained_) co_return turn<P>{};
            if (auto m = co_await self_.receive()) co_await handle(std::move(m));
            else co_await collect();
        }
    }

    /// Sends these clients a notification and awaits what became of each, at most options.notify_within. All are sent at once,
    /// so that none waits for another. Each client once, however often it is named; in order of the numbers.
    template <message M>
    [[nodiscard]] task<std::vector<notified>> notify(std::vector<std::uint32_t> to, M what) {
        return await_outcomes(send_out(service_parts::each_once(std::move(to)), what));
    }
    /// The same, to all.
    template <message M>
    [[nodiscard]] task<std::vector<notified>> notify_all(M what) {
        return await_outcomes(send_out(all_numbers(), what));
    }

    /// The clients as they are now.
    [[nodiscard]] std::vector<service_client> clients() {
        std::vector<service_client> list;
        for (auto& [number, c] : book_.all())
            list.push_back({number, c.path, c.who, self_.now() - c.joined, queues_[number]->waiting(),
                            c.served, c.longest_wait, c.departed});
        return list;
    }
    /// Called with each client that joins, leaves or is lost, before next() goes on.
    void on_client(std::function<void(const client_event&)> hook) { hook_ = std::move(hook); }

private:
    // Of its own mail, beside that of its clients: so many before a turn.
    static constexpr int own_mail_per_turn = 16;
    using queue = service_parts::client_queue<P>;
    using record = service_parts::client_record;
    struct sent {
        std::uint32_t client = 0;
        errc outcome = errc::ok;
        std::optional<own_task<errc>> under_way{};
    };

    [[nodiscard]] bool has_mail() const {
        const mailbox_depth depth = self_.depth();
        return depth.normal != 0 || depth.priority != 0 || depth.system != 0;
    }

    turn<P> take_from(record& client) {
        queue& q = *queues_[client.number];
        turn<P> next{client.number, std::move(q.taken.front())};
        q.taken.pop_front();
        if (q.gate_waits) std::exchange(q.gate_waits, std::nullopt)->reply();
        if (!q.taken.empty()) book_.line_up(client);
        else if (client.gate_ended) forget(client.number);
        return next;
    }

    task<> handle(mail m) {
        if (auto r = m.template take<service_parts::ready>()) on_ready(std::move(r));
        else if (auto joins = m.template take<join_service<P, N>>()) co_await on_join(std::move(joins));
        else if (auto leaves = m.template take<leave_service>()) on_leave(std::move(leaves));
        else if (auto lists = m.template take<list_clients>()) lists.reply(clients());
        else if (auto watches = m.template take<watch_clients>()) on_watch(std::move(watches));
        else if (const auto* d = m.template get_if<down>()) on_down(*d);
        else if (!on_notify(m, static_cast<N*>(nullptr))) refuse(std::move(m));
    }

    void on_ready(request<service_parts::ready> r) {
        record* client = book_.find(r->number);
        if (!client || r.sender() != client->gate)
            return r.fail(error{errc::denied, "only a client's gate says that it is ready"});
        queue& q = *queues_[r->number];
        if (q.taken.empty()) return r.reply();
        q.gate_waits.emplace(std::move(r));
        book_.line_up(*client);
    }

    task<> on_join(request<join_service<P, N>> r) {
        if (!r.wants_reply() || !r.sender()) co_return;
        if (r->path.size() > limits::path_bytes)
            co_return r.fail(error{errc::bad_name, "the client's path is longer than limits::path_bytes"});
        if (record* before = book_.client_of(r.sender()))
            depart(*before, client_change::left, "it joined anew");
        if (book_.size() >= options_.clients)
            co_return r.fail(error{errc::limit_reached,
                                   "the service has as many clients as service_options::clients allows, " +
                                       std::to_string(options_.clients) + "; try again when one has left"});
        const std::uint32_t number = book_.add().number;
        auto shared = std::make_shared<queue>();
        queues_[number] = shared;
        auto started = co_await self_.start(
            child("client-" + std::to_string(number) + "." + std::to_string(++joins_), in_coroutine,
                  service_parts::gate<P>, shared, ref<protocol<service_parts::ready>>{self_.me()}, number)
                .mailbox(options_.queue)
                .restarts(restart::temporary));
        if (!started) {
            forget(number);
            co_return r.fail(started.error());
        }
        record& client = *book_.find(number);
        client.path = r->path;
        client.who = r.sender();
        client.inbox = r->inbox;
        client.gate = *started;
        client.joined = self_.now();
        client.gate_monitor = self_.monitor(client.gate);
        client.client_monitor = self_.monitor(client.who);
        tell({number, client.path, client_change::joined, {}});
        r.reply(number, started->template assume<P>());
    }

    void on_leave(request<leave_service> r) {
        record* client = book_.find(r->number);
        if (!client || client->departed) return r.fail(error{errc::not_found, "no client has that number"});
        if (r.sender() != client->who)
            return r.fail(error{errc::denied, "that is the number of another client"});
        depart(*client, client_change::left, "it said so");
        r.reply();
    }

    // It gets no more notifications; its gate takes no more, and ends when all that it has has had its turn.
    void depart(record& client, client_change how, std::string text) {
        if (std::exchange(client.departed, true)) return;
        self_.demonitor(client.client_monitor);
        if (!client.gate_ended) self_.stop(client.gate);
        tell({client.number, client.path, how, std::move(text)});
    }

    void on_down(const down& d) {
        std::erase_if(watchers_, [&](const auto& w) { return w.second == d.monitor; });
        record* client = book_.monitored_by(d.monitor);
        if (!client) return;
        if (d.monitor == client->client_monitor)
            return depart(*client, service_parts::change_of(d.reason), d.reason.to_string());
        client->gate_ended = true;
        depart(*client, client_change::lost, "its gate in the service ended: " + d.reason.to_string());
        if (queues_[client->number]->taken.empty()) forget(client->number);
        else book_.line_up(*client);
    }

    void forget(std::uint32_t number) {
        queues_.erase(number);
        book_.remove(number);
    }

    void on_watch(request<watch_clients> r) {
        if (!r->who) return r.fail(error{errc::invalid_argument, "watch_clients names no actor"});
        if (watchers_.size() >= most_service_watchers)
            return r.fail(error{errc::limit_reached, "the service has most_service_watchers watchers"});
        watchers_.emplace_back(r->who, self_.monitor(r->who));
        r.reply();
    }
    void tell(const client_event& e) {
        if (e.what == client_change::lost)
            self_.log.warn("client {} ({}) is lost: {}", e.number, e.path, e.text);
        else self_.log.info("client {} ({}) has {}", e.number, e.path, to_string(e.what));
        if (hook_) hook_(e);
        for (const auto& [who, monitor] : watchers_) self_.template send<client_event>(who, e);
    }

    // ---- the end: what the gates have is taken over, and given out in turn as before

    task<> collect() {
        drained_ = true;
        for (auto& [number, q] : queues_)
            if (q->gate_waits) std::exchange(q->gate_waits, std::nullopt)->reply();
        // While one is awaited nothing is received, so the book stays as it is.
        for (auto& [number, client] : book_.all()) {
            static_cast<void>(co_await self_.template ask<service_parts::until_ended>(
                client.gate.template assume<service_parts::gate_protocol<P>>(), service_parts::for_ever));
            client.gate_ended = true;
            client.departed = true;
            self_.demonitor(client.gate_monitor);
            self_.demonitor(client.client_monitor);
        }
        for (auto& [number, client] : book_.all())
            if (!queues_[number]->taken.empty()) book_.line_up(client);
    }

    // ---- notifications

    [[nodiscard]] std::vector<std::uint32_t> all_numbers() {
        std::vector<std::uint32_t> numbers;
        for (const auto& [number, client] : book_.all())
            if (!client.departed) numbers.push_back(number);
        return numbers;
    }

    template <class M>
    std::vector<sent> send_out(const std::vector<std::uint32_t>& to, const M& what) {
        static_assert(takes<N, M>, "coppice: the message is no notification of this service: its service<P, "
                                   "N> does not name it in N");
        static_assert(std::is_copy_constructible_v<M>,
                      "coppice: notify<M> copies the message for each client: M must be copyable");
        std::vector<sent> all;
        all.reserve(to.size());
        for (const std::uint32_t number : to) {
            record* client = book_.find(number);
            if (!client || client->departed) all.push_back({number, errc::not_found});
            else if (*client->under_way >= options_.notifications)
                all.push_back({number, errc::mailbox_full});
            else
                all.push_back({number, errc::ok,
                               self_.spawn_task(deliver<M>(self_, client->inbox,
                                                           service_parts::counted{client->under_way},
                                                           options_.notify_within, what))});
        }
        return all;
    }
    template <class M>
    static task<errc> deliver(self_type self, ref<> inbox, service_parts::counted,
                              std::chrono::nanoseconds within, M what) {
        const auto to = inbox.template assume<protocol<notice<M>>>();
        auto taken = co_await self.template ask<notice<M>>(to, within, std::move(what));
        co_return taken.error().code();
    }
    static task<std::vector<notified>> await_outcomes(std::vector<sent> all) {
        std::vector<notified> outcomes;
        outcomes.reserve(all.size());
        for (sent& each : all) {
            if (each.under_way) each.outcome = co_await each.under_way->join();
            outcomes.push_back({each.client, each.outcome});
        }
        co_return outcomes;
    }

    template <class... Ms>
    bool on_notify(mail& m, protocol<Ms...>*) {
        return (try_notify<Ms>(m) || ...);
    }
    template <class M>
    bool try_notify(mail& m) {
        if (auto some = m.template take<actors::notify<M>>()) {
            auto sending = send_out(service_parts::each_once(std::move(some->to)), some->what);
            self_.spawn_task(answer(std::move(sending), std::move(some)));
            return true;
        }
        if (auto all = m.template take<actors::notify_all<M>>()) {
            self_.spawn_task(answer(send_out(all_numbers(), all->what), std::move(all)));
            return true;
        }
        return false;
    }
    template <class R>
    static task<> answer(std::vector<sent> sending, request<R> r) {
        auto outcomes = co_await await_outcomes(std::move(sending));
        r.reply(std::move(outcomes));
    }

    self_type self_;
    service_options options_;
    service_parts::service_book book_;
    std::map<std::uint32_t, std::shared_ptr<queue>> queues_;
    std::vector<std::pair<ref<protocol<client_event>>, std::uint64_t>> watchers_;
    std::function<void(const client_event&)> hook_;
    std::uint64_t joins_ = 0;
    bool drained_ = false;
};

// ---- the client's side

/// A client's place in a service.
template <any_protocol P, any_protocol N = protocol<>>
struct membership {
    std::uint32_t number = 0;
    ref<P>
        requests;  ///< asks and sends go here. Monitor it: it ends when the service does, and then one joins anew
    ref<service_protocol<P, N>> service;
    ref<notice_protocol<N>> inbox;
};

/// Makes this actor a client of a service. Notifications come into its own mailbox, as they are; their sender is the inbox
/// that this starts as a child of the actor. Errors: those of ask, `limit_reached`, `bad_name`. A member that ends, however it
/// does, need not leave.
template <any_protocol P, any_protocol N = protocol<>, any_protocol Q>
[[nodiscard]] task<result<membership<P, N>>> join(actor<Q> self, ref<service_protocol<P, N>> service,
                                                  std::chrono::nanoseconds within = limits::ask_deadline) {
    auto inbox = self.spawn(service_parts::inbox_of<N>::run, ref<N>{self.me()});
    auto admitted = co_await self.template ask<join_service<P, N>>(service, within, self.path(), inbox);
    if (!admitted) {
        self.stop(inbox);
        co_return admitted.error();
    }
    co_return membership<P, N>{admitted->number, admitted->requests, service, inbox};
}

/// Leaves politely: what this client has waiting is still served. Errors: those of ask; `not_found` if it was no client any more.
template <any_protocol P, any_protocol N, any_protocol Q>
[[nodiscard]] task<result<void>> leave(actor<Q> self, membership<P, N> at,
                                       std::chrono::nanoseconds within = limits::ask_deadline) {
    auto left = co_await self.template ask<leave_service>(at.service, within, at.number);
    self.stop(at.inbox);
    co_return left;
}

}  // namespace coppice::actors
