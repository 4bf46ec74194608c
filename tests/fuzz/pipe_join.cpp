// The access pipe of the transport "pipe": any bytes, in pieces of any size; the same requests are found however they were cut.
// The first byte says how large the pieces are. The corpus has whole, cut and garbled requests, and one of a later version.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "../../transport/src/pipe/join.hpp"

namespace {

using namespace coppice::pipes;

std::vector<token> found_in(std::span<const std::byte> bytes, std::size_t piece) {
    request_scanner scanner;
    std::vector<token> found;
    while (!bytes.empty()) {
        const auto room = scanner.room();
        if (room.size() < 4096) std::abort();
        const auto part = bytes.first(std::min({piece, room.size(), bytes.size()}));
        std::copy(part.begin(), part.end(), room.begin());
        scanner.filled(part.size());
        bytes = bytes.subspan(part.size());
        while (const auto r = scanner.next(false)) found.push_back(r->id);
    }
    while (const auto r = scanner.next(true)) found.push_back(r->id);
    return found;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto bytes = std::as_bytes(std::span{data, size}).subspan(1);
    if (found_in(bytes, std::size_t{data[0]} + 1) != found_in(bytes, 4096)) std::abort();
    return 0;
}
