// The bytes of browser frames, by the code that Cap'n Proto generates from schemas/browser.capnp; see browser_frame.hpp.
// capnp_message walks what a peer sent once, within limits, before anything of it is used.
#include "browser_frame.hpp"

#include <cstring>
#include <utility>

#include "coppice/capnp.hpp"

#include "browser.capnp.h"
#include "gateway_http.hpp"

namespace coppice::actors::browser_parts {

namespace {

using message = capnp_message<schema::BrowserFrame>;

bool is_kind(std::uint16_t number) noexcept {
    using k = frame_kind;
    return (number >= as_number(k::hello) && number <= as_number(k::pong)) ||
           (number >= as_number(k::mail) && number <= as_number(k::bye));
}

}  // namespace

blob encode(const frame& f) {
    const auto built = message::build([&](schema::BrowserFrame::Builder b) {
        b.setKind(as_number(f.kind));
        b.setCode(f.code);
        b.setFlags(f.flags);
        b.setSequence(f.sequence);
        b.setAcknowledged(f.acknowledged);
        b.setTaken(f.taken);
        b.setCorrelation(f.correlation);
        b.setActor(f.actor);
        b.setType(f.type);
        b.setTime(f.time);
        b.setWindow(f.window);
        b.setBytes(f.bytes);
        if (!f.text.empty()) b.setText(::capnp::Text::Reader{f.text.c_str(), f.text.size()});
        if (!f.payload.empty())
            b.setPayload(::capnp::Data::Reader{reinterpret_cast<const ::capnp::byte*>(f.payload.data()),
                                               f.payload.size()});
    });
    return blob::copy_of(std::as_bytes(built.words()));
}

result<frame> decode_frame(std::span<const std::byte> bytes) {
    if (bytes.empty() || bytes.size() % 8 != 0)
        return error{errc::bad_message, "a frame has whole words of 8 bytes"};
    std::vector<std::uint64_t> words(bytes.size() / 8);
    std::memcpy(words.data(), bytes.data(), bytes.size());
    auto read = message::from_words(words);
    if (!read) return error{errc::bad_message, "these bytes hold no frame"};
    const auto r = read->get();
    if (!is_kind(r.getKind())) return error{errc::bad_message, "a frame of a kind that is not known"};
    frame f;
    f.kind = static_cast<frame_kind>(r.getKind());
    f.code = r.getCode();
    f.flags = r.getFlags();
    f.sequence = r.getSequence();
    f.acknowledged = r.getAcknowledged();
    f.taken = r.getTaken();
    f.correlation = r.getCorrelation();
    f.actor = r.getActor();
    f.type = r.getType();
    f.time = r.getTime();
    f.window = r.getWindow();
    f.bytes = r.getBytes();
    const auto text = r.getText();
    if (text.size() > text_bytes) return error{errc::bad_message, "a text of more than 4096 bytes"};
    f.text.assign(text.cStr(), text.size());
    if (!web_parts::is_utf8(f.text)) return error{errc::bad_message, "a text that is not UTF-8"};
    const auto payload = r.getPayload();
    const auto* from = reinterpret_cast<const std::byte*>(payload.begin());
    f.payload.assign(from, from + payload.size());
    if (is_numbered(f.kind) != (f.sequence != 0))
        return error{errc::bad_message, "a number where there is none, or none where there is one"};
    return f;
}

std::string cut_text(std::string text) {
    if (text.size() <= text_bytes) return text;
    std::size_t end = text_bytes;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
        --end;  // at a character's begin
    text.resize(end);
    return text;
}

}  // namespace coppice::actors::browser_parts
