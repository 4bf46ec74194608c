// Records of the channel to bytes and back; see channel.hpp. What comes from a process is not trusted to be well-formed.
// Pure functions; any thread.
#include "process/channel.hpp"

#include "net/control.hpp"
#include "process/wire_bytes.hpp"

namespace coppice::detail {

std::vector<std::byte> encode_channel(channel_record_body r) {
    no_references context;
    return to_bytes(r, context);
}

result<channel_record_body> decode_channel(std::span<const std::byte> bytes) {
    no_references context;
    return from_bytes<channel_record_body>(bytes, context);
}

std::vector<std::byte> encode_reason(const exit_reason& reason) {
    return net::encode(net::exit_notice{1, 1, reason});
}

result<exit_reason> decode_reason(std::span<const std::byte> bytes) {
    const std::vector<std::byte> aligned{bytes.begin(), bytes.end()};
    auto message = net::decode(aligned);
    if (!message) return message.error();
    auto* notice = std::get_if<net::exit_notice>(&*message);
    if (!notice) return error{errc::bad_message, "an end without a reason"};
    return std::move(notice->reason);
}

}  // namespace coppice::detail
