// A flow: one direction between two living nodes, whatever happens to links and relays in between. Numbers its records, keeps
// them until the other side has them, sends no more than the other side granted, and goes back to the last known record on
// any doubt. Both halves are plain state machines on one thread; they know no links, clocks or actors.
//
//     append() ─► [ acked | sent, not acked | waiting for credit ] ─► next_unsent() ─► a link
//                 ^ acknowledged(n) drops up to here    ^ rewind() goes back to the first one not acked
//
// Invariants (tests/property/flow_test.cpp):
//  1. first <= next unsent <= next; numbers go up by one and never come back within an epoch.
//  2. What is sent unasked never passes the credit, in bytes and in records, except in the system lane, which has none. So the
//     receiver holds at most its window of each: received - consumed <= window.
//  3. The receiver takes exactly the record after the last one it took; less is a repetition, more is a gap.
//  4. A record leaves the sender only when it was acknowledged, or when the flow ends.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

namespace coppice::net {

/// An amount of records, and of their bytes. As credit: since the beginning of the epoch, repetitions not counted; the number of
/// the last record that may be sent.
struct amount {
    std::uint64_t bytes = 0;
    std::uint64_t records = 0;
    bool operator==(const amount&) const = default;
};
inline constexpr amount unlimited{UINT64_MAX, UINT64_MAX};

/// A record: what lies in the queue, and what follows it from elsewhere.
struct record_bytes {
    std::span<std::byte> head;
    std::span<const std::byte> tail;
    [[nodiscard]] std::size_t size() const noexcept { return head.size() + tail.size(); }
};

/// Records in the order of their numbers, in blocks that are used again. The first record has the number first(). A record may
/// have a tail that somebody else's memory holds: a piece of a large message is not copied to be kept.
class record_queue {
public:
    explicit record_queue(std::size_t most_bytes) : most_{most_bytes} {}

    /// Room for one more record of that many bytes, a multiple of 8: it is in the queue at once, and is to be filled in now.
    /// Null if the queue is full. One record always fits into an empty queue.
    std::byte* append(std::size_t bytes);
    /// The same, with a tail, a multiple of 8 as well, which `holder` keeps alive until the record is dropped.
    std::byte* append(std::size_t bytes, std::span<const std::byte> tail, std::shared_ptr<const void> holder);
    [[nodiscard]] std::uint64_t first() const noexcept { return first_; }
    /// The number that the next appended record gets.
    [[nodiscard]] std::uint64_t next() const noexcept { return first_ + count_; }
    [[nodiscard]] std::uint64_t unsent() const noexcept { return unsent_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// Of those, what was not sent, or is to be sent again.
    [[nodiscard]] std::size_t unsent_bytes() const noexcept { return unsent_bytes_; }
    [[nodiscard]] bool has_unsent() const noexcept { return unsent_ < next(); }
    /// The record that was not sent yet, of has_unsent().
    [[nodiscard]] record_bytes next_unsent() const noexcept;
    [[nodiscard]] std::size_t next_unsent_size() const noexcept;
    void sent() noexcept;
    /// All are unsent again.
    void rewind() noexcept;
    /// Drops the records before number `until`, which must not be beyond unsent(). Returns their bytes.
    std::size_t drop(std::uint64_t until) noexcept;
    /// True if a record of that many bytes finds room.
    [[nodiscard]] bool has_room(std::size_t bytes) const noexcept {
        return count_ == 0 || bytes_ + bytes <= most_;
    }
    void clear() noexcept;
    /// Gives back memory that a burst has left, if the queue is empty.
    void trim() noexcept;

private:
    struct block {
        std::unique_ptr<std::byte[]> data;
        std::size_t size = 0;
        std::size_t used = 0;
    };
    struct place {
        std::size_t block = 0;  // index in blocks_
        std::size_t offset = 0;
    };
    struct long_tail {
        std::uint64_t number;
        std::span<const std::byte> bytes;
        std::shared_ptr<const void> holder;
    };
    // By number, so that dropping many records does not look at their memory. The highest bit: it has a tail.
    static constexpr std::uint32_t with_tail = 0x8000'0000u;
    [[nodiscard]] std::uint32_t& size_of(std::uint64_t number) noexcept {
        return sizes_[number & (sizes_.size() - 1)];
    }
    [[nodiscard]] std::uint32_t size_of(std::uint64_t number) const noexcept {
        return sizes_[number & (sizes_.size() - 1)];
    }
    void advance(place& p, std::size_t size) const noexcept;
    void push_size(std::uint32_t size);

    std::size_t most_;
    std::deque<block> blocks_;
    std::vector<block> spare_;
    std::vector<std::uint32_t> sizes_;  // a ring, of a power of two
    std::deque<long_tail> tails_;
    std::size_t tails_sent_ = 0;  // of tails_
    place head_;                  // of the first record
    place send_;                  // of the first unsent one
    std::uint64_t first_ = 1;
    std::uint64_t unsent_ = 1;
    std::uint64_t count_ = 0;
    std::size_t bytes_ = 0;
    std::size_t unsent_bytes_ = 0;
};

/// The sending half of one lane.
class outgoing {
public:
    /// `credit`: what the other side grants from the beginning; unlimited for a lane without credit.
    outgoing(std::size_t most_bytes, amount credit)
        : records_{most_bytes}, initial_credit_{credit}, credit_{credit} {}

    record_queue& records() noexcept { return records_; }
    [[nodiscard]] const record_queue& records() const noexcept { return records_; }
    /// A record may go out now.
    [[nodiscard]] bool may_send() const noexcept {
        return records_.has_unsent() && records_.unsent() <= credit_.records &&
               sent_bytes_ + records_.next_unsent_size() <= credit_.bytes;
    }
    [[nodiscard]] bool starved() const noexcept { return records_.has_unsent() && !may_send(); }
    void sent() noexcept {
        sent_bytes_ += records_.next_unsent_size();
        records_.sent();
    }
    /// The other side has taken all up to `number`, and grants `credit`, of which older words are overtaken. False: it claims what was
    /// never sent, or has forgotten what it acknowledged: not the same other side.
    bool acknowledged(std::uint64_t number, amount credit) noexcept;
    /// On doubt: what was not acknowledged goes out again.
    void rewind() noexcept {
        records_.rewind();
        sent_bytes_ = acked_bytes_;
    }
    [[nodiscard]] bool is_empty() const noexcept { return records_.first() == records_.next(); }
    [[nodiscard]] bool outstanding() const noexcept { return records_.first() < records_.unsent(); }
    [[nodiscard]] std::uint64_t last_acknowledged() const noexcept { return records_.first() - 1; }
    /// What may still be sent.
    [[nodiscard]] amount credit_left() const noexcept {
        return {credit_.bytes - std::min(credit_.bytes, sent_bytes_),
                credit_.records - std::min(credit_.records, records_.unsent() - 1)};
    }
    void clear() noexcept;

private:
    record_queue records_;
    amount initial_credit_;
    amount credit_;
    std::uint64_t sent_bytes_ = 0;  // since the beginning, repetitions not counted
    std::uint64_t acked_bytes_ = 0;
};

/// The receiving half of one lane.
class incoming {
public:
    enum class verdict : std::uint8_t { take, repeated, gap };

    /// `window`: what this node has room for.
    explicit incoming(amount window) : window_{window}, granted_{window} {}

    verdict arrive(std::uint64_t number, std::size_t bytes) noexcept {
        if (number <= received_) return verdict::repeated;
        if (number != received_ + 1) return verdict::gap;
        received_ = number;
        received_bytes_ += bytes;
        return verdict::take;
    }
    /// Records that no longer take up this node's memory on the flow's account.
    void consumed(amount what) noexcept {
        consumed_.bytes += what.bytes;
        consumed_.records += what.records;
    }
    /// What an acknowledgement says now.
    [[nodiscard]] std::uint64_t received() const noexcept { return received_; }
    [[nodiscard]] amount credit() const noexcept {
        return {consumed_.bytes + window_.bytes, consumed_.records + window_.records};
    }
    [[nodiscard]] amount window() const noexcept { return window_; }
    /// What is under way to the actors: received, not consumed.
    [[nodiscard]] amount held() const noexcept {
        return {received_bytes_ - consumed_.bytes, received_ - consumed_.records};
    }
    /// More has come than was granted.
    [[nodiscard]] bool overdrawn() const noexcept {
        return held().bytes > window_.bytes || held().records > window_.records;
    }
    /// Whether there is something to tell at all, and so much that it should not wait.
    [[nodiscard]] bool owes_acknowledgement() const noexcept {
        return received_ != told_ || credit() != granted_ || again_;
    }
    /// The last acknowledgement did not arrive, as a repetition shows.
    void tell_again() noexcept { again_ = true; }
    [[nodiscard]] bool owes_much() const noexcept {
        return received_bytes_ - told_bytes_ >= window_.bytes / 8 || received_ - told_ >= 256 ||
               credit().bytes - granted_.bytes >= window_.bytes / 4 ||
               credit().records - granted_.records >= window_.records / 4;
    }
    void told() noexcept {
        told_ = received_;
        told_bytes_ = received_bytes_;
        granted_ = credit();
        again_ = false;
    }
    void clear() noexcept { *this = incoming{window_}; }

private:
    amount window_;
    amount granted_;
    amount consumed_;
    std::uint64_t received_ = 0;
    std::uint64_t received_bytes_ = 0;
    std::uint64_t told_ = 0;
    std::uint64_t told_bytes_ = 0;
    bool again_ = false;
};

}  // namespace coppice::net
