// received<P>: what receive() gives: one message, owned, of an actor of protocol P; empty once the actor is to stop.
// request<M>: a request taken out of it, owned, to be answered now or later, once. Both are movable values; dropping a
// request that was not answered tells its asker `no_reply`. Owner thread, but a request may be answered on any thread.
#pragma once
#include <chrono>
#include <concepts>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "coppice/detail/scheduler.hpp"
#include "coppice/error.hpp"
#include "coppice/exit_reason.hpp"
#include "coppice/protocol.hpp"
#include "coppice/ref.hpp"

namespace coppice {

template <any_protocol P>
class received;

namespace detail {

/// Sends `reply` to whoever asked with `request`, and frees the request. Any thread.
void send_reply(envelope* request, envelope* reply) noexcept;
void send_failure(envelope* request, error why) noexcept;
/// Sends the request on to another actor, which then owes the reply. Frees it with a failure if that cannot be.
errc delegate(envelope* request, const address& to) noexcept;
/// No handler took it: dead letter, and `no_handler` to an asker.
void unhandled(envelope* e) noexcept;
ref<> ref_of_sender(const envelope* e) noexcept;

/// A message of another node for an actor of `anything`: bytes, until the actor asks for a type (src/net/foreign.hpp).
struct foreign_message;
inline constexpr std::uint64_t foreign_type = hash_of(declared_name<foreign_message>());
inline constexpr std::uint64_t value_type = hash_of(declared_name<value>());
inline constexpr std::uint64_t any_request_type = hash_of(declared_name<any_request>());

/// Whether e is such a message, or a value that says which type it stands for. An any_request of this process is what it is:
/// who asked waits for a value.
inline bool may_be_foreign(const envelope* e) noexcept {
    return e->type->id == foreign_type || e->type->id == value_type;
}
/// Whether one that may be foreign stands for a message of that type. For a value every foreign message does, for any_request
/// every one that somebody waits for.
[[nodiscard]] bool stands_for(const envelope* e, const message_type* t) noexcept;
/// The message as that type, in place of e, which is freed. Null, and e as it was, if its bytes do not hold one. Owner
/// thread; throws what the message's default constructor throws, and std::bad_alloc.
[[nodiscard]] envelope* read_foreign(envelope* e, const message_type* t);
/// Its bytes are not what its type says: dead letter, and `bad_message` to an asker.
void unreadable(envelope* e) noexcept;
[[nodiscard]] std::string_view foreign_name(const envelope* e) noexcept;

}  // namespace detail

template <has_reply M>
class [[nodiscard]] request {
public:
    using message_type = M;

    explicit request(detail::envelope* e) noexcept : envelope_{e} {}
    request(request&& other) noexcept : envelope_{std::exchange(other.envelope_, nullptr)} {}
    request& operator=(request&& other) noexcept {
        std::swap(envelope_, other.envelope_);
        return *this;
    }
    ~request() {
        if (envelope_) detail::release(envelope_);
    }

    const M& operator*() const noexcept { return detail::body<M>(envelope_); }
    const M* operator->() const noexcept { return &detail::body<M>(envelope_); }
    M& operator*() noexcept { return detail::body<M>(envelope_); }
    M* operator->() noexcept { return &detail::body<M>(envelope_); }

    /// Answers, with what reply_t<M> is built from. After it the request is empty. No effect on one that was sent, not asked.
    template <class... Args>
    void reply(Args&&... args) {
        using body_type = detail::reply_body<reply_t<M>>;
        detail::envelope* e = std::exchange(envelope_, nullptr);
        if (!(e->flags & detail::envelope::owes_reply)) return detail::release(e);
        struct owner {  // a constructor of the reply may throw: the asker is still answered
            detail::envelope* e;
            ~owner() {
                if (e) detail::release(e);
            }
        } hold{e};
        detail::envelope* answer =
            detail::make_envelope<body_type>(0, e->target, std::forward<Args>(args)...);
        hold.e = nullptr;
        detail::send_reply(e, answer);
    }
    /// Answers with an error of the callee's own: the asker's result has `failed` and this text.
    void fail(std::string text) { fail(error{errc::failed, std::move(text)}); }
    void fail(error why) { detail::send_failure(std::exchange(envelope_, nullptr), std::move(why)); }
    /// Hands the request to another actor, which answers in this one's place; the asker sees no difference.
    template <class Q>
    requires takes<Q, M>
    errc delegate(const ref<Q>& to) {
        return detail::delegate(std::exchange(envelope_, nullptr), to);
    }
    [[nodiscard]] ref<> sender() const noexcept { return detail::ref_of_sender(envelope_); }
    /// True if somebody waits for the answer (as after ask, not after send).
    [[nodiscard]] bool wants_reply() const noexcept {
        return envelope_ && (envelope_->flags & detail::envelope::owes_reply);
    }
    explicit operator bool() const noexcept { return envelope_ != nullptr; }

private:
    detail::envelope* envelope_;
};

namespace detail {

template <class T>
struct request_message {
    using type = void;
};
template <class M>
struct request_message<request<M>> {
    using type = M;
};

// What a handler takes: the decayed parameter of its only call operator.
template <class F>
struct handler_traits : handler_traits<decltype(&std::remove_cvref_t<F>::operator())> {};
template <class C, class R, class A>
struct handler_traits<R (C::*)(A) const> {
    using parameter = A;
};
template <class C, class R, class A>
struct handler_traits<R (C::*)(A)> {
    using parameter = A;
};
template <class C, class R, class A>
struct handler_traits<R (C::*)(A) const noexcept> {
    using parameter = A;
};
template <class C, class R, class A>
struct handler_traits<R (C::*)(A) noexcept> {
    using parameter = A;
};
template <class R, class A>
struct handler_traits<R (*)(A)> {
    using parameter = A;
};

template <class F>
using handler_parameter = std::remove_cvref_t<typename handler_traits<std::decay_t<F>>::parameter>;
template <class F>
inline constexpr bool takes_request = !std::is_void_v<typename request_message<handler_parameter<F>>::type>;
template <class F>
using handled_message =
    std::conditional_t<takes_request<F>, typename request_message<handler_parameter<F>>::type,
                       handler_parameter<F>>;

template <class F>
concept message_handler = requires { typename handler_parameter<F>; };

template <class M, class... H>
struct message_without_handler {
    static_assert((std::same_as<M, handled_message<H>> || ...),
                  "coppice: a message of the actor's protocol has no handler in match(). The message is the "
                  "first template "
                  "argument of message_without_handler above. Write one more handler: [&](const M& m) { ... "
                  "}, or, for a "
                  "message with a reply, [&](request<M> r) { r.reply(...); }");
    static constexpr bool ok = true;
};
template <class P, class M>
struct handler_outside_protocol {
    static_assert(
        in_protocol<P, M> || is_system_message<M>,
        "coppice: match() has a handler for a message that the actor's protocol does not name. The protocol "
        "and "
        "the message are the template arguments of handler_outside_protocol above. Add the message to the "
        "protocol, or remove the handler");
    static constexpr bool ok = true;
};
template <class P, class... H>
struct checked_handlers;
template <class... Ms, class... H>
struct checked_handlers<protocol<Ms...>, H...> {
    static constexpr bool ok =
        (message_without_handler<Ms, H...>::ok && ... && true) &&
        (handler_outside_protocol<protocol<Ms...>, handled_message<H>>::ok && ... && true);
};
template <class... H>
struct checked_handlers<anything, H...> {
    static constexpr bool ok = true;
};

}  // namespace detail

template <any_protocol P>
class received {
public:
    received() noexcept = default;
    explicit received(detail::envelope* e) noexcept : envelope_{e} {}
    received(received&& other) noexcept : envelope_{std::exchange(other.envelope_, nullptr)} {}
    received& operator=(received&& other) noexcept {
        std::swap(envelope_, other.envelope_);
        return *this;
    }
    [[gnu::always_inline]] ~received() {
        if (envelope_) detail::release(envelope_);
    }

    /// False once the actor is to stop.
    explicit operator bool() const noexcept { return envelope_ != nullptr; }

    /// Calls the handler of the message's type. Every message of P needs one: `[&](const M&)`, `[&](M&)`, or for requests
    /// `[&](request<M>)`, which may be kept and answered later. Handlers are plain functions, not coroutines. Handlers of
    /// `down` and `exit_signal` are optional; without one they become dead letters. A handler of `any_request` takes requests
    /// of other nodes, and one of `value` messages, that no other handler takes.
    template <class... H>
    void match(H&&... handlers) {
        static_assert((detail::message_handler<H> && ...),
                      "coppice: a handler given to match() is a function or lambda with exactly one "
                      "parameter whose type is "
                      "written out: [&](const M& m), or [&](request<M> r)");
        if constexpr ((detail::message_handler<H> && ...)) {
            static_assert(detail::checked_handlers<P, H...>::ok);
            // Each handler is called from one place only, so that the compiler builds it into the caller.
            const detail::message_type* type = envelope_->type;
            while (!(... || try_handler(handlers, type == detail::type_of<detail::handled_message<H>>))) {
                const auto found = find_handler<std::decay_t<H>...>(envelope_);
                envelope_ = found.e;
                if (!found.type) return;
                type = found.type;
            }
        }
    }

    /// The message if it is an M, else null. It stays in here. With `anything`, a message of another node becomes the
    /// first type that it is asked for; get_if<value>() takes every one of them. Then it throws what M's default
    /// constructor throws, and std::bad_alloc.
    template <message M>
    requires(detail::in_protocol<P, M> || detail::is_system_message<M>)
    [[nodiscard]] M* get_if() noexcept(!unchecked) {
        return as<M>() ? &detail::body<M>(envelope_) : nullptr;
    }
    /// The request if it is an M, taken out; else an empty one.
    template <has_reply M>
    [[nodiscard]] request<M> take() noexcept(!unchecked) {
        return request<M>{as<M>() ? std::exchange(envelope_, nullptr) : nullptr};
    }
    /// With `anything`, of a message of another node: that its type says so; get_if() may still find that it does not hold
    /// an M.
    template <message M>
    [[nodiscard]] bool is() const noexcept {
        if (!envelope_) return false;
        if (detail::same_type(envelope_->type, detail::type_of<M>)) return true;
        if constexpr (unchecked)
            return detail::may_be_foreign(envelope_) && detail::stands_for(envelope_, detail::type_of<M>);
        else return false;
    }
    [[nodiscard]] ref<> sender() const noexcept { return detail::ref_of_sender(envelope_); }
    /// The qualified C++ name; "#" and the id in 16 hexadecimal digits for a message of another node that was not asked for.
    [[nodiscard]] std::string_view type_name() const noexcept {
        if (!envelope_) return {};
        return envelope_->type->id == detail::foreign_type ? detail::foreign_name(envelope_)
                                                           : envelope_->type->name;
    }

    /// For the runtime.
    [[nodiscard]] detail::envelope* release() noexcept { return std::exchange(envelope_, nullptr); }
    [[nodiscard]] const detail::envelope* peek() const noexcept { return envelope_; }

private:
    static constexpr bool unchecked = std::same_as<P, anything>;

    template <class M>
    bool as() noexcept(!unchecked) {
        if constexpr (unchecked) {
            if (!is<M>()) return false;
            if (detail::same_type(envelope_->type, detail::type_of<M>)) return true;
            detail::envelope* read = detail::read_foreign(envelope_, detail::type_of<M>);
            if (read) envelope_ = read;
            return read != nullptr;
        } else {
            return is<M>();
        }
    }
    template <class H>
    [[gnu::always_inline]] bool try_handler(H& handler, bool matches) {
        if (!matches) return false;
        using M = detail::handled_message<H>;
        if constexpr (detail::takes_request<H>) handler(request<M>{std::exchange(envelope_, nullptr)});
        else handler(detail::body<M>(envelope_));
        return true;
    }
    // Who names a type comes before who takes any request, and that one before who takes all.
    template <class M>
    static constexpr int rank_of = std::same_as<M, value>         ? 2
                                   : std::same_as<M, any_request> ? 1
                                                                  : 0;

    // The type's description comes from another module, the message from another node, or there is no handler. Gives the
    // description by which match() finds the handler, and the envelope in place of e; no description: e is disposed of.
    // By value, so that the caller can keep its envelope in a register.
    struct choice {
        detail::envelope* e;
        const detail::message_type* type;
    };
    template <class... H>
    [[gnu::noinline, gnu::cold]] static choice find_handler(detail::envelope* e) {
        const auto id = e->type->id;
        const detail::message_type* type = nullptr;
        if ((... || (id == detail::type_of<detail::handled_message<H>>->id
                         ? (type = detail::type_of<detail::handled_message<H>>, true)
                         : false)))
            return {e, type};
        if (detail::may_be_foreign(e)) {
            const auto read = [&]<class M>(std::type_identity<M>, int rank) {
                if (rank_of<M> != rank || !detail::stands_for(e, detail::type_of<M>)) return false;
                if (detail::envelope* as_m = detail::read_foreign(e, detail::type_of<M>)) {
                    e = as_m;
                    type = detail::type_of<M>;
                } else {
                    detail::unreadable(std::exchange(e, nullptr));
                }
                return true;
            };
            for (int rank = 0; rank <= rank_of<value>; ++rank)
                if ((... || read(std::type_identity<detail::handled_message<H>>{}, rank))) return {e, type};
        }
        detail::unhandled(e);
        return {nullptr, nullptr};
    }
    detail::envelope* envelope_ = nullptr;
};

}  // namespace coppice
