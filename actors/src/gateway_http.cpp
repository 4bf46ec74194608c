// HTTP as far as the gateway speaks it; see gateway_http.hpp. What strangers wrote is looked at byte by byte, and what is
// not understood is refused. Any thread.
#include "gateway_http.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include "descriptor.hpp"

namespace coppice::actors::web_parts {

namespace {

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<std::string> unescaped(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            plain += text[i];
            continue;
        }
        if (text.size() - i < 3) return {};
        const int high = hex_digit(text[i + 1]);
        const int low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0) return {};
        plain += static_cast<char>(high * 16 + low);
        i += 2;
    }
    if (plain.find('\0') != std::string::npos) return {};
    return plain;
}

bool same_letters(std::string_view a, std::string_view b) noexcept {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// "name:port" or "[v6]:port" without its port; empty if it is neither.
std::string_view without_port(std::string_view host) noexcept {
    std::string_view name = host;
    std::string_view port;
    if (!host.empty() && host.front() == '[') {
        const auto end = host.find(']');
        if (end == std::string_view::npos) return {};
        name = host.substr(0, end + 1);
        port = host.substr(end + 1);
    } else if (const auto colon = host.find(':'); colon != std::string_view::npos) {
        name = host.substr(0, colon);
        port = host.substr(colon);
    }
    if (!port.empty() &&
        (port.front() != ':' || port.size() < 2 || port.size() > 6 ||
         !std::all_of(port.begin() + 1, port.end(), [](unsigned char c) { return std::isdigit(c) != 0; })))
        return {};
    return name;
}

bool is_numeric_address(std::string_view name) {
    std::array<unsigned char, sizeof(in6_addr)> out{};
    if (name.size() > 2 && name.front() == '[' && name.back() == ']')
        return ::inet_pton(AF_INET6, std::string{name.substr(1, name.size() - 2)}.c_str(), out.data()) == 1;
    return ::inet_pton(AF_INET, std::string{name}.c_str(), out.data()) == 1;
}

std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::string_view reason_of(unsigned status) noexcept {
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 413: return "Content Too Large";
    case 421: return "Misdirected Request";
    case 426: return "Upgrade Required";
    case 431: return "Request Header Fields Too Large";
    case 503: return "Service Unavailable";
    default: return "Internal Server Error";
    }
}

}  // namespace

target_parts parts_of(std::string_view target) {
    target_parts parts;
    if (target.empty() || target.front() != '/') return parts;
    const auto mark = target.find('?');
    auto path = unescaped(target.substr(0, mark));
    if (!path) return parts;
    parts.path = *std::move(path);
    parts.rest = std::string{target.substr(0, mark)};
    std::string_view query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
    char before = '?';
    while (!query.empty()) {
        const auto end = query.find('&');
        const std::string_view one = query.substr(0, end);
        query = end == std::string_view::npos ? std::string_view{} : query.substr(end + 1);
        if (one.starts_with("token=")) {
            auto token = unescaped(one.substr(6));
            if (!token) return parts;
            parts.token = *std::move(token);
        } else {
            (parts.rest += std::exchange(before, '&')) += one;
        }
    }
    parts.well_formed = true;
    return parts;
}

bool host_is_known(std::string_view host, const std::vector<std::string>& allowed) {
    const std::string_view name = without_port(host);
    if (name.empty()) return false;
    if (same_letters(name, "localhost") || is_numeric_address(name)) return true;
    return std::any_of(allowed.begin(), allowed.end(),
                       [&](const std::string& each) { return same_letters(each, name); });
}

bool origin_is_known(std::string_view origin, std::string_view host, bool tls,
                     const std::vector<std::string>& allowed) {
    if (origin.empty()) return true;
    const std::string own = (tls ? "https://" : "http://") + std::string{host};
    if (same_letters(origin, own)) return true;
    return std::find(allowed.begin(), allowed.end(), origin) != allowed.end();
}

bool token_is_right(std::string_view wanted, std::string_view authorization, std::string_view in_target) {
    if (wanted.empty()) return true;
    constexpr std::string_view scheme = "Bearer ";
    const bool in_field =
        authorization.size() > scheme.size() && same_letters(authorization.substr(0, scheme.size()), scheme);
    const std::string_view given = in_field ? authorization.substr(scheme.size()) : in_target;
    // Of equal length whatever was given, so that its length does not tell either.
    const auto digest = [](std::string_view text) {
        std::array<unsigned char, SHA256_DIGEST_LENGTH> made{};
        ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), made.data());
        return made;
    };
    const auto a = digest(wanted);
    const auto b = digest(given);
    return ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::optional<std::string> shown_token(const web::port_options& options, std::string_view authorization,
                                       std::string_view in_target) {
    if (options.token.empty() && options.tokens.empty()) return std::string{};
    std::optional<std::string> found;
    if (!options.token.empty() && token_is_right(options.token, authorization, in_target)) found.emplace();
    // All of them, so that the time does not tell which one it was.
    for (const web::named_token& each : options.tokens)
        if (token_is_right(each.token, authorization, in_target)) found = each.name;
    return found;
}

std::string principal_of_token(const std::string& name) { return name.empty() ? name : "token:" + name; }

std::string agreed_subprotocol(const std::vector<std::string>& own, std::string_view offered) {
    for (const std::string& each : own) {
        for (std::string_view rest = offered; !rest.empty();) {
            const auto end = rest.find(',');
            if (trimmed(rest.substr(0, end)) == each) return each;
            rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        }
    }
    return {};
}

result<void> check_page(const web::page& page) {
    if (!page.path.starts_with('/') || page.type.find_first_of("\r\n") != std::string::npos)
        return error{errc::invalid_argument, "a page's path begins with '/', and its type is one line"};
    if (page.content.size() > most_file_bytes)
        return error{errc::too_large, page.path + ": a page has at most 16 MiB"};
    return {};
}

std::string http_text(const http_answer& answer) {
    std::string text = "HTTP/1.1 " + std::to_string(answer.status) + ' ';
    (text += reason_of(answer.status)) += "\r\nConnection: close\r\nContent-Type: ";
    (text += answer.type) += "\r\nContent-Length: " + std::to_string(answer.body.size());
    // Pages are what they say they are, and nobody keeps an old one.
    (text += "\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-cache\r\n") += answer.more;
    return text += "\r\n";
}

http_answer http_error(unsigned status, std::string_view why) {
    http_answer answer;
    answer.status = status;
    answer.body = blob{std::to_string(status) + ' ' + std::string{why} + '\n'};
    if (status == 405) answer.more = "Allow: GET, HEAD\r\n";
    if (status == 401) answer.more = "WWW-Authenticate: Bearer\r\n";
    if (status == 426) answer.more = "Upgrade: websocket\r\n";
    return answer;
}

std::string_view media_type(std::string_view path) noexcept {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 13> known{{
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".mjs", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".txt", "text/plain; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".ico", "image/x-icon"},
        {".wasm", "application/wasm"},
        {".woff2", "font/woff2"},
        {".xml", "application/xml"},
    }};
    for (const auto& [ending, type] : known)
        if (path.ends_with(ending)) return type;
    return "application/octet-stream";
}

namespace {

bool has_plain_parts(std::string_view path) noexcept {
    if (path.empty() || path.front() != '/') return false;
    for (std::string_view rest = path.substr(1);;) {
        const auto end = rest.find('/');
        const std::string_view part = rest.substr(0, end);
        if (part.empty() || part.front() == '.' || part.find('\\') != std::string_view::npos) return false;
        if (end == std::string_view::npos) return true;
        rest = rest.substr(end + 1);
    }
}

}  // namespace

result<blob> file_below(const std::string& folder, const std::string& path) {
    if (!has_plain_parts(path)) return error{errc::not_found, path};
    const descriptor root{::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)};
    if (!root) return error{errc::io, folder + ": " + std::generic_category().message(errno)};
    // The kernel follows no link out of the folder, whoever changes it meanwhile. Without blocking: it may be a FIFO.
    open_how how{};
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    const descriptor file{
        static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str() + 1, &how, sizeof how))};
    if (!file) return error{errc::not_found, path};
    struct stat seen{};
    if (::fstat(file.get(), &seen) != 0 || !S_ISREG(seen.st_mode)) return error{errc::not_found, path};
    if (static_cast<std::uint64_t>(seen.st_size) > most_file_bytes) return error{errc::too_large, path};
    blob_buffer room{static_cast<std::size_t>(seen.st_size)};
    std::size_t used = 0;
    while (used < room.size()) {
        const ssize_t got = ::read(file.get(), room.data() + used, room.size() - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return error{errc::io, path + ": " + std::generic_category().message(errno)};
        if (got == 0) break;  // it has become shorter
        used += static_cast<std::size_t>(got);
    }
    return std::move(room).freeze(used);
}

std::string url_parts::host_field() const { return port == (tls ? "443" : "80") ? host : host + ":" + port; }

result<url_parts> url_of(const std::string& text) {
    const auto wrong = [&](const char* why) {
        return error{errc::invalid_argument, "\"" + text + "\": " + why + "; like ws://host:port/path"};
    };
    url_parts url;
    std::string_view rest = text;
    if (rest.starts_with("ws://")) rest.remove_prefix(5);
    else if (rest.starts_with("wss://")) rest.remove_prefix(6), url.tls = true;
    else return wrong("it begins with neither ws:// nor wss://");
    if (std::any_of(rest.begin(), rest.end(), [](unsigned char c) { return c <= ' ' || c >= 127; }))
        return wrong("it has a character that has to be escaped");
    if (rest.find_first_of("#@") != std::string_view::npos) return wrong("it has a '#' or '@'");
    const auto slash = rest.find_first_of("/?");
    const std::string_view place = rest.substr(0, slash);
    url.target = slash == std::string_view::npos ? "/" : std::string{rest.substr(slash)};
    if (url.target.front() == '?') url.target.insert(0, 1, '/');
    const std::string_view name = without_port(place);
    if (name.empty()) return wrong("it has no host, or a port that is no number");
    url.host = std::string{name};
    url.port =
        name.size() == place.size() ? (url.tls ? "443" : "80") : std::string{place.substr(name.size() + 1)};
    std::uint32_t number = 0;
    std::from_chars(url.port.data(), url.port.data() + url.port.size(), number);
    if (number == 0 || number > 65'535) return wrong("its port is not within 1 to 65535");
    return url;
}

bool is_utf8(std::string_view text) noexcept {
    const auto* at = reinterpret_cast<const unsigned char*>(text.data());
    const auto* const end = at + text.size();
    while (at < end) {
        const unsigned first = *at++;
        if (first < 0x80) continue;
        const int more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
        if (first < 0xc2 || first > 0xf4 || end - at < more) return false;
        const unsigned second = *at;
        const unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        const unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        if (second < least || second > most) return false;
        for (int i = 1; i < more; ++i)
            if ((at[i] & 0xc0) != 0x80) return false;
        at += more;
    }
    return true;
}

}  // namespace coppice::actors::web_parts
