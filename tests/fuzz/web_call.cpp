// What clients write into a gateway's channels, read as values, calls and answers (coppice/actors/web_call.hpp): whatever it
// is, it is read or refused, and what was read can be written and read again. The first byte says text or bytes.
#include <cstddef>
#include <cstdint>
#include <string>

#include "coppice/actors/web_call.hpp"
#include "support/fuzz_input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace coppice;
    using coppice::tests::expect;
    namespace web = actors::web;
    if (size == 0) return 0;
    const auto* bytes = reinterpret_cast<const std::byte*>(data);
    const web::content from{data[0] % 2 == 0 ? web::kind::text : web::kind::binary,
                            blob::copy_of({bytes + 1, size - 1})};

    const auto read = web::read_value(from);
    expect(read || read.error().code() != errc::ok);
    if (read) {
        const auto written = web::write_value(*read, from.kind);
        // Texts hold nothing that JSON does not have; and what is as deep as it may be is so again.
        expect(from.kind == web::kind::binary || written);
        if (written) {
            const auto again = web::read_value(*written);
            // In a text, a number with a point may be read as its neighbour.
            expect(again && (from.kind == web::kind::text ||
                             web::write_value(*again, from.kind)->bytes == written->bytes));
        }
    }
    if (const auto asked = web::read_call(from)) {
        const auto answer = web::read_answer(web::answer_to(*asked, asked->with));
        expect(answer && answer->id == asked->id);
    }
    if (const auto answer = web::read_answer(from)) expect(read.has_value());
    const auto fault = web::read_answer(web::fault_of(from, error{errc::bad_message, "?"}));
    expect(fault && fault->failure == errc::bad_message);
    return 0;
}
