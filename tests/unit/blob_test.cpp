// Blobs: who shares what memory, what a message with one looks like on the wire, and cutting such messages without copying.
#include "coppice/blob.hpp"

#include <cstring>
#include <map>
#include <numeric>
#include <optional>
#include <thread>
#include <variant>

#include <gtest/gtest.h>

#include "net/bulk.hpp"
#include "net/router.hpp"
#include "support/shm_rig.hpp"
#include "support/wire_bytes.hpp"

namespace coppice::tests {
namespace {

std::vector<std::byte> pattern(std::size_t size, unsigned seed = 1) {
    std::vector<std::byte> bytes(size);
    std::uint64_t state = seed;
    for (std::byte& b : bytes) b = static_cast<std::byte>(next_random(state));
    return bytes;
}
// As one_node lends.
blob one_nodes_memory() {
    blob memory;
    EXPECT_TRUE(one_node{}.borrow({9, 0, 64 * 1024, 0}, memory));
    return memory;
}
std::span<const std::byte> span_of(const std::vector<std::byte>& bytes) { return bytes; }

TEST(Blob, CopiesAndPartsShareTheBytes) {
    const auto bytes = pattern(100);
    const blob whole{bytes};
    const blob same = whole;
    const blob part = whole.part(10, 20);
    EXPECT_EQ(same.data(), whole.data());
    EXPECT_EQ(part.data(), whole.data() + 10);
    EXPECT_EQ(part.size(), 20u);
    EXPECT_EQ(part, blob::copy_of(span_of(bytes).subspan(10, 20)));
    EXPECT_NE(part, whole);
    EXPECT_EQ(whole.part(90, 20).size(), 10u);
    EXPECT_TRUE(whole.part(100, 1).empty());
    EXPECT_TRUE(whole.part(~std::size_t{0}, ~std::size_t{0}).empty());
    EXPECT_EQ(blob{}, whole.part(5, 0));
}

TEST(Blob, TakesAVectorAndATextOverWithoutCopying) {
    auto bytes = pattern(50'000);
    const std::byte* const at = bytes.data();
    EXPECT_EQ(blob{std::move(bytes)}.data(), at);
    std::string text(50'000, 'x');
    const void* const text_at = text.data();
    EXPECT_EQ(static_cast<const void*>(blob{std::move(text)}.data()), text_at);
}

TEST(Blob, LivesAsLongAsItsLastPart) {
    bool gone = false;
    auto bytes = std::make_unique<std::vector<std::byte>>(pattern(64));
    blob part;
    {
        std::shared_ptr<const void> holder{bytes->data(), [&](const void*) {
                                               gone = true;
                                               bytes.reset();
                                           }};
        part = blob::of(*bytes, std::move(holder)).part(60, 4);
    }
    EXPECT_FALSE(gone);
    part = {};
    EXPECT_TRUE(gone);
}

TEST(BlobBuffer, IsWrittenThenFrozenWhereItIs) {
    for (const std::size_t size :
         {std::size_t{1}, std::size_t{4095}, std::size_t{4096}, std::size_t{1} << 20}) {
        blob_buffer buffer{size};
        ASSERT_EQ(buffer.size(), size);
        const auto bytes = pattern(size);
        std::memcpy(buffer.data(), bytes.data(), size);
        const std::byte* const at = buffer.data();
        const blob frozen = std::move(buffer).freeze();
        EXPECT_EQ(frozen.data(), at);
        EXPECT_EQ(frozen, blob{bytes});
        EXPECT_EQ(buffer.size(), 0u);  // NOLINT(bugprone-use-after-move): it is empty, as promised
    }
    blob_buffer more{100};
    EXPECT_EQ(std::move(more).freeze(40).size(), 40u);
    EXPECT_TRUE(blob_buffer{0}.bytes().empty());
#ifndef COPPICE_SANITIZED  // whose allocators end the process instead
    EXPECT_THROW(blob_buffer{~std::size_t{0} / 2}, std::bad_alloc);
#endif
}

TEST(BlobBuffer, OfManyThreadsNeverShareMemory) {
    std::vector<std::thread> threads;
    for (unsigned n = 0; n < 4; ++n)
        threads.emplace_back([n] {
            std::uint64_t state = n;
            std::vector<std::pair<blob, std::byte>> held;
            for (int i = 0; i < 2000; ++i) {
                const std::size_t size = 4096 + next_random(state) % 20'000;
                blob_buffer buffer{size};
                const auto mark = static_cast<std::byte>(next_random(state));
                std::memset(buffer.data(), static_cast<int>(mark), size);
                held.emplace_back(std::move(buffer).freeze(), mark);
                if (held.size() < 20) continue;
                const auto at = next_random(state) % held.size();
                for (const std::byte b : {held[at].first.bytes().front(), held[at].first.bytes().back()})
                    ASSERT_EQ(b, held[at].second);
                held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
            }
        });
    for (auto& t : threads) t.join();
}

// ---------------------------------------------------------------- on the wire

struct with_blob {
    int before = 0;
    blob bytes;
    std::string after;
    bool operator==(const with_blob&) const = default;
};
struct with_vector {
    int before = 0;
    std::vector<std::byte> bytes;
    std::string after;
};

TEST(Blob, LooksOnTheWireAsAVectorOfBytes) {
    for (const std::size_t size : {0u, 1u, 7u, 8u, 9u, 5000u, 100'001u}) {
        const auto bytes = pattern(size);
        const auto as_blob = encode(with_blob{1, blob{bytes}, "x"});
        EXPECT_EQ(as_blob, encode(with_vector{1, bytes, "x"}));
        const auto read = decode<with_vector>(as_blob);
        ASSERT_TRUE(read);
        EXPECT_EQ(read->bytes, bytes);
        const auto back = decode<with_blob>(as_blob);
        ASSERT_TRUE(back);
        EXPECT_EQ(back->bytes, blob{bytes});
    }
    static_assert(has_wire_form<blob> && has_wire_form<std::map<int, std::vector<blob>>>);
    EXPECT_EQ(encode(blob{pattern(20)}), encode(pattern(20)));
}

TEST(Blob, OfAReceivedMessageSharesItsMemoryUnlessItIsASmallPartOfIt) {
    const auto large = encode(with_blob{1, blob{pattern(100'000)}, "x"});
    const auto small = encode(with_blob{1, blob{pattern(5000)}, std::string(100'000, 'x')});
    for (const auto& words : {large, small}) {
        const blob memory = blob::copy_of(bytes_of(words));
        one_node context;
        context.within = &memory;
        alignas(with_blob) std::byte room[sizeof(with_blob)];
        ASSERT_EQ(detail::wire_of<with_blob>->read(memory.bytes(), room, context), errc::ok);
        auto& read = *std::launder(reinterpret_cast<with_blob*>(room));
        EXPECT_EQ(read.bytes.holder() == memory.holder(), &words == &large || words == large);
        EXPECT_EQ(read, *decode<with_blob>(words));
        read.~with_blob();
    }
}

struct bag {
    std::vector<blob> list;
    std::map<std::string, blob> by_name;
    std::optional<std::string> text;
    std::variant<int, blob, std::vector<std::byte>> one_of;
    std::vector<with_blob> nested;
    value any;
};

bag random_bag(std::uint64_t seed) {
    const auto size = [&] {
        return next_random(seed) % 3 == 0 ? 4096 + next_random(seed) % 40'000 : next_random(seed) % 30;
    };
    const auto some = [&] { return blob{pattern(size(), static_cast<unsigned>(next_random(seed)))}; };
    bag b;
    for (auto n = next_random(seed) % 4; n > 0; --n) b.list.push_back(some());
    for (auto n = next_random(seed) % 4; n > 0; --n) b.by_name.emplace(std::string(size(), 'k'), some());
    if (next_random(seed) % 2) b.text = std::string(size(), 't');
    if (next_random(seed) % 2) b.one_of = some();
    else b.one_of = pattern(size());
    for (auto n = next_random(seed) % 3; n > 0; --n)
        b.nested.push_back({1, some(), std::string(size(), 'n')});
    b.any = value::list{1, pattern(size()), "any"};
    return b;
}

// All that a transfer would put into fragments, in a row; what of it was not copied, in bytes.
std::vector<std::byte> sent(net::transfer& t, std::size_t most, std::size_t& shared) {
    std::vector<std::byte> all;
    while (t.done() < t.size()) {
        const auto piece = t.next(most);
        EXPECT_GT(piece.size(), 0u);
        EXPECT_LE(piece.shared.size(), most);
        EXPECT_LE(piece.copied, most);
        EXPECT_EQ(piece.size() % 8, 0u);
        EXPECT_EQ(piece.shared.empty(), piece.holder == nullptr);
        shared += piece.shared.size();
        const std::size_t at = all.size();
        all.resize(at + piece.copied);
        t.take(piece, all.data() + at);
        all.insert(all.end(), piece.shared.begin(), piece.shared.end());
    }
    return all;
}

TEST(Blob, AMessageThatIsSentInPiecesIsTheSameMessageByteForByte) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        SCOPED_TRACE(seed);
        auto* e = detail::make_envelope<bag>(1, 2, random_bag(seed));
        const auto& body = detail::body<bag>(e);
        const auto* form = detail::wire_of<bag>;
        ASSERT_NE(form->bulk, nullptr);
        const words expected = encode(body);
        const auto bulk = form->bulk(&body);
        one_node context;
        wire::envelope_fields fields{};
        fields.kind = 1;
        fields.type = 77;
        net::transfer t{fields, *form, &body, expected.size() * 8, context, &e};
        std::size_t shared = 0;
        const auto all = sent(t, seed % 2 ? 32 * 1024 : 4096, shared);
        // Less than that only by what was left of a piece, and copied with what follows.
        EXPECT_GE(shared + 1024 * bulk.cuts, bulk.words * 8);
        wire::envelope_view view;
        ASSERT_EQ(wire::read_envelope(all, view), errc::ok);
        EXPECT_EQ(view.fields.type, 77u);
        EXPECT_TRUE(std::ranges::equal(view.payload, bytes_of(expected)));
        if (e) detail::release(e);
    }
}

TEST(Blob, WhatOnlyTheMessageHoldsKeepsTheMessageAlive) {
    using form_of = with_vector;
    auto* e = detail::make_envelope<form_of>(1, 2, form_of{1, pattern(50'000), ""});
    const std::byte* const at = detail::body<form_of>(e).bytes.data();
    one_node context;
    const auto* form = detail::wire_of<form_of>;
    const void* body = &detail::body<form_of>(e);
    std::optional<net::transfer> t{
        std::in_place, wire::envelope_fields{}, *form, body, form->size(body), context, &e};
    EXPECT_EQ(e, nullptr) << "it was taken over";
    auto piece = t->next(32 * 1024);
    EXPECT_EQ(piece.shared.data(), at) << "its bytes are sent from where they are";
    t.reset();
    EXPECT_EQ(piece.shared[100], pattern(50'000)[100]) << "and the piece keeps them";
}

// Lends blobs of at least 4 KiB.
class lender final : public detail::wire_context {
public:
    wire_reference out(const detail::address&) override { return {}; }
    detail::address in(const wire_reference&) override { return {}; }
    bool lend(const blob& b, detail::wire_loan& loan) override {
        loan = {9, 100, b.size(), ++last};
        return true;
    }
    std::uint64_t last = 0;
};

TEST(Blob, ThatIsLentIsALoanOfTheSchemaAndReadFromThere) {
    const blob large = one_nodes_memory().part(100, 5000);
    const with_blob m{7, large, "after"};
    const auto* form = detail::wire_of<with_blob>;
    lender context;
    wire::envelope_fields fields{};
    fields.kind = 1;
    detail::envelope* keep = nullptr;
    net::transfer t{fields, *form, &m, form->size(&m), context, &keep};
    std::size_t shared = 0;
    const auto all = sent(t, 1 << 20, shared);
    EXPECT_EQ(shared, 0u);
    EXPECT_LT(all.size(), 400u);
    wire::envelope_view view;
    ASSERT_EQ(wire::read_envelope(all, view), errc::ok);
    EXPECT_TRUE(view.fields.flags & net::record_flag::loans);

    // The same from the generated code.
    one_segment by_schema;
    auto root = by_schema->initRoot<schema::Record>().initFields(3);
    root[0].setInt(7);
    auto loan = root[1].initLoan();
    loan.setArena(9);
    loan.setOffset(100);
    loan.setSize(5000);
    loan.setNumber(1);
    root[2].setText("after");
    const words expected = by_schema.take();
    EXPECT_TRUE(std::ranges::equal(view.payload, bytes_of(expected)));
    // Whoever expects bytes of any form takes them, in any valid order.
    EXPECT_EQ(decode<with_blob>(expected), m);
    EXPECT_EQ(decode<with_vector>(expected)->bytes, std::vector<std::byte>(large.begin(), large.end()));
    one_segment backwards;
    auto fields_at_last = backwards->initRoot<schema::Record>();
    auto orphan = backwards->getOrphanage().newOrphan<schema::Loan>();
    orphan.get().setArena(9);
    orphan.get().setOffset(100);
    orphan.get().setSize(5000);
    auto list = fields_at_last.initFields(3);
    list[0].setInt(7);
    list[1].adoptLoan(kj::mv(orphan));
    list[2].setText("after");
    EXPECT_EQ(decode<with_blob>(backwards.take()), m);
    // And nobody takes one of other memory.
    loan.setArena(8);
    EXPECT_FALSE(decode<with_blob>(by_schema.take()));
    EXPECT_FALSE(value::decode(bytes_of(expected))) << "a value knows no memory";
}

TEST(Blob, WhatAFormMakesIsWrittenWhole) {
    static_assert(!detail::wire_holds_bulk<std::vector<int>>());
    EXPECT_EQ((detail::wire_of<std::vector<int>>->bulk), nullptr);
    EXPECT_NE((detail::wire_of<std::string>->bulk), nullptr);
}

TEST(Assembly, PutsPiecesTogetherHoweverLargeTheWholeIsSaidToBe) {
    net::assembly a;
    for (const std::size_t whole : {std::size_t{40'000}, std::size_t{9} << 20}) {
        const auto bytes = pattern(whole);
        for (std::size_t at = 0; at < whole; at += 32'768)
            a.add(span_of(bytes).subspan(at, std::min<std::size_t>(32'768, whole - at)), whole);
        EXPECT_EQ(a.size(), whole);
        EXPECT_EQ(a.finish(), blob{bytes});
        EXPECT_EQ(a.size(), 0u);
    }
    a.add(pattern(10), 400u << 20);  // what is only announced is not there
    a.clear();
    EXPECT_EQ(a.size(), 0u);
}

}  // namespace
}  // namespace coppice::tests
