// Envelopes that are not laid out as ours are: of other languages' builders, of later schemas, and damaged ones.
// Cap'n Proto's reader checks every pointer; its exceptions end here. No state, any thread.
#include "wire/envelope.hpp"

#include "coppice/detail/capnp_compat.hpp"

#include <capnp/message.h>
#include <kj/exception.h>

#include "envelope.capnp.h"

namespace coppice::wire {

errc read_any_envelope(std::span<const std::byte> bytes, envelope_view& out) noexcept {
    const std::size_t words = bytes.size() / 8;
    if (words == 0 || (reinterpret_cast<std::uintptr_t>(bytes.data()) & 7) != 0) return errc::bad_message;
    const ::kj::ArrayPtr<const ::capnp::word> segment{reinterpret_cast<const ::capnp::word*>(bytes.data()),
                                                      words};
    ::capnp::ReaderOptions options;
    options.traversalLimitInWords = words + 1;  // every word once; the root pointer is counted twice
    options.nestingLimit = 3;
    try {
        ::capnp::SegmentArrayMessageReader reader{::kj::arrayPtr(&segment, 1), options};
        const auto from = reader.getRoot<schema::Envelope>();
        out.fields = {from.getKind(),   from.getFlags(), from.getAux(),         from.getTarget(),
                      from.getSender(), from.getType(),  from.getCorrelation(), from.getSequence()};
        const auto payload = from.getPayload();
        out.payload = {reinterpret_cast<const std::byte*>(payload.begin()), payload.size()};
        return errc::ok;
    } catch (const ::kj::Exception&) {
        return errc::bad_message;  // whoever called knows from which peer it came
    }
}

}  // namespace coppice::wire
