// Messages of C++ types from a peer, in both wire forms: records of aggregates, and structs that Cap'n Proto generated.
// The first 8 bytes choose the type, the rest is the payload. Any bytes are read or refused; what was read can be
// written, and is the same after another round.
#include "support/wire_bytes.hpp"

#include <cstdlib>
#include <deque>
#include <map>
#include <set>
#include <stdexcept>

#include <kj/string.h>

#include "control.capnp.h"
#include "coppice/capnp.hpp"
#include "envelope.capnp.h"

namespace {

using namespace coppice;

enum class color : std::uint8_t { red, green };

struct nothing_in_it {};
struct plain {
    std::uint64_t id = 0;
    double price = 0;
    std::string note;
};
struct tree {
    int leaf = 0;
    std::vector<tree> branches;
    std::map<std::string, tree> named;
};
struct containers {
    bool yes = false;
    std::int8_t tiny = 0;
    float single = 0;
    color paint = color::red;
    std::vector<std::byte> bytes;
    std::array<std::byte, 5> five{};
    std::array<std::int16_t, 3> three{};
    std::vector<bool> flags;
    std::vector<std::uint64_t> copied;
    std::deque<std::int32_t> queue;
    std::vector<plain> plains;
    std::set<std::string> names;
    std::map<int, std::vector<float>> lists;
    std::optional<plain> maybe;
    std::pair<int, std::string> both;
    std::tuple<int, nothing_in_it, std::string> three_things;
    std::variant<int, std::string, plain> one_of;
    std::chrono::milliseconds delay{};
    nothing_in_it nothing;
    ref<> who;
    value any;
    std::vector<blob> many;
};
struct thrower {
    int n = 0;
};
struct holds_throwers {
    std::vector<thrower> all;
    std::string after;
};

}  // namespace

template <>
struct coppice::wire_form<thrower> {
    using type = std::string;
    static std::string to_wire(const thrower& t) { return std::to_string(t.n); }
    static std::optional<thrower> from_wire(const std::string& text) { return thrower{std::stoi(text)}; }
};

namespace {

void expect(bool true_one) {
    if (!true_one) std::abort();
}

template <class M>
void round_trips(std::span<const std::byte> bytes) {
    errc code = errc::ok;
    const auto read = tests::decode<M>(bytes, &code);
    expect(read ? code == errc::ok : code == errc::bad_message);
    if (!read) return;
    const tests::words written = tests::encode(*read);
    expect(!written.empty());
    const auto again = tests::decode<M>(written);
    expect(again.has_value() && tests::encode(*again) == written);
}

template <class S>
void native_round_trips(std::span<const std::byte> bytes) {
    const auto read = tests::decode<capnp_message<S>>(bytes);
    if (!read) return;
    // Reads every field that the schema names; it throws nothing after it was checked.
    expect(kj::str(read->get()).size() != 0);
    round_trips<capnp_message<S>>(bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 8) return 0;
    std::vector<std::byte> copy(size - 8);
    if (!copy.empty()) std::memcpy(copy.data(), data + 8, copy.size());
    switch (data[0] % 11) {
    case 0: round_trips<nothing_in_it>(copy); break;
    case 1: round_trips<plain>(copy); break;
    case 2: round_trips<tree>(copy); break;
    case 3: round_trips<containers>(copy); break;
    case 4: round_trips<holds_throwers>(copy); break;
    case 5:
        round_trips<std::vector<std::variant<bool, std::string, std::map<std::string, double>>>>(copy);
        break;
    case 6: native_round_trips<schema::Control>(copy); break;
    case 7: native_round_trips<schema::Value>(copy); break;
    case 8: native_round_trips<schema::Envelope>(copy); break;
    case 9: round_trips<std::tuple<capnp_message<schema::Hello>, int>>(copy); break;
    case 10: round_trips<std::tuple<blob, std::vector<std::byte>, std::string>>(copy); break;
    default: break;
    }
    return 0;
}
