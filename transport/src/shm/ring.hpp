// The two ends of a ring of bytes in shared memory: one writer, one reader, no locks, and a bell only for a sleeper.
//
//        0                 head          tail        size            the data is mapped twice in a row,
//        |....free..........|==readable===|....free...|....          so that every region is contiguous
//                           ^ the reader moves it     ^ positions only grow; the index is position & (size - 1)
//
// A writer fills reserved room and publishes it by one store of the tail: a crash before that shows nothing. Neither side
// reads back what it stores itself; what the other side stores is copied once, checked, then used, and a value that cannot be
// makes the end `broken` for good. Sleeping is Dekker's pattern of four sequentially consistent accesses,
//
//        writer: tail = t;  is rx_wait set? ring the bell        reader: rx_wait = 1;  has the tail moved? do not sleep
//
// so that at least one side sees the other's store; for room the same with head and tx_wait. They are stores and loads, not
// fences: as fast on x86 (xchg), and ThreadSanitizer understands them. A wake without cause is legal, a lost one is not.
// Each end belongs to one thread. It knows no socket: publish() and the like say when the bell is due.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>

#include "layout.hpp"

namespace coppice::shm {

/// Rings that are wrong on purpose: the tests show that they would notice.
enum class flaw : std::uint8_t {
    none,
    publisher_unordered,  ///< whoever publishes looks at the flag before its store, as a processor may without the order
    sleeper_unordered,  ///< whoever goes to sleep looks at the position before it sets its flag
    tail_before_data    ///< the tail is published before the data is written
};

/// The one half of Dekker's pattern: the position is published. True: the other side sleeps, ring the bell.
template <flaw Flaw>
[[nodiscard]] bool publish_position(word64& at, std::uint64_t position, word32& waiting) noexcept {
    if constexpr (Flaw == flaw::publisher_unordered) {
        const bool asleep = waiting.value.load(std::memory_order_seq_cst) != 0;
        std::this_thread::yield();
        at.value.store(position, std::memory_order_release);
        return asleep && waiting.value.exchange(0, std::memory_order_acq_rel) != 0;
    }
    at.value.store(position, std::memory_order_seq_cst);
    return waiting.value.load(std::memory_order_seq_cst) != 0 &&
           waiting.value.exchange(0, std::memory_order_acq_rel) != 0;
}
/// The other half: the bell is asked for. The position after that.
template <flaw Flaw>
[[nodiscard]] std::uint64_t ask_for_bell(word32& waiting, const word64& at) noexcept {
    if constexpr (Flaw == flaw::sleeper_unordered) {
        const std::uint64_t position = at.value.load(std::memory_order_acquire);
        std::this_thread::yield();
        waiting.value.store(1, std::memory_order_release);
        return position;
    }
    waiting.value.store(1, std::memory_order_seq_cst);
    return at.value.load(std::memory_order_seq_cst);
}

template <flaw Flaw = flaw::none>
class basic_ring_writer {
public:
    /// `data`: 2 * size bytes of addresses, the second half the same memory as the first. `size`: a power of two.
    basic_ring_writer(ring_words& words, std::byte* data, std::size_t size) noexcept
        : words_{&words}, data_{data}, size_{size} {}

    /// All the room there is, if it is at least `least` (at least 1) bytes; else empty.
    std::span<std::byte> reserve(std::size_t least) noexcept {
        if (room() < least && !look(least)) [[unlikely]]
            return {};
        if constexpr (Flaw == flaw::tail_before_data) {
            published_ = tail_ + least;
            words_->tail.value.store(published_, std::memory_order_release);
        }
        return {data_ + (tail_ & (size_ - 1)), room()};
    }
    /// The first `n` bytes of the reserved room are output; the reader does not see them yet.
    void commit(std::size_t n) noexcept { tail_ += n; }
    [[nodiscard]] std::uint64_t unpublished() const noexcept { return tail_ - published_; }
    /// Shows the reader what was committed. True: it sleeps, ring the bell.
    [[nodiscard]] bool publish() noexcept {
        if (tail_ == published_ && Flaw != flaw::tail_before_data) return false;
        published_ = tail_;
        return publish_position<Flaw>(words_->tail, tail_, words_->rx_wait);
    }
    /// Whether there is room for that many bytes now, by a look at what the reader has released.
    bool look(std::size_t least) noexcept {
        return take(words_->head.value.load(std::memory_order_acquire)) && room() >= least;
    }
    /// Before sleeping until there is room for that many bytes; what was committed is published before. True: sleep, the
    /// bell will ring; false: there is room. awake() follows in both cases.
    [[nodiscard]] bool ask(std::size_t least) noexcept {
        const std::uint64_t head = ask_for_bell<Flaw>(words_->tx_wait, words_->head);
        return !(take(head) && room() >= least) && !broken_;
    }
    void awake() noexcept { words_->tx_wait.value.store(0, std::memory_order_relaxed); }
    /// The bell is still asked for, although there is room: between the reader's store and its bell, or a lost wake.
    [[nodiscard]] bool overslept(std::size_t least) noexcept {
        return look(least) && words_->tx_wait.value.load(std::memory_order_seq_cst) != 0;
    }
    /// Bytes committed that the reader had not released when last looked at.
    [[nodiscard]] std::uint64_t pending() const noexcept { return tail_ - head_; }
    /// The reader's position was impossible: nothing can be reserved any more.
    [[nodiscard]] bool broken() const noexcept { return broken_; }

private:
    [[nodiscard]] std::size_t room() const noexcept { return size_ - (tail_ - head_); }
    // The reader cannot have released less than before, nor more than was published.
    bool take(std::uint64_t head) noexcept {
        if (head - head_ > published_ - head_) [[unlikely]]
            broken_ = true;
        if (broken_) [[unlikely]] {
            head_ = tail_ - size_;  // no room
            return false;
        }
        head_ = head;
        return true;
    }

    ring_words* words_;
    std::byte* data_;
    std::size_t size_;
    std::uint64_t tail_ = 0;       // committed; ours
    std::uint64_t head_ = 0;       // the last valid position of the reader that was seen
    std::uint64_t published_ = 0;  // the tail as it stands in shared memory
    bool broken_ = false;
};

template <flaw Flaw = flaw::none>
class basic_ring_reader {
public:
    /// As for the writer; the data is not written to.
    basic_ring_reader(ring_words& words, const std::byte* data, std::size_t size) noexcept
        : words_{&words}, data_{data}, size_{size} {}

    /// Looks for what was published. True if there is more than at the last look.
    bool look() noexcept { return take(words_->tail.value.load(std::memory_order_acquire)); }
    /// What the looks have found and consume() has not released.
    [[nodiscard]] std::span<const std::byte> readable() const noexcept {
        return {data_ + (head_ & (size_ - 1)), static_cast<std::size_t>(tail_ - head_)};
    }
    /// Releases the first `n` of the readable bytes. True: the writer sleeps and half the ring is free, ring the bell.
    [[nodiscard]] bool consume(std::size_t n) noexcept {
        head_ += n;
        // An eighth at a time: the writer's line is not taken from it for every message, and it never waits for long.
        if (head_ - released_ < size_ / 8) return false;
        if (head_ - settled_ >= size_ / 2) return settle();
        released_ = head_;
        words_->head.value.store(head_, std::memory_order_release);
        return false;
    }
    /// Tells the writer of everything that was released; before sleeping, and when there is nothing to read. True: it
    /// sleeps, ring the bell.
    [[nodiscard]] bool settle() noexcept {
        if (settled_ == head_) return false;
        settled_ = released_ = head_;
        return publish_position<Flaw>(words_->head, head_, words_->tx_wait);
    }
    /// Before sleeping until there is more than at the last look; settle() goes before. True: sleep, the bell will ring;
    /// false: there is more. awake() follows in both cases. What has come is found by the next look().
    [[nodiscard]] bool ask() noexcept { return ask_for_bell<Flaw>(words_->rx_wait, words_->tail) == tail_; }
    void awake() noexcept { words_->rx_wait.value.store(0, std::memory_order_relaxed); }
    /// The bell is still asked for, although there is more: between the writer's store and its bell, or a lost wake.
    [[nodiscard]] bool overslept() const noexcept {
        return words_->tail.value.load(std::memory_order_seq_cst) != tail_ &&
               words_->rx_wait.value.load(std::memory_order_seq_cst) != 0;
    }
    /// The writer's position was impossible: nothing is found any more.
    [[nodiscard]] bool broken() const noexcept { return broken_; }

private:
    // The writer cannot have gone back, nor have written over what was not released.
    bool take(std::uint64_t tail) noexcept {
        if (tail == tail_) return false;
        if (tail - tail_ > size_ - (tail_ - head_)) [[unlikely]]
            broken_ = true;
        if (broken_) [[unlikely]]
            return false;
        tail_ = tail;
        return true;
    }

    ring_words* words_;
    const std::byte* data_;
    std::size_t size_;
    std::uint64_t head_ = 0;      // released, as far as we know; ours
    std::uint64_t tail_ = 0;      // the last valid position of the writer that was seen
    std::uint64_t released_ = 0;  // the head as it stands in shared memory
    std::uint64_t settled_ = 0;   // the head at the last look at tx_wait
    bool broken_ = false;
};

using ring_writer = basic_ring_writer<>;
using ring_reader = basic_ring_reader<>;

}  // namespace coppice::shm
