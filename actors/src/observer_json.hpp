// JSON as the observer writes it: objects of known keys, straight into a text, because thousands of rows are written a
// second. Values of callers stand in web_call.hpp; this knows only what a row is made of. Any thread; one writer is one thread's.
//
//     json_object row{out};
//     row.text("path", a.path).number("received", a.received);      // {"path":"/app/a","received":7}
//     row.end();
//
// A field that is empty or 0 is left out by the functions that say so: most of a row is.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace coppice::actors::observing {

/// As it is; of what is no UTF-8 every byte beyond ASCII becomes U+FFFD.
std::string as_utf8(std::string_view text);
/// With quotes, and as_utf8.
void put_json(std::string& out, std::string_view text);

class json_object {
public:
    explicit json_object(std::string& out) : out_{out} { out_ += '{'; }
    json_object(const json_object&) = delete;
    json_object& operator=(const json_object&) = delete;

    json_object& key(std::string_view name) {
        if (has_fields_) out_ += ',';
        has_fields_ = true;
        ((out_ += '"') += name) += "\":";
        return *this;
    }
    json_object& text(std::string_view name, std::string_view value) {
        put_json(key(name).out_, value);
        return *this;
    }
    json_object& number(std::string_view name, std::uint64_t value) {
        key(name).out_ += std::to_string(value);
        return *this;
    }
    json_object& flag(std::string_view name, bool value) {
        key(name).out_ += value ? "true" : "false";
        return *this;
    }
    json_object& text_if_any(std::string_view name, std::string_view value) {
        return value.empty() ? *this : text(name, value);
    }
    json_object& number_if_any(std::string_view name, std::uint64_t value) {
        return value == 0 ? *this : number(name, value);
    }
    json_object& flag_if_set(std::string_view name, bool value) { return value ? flag(name, true) : *this; }
    void end() { out_ += '}'; }

private:
    std::string& out_;
    bool has_fields_ = false;
};

/// [one,two]: calls put(out, each) for each.
template <class All, class Put>
void put_list(std::string& out, const All& all, Put put) {
    char before = '[';
    for (const auto& each : all) {
        out += before;
        before = ',';
        put(out, each);
    }
    out += before == '[' ? "[]" : "]";
}

}  // namespace coppice::actors::observing
