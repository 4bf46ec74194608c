// Owners for what the C interface gives, and short ways to make and read it, for its tests. Any thread.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "coppice.h"

/// Of a call that must work: its text is part of the failure.
#define EXPECT_COPPICE_OK(call) EXPECT_EQ((call), COPPICE_OK) << coppice_error_text()
#define ASSERT_COPPICE_OK(call) ASSERT_EQ((call), COPPICE_OK) << coppice_error_text()

namespace coppice::tests {

/// Closes it.
class owned {
public:
    owned() noexcept = default;
    explicit owned(coppice_handle h) noexcept : handle_{h} {}
    owned(owned&& other) noexcept : handle_{std::exchange(other.handle_, 0)} {}
    owned& operator=(owned&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~owned() { close(); }
    void close() {
        if (handle_) EXPECT_COPPICE_OK(coppice_close(std::exchange(handle_, 0)));
    }
    operator coppice_handle() const noexcept { return handle_; }
    coppice_handle* out() noexcept { return &handle_; }
    coppice_handle release() noexcept { return std::exchange(handle_, 0); }

private:
    coppice_handle handle_ = 0;
};

/// Time for what takes none: no test waits that long unless it fails.
inline constexpr std::uint64_t long_ms = 30'000;

inline owned open_node(const char* name = nullptr, const char* listen = nullptr,
                       const char* parent = nullptr) {
    coppice_node_options o{};
    o.size = sizeof o;
    o.name = name;
    o.listen = listen;
    o.parent = parent;
    o.log_level = COPPICE_OFF;
    owned node;
    EXPECT_COPPICE_OK(coppice_open_node(&o, node.out()));
    return node;
}

inline owned open_actor(coppice_node node, const char* name = nullptr, std::uint32_t mailbox = 0) {
    coppice_actor_options o{};
    o.size = sizeof o;
    o.name = name;
    o.mailbox = mailbox;
    owned actor;
    EXPECT_COPPICE_OK(coppice_open_actor(node, &o, actor.out()));
    return actor;
}

inline owned self_of(coppice_actor a) {
    owned r;
    EXPECT_COPPICE_OK(coppice_self(a, r.out()));
    return r;
}

inline owned find(coppice_handle from, const std::string& path) {
    owned r;
    EXPECT_COPPICE_OK(coppice_find(from, path.c_str(), r.out()));
    return r;
}

inline std::string path_of(coppice_actor a) {
    const char* text = nullptr;
    std::size_t size = 0;
    EXPECT_COPPICE_OK(coppice_path(a, &text, &size));
    return {text, size};
}

inline owned receive(coppice_actor a) {
    owned m;
    EXPECT_COPPICE_OK(coppice_receive(a, long_ms, m.out()));
    return m;
}

inline owned value_of(coppice_mail m) {
    owned v;
    EXPECT_COPPICE_OK(coppice_mail_value(m, v.out()));
    return v;
}

inline int kind_of_mail(coppice_mail m) {
    int kind = -1;
    EXPECT_COPPICE_OK(coppice_mail_kind_of(m, &kind));
    return kind;
}

inline int kind_of(coppice_value v) {
    int kind = -1;
    EXPECT_COPPICE_OK(coppice_value_kind_of(v, &kind));
    return kind;
}

/// For people.
inline std::string text_of(coppice_value v) {
    std::string text(4096, '\0');
    EXPECT_COPPICE_OK(coppice_value_text(v, text.data(), text.size()));
    return text.c_str();
}

inline std::string string_in(coppice_value v) {
    const char* text = nullptr;
    std::size_t size = 0;
    EXPECT_COPPICE_OK(coppice_get_text(v, &text, &size));
    if (!text) return {};
    EXPECT_EQ(text[size], '\0');
    return {text, size};
}

inline std::string bytes_in(coppice_value v) {
    const void* bytes = nullptr;
    std::size_t size = 0;
    EXPECT_COPPICE_OK(coppice_get_bytes(v, &bytes, &size));
    return {static_cast<const char*>(bytes), size};
}

inline std::int64_t int_in(coppice_value v) {
    std::int64_t n = 0;
    EXPECT_COPPICE_OK(coppice_get_int64(v, &n));
    return n;
}

/// What the next mail holds, for people.
inline std::string next_text(coppice_actor a) {
    const owned m = receive(a);
    return text_of(value_of(m));
}

inline owned text_value(std::string_view text) {
    owned v;
    EXPECT_COPPICE_OK(coppice_new_text(text.data(), text.size(), v.out()));
    return v;
}
inline owned int_value(std::int64_t n) {
    owned v;
    EXPECT_COPPICE_OK(coppice_new_int64(n, v.out()));
    return v;
}

/// The next answer, from behind other mail; it is that of the number, with that code.
inline owned next_answer(coppice_actor to, std::uint64_t number, int code) {
    owned mail;
    EXPECT_COPPICE_OK(coppice_receive_answer(to, long_ms, mail.out()));
    std::uint64_t told = 0;
    int told_code = -1;
    EXPECT_COPPICE_OK(coppice_mail_number(mail, &told));
    EXPECT_COPPICE_OK(coppice_mail_code(mail, &told_code));
    EXPECT_EQ(told, number);
    EXPECT_EQ(told_code, code) << text_of(value_of(mail));
    return mail;
}

}  // namespace coppice::tests
