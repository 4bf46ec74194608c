// Handles of the C interface: numbers that stand for objects of the library, so that a stale or wrong one is an error and never a
// wild pointer. Any thread, without a lock where a handle is used.
//
//     | kind 8 | generation 32 | slot 24 |
//
// A slot is never freed; its generation tells one use of it from the next. Its state is one word,
//
//     | generation 32 | closed 1 | calls that use it 31 |
//
// and this holds for it: the object is there from the store that opens a generation until the call that finds the slot closed and
// is its last user destroys it, once. A call becomes a user by a compare-and-swap that succeeds in an open slot of its handle's
// generation alone, and `closed` is never taken back within a generation. So a user's object outlives it, also when the handle
// is closed meanwhile, and after that nobody becomes one.
//
// Slots that are free are in the table, under its lock, or in the share of a thread, which takes them from there and gives them
// back to it in batches, and all of them when it ends.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "coppice.h"
#include "coppice/error.hpp"

namespace coppice::c {

/// In the upper bits of a handle. Small integers and pointers have none of them there.
enum class kind : std::uint8_t {
    node = 0xc1,
    actor = 0xc2,
    ref = 0xc3,
    mail = 0xc4,
    value = 0xc5,
    space = 0xc6,
    slot = 0xc7,
    guard = 0xc8
};
inline constexpr kind all_kinds[] = {kind::node,  kind::actor, kind::ref,  kind::mail,
                                     kind::value, kind::space, kind::slot, kind::guard};

/// "a node", "an actor", ... for texts.
const char* name_of(kind k) noexcept;

/// What a handle stands for.
class resource {
public:
    virtual ~resource() = default;
    resource() = default;
    resource(const resource&) = delete;
    resource& operator=(const resource&) = delete;
    /// The handle is given back: once, on the thread that does so, while other calls may still use the object. May wait. An error
    /// is what the caller is told; it is given back all the same.
    virtual error given_back() { return {}; }
};

/// How a look at a handle ended.
enum class found : std::uint8_t { open, closed, no_handle };

class handle_table {
public:
    /// Throws std::bad_alloc, and bad_result (limit_reached) if there are too many.
    static coppice_handle add(kind k, std::shared_ptr<resource> what);
    /// Makes the caller a user of the object, until leave(). A handle of another kind is told by kind_of().
    static found enter(coppice_handle h, resource*& what) noexcept;
    static void leave(coppice_handle h) noexcept;
    /// By a user: for what is to outlive the handle.
    static std::shared_ptr<resource> share(coppice_handle h) noexcept;
    /// By a user: from now on nobody becomes one. False if somebody else has closed it.
    static bool close(coppice_handle h) noexcept;
    /// Looks at each slot there ever was.
    [[nodiscard]] static std::size_t open() noexcept;
    [[nodiscard]] static bool is_kind(coppice_handle h, kind k) noexcept {
        return h >> 56 == static_cast<std::uint64_t>(k);
    }
};

/// A user of a handle's object.
template <class T>
class pin {
public:
    pin() noexcept = default;
    pin(coppice_handle h, T* what) noexcept : handle_{h}, what_{what} {}
    pin(pin&& other) noexcept
        : handle_{std::exchange(other.handle_, 0)}, what_{std::exchange(other.what_, nullptr)} {}
    pin& operator=(pin&& other) noexcept {
        std::swap(handle_, other.handle_);
        std::swap(what_, other.what_);
        return *this;
    }
    ~pin() {
        if (what_) handle_table::leave(handle_);
    }
    T* operator->() const noexcept { return what_; }
    T& operator*() const noexcept { return *what_; }
    explicit operator bool() const noexcept { return what_ != nullptr; }
    [[nodiscard]] coppice_handle handle() const noexcept { return handle_; }
    [[nodiscard]] std::shared_ptr<T> share() const noexcept {
        return std::static_pointer_cast<T>(handle_table::share(handle_));
    }

private:
    coppice_handle handle_ = 0;
    T* what_ = nullptr;
};

}  // namespace coppice::c
