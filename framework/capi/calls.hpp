// How every function of coppice.h is entered: nothing is thrown across the border, null pointers and wrong handles are told by
// name, a forked process is refused, and the text of a failure is kept for the thread. Any thread.
//
//     int coppice_self(coppice_actor actor, coppice_ref* out) {
//         return call("coppice_self", actor, [&] {
//             need(out, "out");
//             const auto a = use<actor_resource>(actor, "actor");
//             ...
//             return error{};
//         });
//     }
#pragma once
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <string_view>

#include "coppice/error.hpp"
#include "handles.hpp"

namespace coppice::c {

/// Ends a call: the error is what it returns. Not derived from std::exception: it is the library's own.
struct refused {
    error why;
};
[[noreturn]] void refuse(errc code, std::string text);

/// Notes why a call failed, and gives its code. A callee's own words (failed) stay as they are.
int failed_with(const char* function, coppice_handle first, const error& why) noexcept;
int failed_with(const char* function, coppice_handle first, errc code, const char* text) noexcept;
[[nodiscard]] const char* last_text() noexcept;
[[nodiscard]] const char* last_text_of(coppice_handle first) noexcept;

extern constinit std::atomic<bool> forked;
/// True in a process that was forked from one that had opened a node or a space.
[[nodiscard]] inline bool is_forked() noexcept { return forked.load(std::memory_order_relaxed); }
/// From the first node, or space, on.
void watch_forks();

template <class F>
int call(const char* function, coppice_handle first, F&& body) noexcept {
    try {
        if (is_forked())
            return failed_with(
                function, first, errc::invalid_argument,
                "this process was made by fork() from one that had opened a node or a space, whose threads "
                "are not here: open them after the fork, or call exec()");
        const error outcome = body();
        return outcome.code() == errc::ok ? COPPICE_OK : failed_with(function, first, outcome);
    } catch (const refused& r) {
        return failed_with(function, first, r.why);
    } catch (const bad_result& r) {
        return failed_with(function, first, r.error());
    } catch (const std::bad_alloc&) {
        return failed_with(function, first, errc::limit_reached, "there is no memory left");
    } catch (const std::exception& e) {
        return failed_with(function, first, errc::failed, e.what());
    } catch (...) {  // NOLINT(bugprone-empty-catch): nothing may leave; its type is all that is not told
        return failed_with(function, first, errc::failed, "an exception that is no std::exception");
    }
}

[[noreturn]] void refuse_null(const char* argument);
/// `argument` must not be null.
inline void need(const void* pointer, const char* argument) {
    if (!pointer) [[unlikely]]
        refuse_null(argument);
}
/// The bytes of an argument; `size` COPPICE_TERMINATED for a text with a terminating zero. Null is allowed for none.
[[nodiscard]] std::string_view bytes_of(const void* bytes, std::size_t size, const char* argument);
/// The same, which must be UTF-8.
[[nodiscard]] std::string_view text_of(const char* text, std::size_t size, const char* argument);
/// A name or path with a terminating zero.
[[nodiscard]] std::string_view name_of(const char* text, const char* argument);
/// Where the first byte stands that is no UTF-8; npos if all is.
[[nodiscard]] std::size_t not_utf8(std::string_view text) noexcept;
/// Copies a text for people: at most `room` bytes with the zero. invalid_argument for no room.
void copy_text(std::string_view from, char* text, std::size_t room);

/// A time limit. COPPICE_FOREVER, and everything beyond a century, is a century.
[[nodiscard]] std::chrono::nanoseconds limit_of(std::uint64_t milliseconds) noexcept;

/// What is to be done about an error, where the code alone does not say it.
[[nodiscard]] const char* advice_for(errc code) noexcept;

[[noreturn]] void refuse_handle(coppice_handle h, found how, const char* argument, const char* wanted);

/// The object of a handle of T's kind.
template <class T>
pin<T> use(coppice_handle h, const char* argument) {
    if (!handle_table::is_kind(h, T::of_kind))
        refuse_handle(h, found::no_handle, argument, name_of(T::of_kind));
    resource* what = nullptr;
    const found how = handle_table::enter(h, what);
    if (how != found::open) refuse_handle(h, how, argument, name_of(T::of_kind));
    return {h, static_cast<T*>(what)};
}

/// Closes a handle of any kind, by a user of it.
template <class T>
void give_back(const pin<T>& one) {
    if (handle_table::close(one.handle())) static_cast<void>(one->given_back());
}

}  // namespace coppice::c
