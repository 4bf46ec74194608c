// What two threads need to hand messages to each other: the two-thread limits of suite `core` that share memory. Each
// row runs on the calling thread and on one that it starts and joins; an atomic's comment says what it pairs with.
#include "cross.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <deque>
#include <thread>

#include "bare.hpp"

namespace {

using bare::actor;
using bare::body;
using bare::mail;
using bare::message;
using bare::patience;
using bare::scheduler;
using raw::mailbox_limit;
using raw::senders;

constexpr std::size_t cache_line = 128;  // two lines: the neighbour is prefetched with it

// ---- fanin_cross: the same bound by a fixed stock of 1024 messages that travel in batches and come back empty ------------
//
//   senders' thread: stock --> batch of 32 --push--> outward (newest first) --take all, reverse--> receiver
//                    stock <--take all-- homeward <--push-- batch <-----------------------------------+

class alignas(cache_line) shared_stack {
public:
    // Releases the chain first..last; pairs with take_all().
    void push(message& first, message& last) {
        auto* top = top_.load(std::memory_order_relaxed);
        do last.next = top;
        while (
            !top_.compare_exchange_weak(top, &first, std::memory_order_release, std::memory_order_relaxed));
    }

    message* take_all() {
        if (!top_.load(std::memory_order_relaxed)) return nullptr;
        return top_.exchange(nullptr, std::memory_order_acquire);
    }

private:
    std::atomic<message*> top_{nullptr};  // null or the newest message
};

// Collects messages of one thread and publishes them 32 at a time.
class batch {
public:
    explicit batch(shared_stack& target) : target_(target) {}

    void add(message& item) {
        item.next = first_;
        if (!first_) last_ = &item;
        first_ = &item;
        if (++count_ == 32) flush();
    }

    void flush() {
        if (!first_) return;
        target_.push(*first_, *last_);
        first_ = nullptr;
        count_ = 0;
    }

private:
    shared_stack& target_;
    message* first_ = nullptr;
    message* last_ = nullptr;
    std::uint32_t count_ = 0;
};

message* reversed(message* chain) {
    message* result = nullptr;
    while (chain) {
        auto* next = std::exchange(chain->next, result);
        result = std::exchange(chain, next);
    }
    return result;
}

struct cross_source {
    message* stock = nullptr;
    batch outward;
    bare::fifo<actor, &actor::next_to_run> starved;
};

struct stock_awaiter {
    cross_source& source;
    actor& self;
    bool await_ready() const { return source.stock != nullptr; }
    void await_suspend(std::coroutine_handle<> frame) const {
        self.resume_point = frame;
        source.starved.push_back(self);
    }
    void await_resume() const {}
};

body cross_sender(actor& self, cross_source& source, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        while (!source.stock) co_await stock_awaiter{source, self};
        auto& item = *std::exchange(source.stock, source.stock->next);
        item.value = 1;
        source.outward.add(item);
    }
}

body cross_receiver(actor& self, batch& homeward, std::uint64_t count, std::uint64_t& sum) {
    for (std::uint64_t i = 0; i < count; ++i) {
        auto item = co_await self.receive();
        sum += item->value;
        homeward.add(*item.release());
    }
}

void run_cross_senders(std::span<message> stock, shared_stack& outward, shared_stack& homeward,
                       std::uint64_t each) {
    scheduler home;
    cross_source source{nullptr, batch{outward}, {}};
    for (auto& item : stock) item.next = std::exchange(source.stock, &item);
    std::deque<actor> actors;
    std::deque<body> bodies;
    for (std::uint64_t i = 0; i < senders; ++i) {
        auto& self = actors.emplace_back(home);
        bodies.push_back(cross_sender(self, source, each));
        bodies.back().start(self);
    }
    for (patience spin; home.run(), !source.starved.empty();) {
        source.outward.flush();
        while (!(source.stock = homeward.take_all())) spin.wait();
        while (!source.starved.empty()) source.starved.pop().make_runnable();
    }
    source.outward.flush();
}

// ---- pingpong_cross_sleep, pingpong_cross_poll: one word each way ------------------------------------------------------

struct alignas(cache_line) word {
    // The last round handed over: released by the writer, acquired by the reader.
    std::atomic<std::uint32_t> round{0};
};

struct polling {
    static void give(word& to, std::uint32_t round) { to.round.store(round, std::memory_order_release); }
    static void await(word& from, std::uint32_t round) {
        for (patience spin; from.round.load(std::memory_order_acquire) != round;) spin.wait();
    }
};

// Sleeps in the kernel for every message; futex(2) compares the word again, so no wake-up is lost.
struct sleeping {
    static void give(word& to, std::uint32_t round) {
        to.round.store(round, std::memory_order_release);
        ::syscall(SYS_futex, &to.round, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
    static void await(word& from, std::uint32_t round) {
        while (from.round.load(std::memory_order_acquire) != round)
            ::syscall(SYS_futex, &from.round, FUTEX_WAIT_PRIVATE, round - 1, nullptr, nullptr, 0);
    }
};

template <typename How>
bench::clock::duration cross_pingpong(std::uint32_t rounds) {
    word there;
    word back;
    std::thread other{[&] {
        for (std::uint32_t i = 1; i <= rounds + 1; ++i) {
            How::await(there, i);
            How::give(back, i);
        }
    }};
    auto round_trip = [&](std::uint32_t i) {
        How::give(there, i);
        How::await(back, i);
    };
    round_trip(1);  // the other thread runs
    const auto taken = bench::time_of([&] {
        for (std::uint32_t i = 2; i <= rounds + 1; ++i) round_trip(i);
    });
    other.join();
    return taken;
}

}  // namespace

namespace raw {

void fanin_cross(const bench::reporter& out) {
    const auto each = out.count<std::uint64_t>(5'000'000);
    std::vector<message> stock(mailbox_limit, message{0});
    shared_stack outward;
    shared_stack homeward;
    batch returns{homeward};
    scheduler home;
    actor self{home};
    std::uint64_t sum = 0;
    auto receiving = cross_receiver(self, returns, each * senders, sum);
    receiving.start(self);
    home.run();
    const auto taken = bench::time_of([&] {
        std::thread other{[&] { run_cross_senders(stock, outward, homeward, each); }};
        for (patience spin; sum < each * senders;) {
            auto* chain = reversed(outward.take_all());
            if (!chain) spin.wait();
            while (chain) self.send(mail{std::exchange(chain, chain->next)});
            home.run();
            returns.flush();
        }
        other.join();
    });
    out.per_second("fanin_cross", sum, taken);
}

void pingpong_cross_sleep(const bench::reporter& out) {
    const auto rounds = out.count<std::uint32_t>(40'000);
    out.per_second("pingpong_cross_sleep", rounds, cross_pingpong<sleeping>(rounds));
}

void pingpong_cross_poll(const bench::reporter& out) {
    const auto rounds = out.count<std::uint32_t>(4'000'000);
    out.per_second("pingpong_cross_poll", rounds, cross_pingpong<polling>(rounds));
}

}  // namespace raw
