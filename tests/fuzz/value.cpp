// Values from a peer: any bytes are read or refused; what was read is the same after another round, is bounded by what
// came in, and the reader of ordered bytes agrees with Cap'n Proto's about everything that both of them take.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "coppice/value.hpp"
#include "wire/generic.hpp"

namespace {

using namespace coppice;

void expect(bool true_one) {
    if (!true_one) std::abort();
}

class no_context final : public detail::wire_context {
public:
    wire_reference out(const detail::address&) override { return {}; }
    detail::address in(const wire_reference&) override { return {}; }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::vector<std::byte> bytes(size);
    if (size != 0) std::memcpy(bytes.data(), data, size);
    const result<value> read = value::decode(bytes);
    if (!read) {
        expect(read.error() == errc::bad_message);
        return 0;
    }
    const std::vector<std::byte> written = read->encode();
    // Each word that came in, and up to 1,024 beside them, becomes a value at most: a slot of three words, and for a pair of
    // a map two pointers more.
    expect(!written.empty() && written.size() <= 8 * (4 * (size / 8) + std::size_t{5} * 1024));
    expect(to_string(*read).size() <= 256 + 3);
    const result<value> again = value::decode(written);
    expect(again.has_value() && again->encode() == written);

    std::vector<std::uint64_t> words(size / 8);
    if (!words.empty()) std::memcpy(words.data(), data, words.size() * 8);
    no_context context;
    value ordered;
    value general;
    if (!words.empty() && detail::get_message(words, ordered, context) &&
        wire::read_any_order(words, general))
        expect(ordered.encode() == general.encode());
    return 0;
}
