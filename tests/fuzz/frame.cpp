// Frames that a link shows: any bytes are frames, the beginning of one, or refused; what is shown lies within what came,
// and a checked frame with one bit turned over is refused. An odd first byte asks for checksums to be put right, so that
// what comes after them is reached, too.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "net/frame.hpp"

namespace {

using namespace coppice;
using namespace coppice::net;

constexpr std::size_t longest_body = 256 * 1024;

void expect(bool true_one) {
    if (!true_one) std::abort();
}

void put_right(std::span<std::byte> frame) {
    frame_header h;
    std::memcpy(&h, frame.data(), sizeof h);
    if (h.flags & frame_header::checked) {
        if (h.length <= longest_body && frame_bytes(h.length, h.flags & frame_header::routed) <= frame.size())
            seal_frame(frame.data());
        return;
    }
    h.crc = crc32c_12(&h);
    std::memcpy(frame.data(), &h, sizeof h);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 8) return 0;
    const bool right = data[0] & 1;
    std::vector<std::byte> stream(size - 8);
    if (!stream.empty()) std::memcpy(stream.data(), data + 8, stream.size());
    std::size_t used = 0;
    while (true) {
        const std::span<std::byte> rest{stream.data() + used, stream.size() - used};
        if (right && rest.size() >= sizeof(frame_header)) put_right(rest);
        parsed_frame f;
        const errc seen = parse_frame(rest, longest_body, f);
        if (seen == errc::timeout) {
            // Not complete yet: either no header, or a body that is announced and has not come.
            expect(rest.size() < sizeof(frame_header) ||
                   (f.header.length <= longest_body && rest.size() < f.size));
            return 0;
        }
        expect(seen == errc::ok || seen == errc::wrong_version || seen == errc::bad_message);
        if (seen == errc::bad_message) return 0;
        expect(f.size >= sizeof(frame_header) && f.size <= rest.size() && f.size % 8 == 0);
        // Every shorter piece of a good frame is incomplete, not wrong.
        for (const std::size_t part : {std::size_t{0}, sizeof(frame_header), f.size - 1}) {
            parsed_frame g;
            if (part < f.size) expect(parse_frame(rest.first(part), longest_body, g) == errc::timeout);
        }
        const bool wrong_version = seen == errc::wrong_version;
        expect(wrong_version == (f.header.version != frame_version));
        if (!wrong_version) {
            expect(f.body.size() == f.header.length && f.body.size() <= longest_body);
            expect(f.body.data() >= rest.data() && f.body.data() + f.body.size() <= rest.data() + f.size);
            const bool routed = f.header.flags & frame_header::routed;
            expect(f.size == frame_bytes(f.body.size(), routed));
            // Written again, and sealed, it is the same; with one bit turned over it is not taken.
            frame_header h = f.header;
            h.flags &= static_cast<std::uint8_t>(~frame_header::checked);
            std::vector<std::byte> again(f.size);
            std::byte* body = write_frame(again.data(), h, routed ? &f.route : nullptr);
            if (!f.body.empty()) std::memcpy(body, f.body.data(), f.body.size());
            parsed_frame g;
            expect(parse_frame(again, longest_body, g) == errc::ok && g.header.length == f.header.length);
            seal_frame(again.data());
            expect(parse_frame(again, longest_body, g) == errc::ok && g.route.source == f.route.source);
            const std::size_t bit = (data[1] + std::size_t{data[2]} * 256) % (f.size * 8);
            // The length and the flags say how far the checksum reaches: they are covered by the other tests of it.
            if (bit >= 64 && f.header.kind == g.header.kind) {
                again[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
                expect(parse_frame(again, longest_body, g) == errc::bad_message);
            }
        }
        used += f.size;
    }
}
