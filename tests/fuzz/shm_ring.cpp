// Both ends of a shared-memory ring whose other end is hostile: it stores what it likes in every word that it can reach.
// What is shown and what is offered always lies within the mapping, nothing is shown twice or skipped, and a position
// that cannot be makes the end broken for good. The input is a row of steps: which, and its bytes.
#include "../../transport/src/shm/ring.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "support/fuzz_input.hpp"

namespace {

using coppice::tests::expect;
using coppice::tests::fuzz_input;
using namespace coppice::shm;

constexpr std::size_t ring_bytes = 4096;

class input : public fuzz_input {
public:
    using fuzz_input::fuzz_input;
    std::size_t small() { return (byte() | std::size_t{byte()} << 8) % (ring_bytes + ring_bytes / 4); }
    std::uint64_t number(std::uint64_t near) {
        switch (byte() % 5) {
        case 0: return near + small();
        case 1: return near - small();
        case 2: return ~std::uint64_t{0} - byte();
        case 3: return std::uint64_t{byte()} << 56 | byte();
        default: return near;
        }
    }
};

// The data's place: twice the size, as where it is mapped; the sanitizer sees a step beyond it.
bool within(const std::vector<std::byte>& memory, const std::byte* at, std::size_t n) {
    return at >= memory.data() && at + n <= memory.data() + memory.size();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    input in{data, size};
    const auto ours = std::make_unique<ring_words>();    // we write, they read
    const auto theirs = std::make_unique<ring_words>();  // they write, we read
    std::vector<std::byte> out_memory(2 * ring_bytes);
    std::vector<std::byte> in_memory(2 * ring_bytes);
    ring_writer writer{*ours, out_memory.data(), ring_bytes};
    ring_reader reader{*theirs, in_memory.data(), ring_bytes};
    std::uint64_t written = 0;
    std::uint64_t released = 0;  // the last head of theirs that could be
    std::uint64_t read = 0;
    std::size_t seen = 0;  // readable, not consumed
    bool writer_was_broken = false;
    bool reader_was_broken = false;
    while (!in.ended()) {
        switch (in.byte() % 9) {
        case 0: ours->head.value.store(in.number(written)); break;
        case 1: theirs->tail.value.store(in.number(read + seen)); break;
        case 2: ours->rx_wait.value.store(in.byte()); break;
        case 3: theirs->tx_wait.value.store(in.byte()); break;
        case 4: {
            const std::size_t least = 1 + in.small() % ring_bytes;
            const auto room = writer.reserve(least);
            if (room.empty()) break;
            expect(!writer.broken() && room.size() >= least && room.size() <= ring_bytes &&
                   within(out_memory, room.data(), room.size()));
            expect(room.data() == out_memory.data() + written % ring_bytes);
            const std::size_t n = in.small() % (room.size() + 1);
            std::memset(room.data(), 1, n);
            writer.commit(n);
            written += n;
            static_cast<void>(writer.publish());
            expect(ours->tail.value.load() == written && writer.unpublished() == 0);
            break;
        }
        case 5: {
            const std::size_t least = 1 + in.small() % ring_bytes;
            const std::uint64_t head = ours->head.value.load();
            if (writer.ask(least)) expect(!writer.broken());
            else expect(writer.broken() || !writer.reserve(least).empty());
            writer.awake();
            if (!writer.broken()) {
                expect(head - released <= written - released && writer.pending() <= ring_bytes);
                released = head;
            }
            break;
        }
        case 6: {
            const bool more = reader.look();
            const auto bytes = reader.readable();
            expect(bytes.size() <= ring_bytes && within(in_memory, bytes.data(), bytes.size()));
            expect(bytes.data() == in_memory.data() + read % ring_bytes);
            expect(more == (bytes.size() > seen) && bytes.size() >= seen);
            seen = bytes.size();
            break;
        }
        case 7: {
            const std::size_t n = in.small() % (seen + 1);
            static_cast<void>(reader.consume(n));
            read += n;
            seen -= n;
            expect(read - theirs->head.value.load() < ring_bytes / 8);
            break;
        }
        case 8:
            static_cast<void>(reader.settle());
            expect(theirs->head.value.load() == read);
            static_cast<void>(reader.ask());
            reader.awake();
            break;
        default: break;
        }
        expect(!writer_was_broken || writer.broken());
        expect(!reader_was_broken || reader.broken());
        writer_was_broken = writer.broken();
        reader_was_broken = reader.broken();
        if (writer.broken()) expect(writer.reserve(1).empty());
    }
    return 0;
}
