// Control messages from a peer: any bytes are read or refused, and what was read is the same after another round.
// The corpus has one message of each kind, and those that once broke something.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "net/control.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // Of its own, so that it is aligned, and so that the sanitizer sees a step beyond its end.
    std::vector<std::byte> bytes(size);
    if (size != 0) std::memcpy(bytes.data(), data, size);
    const auto read = coppice::net::decode(bytes);
    if (!read) return 0;
    const std::vector<std::byte> written = coppice::net::encode(*read);
    const auto again = coppice::net::decode(written);
    if (!again || coppice::net::encode(*again) != written) std::abort();
    return 0;
}
