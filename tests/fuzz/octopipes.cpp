// Octopipes' frames and what is in them: any bytes, in pieces of any size; the same frames are found however they were cut, and what is
// read as a frame is the same when it is written again. The first byte says how large the pieces are.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "coppice/actors/octopipes.hpp"
#include "support/fuzz_input.hpp"

namespace {

namespace pipes = coppice::actors::octopipes;

struct found {
    std::vector<std::uint64_t> frames;  // their ids
    bool operator==(const found&) const = default;
};

found found_in(std::span<const std::byte> bytes, std::size_t piece) {
    found f;
    pipes::decoder d{1 << 16};
    const auto hear = [&] {
        while (auto o = d.next()) {
            if (o->why != pipes::fault::none) continue;
            f.frames.push_back(o->id);
            const auto again = pipes::encode(o->got);
            coppice::tests::expect(again.has_value());
            // A checksum that is to be ignored may be any.
            if ((o->got.options & pipes::ignores_checksum) == 0)
                coppice::tests::expect(pipes::id_of(*again) == o->id);
            static_cast<void>(pipes::read_subscription(o->got.data.bytes()));
            static_cast<void>(pipes::read_assignment(o->got.data.bytes()));
        }
    };
    while (!bytes.empty()) {
        const auto part = bytes.first(std::min(piece, bytes.size()));
        d.feed(part);
        bytes = bytes.subspan(part.size());
        hear();
    }
    while (d.within()) {
        d.abandon();
        hear();
    }
    return f;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto bytes = std::as_bytes(std::span{data, size}).subspan(1);
    coppice::tests::expect(found_in(bytes, std::size_t{data[0]} + 1) == found_in(bytes, 4096));
    static_cast<void>(pipes::read_subscription(bytes));
    static_cast<void>(pipes::read_assignment(bytes));
    return 0;
}
