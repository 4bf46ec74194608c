// Lending, borrowing and giving back; see loans.hpp.
// Home thread, but for what a blob does when it is dropped. What a peer sends is checked here: a loan is used only where its
// memory is mapped, and a number that nobody gave is nobody's.
#include "net/loans.hpp"

#include <algorithm>
#include <cstring>

#include "coppice/options.hpp"
#include "coppice/value.hpp"
#include "net/control.hpp"

namespace coppice::net {

// ---------------------------------------------------------------- the lender's side

void lent_blobs::may_lend(std::uint64_t arena, std::uint32_t its_process) noexcept {
    detail::arena* own = detail::arena::opened();
    // Of a process whose end nobody would see, nothing could ever be taken back.
    arena_ = own && own->id() == arena && its_process != 0 ? own : nullptr;
    process_ = its_process;
}

bool lent_blobs::lend(const blob& b, detail::wire_loan& loan) {
    if (!arena_ || held_.size() >= limits::loans) return false;
    std::uint64_t offset = 0;
    if (arena_->holds(b.bytes(), offset)) {
        held_.emplace(++last_, loan_made{b});
    } else {
        // One copy, to where the other node reads it; by way of a link it would be two.
        if (b.size() <= limits::fragment || copied_ + b.size() > most_copied) return false;
        auto room = arena_->take(b.size());
        if (!room) return false;
        std::memcpy(room.get(), b.data(), b.size());
        const std::span<const std::byte> bytes{room.get(), b.size()};
        arena_->holds(bytes, offset);
        held_.emplace(++last_, loan_made{blob::of(bytes, std::move(room)), b.size()});
        copied_ += b.size();
    }
    loan = {arena_->id(), offset, b.size(), last_};
    return true;
}

void lent_blobs::returned(const std::vector<std::uint64_t>& numbers) noexcept {
    for (const std::uint64_t number : numbers) {
        const auto found = held_.find(number);
        if (found == held_.end()) continue;
        copied_ -= found->second.copied;
        held_.erase(found);
    }
}

void lent_blobs::leave() {
    detail::arena* own = detail::arena::opened();
    if (held_.empty() || !own) return;
    std::vector<blob> still;
    still.reserve(held_.size());
    for (auto& [number, made] : held_) still.push_back(std::move(made.lent));
    forget();
    own->keep_while_alive(process_, std::move(still));
}

// ---------------------------------------------------------------- the borrower's side

bool borrowed_blobs::borrow(const detail::wire_loan& loan, blob& out) {
    if (loan.arena != memory_->id()) return false;
    const auto bytes = memory_->bytes(loan.offset, loan.size);
    if (bytes.empty() || loan.size != bytes.size()) return false;
    out = blob::of(bytes, std::shared_ptr<const void>{
                              static_cast<const void*>(bytes.data()),
                              [self = shared_from_this(), number = loan.number,
                               size = loan.size](const void*) { self->give_back(number, size); }});
    return true;
}

void borrowed_blobs::give_back(std::uint64_t number, std::uint64_t size) noexcept {
    // With the lock, so that leave() ends it.
    const std::lock_guard lock{mutex_};
    if (!wake_) return;
    try {
        const bool first = returned_.empty();
        returned_.push_back(number);
        bytes_ += size;
        const bool now_urgent = returned_.size() >= urgent_count || bytes_ >= urgent_bytes;
        if (first || (now_urgent && !urgent_)) wake_();
        urgent_ = now_urgent;
    } catch (const std::bad_alloc&) {
        return;  // the lender keeps it until this process ends
    }
}

std::vector<std::uint64_t> borrowed_blobs::take_returned() {
    const std::lock_guard lock{mutex_};
    std::vector<std::uint64_t> taken;
    if (returned_.size() <= most_returned) {
        taken.swap(returned_);
        returned_.reserve(std::min<std::size_t>(taken.capacity(), urgent_count));
    } else {
        const auto rest = returned_.end() - static_cast<std::ptrdiff_t>(most_returned);
        taken.assign(rest, returned_.end());
        returned_.erase(rest, returned_.end());
    }
    bytes_ = 0;
    urgent_ = false;
    return taken;
}

bool borrowed_blobs::has_returned() noexcept {
    const std::lock_guard lock{mutex_};
    return !returned_.empty();
}

bool borrowed_blobs::is_urgent() noexcept {
    const std::lock_guard lock{mutex_};
    return urgent_;
}

void borrowed_blobs::leave() noexcept {
    const std::lock_guard lock{mutex_};
    wake_ = nullptr;
    returned_.clear();
}

bool message_loans::borrow(const detail::wire_loan& loan, blob& out) {
    for (const auto& [known, b] : taken_) {
        if (known.number != loan.number) continue;
        if (!(known == loan)) return false;
        out = b;
        return true;
    }
    if (!from_) return false;
    if (!from_->borrow(loan, out)) {
        from_->give_back(loan.number, 0);
        return false;
    }
    taken_.emplace_back(loan, out);
    return true;
}

// ---------------------------------------------------------------- messages that are not read as they are

namespace {

class copies_loans final : public detail::wire_context {
public:
    explicit copies_loans(message_loans& loans) : loans_{loans} {}
    detail::wire_reference out(const detail::address&) override { return {}; }
    detail::address in(const detail::wire_reference&) override { return {}; }
    bool borrow(const detail::wire_loan& loan, blob& to) override { return loans_.borrow(loan, to); }

private:
    message_loans& loans_;
};

// Only to be given back: the bytes are not looked at.
class drops_loans final : public detail::wire_context {
public:
    explicit drops_loans(borrowed_blobs& to) : to_{to} {}
    detail::wire_reference out(const detail::address&) override { return {}; }
    detail::address in(const detail::wire_reference&) override { return {}; }
    bool borrow(const detail::wire_loan& loan, blob&) override {
        to_.give_back(loan.number, loan.size);
        return true;
    }

private:
    borrowed_blobs& to_;
};

union value_room {
    value_room() noexcept {}
    ~value_room() {}
    value made;
};

}  // namespace

void return_unread(std::span<const std::byte> payload, const std::shared_ptr<borrowed_blobs>& to) {
    if (!to) return;
    drops_loans context{*to};
    value_room room;
    if (detail::wire_message<value>::read(payload, &room.made, context) == errc::ok) room.made.~value();
}

std::vector<std::byte> without_loans(std::span<const std::byte> payload,
                                     const std::shared_ptr<borrowed_blobs>& from) {
    message_loans loans{from};
    copies_loans context{loans};
    value_room room;
    if (detail::wire_message<value>::read(payload, &room.made, context) != errc::ok) return {};
    auto bytes = room.made.encode();
    room.made.~value();
    return bytes;
}

}  // namespace coppice::net
