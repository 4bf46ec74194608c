// The rings of shm links: against a naive model, in two processes, and with words that cannot be.
// No reactor and no socket: what the ring says about bells is looked at, not rung.
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include <bitset>
#include <deque>

#include "support/shm_rig.hpp"

namespace {

using namespace coppice;
using namespace coppice::shm;
using namespace coppice::tests;

constexpr std::uint64_t many = 10'000'000;

struct both_ends {
    two_mappings memory;
    ring_writer writer;
    ring_reader reader;
    explicit both_ends(std::uint64_t ring = 4096)
        : memory{ring},
          writer{memory.connector.words(side::connector), memory.connector.data(side::connector), ring},
          reader{memory.acceptor.words(side::connector), memory.acceptor.data(side::connector), ring} {}
    [[nodiscard]] ring_words& words() const { return memory.connector.words(side::connector); }
};

TEST(ShmRing, IsAQueueOfBytesWhateverIsReservedCommittedPublishedAndUsed) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SCOPED_TRACE(seed);
        std::uint64_t random = seed;
        both_ends ring{4096u << (seed % 3)};
        const std::size_t size = 4096u << (seed % 3);
        std::deque<std::byte> model;    // committed, not used
        std::size_t published = 0;      // how many of them the reader may see
        std::size_t released_late = 0;  // used, but perhaps not told to the writer yet
        unsigned next = 0;
        for (int step = 0; step < 20'000; ++step) {
            switch (next_random(random) % 8) {
            case 0:
            case 1:
            case 2:
            case 3: {
                const std::size_t least =
                    1 + next_random(random) % (next_random(random) % 16 == 0 ? size : 200);
                const auto room = ring.writer.reserve(least);
                const std::size_t free = size - model.size();
                if (room.empty()) {
                    ASSERT_LT(free, least + released_late);
                    break;
                }
                ASSERT_GE(room.size(), least);
                ASSERT_LE(room.size(), free);
                const std::size_t used = next_random(random) % (least + 1);
                for (std::size_t i = 0; i < used; ++i)
                    model.push_back(room[i] = static_cast<std::byte>(next++ * 7));
                ring.writer.commit(used);
                break;
            }
            case 4:
            case 5:
                static_cast<void>(ring.writer.publish());
                published = model.size();
                break;
            case 6: {
                ring.reader.look();
                const auto shown = ring.reader.readable();
                ASSERT_EQ(shown.size(), published);
                for (std::size_t i = 0; i < shown.size(); ++i) ASSERT_EQ(shown[i], model[i]);
                const std::size_t used = shown.empty() ? 0 : next_random(random) % (shown.size() + 1);
                static_cast<void>(ring.reader.consume(used));
                model.erase(model.begin(), model.begin() + static_cast<std::ptrdiff_t>(used));
                published -= used;
                released_late += used;
                if (released_late >= size / 8) released_late = size / 8;
                break;
            }
            default: static_cast<void>(ring.reader.settle()); released_late = 0;
            }
        }
        EXPECT_FALSE(ring.writer.broken());
        EXPECT_FALSE(ring.reader.broken());
    }
}

TEST(ShmRing, EveryRegionIsContiguousAtEveryPosition) {
    both_ends ring;
    const std::size_t size = 4096;
    for (std::size_t start = 0; start < size; start += 8) {
        // The whole ring, beginning at this position.
        auto room = ring.writer.reserve(size);
        ASSERT_EQ(room.size(), size) << start;
        for (std::size_t i = 0; i < size; ++i) room[i] = static_cast<std::byte>(i * 31 + start / 8);
        ring.writer.commit(size);
        EXPECT_TRUE(ring.writer.reserve(1).empty());
        static_cast<void>(ring.writer.publish());
        ASSERT_TRUE(ring.reader.look());
        const auto shown = ring.reader.readable();
        ASSERT_EQ(shown.size(), size);
        for (std::size_t i = 0; i < size; ++i)
            ASSERT_EQ(shown[i], static_cast<std::byte>(i * 31 + start / 8)) << start << " " << i;
        static_cast<void>(ring.reader.consume(size));
        static_cast<void>(ring.reader.settle());
        // And 8 bytes further.
        ASSERT_FALSE(ring.writer.reserve(8).empty());
        ring.writer.commit(8);
        static_cast<void>(ring.writer.publish());
        ring.reader.look();
        static_cast<void>(ring.reader.consume(8));
        static_cast<void>(ring.reader.settle());
    }
}

TEST(ShmRing, ShowsNothingBeforeItIsPublished) {
    both_ends ring;
    ASSERT_FALSE(ring.writer.reserve(100).empty());
    ring.writer.commit(100);
    EXPECT_FALSE(ring.reader.look());
    EXPECT_TRUE(ring.reader.readable().empty());
    EXPECT_EQ(ring.writer.unpublished(), 100u);
    EXPECT_FALSE(ring.writer.publish());  // nobody sleeps
    EXPECT_TRUE(ring.reader.look());
    EXPECT_EQ(ring.reader.readable().size(), 100u);
}

TEST(ShmRing, RingsOnceForAReaderThatSleepsAndNotForOneThatIsAwake) {
    both_ends ring;
    const auto put = [&] {
        static_cast<void>(ring.writer.reserve(8));
        ring.writer.commit(8);
        return ring.writer.publish();
    };
    EXPECT_TRUE(ring.reader.ask());
    EXPECT_TRUE(put());
    EXPECT_FALSE(put());
    ring.reader.awake();
    EXPECT_FALSE(put());
    EXPECT_FALSE(ring.reader.ask()) << "there is something: it must not sleep";
    ring.reader.awake();
    ring.reader.look();
    EXPECT_TRUE(ring.reader.ask());
}

TEST(ShmRing, RingsForAWriterThatSleepsWhenHalfTheRingIsFreeOrTheReaderSettles) {
    both_ends ring;
    ASSERT_EQ(ring.writer.reserve(4096).size(), 4096u);
    ring.writer.commit(4096);
    static_cast<void>(ring.writer.publish());
    EXPECT_TRUE(ring.writer.reserve(1).empty());
    EXPECT_TRUE(ring.writer.ask(1));
    ring.reader.look();
    EXPECT_FALSE(ring.reader.consume(1024)) << "a quarter is too little to wake it for";
    EXPECT_TRUE(ring.reader.consume(1024));
    EXPECT_FALSE(ring.writer.ask(1)) << "there is room: it must not sleep";
    ring.writer.awake();
    EXPECT_TRUE(ring.writer.ask(4000));
    EXPECT_FALSE(ring.reader.consume(8));
    EXPECT_TRUE(ring.reader.settle());
    EXPECT_FALSE(ring.reader.settle());
}

// ---------------------------------------------------------------- words that cannot be

TEST(Shm, S10_APositionOfTheWriterBeyondTheRingIsFoundAndNothingIsShown) {
    for (const std::uint64_t wrong : {std::uint64_t{4097}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
        both_ends ring;
        ring.words().tail.value = wrong;
        EXPECT_FALSE(ring.reader.look());
        EXPECT_TRUE(ring.reader.broken());
        EXPECT_TRUE(ring.reader.readable().empty());
        ring.words().tail.value = 8;
        EXPECT_FALSE(ring.reader.look()) << "broken is for good";
    }
}

TEST(Shm, S10_APositionOfTheWriterThatGoesBackIsFound) {
    both_ends ring;
    ring.words().tail.value = 2000;
    ASSERT_TRUE(ring.reader.look());
    ring.words().tail.value = 1992;
    EXPECT_FALSE(ring.reader.look());
    EXPECT_TRUE(ring.reader.broken());
}

TEST(Shm, S10_APositionOfTheReaderBeyondWhatWasPublishedIsFoundAndThereIsNoRoom) {
    for (const std::uint64_t wrong : {std::uint64_t{4089}, std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
        both_ends ring;
        static_cast<void>(ring.writer.reserve(4096));
        ring.writer.commit(4088);
        static_cast<void>(ring.writer.publish());
        ring.words().head.value = wrong;
        EXPECT_TRUE(ring.writer.reserve(9).empty());
        EXPECT_TRUE(ring.writer.broken());
        EXPECT_TRUE(ring.writer.reserve(1).empty());
        EXPECT_FALSE(ring.writer.ask(1)) << "it must not sleep, there is an end to tell of";
    }
}

TEST(Shm, S10_APositionOfTheReaderThatGoesBackIsFound) {
    both_ends ring;
    static_cast<void>(ring.writer.reserve(4096));
    ring.writer.commit(4096);
    static_cast<void>(ring.writer.publish());
    ring.words().head.value = 1000;
    ASSERT_FALSE(ring.writer.reserve(1000).empty());
    ring.words().head.value = 992;
    EXPECT_TRUE(ring.writer.reserve(2000).empty());
    EXPECT_TRUE(ring.writer.broken());
}

// ---------------------------------------------------------------- two processes

// A message of the test: this, then `size` bytes, then zeros up to a multiple of 8.
struct message_head {
    std::uint32_t size;
    std::uint32_t number;
    std::uint64_t sum;
};

constexpr std::size_t framed(std::size_t size) { return (sizeof(message_head) + size + 7) & ~std::size_t{7}; }

std::uint64_t mixed(std::uint64_t sum, std::uint64_t word) {
    sum = (sum ^ word) * 0x9fb2'1c65'1e98'df25;
    return sum ^ (sum >> 32);
}

std::size_t size_of_message(std::uint64_t random) {
    return random % 32 == 0 ? (random >> 8) % 1000 : (random >> 8) % 49;
}

void rest(unsigned& idle) {
    if (++idle % 64 == 0) ::sched_yield();
}

// What the writing process does; no memory is allocated after the fork. Returns the exit status.
int write_messages(int memory, std::uint64_t count, std::uint64_t seed) {
    auto mapped = segment::attach(memory, {{4096, 4096}}, 1);
    if (!mapped) return 10;
    ring_writer writer{mapped->words(side::connector), mapped->data(side::connector), 4096};
    std::uint64_t random = seed;
    unsigned idle = 0;
    for (std::uint64_t n = 0; n < count; ++n) {
        const std::uint64_t r = next_random(random);
        const std::size_t size = size_of_message(r);
        std::span<std::byte> room;
        while ((room = writer.reserve(framed(size))).empty()) {
            static_cast<void>(writer.publish());
            if (writer.broken()) return 11;
            rest(idle);
        }
        message_head head{static_cast<std::uint32_t>(size), static_cast<std::uint32_t>(n), 0};
        for (std::size_t at = sizeof head; at < framed(size); at += 8) {
            const std::uint64_t word = r + at * 0x0101'0101'0101'0101;
            std::memcpy(room.data() + at, &word, 8);
            head.sum = mixed(head.sum, word);
        }
        std::memcpy(room.data(), &head, sizeof head);
        writer.commit(framed(size));
        if ((r >> 40) % 4 == 0) static_cast<void>(writer.publish());
    }
    static_cast<void>(writer.publish());
    return 0;
}

TEST(Shm, S1_TwoProcessesExchangeMillionsOfMessagesThroughASmallRingAndEveryWrapPositionIsMet) {
    const std::uint64_t seed = 2026;
    two_mappings memory;
    ring_reader reader{memory.acceptor.words(side::connector), memory.acceptor.data(side::connector), 4096};
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::_exit(write_messages(memory.memory.get(), many, seed));
    }

    std::bitset<512> starts;  // message begins at this position of the ring / 8
    std::bitset<512> splits;  // so many bytes / 8 of a message lie before the ring's end, the others after it
    std::uint64_t position = 0;
    std::uint64_t random = seed;
    std::uint64_t wrong = 0;
    unsigned idle = 0;
    for (std::uint64_t n = 0; n < many && wrong == 0;) {
        if (!reader.look()) {
            static_cast<void>(reader.settle());
            ASSERT_FALSE(reader.broken());
            rest(idle);
            continue;
        }
        auto shown = reader.readable();
        while (!shown.empty()) {
            message_head head{};
            std::memcpy(&head, shown.data(), sizeof head);
            const std::uint64_t r = next_random(random);
            const std::size_t whole = framed(head.size);
            if (head.size != size_of_message(r) || head.number != static_cast<std::uint32_t>(n) ||
                whole > shown.size()) {
                ++wrong;
                break;
            }
            std::uint64_t sum = 0;
            for (std::size_t at = sizeof head; at < whole; at += 8) {
                std::uint64_t word = 0;
                std::memcpy(&word, shown.data() + at, 8);
                wrong += word != r + at * 0x0101'0101'0101'0101;
                sum = mixed(sum, word);
            }
            wrong += sum != head.sum;
            starts.set((position % 4096) / 8);
            if (position % 4096 + whole > 4096) splits.set((4096 - position % 4096) / 8);
            position += whole;
            shown = shown.subspan(whole);
            static_cast<void>(reader.consume(whole));
            ++n;
        }
    }
    static_cast<void>(reader.settle());
    if (wrong) ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(wrong, 0u);
    EXPECT_EQ(status, 0);
    EXPECT_TRUE(starts.all()) << starts.count();
    // The longest message has 1016 bytes: splits from 1 to 126 words.
    for (std::size_t words = 1; words <= 126; ++words) EXPECT_TRUE(splits.test(words)) << words;
}

}  // namespace
