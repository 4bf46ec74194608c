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

/// A value with all its parts.
struct whole_value {
    explicit whole_value(value v, bool is_frozen = false) : root{std::move(v)}, frozen{is_frozen} {}
    value root;
    std::mutex mutex;          // of `root` while it is not frozen
    std::atomic<bool> frozen;  // never taken back
    int depth = 0;             // lists, records and maps within one another; of one that is being built
};

class value_resource final : public resource {
public:
    static constexpr kind of_kind = kind::value;
    explicit value_resource(std::shared_ptr<whole_value> w) : whole_{std::move(w)}, part_{&whole_->root} {}
    value_resource(std::shared_ptr<whole_value> w, const value* part) : whole_{std::move(w)}, part_{part} {}

    /// What reads it, with the lock where it may change meanwhile.
    template <class F>
    auto read(F&& f) const {
        if (whole_->frozen.load(std::memory_order_acquire)) return f(*part_);
        const std::lock_guard lock{whole_->mutex};
        return f(*part_);
    }
    void freeze() const {
        const std::lock_guard lock{whole_->mutex};
        whole_->frozen.store(true, std::memory_order_release);
    }
    /// The whole that it is, null if it is a part.
    [[nodiscard]] whole_value* root() const noexcept {
        return part_ == &whole_->root ? whole_.get() : nullptr;
    }
    [[nodiscard]] const std::shared_ptr<whole_value>& whole() const noexcept { return whole_; }

private:
    std::shared_ptr<whole_value> whole_;
    const value* part_;
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
