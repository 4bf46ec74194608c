// Frames of the Octopipes protocol as bytes and back; coppice/actors/octopipes.hpp.
//
//     0x01 | version 1 | length of from 1 | from | length of to 1 | to | TTL 1 | size 8 | options 1 | checksum 1 | 0x02 | data | 0x03
//
// Big-endian. The checksum is the XOR of every byte but itself, the data included, and 0 where it is to be ignored: so the
// published libraries compute it, other than their document says. Everything that is read is checked before it is used.
#include <algorithm>
#include <utility>

#include "coppice/actors/octopipes.hpp"

namespace coppice::actors::octopipes {

namespace {

constexpr std::byte start_of_header{0x01};
constexpr std::byte start_of_data{0x02};
constexpr std::byte end_of_data{0x03};
constexpr std::size_t bytes_of_size = 8;

enum object : std::uint8_t { subscribes = 0x01, unsubscribes = 0x02, assigns = 0xff };

std::uint8_t xor_of(std::span<const std::byte> bytes) noexcept {
    std::byte sum{0};
    for (const std::byte b : bytes) sum ^= b;
    return std::to_integer<std::uint8_t>(sum);
}

void put(std::vector<std::byte>& to, std::size_t byte) { to.push_back(static_cast<std::byte>(byte)); }
void put_name(std::vector<std::byte>& to, std::string_view name) {
    put(to, name.size());
    const auto bytes = std::as_bytes(std::span{name});
    to.insert(to.end(), bytes.begin(), bytes.end());
}

// Takes fields off the front of what is left; `ok` turns false for good when there is too little.
struct field_reader {
    std::span<const std::byte> left;
    bool ok = true;
    std::span<const std::byte> bytes(std::size_t count) noexcept {
        if (!ok || left.size() < count) return ok = false, std::span<const std::byte>{};
        const auto taken = left.first(count);
        left = left.subspan(count);
        return taken;
    }
    std::uint8_t byte() noexcept {
        const auto one = bytes(1);
        return one.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(one[0]);
    }
    std::string name() {
        const auto of = bytes(byte());
        return {reinterpret_cast<const char*>(of.data()), of.size()};
    }
};

}  // namespace

std::string_view to_string(fault f) noexcept {
    switch (f) {
    case fault::none: return "none";
    case fault::bad_checksum: return "bad checksum";
    case fault::unknown_version: return "unknown version";
    case fault::no_end_byte: return "no end byte";
    case fault::not_a_frame: return "not a frame";
    case fault::too_large: return "too large";
    }
    return "?";
}

result<std::vector<std::byte>> encode(const frame& f) {
    if (f.from.size() > most_name_bytes || f.to.size() > most_name_bytes)
        return error{errc::bad_name, "a name of a frame has at most 255 bytes"};
    std::vector<std::byte> out;
    out.reserve(frame_overhead + f.from.size() + f.to.size() + f.data.size());
    out.push_back(start_of_header);
    put(out, protocol_version);
    put_name(out, f.from);
    put_name(out, f.to);
    put(out, f.ttl);
    for (std::size_t i = bytes_of_size; i-- > 0;) put(out, (f.data.size() >> (8 * i)) & 0xff);
    put(out, f.options);
    const std::size_t checksum_at = out.size();
    put(out, 0);
    out.push_back(start_of_data);
    out.insert(out.end(), f.data.begin(), f.data.end());
    out.push_back(end_of_data);
    if ((f.options & ignores_checksum) == 0) out[checksum_at] = std::byte{xor_of(out)};
    return out;
}

std::uint64_t id_of(std::span<const std::byte> encoded) noexcept {
    std::uint64_t hash = 14695981039346656037ull;
    for (const std::byte b : encoded) hash = (hash ^ std::to_integer<std::uint64_t>(b)) * 1099511628211ull;
    return hash;
}

// ---- the scanner

void scanner::feed(std::span<const std::byte> bytes) {
    if (begin_ == buffer_.size()) {
        buffer_.clear();
        begin_ = 0;
    } else if (begin_ != 0) {
        buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
        begin_ = 0;
    }
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

std::span<const std::byte> scanner::take(std::size_t bytes) noexcept {
    const auto taken = rest().first(bytes);
    begin_ += bytes;
    return taken;
}

std::optional<scanner::event> scanner::next() {
    for (;;) {
        const auto before = std::pair{state_, begin_};
        auto seen = state_ == state::between ? between() : state_ == state::data ? in_data() : at_end();
        if (seen || before == std::pair{state_, begin_})
            return seen;  // no event and no step: more bytes are needed
    }
}

void scanner::abandon() noexcept {
    if (state_ == state::between && begin_ != buffer_.size()) static_cast<void>(take(1));
    state_ = state::between;
}

std::optional<scanner::event> scanner::between() {
    if (rest().empty()) return {};
    if (rest().front() != start_of_header) return skip_junk();
    field_reader in{rest()};
    static_cast<void>(in.byte());
    header_fields h;
    h.version = in.byte();
    h.from = in.name();
    h.to = in.name();
    h.ttl = in.byte();
    for (const std::byte b : in.bytes(bytes_of_size))
        h.size = h.size << 8 | std::to_integer<std::uint64_t>(b);
    h.options = in.byte();
    h.checksum = in.byte();
    const std::uint8_t start = in.byte();
    if (!in.ok) return {};
    if (std::byte{start} != start_of_data) {
        header_ = {};
        static_cast<void>(take(1));  // no header: what follows may hold one
        return rest().empty() || rest().front() == start_of_header ? event{kind::skipped, fault::not_a_frame}
                                                                   : skip_junk();
    }
    header_ = std::move(h);
    const auto bytes = take(rest().size() - in.left.size());
    left_ = header_.size;
    state_ = state::data;
    verdict_ = header_.version != protocol_version ? fault::unknown_version
               : header_.size > most_              ? fault::too_large
                                                   : fault::none;
    sum_ = static_cast<std::uint8_t>(xor_of(bytes) ^ header_.checksum);
    if (verdict_ != fault::none) return event{kind::skipped, verdict_};
    return event{kind::header, fault::none, bytes};
}

std::optional<scanner::event> scanner::in_data() {
    if (left_ == 0) {
        state_ = state::end;
        return {};
    }
    if (rest().empty()) return {};
    const auto bytes = take(static_cast<std::size_t>(std::min<std::uint64_t>(left_, rest().size())));
    left_ -= bytes.size();
    if (verdict_ != fault::none) return {};
    sum_ ^= xor_of(bytes);
    return event{kind::data, fault::none, bytes};
}

std::optional<scanner::event> scanner::at_end() {
    if (rest().empty()) return {};
    // A byte that begins the next frame is left to it: only the end byte was missing.
    const std::byte last = rest().front();
    const auto bytes = last == start_of_header ? std::span<const std::byte>{} : take(1);
    state_ = state::between;
    if (verdict_ != fault::none) return {};  // it was told when it began
    sum_ ^= std::to_integer<std::uint8_t>(last);
    if (last != end_of_data) return event{kind::end, fault::no_end_byte, bytes};
    const bool right = (header_.options & ignores_checksum) != 0 || sum_ == header_.checksum;
    return event{kind::end, right ? fault::none : fault::bad_checksum, bytes};
}

// One event for all that is between two frames, as far as it has come.
std::optional<scanner::event> scanner::skip_junk() {
    const auto left = rest();
    const auto next = std::find(left.begin(), left.end(), start_of_header);
    const auto bytes = take(static_cast<std::size_t>(next - left.begin()));
    header_ = {};
    return event{kind::skipped, fault::not_a_frame, bytes};
}

// ---- whole frames

std::optional<decoder::outcome> decoder::next() {
    while (auto seen = scanner_.next()) {
        const auto& h = scanner_.header();
        if (seen->kind == scanner::kind::header) raw_.clear();
        if (seen->kind != scanner::kind::skipped)
            raw_.insert(raw_.end(), seen->bytes.begin(), seen->bytes.end());
        if (seen->kind == scanner::kind::header || seen->kind == scanner::kind::data) continue;
        outcome o{seen->why, {h.from, h.to, h.ttl, h.options, {}}};
        if (seen->kind == scanner::kind::skipped || seen->why != fault::none) return o;
        o.id = id_of(raw_);
        o.got.data = blob::copy_of(std::span{raw_}.subspan(raw_.size() - 1 - h.size, h.size));
        return o;
    }
    return {};
}

frame ack_for(const frame& received, const std::string& by) {
    std::vector<std::byte> id;
    if (const auto bytes = encode(received)) {
        const std::uint64_t hash = id_of(*bytes);
        for (std::size_t i = sizeof hash; i-- > 0;) put(id, (hash >> (8 * i)) & 0xff);
    }
    return {by, received.from, 255, is_ack, blob{std::move(id)}};
}

// ---- to and from the broker

result<blob> encode(const subscription& s) {
    if (s.groups.size() > 255) return error{errc::invalid_argument, "a client has at most 255 groups"};
    std::vector<std::byte> out;
    put(out, subscribes);
    put(out, s.groups.size());
    for (const std::string& group : s.groups) {
        if (group.empty() || group.size() > most_name_bytes)
            return error{errc::bad_name, "a group's name has 1 to 255 bytes"};
        put_name(out, group);
    }
    return blob{std::move(out)};
}

result<blob> encode(const assignment& a) {
    if (a.send_path.size() > most_name_bytes || a.receive_path.size() > most_name_bytes)
        return error{errc::too_large, "the path of a pipe has at most 255 bytes"};
    std::vector<std::byte> out;
    put(out, assigns);
    put(out, a.error);
    put_name(out, a.send_path);
    put_name(out, a.receive_path);
    return blob{std::move(out)};
}

blob encode_unsubscription() { return blob{std::vector<std::byte>{std::byte{unsubscribes}}}; }

result<subscription> read_subscription(std::span<const std::byte> data) {
    field_reader in{data};
    if (in.byte() != subscribes) return error{errc::bad_message, "no subscription"};
    subscription s;
    for (std::size_t left = in.byte(); left > 0 && in.ok; --left) s.groups.push_back(in.name());
    if (!in.ok || !in.left.empty()) return error{errc::bad_message, "a subscription that is cut"};
    return s;
}

result<assignment> read_assignment(std::span<const std::byte> data) {
    field_reader in{data};
    if (in.byte() != assigns) return error{errc::bad_message, "no assignment"};
    assignment a;
    a.error = in.byte();
    a.send_path = in.name();
    a.receive_path = in.name();
    // A refusal is read as such whatever follows.
    if (!in.ok && a.error == accepted) return error{errc::bad_message, "an assignment that is cut"};
    return a;
}

bool is_unsubscription(std::span<const std::byte> data) noexcept {
    return data.size() == 1 && data[0] == std::byte{unsubscribes};
}

}  // namespace coppice::actors::octopipes
