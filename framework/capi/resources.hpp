// What the handles of nodes, actors, refs and mails stand for, and who may touch what.
//
// A node's core is used by calls under a shared lock, for as long as they post or send, never while they wait; who ends the node
// takes the core away under the exclusive one. An actor is a coroutine that puts what it receives into an inbox, from which the
// program's threads take it. What an actor must do itself is posted to its scheduler.
#pragma once
#include <chrono>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "calls.hpp"
#include "coppice/coppice.hpp"
#include "coppice/wire_reference.hpp"
#include "node_core.hpp"
#include "values.hpp"

namespace coppice::c {

class inbox;

class node_resource final : public resource, public std::enable_shared_from_this<node_resource> {
public:
    static constexpr kind of_kind = kind::node;

    /// Of a process child, whose core comes with its actor.
    node_resource() = default;
    /// Starts it, with an empty tree. Errors as node::start.
    static result<std::shared_ptr<node_resource>> open(std::string name, node_options options);
    ~node_resource() override;

    /// f(core), while it cannot go away; f must not wait. Refuses with `stopping` when the node has ended.
    template <class F>
    auto with(F&& f) {
        const std::shared_lock lock{mutex_};
        detail::node_core* const core = core_.load(std::memory_order_relaxed);
        if (!core) refuse(errc::stopping, "the node has ended");
        return f(*core);
    }
    /// The same for what is done on a best-effort basis. False: the node has ended.
    template <class F>
    bool if_running(F&& f) {
        const std::shared_lock lock{mutex_};
        detail::node_core* const core = core_.load(std::memory_order_relaxed);
        if (core) f(*core);
        return core != nullptr;
    }
    /// For a guest of one of the core's schedulers: it cannot go away meanwhile.
    [[nodiscard]] bool has_core() const noexcept { return core_.load(std::memory_order_acquire) != nullptr; }
    void attach(detail::node_core& core, std::uint64_t id);
    /// Waits for the calls that use the core.
    void detach() noexcept;
    /// Of the wire. Constant from attach() on.
    [[nodiscard]] std::uint64_t id() const noexcept { return id_.load(std::memory_order_acquire); }

    /// Its root is a supervisor that starts and ends actors. Not so of a process child: its root is its actor.
    [[nodiscard]] bool has_supervisor() const noexcept { return node_ != nullptr; }
    /// It tells its end to that inbox when it is closed.
    void remember(const std::shared_ptr<inbox>& box);
    /// The reading end of the stream that wake() writes to. Refuses with invalid_argument the second time.
    int open_stream();
    /// Puts a byte into it. False: there is none. Any thread, also under an inbox's mutex.
    bool wake() noexcept;
    /// outcome_unknown: what was sent last may not have arrived.
    error given_back() override;
    /// It is closed, or about to be.
    [[nodiscard]] bool is_closing() const noexcept { return closing_; }

    /// Of a process child: set when its node has ended and its parent knows why. Set before there is a handle.
    std::shared_future<int> exit_code;

private:
    std::shared_mutex mutex_;                        // of core_
    std::atomic<detail::node_core*> core_{nullptr};  // written under the mutex
    std::atomic<std::uint64_t> id_{0};
    std::atomic<bool> closing_{false};
    std::unique_ptr<node> node_;  // constant from open() to given_back()
    std::chrono::nanoseconds linger_{};
    std::mutex boxes_mutex_;
    std::vector<std::weak_ptr<inbox>> boxes_;
    std::atomic<int> stream_{-1};  // the writing end; from open_stream() to the destructor
};

class ref_resource final : public resource {
public:
    static constexpr kind of_kind = kind::ref;
    /// As `node` sees it.
    ref_resource(const detail::address& to, const node_resource& node);
    explicit ref_resource(const wire_reference& r) : reference_{r} {}
    [[nodiscard]] const wire_reference& reference() const noexcept { return reference_; }
    /// For sending from there.
    [[nodiscard]] ref<anything> seen_from(const node_resource& node) const;
    [[nodiscard]] std::string text() const;

private:
    wire_reference reference_;
    detail::address named_;      // follows restarts by name; empty if it came in a message
    std::uint64_t seen_by_ = 0;  // the id of the node for which that is so
};

/// What an actor has received. While the inbox holds it, its receiver may not have seen it yet.
class mail_resource final : public resource {
public:
    static constexpr kind of_kind = kind::mail;
    static constexpr int mark = 0;  // nothing for the program: dropped where it comes to it

    static std::shared_ptr<mail_resource> make(const std::shared_ptr<node_resource>& n, value content) {
        return std::allocate_shared<mail_resource>(detail::pool_allocator<mail_resource>{}, n,
                                                   std::move(content));
    }
    /// Of a message that is a value, which stays where it is: hold() follows.
    static std::shared_ptr<mail_resource> make(const std::shared_ptr<node_resource>& n,
                                               const detail::envelope* message) {
        return std::allocate_shared<mail_resource>(detail::pool_allocator<mail_resource>{}, n, message);
    }
    mail_resource(const std::shared_ptr<node_resource>& n, value content)
        : node{n}, content_{std::move(content)}, shown_{&content_} {}
    mail_resource(const std::shared_ptr<node_resource>& n, const detail::envelope* message)
        : node{n}, shown_{&detail::body<value>(message)} {}
    ~mail_resource() override {
        if (envelope_) drop();
    }
    error given_back() override;
    /// To who waits for the reply; refuses with `closed` if it was answered, and with invalid_argument if it is no request.
    void answer(value v);
    void fail(std::string text);
    /// Constant while the mail lives.
    [[nodiscard]] const value& content() const noexcept { return *shown_; }
    /// Null if nobody is.
    [[nodiscard]] std::shared_ptr<ref_resource> sender() const;

    std::shared_ptr<node_resource> node;
    int what = mark;
    errc code = errc::ok;
    bool urgent = false;
    std::atomic<bool> closed{false};
    std::atomic<bool> kept{false};
    detail::address from;  // who sent it, as `node` sees it, or
    std::uint64_t number = 0;
    // Under the inbox's mutex, or its receiver's alone.
    coppice_handle handle = 0;                   // if it was looked at before it was taken
    std::shared_ptr<ref_resource> found;         // whom an answer is about
    std::shared_ptr<detail::drive_lease> lease;  // of a request: its actor's

    /// What came; owned until it is answered or dropped.
    void hold(detail::envelope* e) noexcept { envelope_ = e; }
    /// Itself, while an unseen_mail has it.
    std::shared_ptr<mail_resource> unseen;
    /// For an inbox that is closed: what nobody took becomes a dead letter.
    void bury(std::string_view path) noexcept;

private:
    detail::envelope* take_request();
    /// Tells a sender who still waits that there is no reply.
    void drop() noexcept;
    value content_;
    // Of a request it is taken by who answers it or gives it up, of what has a handle by the destructor alone.
    std::atomic<detail::envelope*> envelope_{nullptr};
    const value* const shown_;
};

/// Mail that nobody has looked at: of a message that is a value it is the message itself, until somebody does. Of one thread at a
/// time.
class unseen_mail {
public:
    unseen_mail() noexcept = default;
    explicit unseen_mail(std::shared_ptr<mail_resource> m) noexcept { keep(std::move(m)); }
    /// Of a message that is a value and no request.
    explicit unseen_mail(detail::envelope* message) noexcept
        : word_{reinterpret_cast<std::uintptr_t>(message)} {}
    unseen_mail(unseen_mail&& other) noexcept : word_{std::exchange(other.word_, 0)} {}
    unseen_mail& operator=(unseen_mail&& other) noexcept {
        std::swap(word_, other.word_);
        return *this;
    }
    ~unseen_mail() {
        if (word_) forget();
    }
    explicit operator bool() const noexcept { return word_ != 0; }
    [[nodiscard]] bool is_urgent() const noexcept {
        return is_seen() ? mail()->urgent : message()->lane != lane::normal;
    }
    /// Null if it is still the message.
    [[nodiscard]] mail_resource* seen() const noexcept { return is_seen() ? mail() : nullptr; }
    /// From now on it is one.
    const std::shared_ptr<mail_resource>& see(const std::shared_ptr<node_resource>& node);
    /// What it brought.
    [[nodiscard]] const value& content() const noexcept {
        return is_seen() ? mail()->content() : detail::body<value>(message());
    }
    /// Into the nearest cache: the message; and, of one that is there, its bytes.
    void prefetch() const noexcept {
        if (is_seen()) return;
        __builtin_prefetch(message());
        __builtin_prefetch(reinterpret_cast<const std::byte*>(message()) + cache_line);
    }
    void prefetch_bytes() const noexcept {
        if (is_seen()) return;
        if (const auto* bytes = content().get_if<value::bytes>()) __builtin_prefetch(bytes->data());
    }
    /// Who sent it, as `node` sees it; null if nobody is.
    [[nodiscard]] std::shared_ptr<ref_resource> sender(const node_resource& node) const;
    /// As mail_resource::bury().
    void bury(node_resource& node, std::string_view path) noexcept;

private:
    static constexpr std::size_t cache_line = 64;
    static constexpr std::uintptr_t seen_bit = 1;
    [[nodiscard]] bool is_seen() const noexcept { return word_ & seen_bit; }
    [[nodiscard]] detail::envelope* message() const noexcept {
        return reinterpret_cast<detail::envelope*>(word_);  // NOLINT(performance-no-int-to-ptr)
    }
    [[nodiscard]] mail_resource* mail() const noexcept {
        return reinterpret_cast<mail_resource*>(word_ & ~seen_bit);  // NOLINT(performance-no-int-to-ptr)
    }
    void keep(std::shared_ptr<mail_resource> m) noexcept {
        word_ = reinterpret_cast<std::uintptr_t>(m.get()) | seen_bit;
        mail()->unseen = std::move(m);
    }
    void forget() noexcept {
        if (is_seen()) std::exchange(mail()->unseen, nullptr).reset();
        else detail::release(message());
    }
    // One word, for it is moved often: the message; or, with the lowest bit set, the mail, which holds
    // itself meanwhile; or nothing.
    std::uintptr_t word_ = 0;
};

/// f(the value of a handle): of a value, or of what a mail brought.
template <class F>
auto read_value(coppice_handle h, const char* argument, F f) {
    if (handle_table::is_kind(h, kind::mail)) return f(use<mail_resource>(h, argument)->content());
    return use<value_resource>(h, argument)->read(f);
}

struct handler_entry {
    coppice_handler call = nullptr;
    void* user = nullptr;
};

class actor_resource final : public resource, public std::enable_shared_from_this<actor_resource> {
public:
    static constexpr kind of_kind = kind::actor;
    actor_resource(std::shared_ptr<node_resource> n, std::shared_ptr<c::inbox> b)
        : node{std::move(n)}, box{std::move(b)} {}
    ~actor_resource() override;
    error given_back() override;

    std::shared_ptr<node_resource> node;
    std::shared_ptr<c::inbox> box;

    std::mutex handlers_mutex;
    std::map<int, handler_entry> handlers;
    std::thread server;  // under the same mutex
};

/// A node, or an actor and its node: what can send.
struct sender {
    pin<actor_resource> actor;
    pin<node_resource> node_handle;
    [[nodiscard]] node_resource& node() const { return actor ? *actor->node : *node_handle; }
    [[nodiscard]] detail::actor_id id() const noexcept;
    /// Of its scheduler; null for a node.
    [[nodiscard]] detail::drive_lease* lease() const noexcept;
};
[[nodiscard]] sender sender_of(coppice_handle from);

/// A ref to what a message names.
[[nodiscard]] coppice_ref handle_of(std::shared_ptr<ref_resource> r);

/// What a thread waits for that has posted something: set, or destroyed unset where the node has ended.
template <class R>
struct waiting {
    std::shared_ptr<detail::blocking_answer<R>> answer = std::make_shared<detail::blocking_answer<R>>();
    std::future<result<R>> arrival = answer->promise.get_future();
    /// Lets go of its own share first, or an answer that nobody gives would be waited for.
    result<R> get() {
        answer.reset();
        return arrival.get();
    }
};

/// Runs a coroutine in the node's name, as a child of its root without a name.
void run_in_node(node_resource& node, std::function<task<>(actor<anything>)> body);
/// Asks for an actor of the node, or of another one.
result<detail::address> find_actor(node_resource& node, std::string path);
/// The same without waiting: `told` is called once, on this thread or one of the node's, or destroyed if the node ends.
void find_actor_later(node_resource& node, std::string path,
                      std::function<void(result<detail::address>)> told);

}  // namespace coppice::c
