// What the gateway reads out of an HTTP request and says in an answer: who may open a channel, and which page is served.
//
// Functions of texts that strangers have written, without state and without I/O, but for file_below. Any thread. It knows
// neither sockets nor channels.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/actors/gateway.hpp"
#include "gateway_stream.hpp"

namespace coppice::actors::web_parts {

/// Bytes of one served file, or of a page that is set: a script, a picture. Larger files are answered with 413.
inline constexpr std::uint64_t most_file_bytes = 16u << 20;

/// The target of a request, "/chat?room=1&token=x".
struct target_parts {
    std::string path;          ///< decoded: "/chat"
    std::string token;         ///< the value of the parameter token, decoded
    std::string rest;          ///< the target without that parameter, as it was written
    bool well_formed = false;  ///< false: not a target, or one with a broken escape
};
target_parts parts_of(std::string_view target);

/// Whether the request names this server by a name that it has, see port_options::hosts. With TLS the scheme of the own
/// origin is https.
bool host_is_known(std::string_view host, const std::vector<std::string>& allowed);
/// Whether a page of that origin may connect; empty: no page asks.
bool origin_is_known(std::string_view origin, std::string_view host, bool tls,
                     const std::vector<std::string>& allowed);
/// Compares in a time that does not depend on where the two differ.
bool token_is_right(std::string_view wanted, std::string_view authorization, std::string_view in_target);
/// The name of the token that the request shows, if it is one that the port asks for by name; empty: it has another right to come in.
/// Nothing: it has none.
std::optional<std::string> shown_token(const web::port_options& options, std::string_view authorization,
                                       std::string_view in_target);
/// What rights know a client by that has shown the token of that name; empty: nothing.
std::string principal_of_token(const std::string& name);
/// The first of the agent's that the client offers too; empty: none.
std::string agreed_subprotocol(const std::vector<std::string>& own, std::string_view offered);

/// Whether a page can be served: `invalid_argument`, `too_large`.
result<void> check_page(const web::page& page);
/// An answer's head on the wire.
std::string http_text(const http_answer& answer);
http_answer http_error(unsigned status, std::string_view why);
/// The media type for a file of that name, by its ending.
std::string_view media_type(std::string_view path) noexcept;
/// Reads a file below a folder; `path` begins with '/'. It blocks. Empty path parts, "..", hidden files, links that lead
/// out of the folder and what is no file: not_found. too_large; io.
result<blob> file_below(const std::string& folder, const std::string& path);

/// "ws://host:port/path".
struct url_parts {
    bool tls = false;
    std::string host;
    std::string port;
    std::string target;
    [[nodiscard]] std::string host_field() const;
};
result<url_parts> url_of(const std::string& text);

/// UTF-8, as RFC 3629 has it: no overlong forms, no surrogates.
bool is_utf8(std::string_view text) noexcept;

}  // namespace coppice::actors::web_parts
