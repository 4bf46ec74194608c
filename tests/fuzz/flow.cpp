// A flow whose other side is hostile: whatever it acknowledges, grants and sends, the numbers stay in order, no record
// changes, what is sent stays within what was granted, and a claim that cannot be is told as such.
// The input is a row of steps: a byte that says which, and as many bytes as that takes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <vector>

#include "net/flow.hpp"
#include "support/fuzz_input.hpp"

namespace {

using coppice::tests::expect;
using coppice::tests::fuzz_input;
using namespace coppice::net;

constexpr std::size_t most_bytes = 64 * 1024;
constexpr amount window{16 * 1024, 40};

class input : public fuzz_input {
public:
    using fuzz_input::fuzz_input;
    // Small ones and the ends of the range are the interesting ones.
    std::uint64_t number(std::uint64_t near) {
        switch (byte() % 6) {
        case 0: return near + byte();
        case 1: return near - byte();
        case 2: return byte();
        case 3: return ~std::uint64_t{0} - byte();
        case 4: return std::uint64_t{byte()} << 56 | byte();
        default: return near;
        }
    }
};

std::size_t record_size(std::uint64_t number, std::uint8_t seed) {
    return 8 * (1 + (number * 0x9e3779b97f4a7c15ull >> 32 ^ seed) % 700);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    input in{data, size};
    outgoing out{most_bytes, window};
    incoming back{window};
    std::deque<std::size_t> sizes;  // of the records from first() on
    std::uint64_t sent_most = 0;    // the highest number that went out
    std::uint64_t taken = 0;
    amount granted = window;
    std::deque<std::size_t> held;
    while (!in.ended()) {
        record_queue& records = out.records();
        switch (in.byte() % 8) {
        case 0:
        case 1: {
            const std::uint64_t number = records.next();
            const std::size_t n = record_size(number, in.byte());
            const bool room = records.has_room(n);
            std::byte* at = records.append(n);
            expect((at != nullptr) == room);
            if (!at) break;
            std::memset(at, static_cast<int>(number & 0xff), n);
            sizes.push_back(n);
            break;
        }
        case 2:
        case 3:
            if (!out.may_send()) break;
            {
                const auto record = records.next_unsent();
                const std::uint64_t number = records.unsent();
                expect(number <= granted.records);
                expect(number >= records.first() && record.size() == sizes[number - records.first()]);
                for (const std::byte b : record.head) expect(b == static_cast<std::byte>(number & 0xff));
                out.sent();
                sent_most = std::max(sent_most, number);
            }
            break;
        case 4: {
            const std::uint64_t number = in.number(records.unsent());
            const amount credit{in.number(window.bytes), in.number(window.records)};
            const std::uint64_t first = records.first();
            const std::uint64_t next = records.next();
            const bool older = number + 1 < first;
            if (out.acknowledged(number, credit)) {
                if (!older)
                    granted = {std::max(granted.bytes, credit.bytes),
                               std::max(granted.records, credit.records)};
            } else {
                expect(number >= next);
                expect(records.first() == first);
                break;
            }
            expect(records.next() == next && records.first() >= first);
            for (std::uint64_t n = first; n < records.first(); ++n) sizes.pop_front();
            break;
        }
        case 5: out.rewind(); break;
        case 6: {
            const std::uint64_t number = in.number(taken + 1);
            const std::size_t n = 8 * std::size_t{in.byte()};
            const auto verdict = back.arrive(number, n);
            expect((verdict == incoming::verdict::take) == (number == taken + 1));
            expect((verdict == incoming::verdict::repeated) == (number <= taken));
            if (verdict != incoming::verdict::take) break;
            ++taken;
            held.push_back(n);
            break;
        }
        case 7:
            if (!held.empty()) {
                back.consumed({held.front(), 1});
                held.pop_front();
            }
            if (back.owes_acknowledgement()) {
                expect(back.received() == taken && back.credit().bytes >= window.bytes &&
                       back.credit().records >= window.records);
                back.told();
            }
            break;
        default: break;
        }
        expect(records.first() <= records.unsent() && records.unsent() <= records.next());
        expect(records.next() - records.first() == sizes.size());
        expect(records.bytes() <= most_bytes || sizes.size() == 1);
        std::size_t sum = 0;
        for (const std::size_t n : held) sum += n;
        expect(back.held() == amount{sum, held.size()});
        expect(!out.may_send() || records.unsent() <= granted.records);
    }
    return 0;
}
