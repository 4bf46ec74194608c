// Texts of failures, checks of arguments, and the watch for fork(); see calls.hpp.
// What a thread's last failures were is the thread's own.
#include "calls.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <utility>

namespace coppice::c {

constinit std::atomic<bool> forked{false};

namespace {

struct last_failures {
    struct one {
        coppice_handle first = 0;
        std::string text;
    };
    std::string text;
    std::array<one, 16> by_handle;  // the oldest is forgotten
    std::size_t next = 0;
};
thread_local last_failures last;

void keep(coppice_handle first, std::string text) {
    if (first) {
        auto place = std::find_if(last.by_handle.begin(), last.by_handle.end(),
                                  [&](const auto& one) { return one.first == first; });
        if (place == last.by_handle.end()) {
            place = last.by_handle.begin() + static_cast<std::ptrdiff_t>(last.next);
            last.next = (last.next + 1) % last.by_handle.size();
        }
        place->first = first;
        place->text = text;
    }
    last.text = std::move(text);
}

}  // namespace

void refuse(errc code, std::string text) { throw refused{error{code, std::move(text)}}; }

int failed_with(const char* function, coppice_handle first, const error& why) noexcept {
    try {
        if (why.code() == errc::failed && !why.text().empty()) {
            keep(first, std::string{why.text()});
        } else {
            const std::string_view said = why.text();
            std::string text = std::string{function} + ": " + std::string{to_string(why.code())};
            if (!said.empty()) (text += ": ") += said;
            if (const char* advice = advice_for(why.code()); *advice) ((text += " (") += advice) += ")";
            keep(first, std::move(text));
        }
    } catch (const std::bad_alloc&) {
        last.text.clear();  // there is no room for words; the code says it
    }
    return static_cast<int>(why.code());
}

int failed_with(const char* function, coppice_handle first, errc code, const char* text) noexcept {
    try {
        keep(first, std::string{function} + ": " + text);
    } catch (const std::bad_alloc&) {
        last.text.clear();
    }
    return static_cast<int>(code);
}

const char* last_text() noexcept { return last.text.c_str(); }

const char* last_text_of(coppice_handle first) noexcept {
    for (const auto& one : last.by_handle)
        if (first && one.first == first) return one.text.c_str();
    return "";
}

void watch_forks() {
    static std::once_flag once;
    std::call_once(once, [] {
        if (::pthread_atfork(nullptr, nullptr, [] { forked.store(true, std::memory_order_relaxed); }) != 0)
            throw std::bad_alloc{};
    });
}

void refuse_null(const char* argument) {
    refuse(errc::invalid_argument, std::string{"`"} + argument + "` is NULL");
}

std::string_view bytes_of(const void* bytes, std::size_t size, const char* argument) {
    if (!bytes && size != 0) need(bytes, argument);
    return size ? std::string_view{static_cast<const char*>(bytes), size} : std::string_view{};
}

std::string_view text_of(const char* text, std::size_t size, const char* argument) {
    if (size == COPPICE_TERMINATED) {
        need(text, argument);
        size = std::strlen(text);
    }
    const std::string_view all = bytes_of(text, size, argument);
    if (const std::size_t at = not_utf8(all); at != std::string_view::npos)
        refuse(errc::invalid_argument, std::string{"`"} + argument + "` is no UTF-8 from byte " +
                                           std::to_string(at) + " on: send it as bytes, or convert it");
    return all;
}

std::string_view name_of(const char* text, const char* argument) {
    return text_of(text, COPPICE_TERMINATED, argument);
}

// The well-formed sequences of the Unicode Standard, table 3-7.
std::size_t not_utf8(std::string_view text) noexcept {
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    const std::size_t size = text.size();
    std::size_t i = 0;
    while (i < size) {
        if (bytes[i] < 0x80) {
            std::uint64_t eight = 0;
            if (size - i >= 8 && (std::memcpy(&eight, bytes + i, 8), (eight & 0x8080'8080'8080'8080) == 0))
                i += 8;
            else ++i;
            continue;
        }
        const unsigned char first = bytes[i];
        std::size_t more = 0;
        unsigned char least = 0x80;
        unsigned char most = 0xbf;
        if (first >= 0xc2 && first <= 0xdf) more = 1;
        else if (first >= 0xe0 && first <= 0xef) more = 2;
        else if (first >= 0xf0 && first <= 0xf4) more = 3;
        else return i;
        if (first == 0xe0) least = 0xa0;
        else if (first == 0xed) most = 0x9f;  // no surrogates
        else if (first == 0xf0) least = 0x90;
        else if (first == 0xf4) most = 0x8f;  // nothing beyond U+10FFFF
        if (size - i <= more) return i;
        for (std::size_t k = 1; k <= more; ++k) {
            if (bytes[i + k] < least || bytes[i + k] > most) return i;
            least = 0x80;
            most = 0xbf;
        }
        i += more + 1;
    }
    return std::string_view::npos;
}

void copy_text(std::string_view from, char* text, std::size_t room) {
    need(text, "text");
    if (room == 0) refuse(errc::invalid_argument, "`room` is 0: not even the terminating zero fits");
    std::size_t size = std::min(from.size(), room - 1);
    // Not in the middle of a character.
    while (size > 0 && size < from.size() && (static_cast<unsigned char>(from[size]) & 0xc0) == 0x80) --size;
    std::memcpy(text, from.data(), size);
    text[size] = '\0';
}

std::chrono::nanoseconds limit_of(std::uint64_t milliseconds) noexcept {
    constexpr std::uint64_t century = std::uint64_t{100} * 365 * 24 * 3600 * 1000;
    return std::chrono::milliseconds{static_cast<std::int64_t>(std::min(milliseconds, century))};
}

const char* advice_for(errc code) noexcept {
    switch (code) {
    case errc::mailbox_full: return "wait for room with coppice_send, send less, or give its mailbox more";
    case errc::down: return "find it again, or start it";
    case errc::no_handler: return "the receiver takes no such message";
    case errc::no_reply: return "the receiver has dropped the request";
    case errc::node_lost: return "find it again when its node is back";
    default: return "";
    }
}

void refuse_handle(coppice_handle h, found how, const char* argument, const char* wanted) {
    const std::string begin = std::string{"`"} + argument + "` ";
    if (h == 0) refuse(errc::invalid_argument, begin + "is 0, where " + wanted + " is needed");
    if (how == found::closed) refuse(errc::closed, begin + "was closed before");
    for (const kind k : all_kinds) {
        if (!handle_table::is_kind(h, k) || name_of(k) == std::string_view{wanted}) continue;
        resource* what = nullptr;
        const found other = handle_table::enter(h, what);
        if (other == found::open) handle_table::leave(h);
        if (other == found::no_handle) break;
        refuse(errc::invalid_argument,
               begin + "is the handle of " + name_of(k) + ", where " + wanted + " is needed");
    }
    refuse(errc::invalid_argument, begin + "is no handle, where " + wanted + " is needed");
}

}  // namespace coppice::c
