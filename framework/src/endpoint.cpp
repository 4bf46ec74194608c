// Endpoints from and to their text; the form is that of RFC 3986, of which only what transports need is understood.
// Every part that a user may get wrong is named in the error.
#include "coppice/endpoint.hpp"

#include <utility>

#include "units.hpp"

namespace coppice {

namespace {

constexpr std::size_t most_bytes = 4096;  // bytes of an endpoint: as long as a path may be

error wrong(std::string_view uri, std::string_view what) {
    return error{errc::invalid_argument, "endpoint '" + std::string{uri} + "': " + std::string{what}};
}

bool plain(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~' || c == '/' || c == ':' || c == '@' || c == '+' || c == ',' ||
           c == '*';
}

int digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool decode(std::string_view text, std::string& out) {
    out.clear();
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return false;
        const int high = digit(text[i + 1]);
        const int low = digit(text[i + 2]);
        if (high < 0 || low < 0) return false;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return true;
}

// `escaped`: a character that means something where the text will stand.
std::string encode(std::string_view text, char escaped = '%') {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        if (plain(c) && c != escaped) {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += {'%', digits[byte >> 4], digits[byte & 15]};
        }
    }
    return out;
}

using detail::whole_number;

// Kinds whose authority says where to go: what follows is an actor's path.
bool path_is_actor(std::string_view scheme) noexcept {
    return scheme == "tcp" || scheme == "tls" || scheme == "ws" || scheme == "wss" || scheme == "shm" ||
           scheme == "pipe" || scheme == "inproc" || scheme == "sim";
}

}  // namespace

result<endpoint> endpoint::parse(std::string_view uri) {
    if (uri.size() > most_bytes) return wrong(uri.substr(0, 64), "longer than 4096 bytes");
    endpoint e;
    const auto colon = uri.find("://");
    if (colon == std::string_view::npos || colon == 0)
        return wrong(uri, "expected scheme://..., for instance tcp://127.0.0.1:4711");
    for (const char c : uri.substr(0, colon))
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-'))
            return wrong(uri, "a scheme has small letters, digits, + and - only");
    e.scheme = uri.substr(0, colon);
    std::string_view rest = uri.substr(colon + 3);

    if (const auto hash = rest.find('#'); hash != std::string_view::npos) {
        if (!decode(rest.substr(hash + 1), e.actor))
            return wrong(uri, "a '%' without two hexadecimal digits");
        if (!e.actor.starts_with('/')) return wrong(uri, "an actor's path begins with '/'");
        rest = rest.substr(0, hash);
    }
    if (const auto question = rest.find('?'); question != std::string_view::npos) {
        std::string_view options = rest.substr(question + 1);
        rest = rest.substr(0, question);
        while (!options.empty()) {
            const auto end = options.find('&');
            const std::string_view one = options.substr(0, end);
            options = end == std::string_view::npos ? std::string_view{} : options.substr(end + 1);
            const auto equals = one.find('=');
            if (equals == std::string_view::npos || equals == 0)
                return wrong(uri, "an option is name=value, not '" + std::string{one} + "'");
            std::string name;
            std::string value;
            if (!decode(one.substr(0, equals), name) || !decode(one.substr(equals + 1), value))
                return wrong(uri, "a '%' without two hexadecimal digits");
            if (!e.options.emplace(name, value).second)
                return wrong(uri, "option '" + name + "' is there twice");
        }
    }
    const auto slash = rest.find('/');
    std::string_view authority = rest.substr(0, slash);
    if (slash != std::string_view::npos && !decode(rest.substr(slash), e.path))
        return wrong(uri, "a '%' without two hexadecimal digits");
    std::string_view port;
    if (authority.starts_with('[')) {
        const auto bracket = authority.find(']');
        if (bracket == std::string_view::npos) return wrong(uri, "'[' without ']'");
        if (bracket == 1) return wrong(uri, "the brackets are empty");
        if (!decode(authority.substr(1, bracket - 1), e.host))
            return wrong(uri, "a '%' without two hexadecimal digits");
        authority = authority.substr(bracket + 1);
        if (!authority.empty() && !authority.starts_with(':'))
            return wrong(uri, "expected ':' and a port after ']'");
        if (!authority.empty()) port = authority.substr(1);
        if (!authority.empty() && port.empty()) return wrong(uri, "':' without a port");
    } else {
        const auto last = authority.rfind(':');
        if (last != std::string_view::npos) {
            port = authority.substr(last + 1);
            authority = authority.substr(0, last);
            if (authority.find(':') != std::string_view::npos)
                return wrong(uri, "an IPv6 address stands in brackets: [::1]:4711");
            if (port.empty()) return wrong(uri, "':' without a port");
        }
        if (!decode(authority, e.host)) return wrong(uri, "a '%' without two hexadecimal digits");
    }
    if (!port.empty() && !whole_number(port, e.port)) return wrong(uri, "a port is a number from 0 to 65535");
    for (const std::string* part : {&e.host, &e.path, &e.actor})
        if (part->find('\0') != std::string::npos) return wrong(uri, "a zero byte");
    for (const auto& [name, value] : e.options)
        if (name.find('\0') != std::string::npos || value.find('\0') != std::string::npos)
            return wrong(uri, "a zero byte");
    if (path_is_actor(e.scheme)) {
        if (e.path == "/") e.path.clear();
        if (!e.path.empty() && !e.actor.empty())
            return wrong(uri, "two actors, one as a path and one after '#'");
        if (!e.path.empty()) e.actor = std::exchange(e.path, {});
    }
    return e;
}

std::string endpoint::to_string() const {
    std::string s = scheme + "://";
    const bool bracketed = host.find(':') != std::string::npos;
    s += bracketed ? "[" + encode(host, '/') + "]" : encode(host, '/');
    if (port) s += ":" + std::to_string(port);
    s += encode(path);
    char separator = '?';
    for (const auto& [name, value] : options) {
        s += separator + encode(name) + "=" + encode(value);
        separator = '&';
    }
    if (!actor.empty()) s += "#" + encode(actor);
    return s;
}

namespace {

error wrong_option(const endpoint& e, std::string_view option, std::string_view value,
                   std::string_view expected) {
    return error{errc::invalid_argument, "endpoint " + e.scheme + "://...: option " + std::string{option} +
                                             "=" + std::string{value} + ": expected " +
                                             std::string{expected}};
}

}  // namespace

result<std::uint64_t> endpoint::bytes(std::string_view option, std::uint64_t otherwise) const {
    const auto found = options.find(std::string{option});
    if (found == options.end()) return otherwise;
    const auto value = detail::read_bytes(found->second);
    if (!value) return wrong_option(*this, option, found->second, "a number of bytes: 65536, 64KiB, 1MiB");
    return *value;
}

result<std::uint64_t> endpoint::number(std::string_view option, std::uint64_t otherwise) const {
    const auto found = options.find(std::string{option});
    if (found == options.end()) return otherwise;
    std::uint64_t value = 0;
    if (!whole_number(found->second, value)) return wrong_option(*this, option, found->second, "a number");
    return value;
}

result<std::string> endpoint::one_of(std::string_view option, std::string_view otherwise,
                                     std::initializer_list<std::string_view> words) const {
    const auto found = options.find(std::string{option});
    if (found == options.end()) return std::string{otherwise};
    std::string expected;
    for (const std::string_view word : words) {
        if (found->second == word) return found->second;
        expected += (expected.empty() ? "" : ", ") + std::string{word};
    }
    return wrong_option(*this, option, found->second, "one of " + expected);
}

result<void> endpoint::only(std::initializer_list<std::string_view> known) const {
    for (const auto& [name, value] : options) {
        bool found = false;
        std::string list;
        for (const std::string_view k : known) {
            found = found || name == k;
            list += (list.empty() ? "" : ", ") + std::string{k};
        }
        if (!found)
            return error{errc::invalid_argument, "endpoint " + scheme + "://...: there is no option " + name +
                                                     "; there are " + (list.empty() ? "none" : list)};
    }
    return {};
}

}  // namespace coppice
