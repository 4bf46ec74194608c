// Storage of a flow's records, and what an acknowledgement does; see flow.hpp.
// Neither knows frames, links or clocks: who sends what, and when, is the router's to decide.
#include "net/flow.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace coppice::net {

namespace {

constexpr std::size_t first_block = 4 * 1024;  // a quiet flow stays small
constexpr std::size_t later_block = 64 * 1024;
constexpr std::size_t most_spare = 8;

}  // namespace

void record_queue::push_size(std::uint32_t size) {
    if (count_ == sizes_.size()) {
        std::vector<std::uint32_t> larger(std::max<std::size_t>(sizes_.size() * 2, 16));
        for (std::uint64_t n = first_; n < next(); ++n) larger[n & (larger.size() - 1)] = size_of(n);
        sizes_.swap(larger);
    }
    size_of(next()) = size;
    ++count_;
}

std::byte* record_queue::append(std::size_t bytes) {
    if (!has_room(bytes)) return nullptr;
    if (blocks_.empty() || blocks_.back().size - blocks_.back().used < bytes) {
        block fresh;
        if (!spare_.empty() && spare_.back().size >= bytes) {  // the one used last: still in the cache
            fresh = std::move(spare_.back());
            spare_.pop_back();
            fresh.used = 0;
        } else {
            fresh.size = std::max(bytes, blocks_.empty() && spare_.empty() ? first_block : later_block);
            fresh.data = std::make_unique_for_overwrite<std::byte[]>(fresh.size);
        }
        blocks_.push_back(std::move(fresh));
    }
    block& last = blocks_.back();
    std::byte* at = last.data.get() + last.used;
    if (count_ == 0) head_ = {blocks_.size() - 1, last.used};
    if (!has_unsent()) send_ = {blocks_.size() - 1, last.used};
    last.used += bytes;
    push_size(static_cast<std::uint32_t>(bytes));
    bytes_ += bytes;
    unsent_bytes_ += bytes;
    return at;
}

std::byte* record_queue::append(std::size_t bytes, std::span<const std::byte> tail,
                                std::shared_ptr<const void> holder) {
    if (!has_room(bytes + tail.size())) return nullptr;
    std::byte* at = append(bytes);
    const std::uint64_t number = next() - 1;
    size_of(number) |= with_tail;
    tails_.push_back({number, tail, std::move(holder)});
    bytes_ += tail.size();
    unsent_bytes_ += tail.size();
    return at;
}

void record_queue::advance(place& p, std::size_t size) const noexcept {
    p.offset += size;
    if (p.offset >= blocks_[p.block].used && p.block + 1 < blocks_.size()) p = {p.block + 1, 0};
}

record_bytes record_queue::next_unsent() const noexcept {
    const std::uint32_t size = size_of(unsent_);
    record_bytes r{{blocks_[send_.block].data.get() + send_.offset, size & ~with_tail}, {}};
    if (size & with_tail) [[unlikely]]
        r.tail = tails_[tails_sent_].bytes;
    return r;
}

std::size_t record_queue::next_unsent_size() const noexcept {
    const std::uint32_t size = size_of(unsent_);
    return (size & ~with_tail) + (size & with_tail ? tails_[tails_sent_].bytes.size() : 0);
}

void record_queue::sent() noexcept {
    unsent_bytes_ -= next_unsent_size();
    const std::uint32_t size = size_of(unsent_);
    if (size & with_tail) ++tails_sent_;
    advance(send_, size & ~with_tail);
    ++unsent_;
}

void record_queue::rewind() noexcept {
    send_ = head_;
    unsent_ = first_;
    tails_sent_ = 0;
    unsent_bytes_ = bytes_;
}

std::size_t record_queue::drop(std::uint64_t until) noexcept {
    std::size_t dropped = 0;
    while (first_ < until && count_ > 0) {
        const std::uint32_t size = size_of(first_);
        std::size_t whole = size & ~with_tail;
        if (size & with_tail) {
            whole += tails_.front().bytes.size();
            tails_.pop_front();
            if (tails_sent_ > 0) --tails_sent_;
        }
        dropped += whole;
        const std::size_t before = head_.block;
        advance(head_, size & ~with_tail);
        ++first_;
        --count_;
        if (head_.block != before) {
            if (spare_.size() < most_spare && blocks_.front().size == later_block)
                spare_.push_back(std::move(blocks_.front()));
            blocks_.pop_front();
            --head_.block;
            if (send_.block > 0) --send_.block;
        }
    }
    bytes_ -= dropped;
    if (unsent_ < first_) {
        unsent_ = first_;
        send_ = head_;
        unsent_bytes_ = bytes_;
    }
    if (count_ == 0 && !blocks_.empty()) {
        blocks_.back().used = 0;
        head_ = send_ = {blocks_.size() - 1, 0};
    }
    return dropped;
}

void record_queue::clear() noexcept {
    blocks_.clear();
    spare_.clear();
    sizes_ = std::vector<std::uint32_t>{};
    tails_.clear();
    tails_sent_ = 0;
    head_ = send_ = {};
    first_ = unsent_ = 1;
    count_ = 0;
    bytes_ = unsent_bytes_ = 0;
}

void record_queue::trim() noexcept {
    if (count_ > 0) return;
    blocks_.clear();
    spare_.clear();
    sizes_ = std::vector<std::uint32_t>{};
    head_ = send_ = {};
}

bool outgoing::acknowledged(std::uint64_t number, amount credit) noexcept {
    if (number >= records_.unsent() && number != records_.first() - 1) {
        // A repetition in flight may be acknowledged by what was sent before the rewind: those numbers were sent once.
        if (number >= records_.next()) return false;
        while (records_.unsent() <= number) sent();
    }
    if (number + 1 < records_.first()) return true;  // an older acknowledgement, overtaken
    acked_bytes_ += records_.drop(number + 1);
    credit_.bytes = std::max(credit_.bytes, credit.bytes);
    credit_.records = std::max(credit_.records, credit.records);
    return true;
}

void outgoing::clear() noexcept {
    records_.clear();
    credit_ = initial_credit_;
    sent_bytes_ = acked_bytes_ = 0;
}

}  // namespace coppice::net
