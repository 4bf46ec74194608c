// The least that can be called an actor: a coroutine, an intrusive mailbox, an intrusive run queue, and free lists in
// place of malloc. raw_core.cpp measures what it reaches: the limit that the framework's rows are held against.
//
// Everything here belongs to one thread. It has no identity, failure handling, type erasure or fairness; whatever the
// framework adds to it is what the framework costs.
//
//     sender --push--> [message] -> [message]   a mailbox: first, last
//                          |
//     scheduler: [actor] -> [actor]             an actor is queued when mail meets its waiting receive()
#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <thread>
#include <utility>

namespace bare {

// ---- memory: free lists by size, a chunk of 64 blocks at a time; nothing goes back to the system --------------------

class pool {
public:
    static void* take(std::size_t size) {
        const auto index = (size + step - 1) / step;
        if (index >= classes) return std::malloc(size);
        if (!free_[index]) refill(index);
        return std::exchange(free_[index], free_[index]->next);
    }

    static void give(void* memory, std::size_t size) noexcept {
        const auto index = (size + step - 1) / step;
        if (index >= classes) return std::free(memory);
        free_[index] = ::new (memory) block{free_[index]};
    }

private:
    struct block {
        block* next;
    };
    static constexpr std::size_t step = 32;
    static constexpr std::size_t classes = 64;
    static constexpr std::size_t blocks_per_chunk = 64;

    [[gnu::noinline]] static void refill(std::size_t index) {
        const auto size = index * step;
        auto* chunk = static_cast<std::byte*>(std::malloc(size * blocks_per_chunk));
        if (!chunk) std::abort();
        for (std::size_t i = blocks_per_chunk; i-- > 0;)
            free_[index] = ::new (chunk + i * size) block{free_[index]};
    }

    static inline constinit thread_local std::array<block*, classes> free_{};
};

struct pooled {
    static void* operator new(std::size_t size) { return pool::take(size); }
    static void operator delete(void* memory, std::size_t size) noexcept { pool::give(memory, size); }
};

// ---- intrusive first-in first-out list; Next is the member that links the items --------------------------------------

template <typename Item, Item* Item::* Next>
class fifo {
public:
    bool empty() const { return first_ == nullptr; }

    void push_back(Item& item) {
        item.*Next = nullptr;
        if (first_) last_->*Next = &item;
        else first_ = &item;
        last_ = &item;
    }

    void push_front(Item& item) {
        item.*Next = first_;
        if (!first_) last_ = &item;
        first_ = &item;
    }

    Item& pop() {
        auto& item = *first_;
        first_ = item.*Next;
        return item;
    }

private:
    Item* first_ = nullptr;
    Item* last_ = nullptr;
};

// ---- actors ----------------------------------------------------------------------------------------------------------

struct actor;

// Lives in the asker's frame: the answer goes straight there, no map of pending questions.
struct reply_slot {
    actor* asker = nullptr;
    std::uint64_t value = 0;
};

struct message : pooled {
    explicit message(std::uint64_t number, reply_slot* slot = nullptr) : value(number), reply(slot) {}

    message* next = nullptr;
    std::uint64_t value;
    reply_slot* reply;
};

using mail = std::unique_ptr<message>;

inline mail letter(std::uint64_t value) { return mail{new message{value}}; }

struct scheduler;

struct actor : pooled {
    explicit actor(scheduler& home) : run_by(&home) {}
    actor(const actor&) = delete;
    actor& operator=(const actor&) = delete;

    void send(mail letter);
    void make_runnable();

    auto receive() {
        struct awaiter {
            actor& self;
            bool await_ready() const { return !self.inbox.empty(); }
            void await_suspend(std::coroutine_handle<> frame) const {
                self.resume_point = frame;
                self.waiting = true;
            }
            mail await_resume() const { return mail{&self.inbox.pop()}; }
        };
        return awaiter{*this};
    }

    // Sends `value` with a slot for the answer and suspends until it is there.
    auto ask(actor& target, std::uint64_t value) {
        struct awaiter {
            actor& target;
            std::uint64_t question;
            reply_slot slot;
            bool await_ready() const { return false; }
            void await_suspend(std::coroutine_handle<> frame) {
                slot.asker->resume_point = frame;
                target.send(mail{new message{question, &slot}});
            }
            std::uint64_t await_resume() const { return slot.value; }
        };
        return awaiter{target, value, {this, 0}};
    }

    static void answer(reply_slot& slot, std::uint64_t value) {
        slot.value = value;
        slot.asker->make_runnable();
    }

    actor* next_to_run = nullptr;
    std::coroutine_handle<> resume_point;
    fifo<message, &message::next> inbox;
    scheduler* run_by;
    bool waiting = false;
};

struct scheduler {
    void run() {
        while (!ready.empty()) ready.pop().resume_point.resume();
    }

    fifo<actor, &actor::next_to_run> ready;
    bool newest_first = false;  // a fan-out then goes depth first and stays small, see skynet
};

inline void actor::make_runnable() {
    if (run_by->newest_first) run_by->ready.push_front(*this);
    else run_by->ready.push_back(*this);
}

inline void actor::send(mail letter) {
    inbox.push_back(*letter.release());
    if (std::exchange(waiting, false)) make_runnable();
}

// An actor's coroutine. The owner destroys the frame; a frame that ended stays suspended until then. An exception is
// kept and reported to `watcher`, the actor that the frame was started with, as a message of value `crashed`.
class [[nodiscard]] body {
public:
    static constexpr std::uint64_t crashed = ~std::uint64_t{0};

    struct promise_type : pooled {
        body get_return_object() { return body{std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {
            if (!watcher) std::abort();
            failure = std::current_exception();
            watcher->send(mail{new message{crashed}});
        }

        actor* watcher = nullptr;
        std::exception_ptr failure;
    };

    body() = default;
    body(body&& other) noexcept : frame_(std::exchange(other.frame_, {})) {}
    body& operator=(body&& other) noexcept {
        std::swap(frame_, other.frame_);
        return *this;
    }
    ~body() {
        if (frame_) frame_.destroy();
    }

    void start(actor& self, actor* watcher = nullptr) {
        frame_.promise().watcher = watcher;
        self.resume_point = frame_;
        self.make_runnable();
    }

private:
    explicit body(std::coroutine_handle<promise_type> frame) : frame_(frame) {}

    std::coroutine_handle<promise_type> frame_;
};

// ---- for rows of two threads -----------------------------------------------------------------------------------------

// Waits without sleeping; gives the core away only when the other thread cannot be running.
class patience {
public:
    void wait() {
        if (++rounds_ % 256 == 0) std::this_thread::yield();
        else __builtin_ia32_pause();
    }

private:
    std::uint32_t rounds_ = 0;
};

}  // namespace bare
