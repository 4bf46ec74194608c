// A reader for JSON with records, by recursive descent, and a writer; see fields.hpp.
#include "fields.hpp"

#include <charconv>
#include <optional>
#include <type_traits>
#include <variant>

#include "json_text.hpp"

namespace coppice::command {

namespace {

constexpr int deepest = 32;

class reader {
public:
    explicit reader(std::string_view text) : rest_{text} {}
    /// The whole text as one value; empty if it is none.
    std::optional<value> whole() {
        auto v = one(0);
        skip();
        return v && rest_.empty() ? v : std::nullopt;
    }

private:
    void skip() {
        while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t' || rest_.front() == '\n'))
            rest_.remove_prefix(1);
    }
    bool take(std::string_view word) {
        skip();
        if (!rest_.starts_with(word)) return false;
        rest_.remove_prefix(word.size());
        return true;
    }
    std::optional<value> one(int depth) {
        if (depth > deepest) return {};
        skip();
        if (rest_.empty()) return {};
        if (take("null")) return value{};
        if (take("true")) return value{true};
        if (take("false")) return value{false};
        if (rest_.front() == '"') {
            auto t = text();
            return t ? std::optional{value{*std::move(t)}} : std::nullopt;
        }
        if (take("[")) {
            auto all = several("]", depth);
            return all ? std::optional{value{*std::move(all)}} : std::nullopt;
        }
        if (take("(")) {
            auto all = several(")", depth);
            return all ? std::optional{value{value::record{*std::move(all)}}} : std::nullopt;
        }
        if (take("{")) return pairs(depth);
        return number();
    }
    std::optional<value::list> several(std::string_view end, int depth) {
        value::list all;
        if (take(end)) return all;
        for (;;) {
            auto v = one(depth + 1);
            if (!v) return {};
            all.push_back(*std::move(v));
            if (take(end)) return all;
            if (!take(",")) return {};
        }
    }
    std::optional<value> pairs(int depth) {
        value::map all;
        if (take("}")) return value{std::move(all)};
        for (;;) {
            auto key = one(depth + 1);
            if (!key || !take(":")) return {};
            auto mapped = one(depth + 1);
            if (!mapped) return {};
            all.push_back({*std::move(key), *std::move(mapped)});
            if (take("}")) return value{std::move(all)};
            if (!take(",")) return {};
        }
    }
    std::optional<value> number() {
        const std::size_t size = rest_.find_first_not_of("+-.0123456789eE");
        const std::string_view digits = rest_.substr(0, size);
        const char* end = digits.data() + digits.size();
        rest_.remove_prefix(digits.size());
        std::int64_t whole = 0;
        if (const auto r = std::from_chars(digits.data(), end, whole); r.ec == std::errc{} && r.ptr == end)
            return value{whole};
        std::uint64_t large = 0;
        if (const auto r = std::from_chars(digits.data(), end, large); r.ec == std::errc{} && r.ptr == end)
            return value{large};
        double real = 0;
        if (const auto r = std::from_chars(digits.data(), end, real); r.ec == std::errc{} && r.ptr == end)
            return value{real};
        return {};
    }
    std::optional<std::string> text() {
        rest_.remove_prefix(1);
        std::string t;
        while (!rest_.empty()) {
            char c = rest_.front();
            rest_.remove_prefix(1);
            if (c == '"') return t;
            if (c == '\\') {
                if (rest_.empty()) return {};
                c = rest_.front();
                rest_.remove_prefix(1);
                constexpr std::string_view names = "nrtbf\"\\/";
                constexpr std::string_view meant = "\n\r\t\b\f\"\\/";
                const auto at = names.find(c);
                if (at == std::string_view::npos) return {};
                c = meant[at];
            }
            t.push_back(c);
        }
        return {};
    }
    std::string_view rest_;
};

}  // namespace

value field_of(std::string_view text) {
    auto v = reader{text}.whole();
    return v ? *std::move(v) : value{text};
}

value message_of(std::string_view type, const std::vector<std::string>& fields) {
    value::record r;
    for (const std::string& f : fields) r.fields.push_back(field_of(f));
    r.type = type_id(type);
    return r;
}

std::string json_text(std::string_view text) { return detail::json_text(text); }

std::string json_of(const value& v) {
    const auto several = [](const auto& all, char open, char close, auto one) {
        std::string out(1, open);
        for (const auto& each : all) out += (out.size() > 1 ? "," : "") + one(each);
        return out + close;
    };
    return std::visit(
        [&](const auto& held) -> std::string {
            using T = std::remove_cvref_t<decltype(held)>;
            if constexpr (std::is_same_v<T, std::monostate>) return "null";
            else if constexpr (std::is_same_v<T, bool>) return held ? "true" : "false";
            else if constexpr (std::is_same_v<T, std::string>) return json_text(held);
            else if constexpr (std::is_same_v<T, value::list>) return several(held, '[', ']', &json_of);
            else if constexpr (std::is_same_v<T, value::record>)
                return several(held.fields, '[', ']', &json_of);
            else if constexpr (std::is_same_v<T, value::map>)
                return several(held, '{', '}', [](const value::entry& e) {
                    const auto* key = e.key.get_if<std::string>();
                    return (key ? json_text(*key) : json_text(to_string(e.key))) + ":" + json_of(e.mapped);
                });
            else if constexpr (std::is_arithmetic_v<T>) return to_string(value{held});
            else return json_text(to_string(value{held}, 1 << 20));
        },
        v.held());
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace coppice::command
