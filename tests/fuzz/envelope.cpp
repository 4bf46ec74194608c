// Envelopes from a peer: any bytes are read or refused, nothing outside of them is shown, and the direct reader and
// Cap'n Proto's agree about everything that both of them take.
// The corpus has the canonical form, a truncated and a grown struct, a payload elsewhere, and pointers that lead astray.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "wire/envelope.hpp"

namespace {

using namespace coppice;

void expect(bool true_one) {
    if (!true_one) std::abort();
}

bool same(const wire::envelope_view& a, const wire::envelope_view& b) {
    return std::memcmp(&a.fields, &b.fields, sizeof a.fields) == 0 && a.payload.size() == b.payload.size() &&
           (a.payload.empty() || std::memcmp(a.payload.data(), b.payload.data(), a.payload.size()) == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::byte> bytes(size);
    if (size != 0) std::memcpy(bytes.data(), data, size);
    wire::envelope_view view{};
    const errc direct = wire::read_envelope(bytes, view);
    wire::envelope_view general{};
    const errc by_reader = wire::read_any_envelope(bytes, general);
    expect(direct == errc::ok || direct == errc::bad_message);
    expect(by_reader == direct);
    if (direct != errc::ok) return 0;
    expect(same(view, general));
    expect(view.payload.empty() || (view.payload.data() >= bytes.data() &&
                                    view.payload.data() + view.payload.size() <= bytes.data() + size));

    std::vector<std::byte> written(wire::envelope_bytes + wire::padded_payload(view.payload.size()));
    wire::write_envelope(written.data(), view.fields, static_cast<std::uint32_t>(view.payload.size()));
    if (!view.payload.empty())
        std::memcpy(written.data() + wire::envelope_bytes, view.payload.data(), view.payload.size());
    wire::envelope_view again{};
    expect(wire::read_envelope(written, again) == errc::ok && same(again, view));
    return 0;
}
