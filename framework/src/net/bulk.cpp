// Cutting large messages and putting them together; see bulk.hpp.
// Home thread. Envelopes that are taken over are released there too, when their last piece is acknowledged.
#include "net/bulk.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "coppice/error.hpp"
#include "coppice/options.hpp"
#include "net/router.hpp"

namespace coppice::net {

namespace {

// Segments up to this size are copied into the record that holds what follows them.
constexpr std::size_t small_segment = 1024;

// The message lives until its last piece is acknowledged. Whether it owes an answer is seen to elsewhere by then.
std::shared_ptr<const void> take_over(detail::envelope** e) {
    (*e)->flags &= static_cast<std::uint8_t>(~detail::envelope::owes_reply);
    detail::envelope* taken = *e;
    *e = nullptr;
    return std::shared_ptr<detail::envelope>{taken, [](detail::envelope* done) { detail::release(done); }};
}

}  // namespace

transfer::transfer(wire::envelope_fields fields, const detail::wire_functions& form, const void* body,
                   std::size_t bytes, detail::wire_context& context, detail::envelope** keep) {
    const detail::wire_bulk bulk = keep && form.bulk ? form.bulk(body) : detail::wire_bulk{};
    const std::size_t whole = wire::envelope_bytes + wire::padded_payload(bytes);
    // Each piece that is left out may become a loan, of a few words.
    const std::size_t room = whole - bulk.words * 8 + bulk.cuts * detail::loan_words * 8;
    auto written = std::make_shared_for_overwrite<std::byte[]>(room);
    std::byte* out = written.get();
    if (bulk.cuts == 0) {
        size_ = whole;
        wire::write_envelope(out, fields, static_cast<std::uint32_t>(bytes));
        if (bytes & 7) std::memset(out + whole - 8, 0, 8);
        form.write(body, out + wire::envelope_bytes, context);
        segments_.push_back({{out, whole}, std::move(written)});
        return;
    }
    detail::wire_cuts cuts;
    const std::size_t head =
        wire::envelope_bytes + form.write_apart(body, out + wire::envelope_bytes, context, cuts);
    COPPICE_ASSERT(head <= room && cuts.words() <= bulk.words, "a message has the size that it said");
    if (cuts.all.size() < bulk.cuts) fields.flags |= record_flag::loans;
    size_ = head + cuts.words() * 8;
    wire::write_envelope(out, fields, static_cast<std::uint32_t>(size_ - wire::envelope_bytes));
    std::shared_ptr<const void> message;
    segments_.reserve(2 * cuts.all.size() + 1);
    std::size_t from = 0;
    for (detail::wire_cut& cut : cuts.all) {
        const std::size_t to = wire::envelope_bytes + cut.at * 8;
        if (to > from) segments_.push_back({{out + from, to - from}, written});
        from = to;
        if (!cut.holder && !message) message = take_over(keep);
        segments_.push_back({cut.bytes, cut.holder ? std::move(cut.holder) : message});
    }
    if (head > from) segments_.push_back({{out + from, head - from}, std::move(written)});
}

transfer::piece transfer::next(std::size_t most) const {
    piece p;
    std::size_t offset = offset_;
    for (std::size_t i = at_; i < segments_.size() && p.copied < most; ++i, offset = 0) {
        const auto rest = segments_[i].bytes.subspan(offset);
        if (rest.size() > small_segment || p.copied + rest.size() > most) {
            p.shared =
                rest.first(std::min(rest.size(), most));  // a piece of what is large, and all before it
            p.holder = segments_[i].holder;
            break;
        }
        p.copied += rest.size();
    }
    return p;
}

void transfer::take(const piece& p, std::byte* out) noexcept {
    done_ += p.size();
    std::size_t left = p.size();
    std::size_t copied = p.copied;
    while (left > 0) {
        const auto rest = segments_[at_].bytes.subspan(offset_);
        const std::size_t n = std::min(rest.size(), copied > 0 ? copied : left);
        if (copied > 0) {
            std::memcpy(out, rest.data(), n);
            out += n;
            copied -= n;
        }
        left -= n;
        offset_ += n;
        if (offset_ < segments_[at_].bytes.size()) continue;
        segments_[at_].holder.reset();  // the records have it
        ++at_;
        offset_ = 0;
    }
}

void assembly::add(std::span<const std::byte> bytes, std::size_t whole) {
    const std::size_t sum = size_ + bytes.size();
    if (room_ < sum) {
        const std::size_t more = std::min(whole, std::max<std::size_t>(2 * sum, limits::flow_window));
        auto larger = detail::bulk_memory(more);
        if (size_) std::memcpy(larger.get(), memory_.get(), size_);
        memory_ = std::move(larger);
        room_ = more;
    }
    if (!bytes.empty()) std::memcpy(memory_.get() + size_, bytes.data(), bytes.size());
    size_ = sum;
}

blob assembly::finish() noexcept {
    const std::span<const std::byte> all{memory_.get(), std::exchange(size_, 0)};
    room_ = 0;
    return blob::of(all, std::move(memory_));
}

}  // namespace coppice::net
