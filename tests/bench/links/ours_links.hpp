// What ours_links.cpp, ours_bare.cpp and ours_outage.cpp share: where the two sides meet, their nodes' options, and the rows
// that the latter two add.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/coppice.hpp"
#include "coppice/transport.hpp"

#include "links/links.hpp"

namespace ours {

/// A directory for the sockets and keys of one row, known to this process and its partner as COPPICE_RUN_DIR.
class run_directory {
public:
    run_directory();
    ~run_directory();
    run_directory(const run_directory&) = delete;
    run_directory& operator=(const run_directory&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

// ---- messages: small payloads lie in the struct, larger ones behind it

template <std::size_t Size>
struct small {
    std::array<std::byte, Size> bytes{};
};
struct large {
    coppice::blob bytes;
};

/// Calls f<M>() for the message type of that payload size.
template <class F>
auto with_message_of(std::size_t size, F&& f) {
    switch (size) {
    case 8: return f.template operator()<small<8>>();
    case 64: return f.template operator()<small<64>>();
    case 1024: return f.template operator()<small<1024>>();
    default: return f.template operator()<large>();
    }
}

/// Of both nodes of a row.
coppice::node_options options(const links::row& of);
/// Where the far side of a row of that kind listens.
std::string listening_place(std::string_view kind);
/// "?cert=..." with certificates made for this run, in that directory; empty for kinds that have none.
std::string tls_options(std::string_view kind, const std::string& directory);

// ---- ours_bare.cpp: a link of a transport without flow, router and actors on it, kind "bare_shm" for shm

/// Larger messages do not fit into one reservation of every link.
inline constexpr std::size_t largest_bare = 1024;
void play_bare(const links::row& of, const bench::reporter& out);
void bare_partner(const links::row& of, std::span<char* const> arguments);

// ---- ours_outage.cpp: the path between two nodes is cut

void play_outage(const links::row& of, const bench::reporter& out);
void outage_partner(const links::row& of);

}  // namespace ours
