// pool<P>: one actor in front of N workers of the same kind, which it starts, routes to, restarts and resizes.
// Whoever sends to the pool's ref sends to some worker: messages go on as they are, so that a worker sees the first sender
// and answers its request directly. Knows only the framework's public headers. Runs on its own scheduler's thread alone.
//
//     child("shop", in_coroutine, actors::pool<clerk_protocol>,
//           actors::pool_options{.workers = 4, .route = actors::least_loaded}, child("clerk", spread, clerk))
//
//     self.send<order>(shop, "tea");                            // a clerk's message: goes to a clerk
//     co_await self.ask<actors::resize_pool>(shop, 10s, 8u);    // answered when all eight run
//
//        senders ──► mailbox of the pool ──► route ──► mailbox of worker 1 (handed out, not finished: at most its bound)
//                    (bounded: pressure)        └────► mailbox of worker 2 ...            ▲ all under /app/shop/workers
//                          ▲ resize_pool, pool_status: answered by the pool               └ a supervisor, one_for_one
//
// How it knows what a worker has finished: it asks the worker for mail_mark, which no protocol names. The refusal comes
// back when the worker has come to it, that is, past all mail handed out before, also over restarts and from another
// process. One mark is under way per worker at most. So a worker's load is a number that is exact at rest and else errs
// upwards. What a worker has to do for it is what every actor has to: be ready for a message that it does not know, as
// match() is. After take() or get_if() look whether there was one.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coppice/coppice.hpp"

namespace coppice::actors {

/// Workers of one pool; more are refused with `limit_reached`. A pool looks at all of them to find the least loaded.
inline constexpr std::uint32_t most_pool_workers = 1024;

// ---- routes

/// Which worker gets a message. A value: one of the two below, or what by_key() makes.
class routing {
public:
    enum class kind : std::uint8_t { round_robin, least_loaded, by_key };
    constexpr explicit routing(kind k) noexcept : kind_{k} {}
    routing(std::shared_ptr<const void> key, const void* protocol) noexcept
        : kind_{kind::by_key}, key_{std::move(key)}, protocol_{protocol} {}

    [[nodiscard]] kind how() const noexcept { return kind_; }
    /// For the pool: the key function, if it was made for that protocol, else null.
    [[nodiscard]] const void* key_for(const void* protocol) const noexcept {
        return protocol == protocol_ ? key_.get() : nullptr;
    }

private:
    kind kind_;
    std::shared_ptr<const void> key_{};
    const void* protocol_ = nullptr;
};

/// Each in turn; one whose mailbox is full is passed over.
inline const routing round_robin{routing::kind::round_robin};
/// The one with the fewest messages handed out and not finished, as far as the pool has heard; in turn among equals.
inline const routing least_loaded{routing::kind::least_loaded};

namespace pool_parts {

template <any_protocol P>
struct key_function {
    std::function<std::uint64_t(received<P>&)> hash;
    static constexpr char id = 0;  // its address stands for P
};

template <class T>
struct one_argument : one_argument<decltype(&T::operator())> {};
template <class C, class R, class A>
struct one_argument<R (C::*)(A) const> {
    using type = std::remove_cvref_t<A>;
};
template <class R, class A>
struct one_argument<R (*)(A)> {
    using type = std::remove_cvref_t<A>;
};
template <class F>
using message_of = typename one_argument<std::decay_t<F>>::type;

template <class M, class... F>
inline constexpr bool has_key = (std::same_as<M, message_of<F>> || ...);
template <class P, class... F>
inline constexpr bool keys_cover = false;
template <class... Ms, class... F>
inline constexpr bool keys_cover<protocol<Ms...>, F...> = (has_key<Ms, F...> && ...);

// The finalizer of MurmurHash3 (Appleby): std::hash of an integer is often the integer, and the jump needs mixed bits.
constexpr std::uint64_t mix(std::uint64_t h) noexcept {
    h = (h ^ (h >> 33)) * 0xff51'afd7'ed55'8ccdull;
    h = (h ^ (h >> 33)) * 0xc4ce'b9fe'1a85'ec53ull;
    return h ^ (h >> 33);
}

// Jump consistent hash (Lamping and Veach, 2014): bucket of a key among n, such that with one bucket more only 1/n of the
// keys move, all of them to the new one. No tables.
constexpr std::uint32_t jump(std::uint64_t key, std::uint32_t buckets) noexcept {
    std::int64_t bucket = -1;
    std::int64_t next = 0;
    while (next < static_cast<std::int64_t>(buckets)) {
        bucket = next;
        key = key * 2862933555777941757ull + 1;
        next = static_cast<std::int64_t>(
            static_cast<double>(bucket + 1) *
            (static_cast<double>(1ll << 31) / static_cast<double>((key >> 33) + 1)));
    }
    return static_cast<std::uint32_t>(bucket);
}

}  // namespace pool_parts

/// By key: messages of one key go to one worker, in order. A function for each message of P, taking it by const reference
/// and giving what std::hash knows; a missing one does not compile.
///
///     actors::by_key<clerk_protocol>([](const order& o) { return o.customer; }, [](const bill& b) { return b.customer; })
///
/// The mapping holds while the number of workers does; with one worker more, or less, only that worker's keys move. Mail
/// of a key that moves may overtake what the worker it came from still has.
template <any_protocol P, class... F>
[[nodiscard]] routing by_key(F... keys) {
    static_assert(pool_parts::keys_cover<P, F...>,
                  "coppice: by_key needs a key function for each message of the workers' protocol");
    auto made = std::make_shared<pool_parts::key_function<P>>();
    made->hash = [keys...](received<P>& m) {
        std::uint64_t hash = 0;
        const auto try_one = [&](const auto& key) {
            using M = pool_parts::message_of<decltype(key)>;
            const M* body = m.template get_if<M>();
            if (!body) return false;
            const auto value = key(*body);
            hash = std::hash<std::remove_cv_t<decltype(value)>>{}(value);
            return true;
        };
        static_cast<void>((try_one(keys) || ...));
        return pool_parts::mix(hash);
    };
    return routing{std::move(made), &pool_parts::key_function<P>::id};
}

// ---- options, requests, answers

struct pool_options {
    std::uint32_t workers = 1;
    routing route = round_robin;
    /// Intensity of the workers' supervisor: more restarts than this within the window, and the pool ends with it, to be
    /// restarted by its own supervisor. What its workers had then is lost; what waited in its own mailbox is not.
    std::uint32_t restarts = 10;
    std::chrono::nanoseconds window = std::chrono::seconds{10};
    /// How long a pool that is to end waits for its workers to finish what they have. Keep it below its own shutdown().
    std::chrono::nanoseconds drain_within = std::chrono::seconds{2};
};

/// Changes the number of workers. Answered with it when the new ones run; those that go take no more mail, finish what they
/// have, also over a crash, and then end. `invalid_argument` for 0, `limit_reached` above most_pool_workers, or the error of
/// a worker that did not start: the pool then has those that did.
struct resize_pool {
    std::uint32_t workers = 1;
    using reply = std::uint32_t;
};

struct worker_status {
    std::string name;
    ref<> who;
    std::uint64_t handed_out = 0;  ///< messages since the pool's start
    std::uint64_t unfinished =
        0;  ///< of these, those that it is not known to have finished; at most its mailbox's bound
    std::uint32_t restarts = 0;
    bool leaving = false;  ///< takes no more mail; ends when it has finished
};
struct pool_report {
    std::vector<worker_status> workers;  ///< by number; those that leave come last
    std::uint64_t handed_out = 0;        ///< by the pool, to all workers that it ever had
    std::uint64_t waiting = 0;           ///< in the pool's own mailbox
};
struct pool_status {
    using reply = pool_report;
};

namespace pool_parts {

/// A mark has come back from that worker.
struct mark_back {
    static constexpr auto lane = coppice::lane::priority;
    std::uint64_t worker;
    std::uint64_t position;
    bool reached;
};
/// The supervisor has answered for a worker that leaves.
struct worker_gone {
    static constexpr auto lane = coppice::lane::priority;
    std::uint64_t worker;
};

}  // namespace pool_parts

/// What a pool of workers of protocol P handles: theirs, and its own requests.
template <any_protocol P>
using pool_protocol = protocol_union<P, protocol<resize_pool, pool_status>>;

namespace pool_parts {

template <any_protocol P>
using inner_protocol = protocol_union<pool_protocol<P>, protocol<mark_back, worker_gone>>;

struct worker {
    std::uint64_t number;
    std::string name;
    ref<> who;
    std::uint64_t handed_out = 0;
    std::uint64_t finished = 0;
    bool mark_under_way = false;
    bool leaving = false;
    [[nodiscard]] std::uint64_t unfinished() const noexcept { return handed_out - finished; }
};

template <any_protocol P>
struct pool_state {
    using self_type = actor<inner_protocol<P>>;
    using mail = received<inner_protocol<P>>;

    self_type self;
    pool_options options;
    child_spec spec;
    ref<supervisor_protocol> keeper{};
    std::vector<worker> workers{};  // serving first, by number; then those that leave
    std::uint32_t serving = 0;
    std::uint32_t turn = 0;
    std::uint64_t handed_out = 0;
    std::uint64_t last_number = 0;
    const key_function<P>* key = nullptr;

    worker* find(std::uint64_t number) {
        const auto at =
            std::find_if(workers.begin(), workers.end(), [&](const worker& w) { return w.number == number; });
        return at == workers.end() ? nullptr : &*at;
    }
    [[nodiscard]] bool has_room(const worker& w) const noexcept { return w.unfinished() < spec.capacity; }
    [[nodiscard]] std::uint64_t unfinished() const noexcept {
        std::uint64_t sum = 0;
        for (const worker& w : workers) sum += w.unfinished();
        return sum;
    }

    /// The worker for this message, or null: it has to wait until one has room.
    worker* choose(mail& m) {
        if (options.route.how() == routing::kind::by_key) {
            // The key function reads the message as one of the workers' protocol, which it is.
            received<P> view{m.release()};
            const std::uint64_t hash = key->hash(view);
            m = mail{view.release()};
            worker& w = workers[jump(hash, serving)];
            return has_room(w) ? &w : nullptr;
        }
        worker* best = nullptr;
        for (std::uint32_t i = 0; i < serving; ++i) {
            worker& w = workers[(turn + i) % serving];
            if (!has_room(w) || (best && w.unfinished() >= best->unfinished())) continue;
            best = &w;
            if (options.route.how() == routing::kind::round_robin || w.unfinished() == 0) break;
        }
        if (best) turn = static_cast<std::uint32_t>(best - workers.data() + 1) % serving;
        return best;
    }

    void hand_out(mail m, worker& w) {
        ++w.handed_out;
        ++handed_out;
        self.forward(std::move(m), w.who);
        // Only the least loaded must be known at every message; else it is enough to know before the bound is reached.
        const std::uint64_t known_enough = options.route.how() == routing::kind::least_loaded
                                               ? 1
                                               : std::max<std::uint64_t>(spec.capacity / 2, 1);
        if (w.unfinished() >= known_enough) put_mark(w);
    }

    void put_mark(worker& w) {
        if (w.mark_under_way) return;
        w.mark_under_way = true;
        self.spawn_task(ask_mark(self, w.who, w.number, w.handed_out));
    }

    static task<> ask_mark(self_type self, ref<> who, std::uint64_t number, std::uint64_t position) {
        constexpr auto for_ever = std::chrono::hours{24 * 365};
        auto answer = co_await self.template ask<mail_mark>(who, for_ever);
        const errc code = answer ? errc::ok : answer.error().code();
        const bool reached = code == errc::ok || code == errc::no_handler || code == errc::no_reply;
        if (!reached) co_await self.sleep(std::chrono::milliseconds{1});  // refused: again, but not at once
        if (!self.stopping()) self.template send<mark_back>(self.me(), number, position, reached);
    }

    void on_mark(const mark_back& back) {
        worker* w = find(back.worker);
        if (!w) return;
        w->mark_under_way = false;
        if (back.reached) w->finished = std::max(w->finished, back.position);
        if (w->unfinished() > 0) put_mark(*w);
        else if (w->leaving) end_worker(*w);
    }

    // Its mailbox is empty, and nobody sends to it any more.
    void end_worker(worker& w) {
        w.mark_under_way = true;
        self.spawn_task(terminate(self, keeper, w.name, w.number));
    }
    static task<> terminate(self_type self, ref<supervisor_protocol> keeper, std::string name,
                            std::uint64_t number) {
        static_cast<void>(
            co_await self.template ask<terminate_child>(keeper, std::chrono::hours{24}, std::move(name)));
        if (!self.stopping()) self.template send<worker_gone>(self.me(), number);
    }

    [[nodiscard]] child_spec spec_of(std::uint64_t number) const {
        child_spec made = spec;
        made.name += "-" + std::to_string(number);
        made.when = restart::
            permanent;       // a worker that returns is started again: the pool's size is the pool's affair
        made.capacity += 2;  // room for the mark, so that the pool's own bound is the one that is met
        return made;
    }

    task<result<std::uint32_t>> resize(std::uint32_t wanted) {
        if (wanted == 0) co_return error{errc::invalid_argument, "a pool has at least one worker"};
        if (wanted > most_pool_workers)
            co_return error{errc::limit_reached,
                            "a pool has at most " + std::to_string(most_pool_workers) + " workers"};
        while (serving > wanted) {
            worker& w = workers[--serving];
            w.leaving = true;
            if (w.unfinished() > 0) put_mark(w);
            else if (!w.mark_under_way) end_worker(w);
        }
        turn = 0;
        while (serving < wanted) {
            const std::uint64_t number = ++last_number;
            child_spec child = spec_of(number);
            std::string name = child.name;
            auto started = co_await self.template ask<start_child>(
                keeper, child.start_within + std::chrono::seconds{1}, std::move(child));
            if (!started) co_return started.error();
            worker w{number, std::move(name), *std::move(started)};
            workers.insert(workers.begin() + static_cast<std::ptrdiff_t>(serving), std::move(w));
            ++serving;
        }
        co_return serving;
    }

    void answer_status(request<pool_status> r) {
        pool_report report{{}, handed_out, self.depth().normal};
        for (const worker& w : workers)
            report.workers.push_back({w.name, w.who, w.handed_out, w.unfinished(), 0, w.leaving});
        self.spawn_task(add_restarts(self, keeper, std::move(report), std::move(r)));
    }
    static task<> add_restarts(self_type self, ref<supervisor_protocol> keeper, pool_report report,
                               request<pool_status> r) {
        auto children = co_await self.template ask<which_children>(keeper);
        if (children)
            for (const child_status& c : *children)
                for (worker_status& w : report.workers)
                    if (c.name == w.name) w.restarts = c.restarts;
        r.reply(std::move(report));
    }

    task<> answer_resize(request<resize_pool> r) {
        auto outcome = co_await resize(r->workers);
        if (outcome) r.reply(*outcome);
        else r.fail(outcome.error());
    }

    /// True if it was one of the pool's own messages.
    task<bool> handle_own(mail& m) {
        if (auto* back = m.template get_if<mark_back>()) {
            on_mark(*back);
        } else if (auto* gone = m.template get_if<worker_gone>()) {
            std::erase_if(workers, [&](const worker& w) { return w.number == gone->worker; });
        } else if (auto resizing = m.template take<resize_pool>()) {
            co_await answer_resize(std::move(resizing));
        } else if (auto asked = m.template take<pool_status>()) {
            answer_status(std::move(asked));
        } else {
            co_return false;
        }
        co_return true;
    }

    /// Waits for a worker with room. Meanwhile the workers' mail stays in the pool's mailbox, whose bound is the pressure
    /// that the senders feel. Null if the pool has to end before there is room.
    task<worker*> wait_for_room(mail& m) {
        for (;;) {
            if (worker* w = choose(m)) co_return w;
            if (self.stopping()) {  // it takes no more mail, not even its own: the workers are asked here
                co_await drain();
                worker* w = choose(m);
                co_return w;
            }
            auto own =
                co_await self.template receive_only<mark_back, worker_gone, resize_pool, pool_status>();
            if (!own) continue;
            mail message{own->release()};
            co_await handle_own(message);
        }
    }

    /// Waits until the workers have finished what they have, at most drain_within.
    task<> drain() {
        if (unfinished() > 0) static_cast<void>(co_await with_timeout(options.drain_within, ask_all(this)));
    }
    static task<> ask_all(pool_state* state) {
        for (worker& w : state->workers) {
            if (w.unfinished() == 0) continue;
            static_cast<void>(co_await state->self.template ask<mail_mark>(w.who, std::chrono::hours{24}));
            w.finished = w.handed_out;
        }
    }
};

}  // namespace pool_parts

/// The pool, an actor function for child() and spawn(). `worker` says how each worker runs; its name gets a number, its
/// restart is permanent, its mailbox bound is what a worker may have unfinished. Workers live in the pool's subtree:
/// "/app/shop/workers/clerk-1". Ready (child_spec::awaits_ready) when all workers are; ends with `failed` if one does not
/// start. After stop it hands out what it has and waits for the workers, at most drain_within; after kill it does not.
template <any_protocol P>
task<> pool(actor<pool_parts::inner_protocol<P>> self, pool_options options, child_spec worker) {
    // A bound of its own: the pool counts how much of it is taken.
    if (worker.capacity == 0) worker.mailbox(limits::mailbox);
    pool_parts::pool_state<P> state{self, std::move(options), std::move(worker)};
    if (state.options.route.how() == routing::kind::by_key) {
        state.key = static_cast<const pool_parts::key_function<P>*>(
            state.options.route.key_for(&pool_parts::key_function<P>::id));
        if (!state.key) co_return self.fail("its route is by_key of another protocol than its workers'");
    }
    supervisor_spec keeper{strategy::dynamic};
    keeper.intensity(state.options.restarts, state.options.window);
    auto started = co_await self.start(supervisor("workers", std::move(keeper)));
    if (!started) co_return self.fail("its supervisor did not start: {}", started.error());
    state.keeper = started->template assume<supervisor_protocol>();
    self.link(state.keeper);  // over its intensity it ends, and the pool with it
    auto all = co_await state.resize(state.options.workers);
    if (!all) co_return self.fail("a worker did not start: {}", all.error());
    self.ready();

    while (auto m = co_await self.receive()) {
        if (co_await state.handle_own(m)) continue;
        auto* target = co_await state.wait_for_room(m);
        if (!target) break;
        state.hand_out(std::move(m), *target);
    }
    co_await state.drain();  // what has been handed out is not lost by an orderly end
}

}  // namespace coppice::actors
