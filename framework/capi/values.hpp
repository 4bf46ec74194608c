// Values behind handles: a coppice::value, shared by the handles of it and of its parts.
// A value that is still being built belongs to one handle, and its lock keeps calls of several threads apart. Once a part of it has
// a handle it is frozen: nothing changes any more, and it is read without the lock. A message that came is frozen from the start.
#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "calls.hpp"
#include "coppice/tagged.hpp"
#include "coppice/value.hpp"

namespace coppice::c {

class node_resource;

/// A value of the program's own with all its parts.
struct whole_value {
    explicit whole_value(value v) : root{std::move(v)} {}
    value root;
    std::mutex mutex;                 // of `root` while it is not frozen
    std::atomic<bool> frozen{false};  // never taken back
    int depth = 0;                    // lists, records and maps within one another, while it is built
};

/// A value, or a part of one, that something else holds; see built_value for one that it holds itself.
class value_resource : public resource {
public:
    static constexpr kind of_kind = kind::value;
    /// `whole` null: it was frozen from the start.
    value_resource(std::shared_ptr<const void> holder, whole_value* whole, const value* part) noexcept
        : holds_{std::move(holder)}, whole_{whole}, part_{part} {}

    /// What reads it, with the lock where it may change meanwhile.
    template <class F>
    auto read(F&& f) const {
        if (!whole_ || whole_->frozen.load(std::memory_order_acquire)) return f(*part_);
        const std::lock_guard lock{whole_->mutex};
        return f(*part_);
    }
    void freeze() const {
        if (!whole_) return;
        const std::lock_guard lock{whole_->mutex};
        whole_->frozen.store(true, std::memory_order_release);
    }
    [[nodiscard]] whole_value* whole() const noexcept { return whole_; }
    /// The whole that it is, null if it is a part.
    [[nodiscard]] whole_value* root() const noexcept {
        return whole_ && part_ == &whole_->root ? whole_ : nullptr;
    }
    /// What keeps it, for what outlives the handle.
    static std::shared_ptr<const void> holder(const pin<value_resource>& of) {
        if (of->holds_) return of->holds_;
        return of.share();
    }

protected:
    explicit value_resource(whole_value& own) noexcept : whole_{&own}, part_{&own.root} {}

private:
    std::shared_ptr<const void> holds_;  // null: the derived object does
    whole_value* whole_;
    const value* part_;
};

/// A value in one piece of memory with what its handle stands for.
class built_value final : public value_resource {
public:
    explicit built_value(value v) : value_resource{own_}, own_{std::move(v)} {}

private:
    whole_value own_;
};

[[nodiscard]] coppice_value handle_of(value v, bool frozen = false);
/// The value of an argument, of a value or a mail, for a message: as tagged and refs stand in one.
[[nodiscard]] value value_of(coppice_handle v, const char* argument);
/// COPPICE_NOTHING, ... of what came or is being built.
[[nodiscard]] int kind_of(const value& v) noexcept;
[[nodiscard]] value tagged_value(std::uint64_t tag, std::string_view bytes);
/// Refuses what is too large for a message.
void check_size(std::size_t bytes, const char* argument);

}  // namespace coppice::c
