// endpoint: where a transport listens or connects, as a URI that stands in code, on a command line or in a deployment file.
//
//     tcp://127.0.0.1:4711            unix:///run/app/node.sock        shm://app?ring=1MiB&checksum=all
//     tcp://[::1]:4711/app/counter    unix:///run/app/node.sock#/app/counter       (an actor behind the endpoint)
//
// scheme://authority/path?option=value&option=value#actor. What stands in authority and path is the kind's affair; an
// actor's path is told by '#', or is the path itself for the kinds whose authority says it all (tcp, tls, ws, wss).
#pragma once
#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>

#include "coppice/error.hpp"

namespace coppice {

struct endpoint {
    std::string scheme;                          ///< the transport's kind: "tcp"
    std::string host;                            ///< without brackets; empty where the kind has none
    std::uint16_t port = 0;                      ///< 0: none given
    std::string path;                            ///< with its leading '/'; may be empty
    std::map<std::string, std::string> options;  ///< percent-decoded
    std::string actor;                           ///< with its leading '/'; empty: the node itself

    /// invalid_argument with what is wrong and where, for a text that is no endpoint.
    static result<endpoint> parse(std::string_view uri);
    /// The URI again; parse(to_string()) is the same endpoint.
    [[nodiscard]] std::string to_string() const;

    /// An option as a number of bytes: "65536", "64KiB", "1MiB", "2GiB". invalid_argument if it is not one.
    [[nodiscard]] result<std::uint64_t> bytes(std::string_view option, std::uint64_t otherwise) const;
    /// An option as a count. invalid_argument if it is not one.
    [[nodiscard]] result<std::uint64_t> number(std::string_view option, std::uint64_t otherwise) const;
    /// An option that is one of few words, e.g. {"off", "header", "all"}. invalid_argument names them.
    [[nodiscard]] result<std::string> one_of(std::string_view option, std::string_view otherwise,
                                             std::initializer_list<std::string_view> words) const;
    /// invalid_argument, naming the option, if there is one that is not in the list: a misspelt option is an error.
    [[nodiscard]] result<void> only(std::initializer_list<std::string_view> known) const;

    friend bool operator==(const endpoint&, const endpoint&) = default;
};

}  // namespace coppice
