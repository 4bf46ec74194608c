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
constexpr std::size_t prefix = 8;  // the record's size, before it

}  // namespace

std::byte* record_queue::append(std::size_t bytes) {
    if (!has_room(bytes)) return nullptr;
    const std::size_t wanted = bytes + prefix;
    if (blocks_.empty() || blocks_.back().size - blocks_.back().used < wanted) {
        block fresh;
        if (spare_.size >= wanted) {
            fresh = std::exchange(spare_, {});
            fresh.used = 0;
        } else {
            fresh.size = std::max(wanted, blocks_.empty() && !spare_.data ? first_block : later_block);
            fresh.data = std::make_unique_for_overwrite<std::byte[]>(fresh.size);
        }
        blocks_.push_back(std::move(fresh));
        if (count_ == 0) head_ = send_ = {blocks_.size() - 1, 0};
        else if (!has_unsent()) send_ = {blocks_.size() - 1, 0};
    }
    block& last = blocks_.back();
    std::byte* at = last.data.get() + last.used;
    const std::uint64_t size = bytes;
    std::memcpy(at, &size, prefix);
    if (count_ == 0) head_ = {blocks_.size() - 1, last.used};
    if (!has_unsent()) send_ = {blocks_.size() - 1, last.used};
    last.used += wanted;
    ++count_;
    bytes_ += wanted;
    return at + prefix;
}

std::size_t record_queue::size_at(const place& p) const noexcept {
    std::uint64_t size = 0;
    std::memcpy(&size, blocks_[p.block].data.get() + p.offset, prefix);
    return size;
}

void record_queue::advance(place& p) const noexcept {
    p.offset += size_at(p) + prefix;
    if (p.offset >= blocks_[p.block].used && p.block + 1 < blocks_.size()) p = {p.block + 1, 0};
}

std::span<std::byte> record_queue::next_unsent() const noexcept {
    return {blocks_[send_.block].data.get() + send_.offset + prefix, size_at(send_)};
}

void record_queue::sent() noexcept {
    advance(send_);
    ++unsent_;
}

void record_queue::rewind() noexcept {
    send_ = head_;
    unsent_ = first_;
}

std::size_t record_queue::drop(std::uint64_t until) noexcept {
    std::size_t dropped = 0;
    while (first_ < until && count_ > 0) {
        const std::size_t size = size_at(head_);
        dropped += size;
        bytes_ -= size + prefix;
        const std::size_t before = head_.block;
        advance(head_);
        ++first_;
        --count_;
        if (head_.block != before) {
            if (!spare_.data || spare_.size < blocks_.front().size) spare_ = std::move(blocks_.front());
            blocks_.pop_front();
            --head_.block;
            if (send_.block > 0) --send_.block;
        }
    }
    if (unsent_ < first_) {
        unsent_ = first_;
        send_ = head_;
    }
    if (count_ == 0 && !blocks_.empty()) {
        blocks_.back().used = 0;
        head_ = send_ = {blocks_.size() - 1, 0};
    }
    return dropped;
}

void record_queue::clear() noexcept {
    blocks_.clear();
    spare_ = {};
    head_ = send_ = {};
    first_ = unsent_ = 1;
    count_ = 0;
    bytes_ = 0;
}

bool outgoing::acknowledged(std::uint64_t number, std::uint64_t credit) noexcept {
    if (number >= records_.unsent() && number != records_.first() - 1) {
        // A repetition in flight may be acknowledged by what was sent before the rewind: those numbers were sent once.
        if (number >= records_.next()) return false;
        while (records_.unsent() <= number) sent();
    }
    if (number + 1 < records_.first()) return true;  // an older acknowledgement, overtaken
    acked_bytes_ += records_.drop(number + 1);
    credit_ = std::max(credit_, credit);
    return true;
}

void outgoing::clear() noexcept {
    records_.clear();
    credit_ = initial_credit_;
    sent_bytes_ = acked_bytes_ = 0;
}

}  // namespace coppice::net
