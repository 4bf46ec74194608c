// Values as Lua; see script_text.hpp. What a script can send stands in script_values.cpp: the two belong together, and a test
// holds them against each other by way of Lua itself.
#include "coppice/actors/script_text.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "script_values.hpp"

namespace coppice::actors {

namespace {

struct not_written {
    std::string why;
};

std::string digits_of(double n) {
    if (std::isinf(n)) return n < 0 ? "-math.huge" : "math.huge";
    if (std::isnan(n)) {  // which of the many, bit by bit
        std::string bytes;
        for (int i = 0; i < 8; ++i)
            bytes += fmt::format("\\{:03}", std::bit_cast<std::uint64_t>(n) >> (8 * i) & 0xff);
        return "(string.unpack(\"<d\", \"" + bytes + "\"))";
    }
    std::string text = fmt::format("{}", n);
    if (text.find_first_of(".e") == std::string::npos) text += ".0";
    return text;
}

class writer {
public:
    explicit writer(const script_ref_text& refs) noexcept : refs_{refs} {}

    void write(const value& v, int depth) {
        std::visit([&](const auto& held) { one(held, depth); }, v.held());
    }
    void record(const value::record& r, std::string_view type, int depth) {
        const std::string name = type.empty() ? "nil" : script_literal(type);
        if (r.fields.empty()) {
            out += "coppice.record(" + name + ")";
        } else if (r.fields.size() <= script_text_arguments) {
            out += "coppice.record(" + name + ", ";
            all(r.fields, depth);
            out += ")";
        } else {
            out += "coppice.record(" + name + ", table.unpack{";
            all(r.fields, depth);
            out += "})";
        }
    }
    std::string out;

private:
    void one(std::monostate, int depth) { out += depth == 0 ? "nil" : "coppice.nothing"; }
    void one(bool b, int) { out += b ? "true" : "false"; }
    void one(std::int64_t n, int) { out += n == INT64_MIN ? "math.mininteger" : std::to_string(n); }
    void one(std::uint64_t n, int) {
        const bool fits = n <= static_cast<std::uint64_t>(INT64_MAX);
        out += fits ? std::to_string(n) : "coppice.unsigned(\"" + std::to_string(n) + "\")";
    }
    void one(double n, int) { out += digits_of(n); }
    void one(const std::string& s, int) {
        if (!script_parts::is_text(s)) throw not_written{"a text that is no UTF-8"};
        out += script_literal(s);
    }
    void one(const value::bytes& b, int) {
        out += "coppice.bytes(" + script_literal({reinterpret_cast<const char*>(b.data()), b.size()}) + ")";
    }
    void one(const value::list& list, int depth) {
        out += "coppice.list{";
        all(list, depth);
        out += "}";
    }
    void one(const value::record& r, int depth) { record(r, {}, depth); }
    void one(const value::map& map, int depth) {
        go_in(depth);
        out += "coppice.map{";
        std::set<std::string> keys;
        for (const auto& [key, mapped] : map) {
            if (const auto* real = key.get_if<double>(); real && std::isnan(*real))
                throw not_written{"a map with NaN as a key"};
            out += out.back() == '{' ? "[" : ", [";
            const std::size_t begin = out.size();
            write(key, depth + 1);
            if (!is_object(key) && !keys.insert(key_text(key, out.substr(begin))).second)
                throw not_written{"a map that has a key twice"};
            out += "] = ";
            write(mapped, depth + 1);
        }
        out += "}";
    }
    void one(const wire_reference& r, int) {
        const auto text = refs_ ? refs_(r) : std::nullopt;
        if (!text) throw not_written{"a ref of an actor that cannot be found by a path"};
        out += *text;
    }
    void all(const std::vector<value>& values, int depth) {
        go_in(depth);
        for (std::size_t i = 0; i < values.size(); ++i) {
            if (i != 0) out += ", ";
            write(values[i], depth + 1);
        }
    }
    static void go_in(int depth) {
        if (depth >= limits::wire_nesting)
            throw not_written{"lists, records and maps nested deeper than limits::wire_nesting"};
    }
    // A key as Lua compares them: numbers of one value are one key, whatever their kind; lists, records and maps are keys by what
    // they are, and so never the same.
    static std::string key_text(const value& key, const std::string& written) {
        constexpr double bound = 9223372036854775808.0;  // 2^63
        const auto* real = key.get_if<double>();
        if (real && *real >= -bound && *real < bound && std::trunc(*real) == *real)
            return std::to_string(static_cast<std::int64_t>(*real));
        return key.get_if<std::int64_t>() ? std::to_string(*key.get_if<std::int64_t>()) : written;
    }
    static bool is_object(const value& key) {
        return key.get_if<value::list>() || key.get_if<value::record>() || key.get_if<value::map>();
    }

    const script_ref_text& refs_;
};

}  // namespace

std::string script_literal(std::string_view text) {
    const bool is_utf8 = script_parts::is_text(text);
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') (out += '\\') += c;
        else if (c == '\n') out += "\\n";
        else if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !is_utf8))
            out += fmt::format("\\{:03}", byte);
        else out += c;
    }
    return out + '"';
}

result<std::string> script_text(const value& v, std::string_view type, const script_ref_text& refs) {
    writer w{refs};
    try {
        if (const auto* r = v.get_if<value::record>()) w.record(*r, type, 0);
        else w.write(v, 0);
    } catch (const not_written& what) {
        return error{errc::not_portable, what.why};
    }
    return std::move(w.out);
}

}  // namespace coppice::actors
