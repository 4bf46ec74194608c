// Values and calls in a gateway's channels; see web_call.hpp. JSON is Boost's, compiled into this file and nowhere else:
// its parser checks UTF-8, nesting and numbers. Any thread.
#include "coppice/actors/web_call.hpp"

#include <array>
#include <cmath>
#include <memory>
#include <string_view>
#include <utility>

#include <boost/json/src.hpp>

namespace coppice::actors::web {

namespace {

namespace json = boost::json;

// `fits`: false if a number is beyond what a double holds, which the parser reads as infinite.
value value_of(const json::value& from, bool& fits) {
    switch (from.kind()) {
    case json::kind::null: return {};
    case json::kind::bool_: return from.get_bool();
    case json::kind::int64: return std::int64_t{from.get_int64()};
    case json::kind::uint64: return std::uint64_t{from.get_uint64()};
    case json::kind::double_: fits = fits && std::isfinite(from.get_double()); return from.get_double();
    case json::kind::string: return std::string_view{from.get_string().data(), from.get_string().size()};
    case json::kind::array: {
        value::list items;
        items.reserve(from.get_array().size());
        for (const json::value& each : from.get_array()) items.push_back(value_of(each, fits));
        return items;
    }
    case json::kind::object: break;
    }
    value::map entries;
    entries.reserve(from.get_object().size());
    for (const auto& each : from.get_object())
        entries.push_back(
            {std::string_view{each.key().data(), each.key().size()}, value_of(each.value(), fits)});
    return entries;
}

result<value> parsed(std::string_view text) {
    json::parse_options options;
    options.max_depth = limits::wire_nesting;
    json::error_code failure;
    const json::value tree = json::parse({text.data(), text.size()}, failure, {}, options);
    if (failure == json::error::too_deep)
        return error{errc::too_large, "JSON: deeper than " + std::to_string(limits::wire_nesting)};
    if (failure) return error{errc::bad_message, "JSON: " + failure.message()};
    bool fits = true;
    value read = value_of(tree, fits);
    if (!fits) return error{errc::bad_message, "JSON: a number is larger than a double can be"};
    return read;
}

/// Writes a value as JSON; stops at what JSON does not have.
class json_writer {
public:
    result<std::string> written(const value& what) {
        write(what, 0);
        if (missing_) return error{errc::invalid_argument, std::string{"JSON has no "} + missing_};
        return std::move(out_);
    }

private:
    void write(const value& what, int depth) {
        if (depth > limits::wire_nesting) missing_ = "values that deep here";
        if (missing_) return;
        std::visit([&](const auto& held) { put(held, depth); }, what.held());
    }
    void put(std::monostate, int) { out_ += "null"; }
    void put(bool b, int) { out_ += b ? "true" : "false"; }
    void put(std::int64_t n, int) { out_ += std::to_string(n); }
    void put(std::uint64_t n, int) { out_ += std::to_string(n); }
    void put(double n, int) {
        if (!std::isfinite(n)) missing_ = "numbers that are not finite";
        else out_ += json::serialize(json::value(n));
    }
    void put(const std::string& text, int) {
        out_ += json::serialize(json::string_view{text.data(), text.size()});
    }
    void put(const value::bytes&, int) { missing_ = "bytes"; }
    void put(const wire_reference&, int) { missing_ = "references"; }
    void put(const value::record& r, int depth) { put(r.fields, depth); }
    void put(const value::list& items, int depth) {
        char before = '[';
        for (const value& each : items) {
            out_ += std::exchange(before, ',');
            write(each, depth + 1);
        }
        out_ += items.empty() ? "[]" : "]";
    }
    void put(const value::map& entries, int depth) {
        char before = '{';
        for (const value::entry& each : entries) {
            const auto* key = each.key.get_if<std::string>();
            if (!key) missing_ = "keys other than text";
            if (missing_) return;
            out_ += std::exchange(before, ',');
            put(*key, depth);
            out_ += ':';
            write(each.mapped, depth + 1);
        }
        out_ += entries.empty() ? "{}" : "}";
    }

    std::string out_;
    const char* missing_ = nullptr;
};

const value* field(const value::map& of, std::string_view name) {
    for (const value::entry& each : of)
        if (const auto* key = each.key.get_if<std::string>(); key && *key == name) return &each.mapped;
    return nullptr;
}

value id_or_nothing(std::uint64_t id) { return id == 0 ? value{} : value{id}; }

// An error always fits.
content fault(std::uint64_t id, const error& why, kind as) {
    const value::map told{{"id", id_or_nothing(id)}, {"error", to_string(why.code())}, {"text", why.text()}};
    auto written = write_value(told, as);
    return written ? *std::move(written) : content{as, {}};
}

errc code_named(std::string_view name) {
    for (int n = 1; n < 256; ++n)
        if (const auto code = static_cast<errc>(n); to_string(code) == name) return code;
    return errc::failed;
}

}  // namespace

result<value> read_value(const content& from) {
    if (from.kind == kind::text) return parsed(from.view());
    return value::decode(from.bytes.bytes());
}

result<content> write_value(const value& what, kind as) {
    if (as == kind::text) {
        auto text_written = json_writer{}.written(what);
        if (!text_written) return text_written.error();
        return text(*std::move(text_written));
    }
    auto bytes = what.encode();
    if (bytes.empty()) return error{errc::too_large, "the value is too large, or too deep, for a message"};
    return binary(std::move(bytes));
}

result<call> read_call(const content& from) {
    auto read = read_value(from);
    if (!read) return read.error();
    const auto* fields = read->get_if<value::map>();
    if (!fields) return error{errc::bad_message, "a call is an object with \"id\", \"call\" and \"with\""};
    const value* name = field(*fields, "call");
    if (!name || !name->get_if<std::string>())
        return error{errc::bad_message, "a call's field \"call\" is its name, a text"};
    call made;
    made.came_as = from.kind;
    made.name = *name->get_if<std::string>();
    if (const value* id = field(*fields, "id"); id && id->kind() != value_kind::nothing) {
        const auto number = id->as<std::uint64_t>();
        if (!number) return error{errc::bad_message, "a call's field \"id\" is a number from 0"};
        made.id = *number;
    }
    if (const value* with = field(*fields, "with")) made.with = *with;
    return made;
}

content answer_to(const call& asked, const value& answer) {
    auto written = write_value(value::map{{"id", id_or_nothing(asked.id)}, {"value", answer}}, asked.came_as);
    return written ? *std::move(written) : fault(asked.id, written.error(), asked.came_as);
}

content answer_to(const call& asked, const error& why) { return fault(asked.id, why, asked.came_as); }

content fault_of(const content& message, const error& why) { return fault(0, why, message.kind); }

result<content> write_call(const call& asked) {
    return write_value(
        value::map{{"id", id_or_nothing(asked.id)}, {"call", asked.name}, {"with", asked.with}},
        asked.came_as);
}

result<answer> read_answer(const content& from) {
    auto read = read_value(from);
    if (!read) return read.error();
    const auto* fields = read->get_if<value::map>();
    if (!fields) return error{errc::bad_message, "an answer is an object"};
    answer made;
    if (const value* id = field(*fields, "id")) made.id = id->as<std::uint64_t>().value_or(0);
    const value* what = field(*fields, "value");
    const value* failed = field(*fields, "error");
    if (what) made.what = *what;
    if (failed) {
        const auto* name = failed->get_if<std::string>();
        const value* words = field(*fields, "text");
        const auto* text_of_it = words ? words->get_if<std::string>() : nullptr;
        if (!name) return error{errc::bad_message, "an answer's field \"error\" is a text"};
        made.failure = error{code_named(*name), text_of_it ? *text_of_it : std::string{}};
    } else if (!what) {
        return error{errc::bad_message, "an answer has a field \"value\" or \"error\""};
    }
    return made;
}

}  // namespace coppice::actors::web
