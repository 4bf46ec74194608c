// await: Asio's operations inside actors. The one public header that includes Asio.
//
//     task<> session(actor<session_protocol> self) {
//         boost::asio::ip::tcp::socket socket{io_context_of(self)};
//         co_await socket.async_connect(endpoint, coppice::await);
//         std::size_t n = co_await socket.async_read_some(buffer, coppice::await);
//         int answer    = co_await some_awaitable(socket);          // boost::asio::awaitable<int>
//         co_await timer.async_wait(boost::asio::deferred);         // what is deferred, too
//         auto [failure, m] = co_await socket.async_read_some(buffer, as_tuple(coppice::await));
//     }
//
// An await resumes on the actor's scheduler, whatever thread completed the operation. It gives what the operation
// completes with: nothing, a value, or a tuple. An error_code that comes first is thrown as boost::system::system_error,
// an exception_ptr is rethrown. It can stand in race, gather, with_timeout and own tasks like every other await.
//
// The end of the actor, or of a race, emits the operation's cancellation signal (terminal) on the actor's thread; the
// operation completes, and the await throws `cancelled`. A frame is freed only after that, so buffers and sockets in it
// are safe. An operation that cannot be cancelled holds the end up until it completes. I/O objects belong to the
// io_context of the actor's scheduler, io_context_of(self); on another one's they complete as well, but that one's thread
// must be prepared for a cancellation from here. An asio::awaitable runs beside the actor, not as the actor: it must not
// use `self`. In the test world there is no io_context: an await of I/O throws std::logic_error.
#pragma once
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/system_error.hpp>

#include "coppice/actor.hpp"
#include "coppice/detail/operations.hpp"
#include "coppice/detail/pool.hpp"
#include "coppice/task.hpp"

namespace coppice {

/// The type of `await`, Asio's completion token for actors.
struct await_t {
    /// An executor whose I/O objects need no token: `auto timer = await_t::as_default_on(steady_timer{...});`
    template <class Executor>
    struct executor_with_default : Executor {
        using default_completion_token_type = await_t;
        template <class E>
        requires(!std::is_same_v<E, executor_with_default> && std::is_convertible_v<E, Executor>)
        executor_with_default(const E& other) noexcept
            : Executor(other) {}  // NOLINT(google-explicit-constructor)
    };
    template <class T>
    using as_default_on_t =
        typename T::template rebind_executor<executor_with_default<typename T::executor_type>>::other;
    template <class T>
    [[nodiscard]] static auto as_default_on(T&& object) {
        return as_default_on_t<std::decay_t<T>>(std::forward<T>(object));
    }
};
/// See the file comment. `co_await socket.async_read_some(buffer, coppice::await)`
inline constexpr await_t await{};

namespace detail {

/// The io_context that a scheduler stands on; throws std::logic_error where there is none.
inline boost::asio::io_context& io_context_of(scheduler* s) {
    if (void* context = s->drive->io_context()) return *static_cast<boost::asio::io_context*>(context);
    throw std::logic_error{
        "coppice: this scheduler has no io_context: the test world runs on virtual time and does no I/O. "
        "Test what needs sockets or Asio's timers in a coppice::node"};
}

/// Keeps that io_context's memory, also after its scheduler has ended. Null: it is the user's.
[[nodiscard]] std::shared_ptr<const void> keeper_of(scheduler* s) noexcept;

// ---- what an await gives for a completion signature void(A...)

template <class... R>
struct io_payload {
    using type = std::tuple<R...>;
};
template <class R>
struct io_payload<R> {
    using type = R;
};
template <>
struct io_payload<> {
    using type = void;
};

template <class... A>
struct io_value {
    using type = typename io_payload<A...>::type;
    static constexpr std::size_t first = 0;
    static void check(const std::tuple<A...>&) noexcept {}
};
template <class... R>
struct io_value<boost::system::error_code, R...> {
    using type = typename io_payload<R...>::type;
    static constexpr std::size_t first = 1;
    static void check(const std::tuple<boost::system::error_code, R...>& completed) {
        if (const auto& failure = std::get<0>(completed)) throw boost::system::system_error{failure};
    }
};
template <class... R>
struct io_value<std::exception_ptr, R...> {
    using type = typename io_payload<R...>::type;
    static constexpr std::size_t first = 1;
    static void check(const std::tuple<std::exception_ptr, R...>& completed) {
        if (const auto& failure = std::get<0>(completed)) std::rethrow_exception(failure);
    }
};

// ---- the operation
//
//   await_suspend ──► initiation(handler) ──► Asio ──► handler ──► complete(): in the run queue ──► await_resume
//                                               ▲                     ▲ by a control message from another thread,
//                    cancel: signal.emit() ─────┘                     │ or if the handler was destroyed unrun
//
// The handler points to the operation, which lives in the awaiting frame. Exactly one handler object does so, and tells
// the operation once, by running or by being destroyed: until then the strand stays suspended, so the frame stays.
//
// Another thread that completes an operation still has executors of the io_context in hand, with work that they count, when the handler
// has run; the actor may have gone on and its node have ended. Asio destroys the handler object, or what was moved from, after them:
// so each of these keeps the io_context in memory.
struct io_operation_base : pending {
    enum class stage : std::uint8_t {
        idle,      // not awaited yet
        starting,  // within the initiating function
        pending,   // Asio has the handler; the strand is suspended
        done,      // the handler has run, or is gone
    };
    strand* waiter = nullptr;
    boost::asio::io_context* context = nullptr;
    std::shared_ptr<const void> keeper;
    stage at = stage::idle;  // owner thread only
    boost::asio::cancellation_signal signal;

    io_operation_base() noexcept : pending{does_io} {}
    io_operation_base(const io_operation_base&) = delete;
    io_operation_base& operator=(const io_operation_base&) = delete;
    ~io_operation_base() {
        COPPICE_ASSERT(at == stage::idle || at == stage::done,
                       "an I/O operation outlives the coroutine that awaits it");
    }

    /// False if it must not begin: the await throws `cancelled`.
    bool prepare(strand* s, std::coroutine_handle<> h) {
        waiter = s;
        s->resume = h;
        if (s->cancel_requested()) return false;
        context = &io_context_of(s->sched);
        keeper = keeper_of(s->sched);
        s->op = this;
        at = stage::starting;
        return true;
    }
    /// After the initiating function: false if the operation has completed within it.
    bool suspend() noexcept {
        if (at == stage::done) return false;
        at = stage::pending;
        waiter->state = strand::waiting;
        if (waiter->cancel_requested()) cancel(waiter);  // asked for within the initiating function
        return true;
    }
    /// Told by the handler, on any thread: it has run, or it was destroyed unrun.
    void told(bool has_run) {
        if (context->get_executor().running_in_this_thread() && (has_run || at == stage::starting))
            return complete();
        // From elsewhere, or out of the destructor of who knows what: in a turn of its own. A closed scheduler has no
        // strands that wait, other than those that were left behind.
        post_control(waiter->sched->index, [this](scheduler&) { complete(); });
    }
    static void on_cancel(pending* p, strand* who) noexcept {
        if (who->state == strand::waiting)
            static_cast<io_operation_base*>(p)->signal.emit(boost::asio::cancellation_type::terminal);
    }
    static constexpr pending_kind does_io{&on_cancel, "io"};
    void complete() noexcept {
        if (std::exchange(at, stage::done) == stage::pending) waiter->sched->resume_from_io(waiter);
    }
};

template <class Signature, class Launch>
struct io_operation;
template <class Ignored, class... A, class Launch>
struct [[nodiscard("an operation begins when it is awaited")]] io_operation<Ignored(A...), Launch>
    : io_operation_base {
    using value = io_value<std::decay_t<A>...>;
    Launch launch;
    std::optional<std::tuple<std::decay_t<A>...>> completed;

    explicit io_operation(Launch l) : launch{std::move(l)} {}
    io_operation(io_operation&& other) noexcept(std::is_nothrow_move_constructible_v<Launch>)
        : launch{std::move(other.launch)} {}  // before it is awaited

    class handler {
    public:
        explicit handler(io_operation* op) noexcept
            : op_{op}, context_{op->context}, keeper_{op->keeper}, slot_{op->signal.slot()} {}
        handler(handler&& other) noexcept
            : op_{std::exchange(other.op_, nullptr)},
              context_{other.context_},
              keeper_{other.keeper_},  // which keeps its own
              slot_{other.slot_} {}
        handler& operator=(handler&&) = delete;
        ~handler() {
            if (op_) op_->told(false);
        }
        void operator()(A... args) {
            io_operation* op = std::exchange(op_, nullptr);
            op->completed.emplace(std::forward<A>(args)...);
            op->told(true);
        }
        using executor_type = boost::asio::io_context::executor_type;
        [[nodiscard]] executor_type get_executor() const noexcept { return context_->get_executor(); }
        using cancellation_slot_type = boost::asio::cancellation_slot;
        [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept { return slot_; }
        using allocator_type = pool_allocator<void>;
        [[nodiscard]] allocator_type get_allocator() const noexcept { return {}; }

    private:
        io_operation* op_;
        boost::asio::io_context* context_;
        std::shared_ptr<const void> keeper_;
        boost::asio::cancellation_slot slot_;
    };

    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) {
        if (!prepare(h.promise().self, h)) return false;
        std::move(launch)(handler{this});
        return suspend();
    }
    typename value::type await_resume() {
        throw_if_cancelled(waiter);
        if (!completed)
            throw boost::system::system_error{boost::asio::error::operation_aborted,
                                              "the operation's handler was dropped"};
        value::check(*completed);
        constexpr std::size_t count = sizeof...(A) - value::first;
        if constexpr (count == 1) {
            return std::get<value::first>(std::move(*completed));
        } else if constexpr (count > 1) {
            return [this]<std::size_t... I>(std::index_sequence<I...>) {
                return typename value::type{std::get<value::first + I>(std::move(*completed))...};
            }(std::make_index_sequence<count>{});
        }
    }
};

template <class Signature, class Launch>
io_operation<Signature, std::decay_t<Launch>> make_io_operation(Launch&& launch) {
    return io_operation<Signature, std::decay_t<Launch>>{std::forward<Launch>(launch)};
}

// ---- deferred operations and awaitables

template <class D>
requires(boost::asio::is_deferred<D>::value)
struct await_adapter<D> {
    static constexpr bool adapts = true;
    using signature = typename boost::asio::completion_signature_of<D>::type;
    static auto adapt(D deferred, strand*) {
        return make_io_operation<signature>([deferred = std::move(deferred)]<class H>(H&& handler) mutable {
            std::move(deferred)(std::forward<H>(handler));
        });
    }
    using value_type = decltype(adapt(std::declval<D>(), nullptr).await_resume());
};

template <class T, class Executor>
struct await_adapter<boost::asio::awaitable<T, Executor>> {
    static constexpr bool adapts = true;
    using value_type = T;
    static auto adapt(boost::asio::awaitable<T, Executor> work, strand* s) {
        return boost::asio::co_spawn(io_context_of(s->sched).get_executor(), std::move(work), await);
    }
};

}  // namespace detail

/// The io_context on which this actor's scheduler stands: for sockets and timers that the actor makes. Throws
/// std::logic_error in the test world, where there is none.
template <any_protocol P>
[[nodiscard]] boost::asio::io_context& io_context_of(const actor<P>& self) {
    return detail::io_context_of(self.cell()->sched);
}

}  // namespace coppice

template <class R, class... A>
class boost::asio::async_result<coppice::await_t, R(A...)> {
public:
    template <class Initiation, class... Args>
    static auto initiate(Initiation&& initiation, coppice::await_t, Args&&... args) {
        return coppice::detail::make_io_operation<R(A...)>(
            [initiation = std::decay_t<Initiation>(std::forward<Initiation>(initiation)),
             held = std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)]<class H>(
                H&& handler) mutable {
                std::apply(
                    [&](auto&&... a) { std::move(initiation)(std::forward<H>(handler), std::move(a)...); },
                    std::move(held));
            });
    }
};
