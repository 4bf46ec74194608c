// The control plane's codec: what is sent comes back, what is damaged is refused, what is newer is read; and the proofs
// of the handshake. Messages are random, by a seed that a failure names. Threads: one, but where a test says otherwise.
#include "net/control.hpp"

#include <algorithm>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/detail/capnp_compat.hpp"
#include "coppice/options.hpp"
#include "net/crc32c.hpp"
#include "net/handshake_proof.hpp"

#include <capnp/any.h>
#include <capnp/message.h>
#include <capnp/serialize.h>

namespace coppice::net {
namespace {

using bytes = std::vector<std::byte>;
constexpr std::size_t kinds = std::variant_size_v<control>;

// ---- random messages

struct source {
    std::mt19937_64 random;

    std::uint64_t number() { return random() >> (random() % 64); }
    std::size_t below(std::size_t end) { return static_cast<std::size_t>(random() % end); }
    bool coin() { return random() & 1; }
    // Any bytes, zeros among them.
    std::string text(std::size_t longest) {
        std::string s(below(longest + 1), '\0');
        for (char& c : s) c = static_cast<char>(random());
        return s;
    }
    std::vector<std::uint64_t> numbers(std::size_t most) {
        std::vector<std::uint64_t> all(below(most + 1));
        for (std::uint64_t& n : all) n = number();
        return all;
    }
    template <std::size_t Size>
    void fill(std::array<std::byte, Size>& a) {
        for (std::byte& b : a) b = static_cast<std::byte>(random());
    }
    // Few different type names: they are remembered for as long as the process lives.
    exit_reason reason(std::size_t longest) {
        static constexpr std::array<std::string_view, 3> types{"", "store::put", "add"};
        exit_reason r = link(longest, types[below(types.size())]);
        for (std::size_t causes = below(6); causes > 0; --causes)
            r = r.because(link(longest, types[below(types.size())]));
        return r;
    }
    exit_reason link(std::size_t longest, std::string_view type) {
        const auto kind = static_cast<exit_kind>(below(13));
        return coin() ? exit_reason{kind} : exit_reason{kind, text(longest), text(longest), type};
    }

    control message(std::size_t kind, std::size_t longest) {
        const auto code = [&] { return static_cast<errc>(below(30)); };
        const auto n32 = [&] { return static_cast<std::uint32_t>(number()); };
        switch (kind) {
        case 0: {
            hello m;
            m.version = static_cast<std::uint16_t>(number());
            m.node = number();
            m.name = text(std::min(longest, limits::name_bytes));
            m.as = static_cast<role>(below(4));
            if (coin()) fill(m.token);
            fill(m.challenge);
            m.with_secret = coin();
            m.ancestors = numbers(8);
            m.machine = text(std::min(longest, limits::name_bytes));
            m.pid = n32();
            return m;
        }
        case 1: {
            proof m;
            fill(m.code);
            return m;
        }
        case 2: return refusal{code(), text(longest)};
        case 3: return welcome{text(std::min(longest, limits::name_bytes))};
        case 4: return farewell{text(longest)};
        case 5: {
            routes m;
            m.complete = coin();
            m.added.resize(below(6));
            for (named_node& n : m.added) n = {number(), text(std::min(longest, limits::name_bytes))};
            m.removed = numbers(6);
            return m;
        }
        case 6: return locate{number(), text(std::min(longest, limits::name_bytes))};
        case 7: return located{number(), number(), text(std::min(longest, limits::name_bytes))};
        case 8: return find{number(), text(longest), numbers(12)};
        case 9: return found{number(), code(), text(longest), number(), n32(), number()};
        case 10: return watch_actor{number(), number(), number(), n32()};
        case 11: return unwatch_actor{number(), number(), number()};
        case 12: return down_notice{number(), number(), number(), reason(longest)};
        case 13: return link_actors{number(), number(), n32()};
        case 14: return unlink_actors{number(), number()};
        case 15: return exit_notice{number(), number(), reason(longest)};
        case 16: return end_actor{number(), static_cast<ending>(below(5)), number()};
        case 17: return introduce{number()};
        case 18: {
            offer m;
            if (coin()) fill(m.token);
            m.endpoints.resize(below(5));
            for (std::string& e : m.endpoints) e = text(longest);
            m.machine = text(std::min(longest, limits::name_bytes));
            m.pid = n32();
            m.is_answer = coin();
            return m;
        }
        case 19: return arena_mapped{number()};
        case 20: return loans_returned{numbers(12)};
        case 21: return ended{number(), coin(), text(longest)};
        case 22: {
            memberships m{number(), coin(), {}, {}};
            m.joined.resize(below(6));
            m.left.resize(below(6));
            for (auto* list : {&m.joined, &m.left})
                for (membership& one : *list) one = {text(std::min(longest, limits::name_bytes)), number()};
            return m;
        }
        default: ADD_FAILURE() << "control has a new kind: " << kind; return welcome{};
        }
    }
};

// ---- comparing

bool same_reason(const exit_reason* a, const exit_reason* b) {
    for (; a && b; a = a->cause(), b = b->cause())
        if (a->kind() != b->kind() || a->text() != b->text() || a->origin() != b->origin() ||
            a->in_hand() != b->in_hand())
            return false;
    return !a && !b;
}

struct comparison {
    bool operator()(const down_notice& a, const down_notice& b) const {
        return a.monitor == b.monitor && a.watcher == b.watcher && a.target == b.target &&
               same_reason(&a.reason, &b.reason);
    }
    bool operator()(const exit_notice& a, const exit_notice& b) const {
        return a.from == b.from && a.to == b.to && same_reason(&a.reason, &b.reason);
    }
    template <class T>
    bool operator()(const T& a, const T& b) const {
        return a == b;
    }
    template <class T, class U>
    bool operator()(const T&, const U&) const {
        return false;
    }
};

bool equal(const control& a, const control& b) { return std::visit(comparison{}, a, b); }

// ---- damaging and growing bytes

kj::ArrayPtr<const capnp::word> words_of(const bytes& b) {
    return {static_cast<const capnp::word*>(static_cast<const void*>(b.data())),
            b.size() / sizeof(capnp::word)};
}

bytes bytes_of(kj::ArrayPtr<const capnp::word> words) {
    bytes b(words.size() * sizeof(capnp::word));
    std::memcpy(b.data(), words.begin(), b.size());
    return b;
}

// The bytes of a message after `change`, which gets the struct of its kind (not the union around it).
template <class Change>
bytes changed(const control& message, Change change) {
    const bytes before = encode(message);
    const kj::ArrayPtr<const capnp::word> segment = words_of(before);
    capnp::SegmentArrayMessageReader reader{kj::arrayPtr(&segment, 1)};
    capnp::MallocMessageBuilder builder{1u << 16};
    builder.setRoot(reader.getRoot<capnp::AnyStruct>());
    auto root = builder.getRoot<capnp::AnyPointer>().getAs<capnp::AnyStruct>();
    change(root, root.getPointerSection()[0].getAs<capnp::AnyStruct>());
    EXPECT_EQ(builder.getSegmentsForOutput().size(), 1u);
    return bytes_of(builder.getSegmentsForOutput()[0]);
}

// Copies a struct, and all below it, as a later release could write it: longer, with data and pointers at the end of
// which this release knows nothing. What it knows takes at most `known` words and pointers in every struct.
constexpr unsigned known = 5;
constexpr unsigned grown = 8;

void grow(capnp::AnyStruct::Reader from, capnp::AnyStruct::Builder into, source& random);

void grow(capnp::AnyPointer::Reader from, capnp::AnyPointer::Builder into, source& random) {
    if (from.isStruct())
        return grow(from.getAs<capnp::AnyStruct>(), into.initAsAnyStruct(grown, grown), random);
    if (from.isList() &&
        from.getAs<capnp::AnyList>().getElementSize() == capnp::ElementSize::INLINE_COMPOSITE) {
        const auto list = from.getAs<capnp::AnyList>().as<capnp::List<capnp::AnyStruct>>();
        auto longer = into.initAsListOfAnyStruct(grown, grown, list.size());
        for (unsigned i = 0; i < list.size(); ++i) grow(list[i], longer[i], random);
        return;
    }
    into.set(from);
}

void grow(capnp::AnyStruct::Reader from, capnp::AnyStruct::Builder into, source& random) {
    const auto old_data = from.getDataSection();
    const auto old_pointers = from.getPointerSection();
    ASSERT_LE(old_data.size(), known * sizeof(capnp::word));
    ASSERT_LE(old_pointers.size(), known);
    auto data = into.getDataSection();
    std::copy(old_data.begin(), old_data.end(), data.begin());
    for (std::size_t i = known * sizeof(capnp::word); i < data.size(); ++i)
        data[i] = static_cast<kj::byte>(random.number());
    auto pointers = into.getPointerSection();
    for (unsigned i = 0; i < old_pointers.size(); ++i) grow(old_pointers[i], pointers[i], random);
    for (unsigned i = known; i < grown; ++i) {
        const std::string junk = random.text(20);
        if (random.coin()) pointers[i].setAs<capnp::Text>(capnp::Text::Reader{junk.c_str(), junk.size()});
        else pointers[i].initAsAnyStruct(1, 1).getDataSection()[0] = 1;
    }
}

bytes by_a_later_release(const control& message, source& random) {
    const bytes before = encode(message);
    const kj::ArrayPtr<const capnp::word> segment = words_of(before);
    capnp::SegmentArrayMessageReader reader{kj::arrayPtr(&segment, 1)};
    capnp::MallocMessageBuilder builder{1u << 16};
    grow(reader.getRoot<capnp::AnyPointer>(), builder.getRoot<capnp::AnyPointer>(), random);
    EXPECT_EQ(builder.getSegmentsForOutput().size(), 1u);
    return bytes_of(builder.getSegmentsForOutput()[0]);
}

errc code_after(const control& message, auto change) {
    return decode(changed(message, change)).error().code();
}

// Whatever was read stays the same when it is written and read again.
void expect_sound(const control& message) {
    const auto again = decode(encode(message));
    ASSERT_TRUE(again) << again.error().what();
    EXPECT_TRUE(equal(message, *again));
}

void for_each_message(std::uint64_t seeds, std::size_t longest, auto body) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        for (std::size_t kind = 0; kind < kinds; ++kind) {
            SCOPED_TRACE("seed " + std::to_string(seed) + ", kind " + std::to_string(kind));
            source random{std::mt19937_64{seed * kinds + kind}};
            body(random.message(kind, longest), random);
            if (::testing::Test::HasFailure()) return;
        }
    }
}

// One fixed message of each kind, all fields different.
std::vector<control> fixed_messages() {
    hello h;
    h.version = 7;
    h.node = 0x1122334455667788;
    h.name = "app";
    h.as = role::child;
    h.challenge.fill(std::byte{0xab});
    h.with_secret = true;
    h.ancestors = {3, 2, 1};
    h.machine = "m-1";
    h.pid = 4711;
    h.token.fill(std::byte{0xef});
    offer o;
    o.token.fill(std::byte{0xba});
    o.endpoints = {"tcp://10.0.0.7:4711", "unix://app"};
    o.machine = "m-2";
    o.pid = 4712;
    o.is_answer = true;
    proof p;
    p.code.fill(std::byte{0xcd});
    const exit_reason reason =
        exit_reason{exit_kind::linked, "linked to /app/disk", "/app/store", "store::put"}.because(
            exit_reason{exit_kind::error, "disk full"});
    return {h,
            p,
            refusal{errc::wrong_secret, "other secret"},
            welcome{"10.0.0.8:34712"},
            farewell{"bye"},
            routes{true, {{5, "left"}, {6, "right"}}, {8, 9}},
            locate{11, "vision"},
            located{12, 13, "vision"},
            find{14, "/app/counter", {15, 16}},
            found{17, errc::wrong_protocol, "no add", 18, 19},
            watch_actor{20, 21, 22, 23},
            unwatch_actor{24, 25, 26},
            down_notice{27, 28, 29, reason},
            link_actors{30, 31, 32},
            unlink_actors{33, 34},
            exit_notice{35, 36, reason},
            end_actor{37, ending::kill, 38},
            introduce{39},
            o,
            arena_mapped{39},
            loans_returned{{40, 41}},
            ended{42, true, "the process of node b has died"},
            memberships{43, true, {{"alarms", 44}}, {{"notes", 45}, {"news", 46}}}};
}

// ---- the tests

TEST(Control, ComesBackAsItWasSent) {
    for_each_message(300, 300, [](const control& message, source&) {
        const bytes sent = encode(message);
        ASSERT_EQ(sent.size() % 8, 0u);
        const auto read = decode(sent);
        ASSERT_TRUE(read) << read.error().what();
        EXPECT_TRUE(equal(message, *read));
        EXPECT_EQ(encode(*read), sent);
    });
}

TEST(Control, ComesBackWithAllFieldsAtTheirDefaults) {
    for (const control& message : {control{hello{}},       control{proof{}},        control{refusal{}},
                                   control{welcome{}},     control{farewell{}},     control{routes{}},
                                   control{locate{}},      control{located{}},      control{find{}},
                                   control{found{}},       control{watch_actor{}},  control{unwatch_actor{}},
                                   control{down_notice{}}, control{link_actors{}},  control{unlink_actors{}},
                                   control{exit_notice{}}, control{end_actor{}},    control{introduce{}},
                                   control{offer{}},       control{arena_mapped{}}, control{loans_returned{}},
                                   control{ended{}},       control{memberships{}}})
        expect_sound(message);
}

// The checksum of what each kind looks like on the wire. It may change only if nobody has this release yet.
TEST(Control, KeepsItsBytesFromReleaseToRelease) {
    const std::vector<std::uint32_t> sums{
        800867104,  4119182625, 1196019113, 3951261535, 3791468824, 2550651879, 2115580592, 490927871,
        3323102072, 2323852475, 4140164332, 3044009265, 1871189706, 2674274625, 1590999438, 1474811422,
        2959347794, 4242951113, 883187957,  2375399460, 2265576082, 2407397346, 2219336043};
    const std::vector<control> messages = fixed_messages();
    ASSERT_EQ(messages.size(), kinds);
    std::vector<std::uint32_t> now;
    for (std::size_t kind = 0; kind < kinds; ++kind) {
        ASSERT_EQ(messages[kind].index(), kind);
        const bytes b = encode(messages[kind]);
        now.push_back(crc32c(0, b.data(), b.size()));
    }
    EXPECT_EQ(now, sums);
}

TEST(Control, IsRefusedWhenItsEndIsMissing) {
    for_each_message(10, 60, [](const control& message, source&) {
        const bytes whole = encode(message);
        for (std::size_t size = 0; size < whole.size(); ++size) {
            const bytes part{whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)};
            const auto read = decode(part);
            ASSERT_FALSE(read) << size << " of " << whole.size() << " bytes";
            EXPECT_EQ(read.error().code(), errc::bad_message);
            EXPECT_FALSE(read.error().text().empty());
        }
    });
}

TEST(Control, IsReadOrRefusedWithAnyOneBitFlipped) {
    std::size_t read_anyway = 0;
    std::size_t refused = 0;
    for_each_message(6, 24, [&](const control& message, source&) {
        const bytes sent = encode(message);
        for (std::size_t bit = 0; bit < 8 * sent.size(); ++bit) {
            bytes flipped = sent;
            flipped[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
            const auto read = decode(flipped);
            if (read) {
                ++read_anyway;
                expect_sound(*read);
            } else {
                ++refused;
                const errc code = read.error().code();
                EXPECT_TRUE(code == errc::bad_message || code == errc::wrong_version) << read.error().what();
            }
        }
    });
    EXPECT_GT(read_anyway, 0u);
    EXPECT_GT(refused, 0u);
}

TEST(Control, IsReadOrRefusedWithManyWordsReplaced) {
    for_each_message(60, 60, [](const control& message, source& random) {
        bytes damaged = encode(message);
        const std::size_t words = damaged.size() / 8;
        for (std::size_t n = 1 + random.below(3); n > 0; --n) {
            const std::uint64_t word = random.number();
            std::memcpy(damaged.data() + 8 * random.below(words), &word, sizeof word);
        }
        if (const auto read = decode(damaged)) expect_sound(*read);
    });
}

TEST(Control, IsReadWhenALaterReleaseHasAddedFields) {
    for_each_message(50, 60, [](const control& message, source& random) {
        const bytes later = by_a_later_release(message, random);
        ASSERT_GT(later.size(), encode(message).size());
        const auto read = decode(later);
        ASSERT_TRUE(read) << read.error().what();
        EXPECT_TRUE(equal(message, *read));
    });
}

TEST(Control, OfAKindThatALaterReleaseAddedIsOfAWrongVersion) {
    for (const unsigned kind : {static_cast<unsigned>(kinds), 99u, 0xffffu}) {
        const auto read = decode(changed(locate{1, "a"}, [&](auto root, auto) {
            root.getDataSection()[0] = static_cast<kj::byte>(kind & 0xff);
            root.getDataSection()[1] = static_cast<kj::byte>(kind >> 8);
        }));
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().code(), errc::wrong_version);
        EXPECT_NE(read.error().text().find(std::to_string(kind)), std::string_view::npos)
            << read.error().text();
    }
}

// Where the fields lie is what `capnp compile -ocapnp` prints for schemas/control.capnp.
TEST(Control, ThatAsksForWhatALaterReleaseAddedIsOfAWrongVersion) {
    const auto with_role = [](unsigned n) {
        return code_after(fixed_messages()[0],
                          [n](auto, auto m) { m.getDataSection()[2] = static_cast<kj::byte>(n); });
    };
    EXPECT_EQ(with_role(3), errc::ok);
    EXPECT_EQ(with_role(4), errc::wrong_version);
    const auto with_ending = [](unsigned n) {
        return code_after(end_actor{1, ending::kill, 0},
                          [n](auto, auto m) { m.getDataSection()[8] = static_cast<kj::byte>(n); });
    };
    EXPECT_EQ(with_ending(1), errc::ok);
    EXPECT_EQ(with_ending(4), errc::ok);
    EXPECT_EQ(with_ending(5), errc::wrong_version);
}

TEST(Control, TakesAnErrorThatALaterReleaseAddedAsFailed) {
    const auto with_code = [](unsigned n) {
        const auto read = decode(changed(refusal{errc::denied, "x"}, [n](auto, auto m) {
            m.getDataSection()[0] = static_cast<kj::byte>(n);
        }));
        return read ? std::get<refusal>(*read).code : errc::ok;
    };
    EXPECT_EQ(with_code(25), errc::wrong_secret);
    EXPECT_EQ(with_code(200), errc::failed);
    EXPECT_EQ(with_code(255), errc::failed);
}

TEST(Control, TakesAnEndThatALaterReleaseAddedAsAnError) {
    const auto with_kind = [](unsigned n) {
        const auto read = decode(changed(exit_notice{1, 2, exit_kind::killed}, [n](auto, auto m) {
            auto reason = m.getPointerSection()[0]
                              .template getAs<capnp::AnyList>()
                              .template as<capnp::List<capnp::AnyStruct>>();
            reason[0].getDataSection()[0] = static_cast<kj::byte>(n & 0xff);
            reason[0].getDataSection()[1] = static_cast<kj::byte>(n >> 8);
        }));
        return read ? std::get<exit_notice>(*read).reason.kind() : exit_kind::normal;
    };
    EXPECT_EQ(with_kind(15), exit_kind::not_started);
    EXPECT_EQ(with_kind(200), exit_kind::error);
    EXPECT_EQ(with_kind(0x100), exit_kind::error);  // and not 0, a normal end
}

TEST(Control, CutsLongTextsButNotWithinACharacter) {
    const auto sent = [](std::string text) {
        return std::get<farewell>(decode(encode(farewell{std::move(text)})).value()).text;
    };
    const std::string full(4096, 'x');
    EXPECT_EQ(sent(full), full);
    EXPECT_EQ(sent(full + "y"), full);
    const std::string umlauts = std::string(4095, 'x') + "\xc3\xa4\xc3\xb6";
    EXPECT_EQ(sent(umlauts), std::string(4095, 'x'));
    const std::string face = std::string(4093, 'x') + "\xf0\x9f\x98\x80";
    EXPECT_EQ(sent(face), std::string(4093, 'x'));
    const std::string no_text(5000, '\x80');
    EXPECT_EQ(sent(no_text), no_text.substr(0, 4096));
}

TEST(Control, CutsTheChainOfCausesAndTheLinksOfIt) {
    exit_reason reason{exit_kind::error, std::string(9000, 'a'), std::string(9000, 'b'), {}};
    for (int i = 0; i < 40; ++i) reason = exit_reason{exit_kind::linked, std::to_string(i)}.because(reason);
    const std::string long_type(300, 't');
    reason =
        exit_reason{exit_kind::failed, std::string(9000, 'c'), std::string(9000, 'd'), long_type}.because(
            reason);
    const auto read = decode(encode(down_notice{1, 2, 3, reason}));
    ASSERT_TRUE(read) << read.error().what();
    const exit_reason& r = std::get<down_notice>(*read).reason;
    EXPECT_EQ(r.kind(), exit_kind::failed);
    EXPECT_EQ(r.text(), std::string(4096, 'c'));
    EXPECT_EQ(r.origin(), std::string(limits::path_bytes, 'd'));
    EXPECT_EQ(r.in_hand(), long_type.substr(0, limits::name_bytes));
    ASSERT_TRUE(r.cause());
    EXPECT_EQ(r.cause()->text(), "39");
    int links = 0;
    for (const exit_reason* c = &r; c; c = c->cause()) ++links;
    EXPECT_EQ(links, 32);
}

// A name that is cut is another's: nobody's is safer.
TEST(Control, SendsNamesAndPathsThatAreTooLongAsEmpty) {
    const auto name = [](std::size_t size) {
        return std::get<locate>(decode(encode(locate{1, std::string(size, 'n')})).value()).name.size();
    };
    EXPECT_EQ(name(limits::name_bytes), limits::name_bytes);
    EXPECT_EQ(name(limits::name_bytes + 1), 0u);
    const auto path = [](std::size_t size) {
        return std::get<find>(decode(encode(find{1, std::string(size, 'p'), {}})).value()).path.size();
    };
    EXPECT_EQ(path(limits::path_bytes), limits::path_bytes);
    EXPECT_EQ(path(limits::path_bytes + 1), 0u);
}

TEST(Control, IsRefusedWithATextLongerThanAWriterSends) {
    const auto with_text = [](const control& message, unsigned pointer, std::size_t size) {
        return code_after(message, [&](auto, auto m) {
            const std::string s(size, 's');
            m.getPointerSection()[pointer].template setAs<capnp::Text>(
                capnp::Text::Reader{s.c_str(), s.size()});
        });
    };
    const control h = fixed_messages()[0];
    for (const unsigned pointer : {0u, 3u}) {  // name, machine
        EXPECT_EQ(with_text(h, pointer, limits::name_bytes), errc::ok);
        EXPECT_EQ(with_text(h, pointer, limits::name_bytes + 1), errc::bad_message);
    }
    EXPECT_EQ(with_text(find{1, "p", {}}, 0, limits::path_bytes), errc::ok);
    EXPECT_EQ(with_text(find{1, "p", {}}, 0, limits::path_bytes + 1), errc::bad_message);
    EXPECT_EQ(with_text(farewell{"t"}, 0, 4096), errc::ok);
    EXPECT_EQ(with_text(farewell{"t"}, 0, 4097), errc::bad_message);
    EXPECT_EQ(with_text(ended{1, true, "t"}, 0, 4097), errc::bad_message);
    EXPECT_EQ(with_text(found{1, errc::ok, "t", 1, 1}, 0, 4097), errc::bad_message);
    EXPECT_EQ(with_text(refusal{errc::denied, "t"}, 0, 4097), errc::bad_message);
    EXPECT_EQ(with_text(locate{1, "n"}, 0, 256), errc::bad_message);
    EXPECT_EQ(with_text(located{1, 2, "n"}, 0, 256), errc::bad_message);
}

TEST(Control, IsRefusedWithATokenOfAnotherLength) {
    const auto with_token = [](const control& message, unsigned pointer, std::size_t size) {
        return code_after(message, [&](auto, auto m) {
            const std::vector<kj::byte> b(size, 7);
            m.getPointerSection()[pointer].template setAs<capnp::Data>(
                capnp::Data::Reader{b.data(), b.size()});
        });
    };
    const auto messages = fixed_messages();
    for (const auto& [message, pointer] : {std::pair{messages[0], 4u}, std::pair{messages[18], 0u}})
        for (const std::size_t size : {1u, 15u, 16u, 17u})
            EXPECT_EQ(with_token(message, pointer, size), size == 16 ? errc::ok : errc::bad_message) << size;
}

TEST(Control, IsRefusedWithALongerListThanAReaderTakes) {
    const auto code = [](const control& message) { return decode(encode(message)).error().code(); };
    offer o;
    o.endpoints.resize(most_endpoints);
    EXPECT_EQ(code(o), errc::ok);
    o.endpoints.emplace_back();
    EXPECT_EQ(code(o), errc::bad_message);
    hello h;
    h.ancestors.resize(most_ancestors);
    EXPECT_EQ(code(h), errc::ok);
    h.ancestors.push_back(1);
    EXPECT_EQ(code(h), errc::bad_message);
    find f;
    f.types.resize(most_types);
    EXPECT_EQ(code(f), errc::ok);
    f.types.push_back(1);
    EXPECT_EQ(code(f), errc::bad_message);
    routes r;
    r.added.resize(most_routes);
    r.removed.resize(most_routes);
    EXPECT_EQ(code(r), errc::ok);
    r.added.emplace_back();
    EXPECT_EQ(code(r), errc::bad_message);
    r.added.clear();
    r.removed.push_back(1);
    EXPECT_EQ(code(r), errc::bad_message);
    memberships m;
    m.joined.resize(most_memberships);
    m.left.resize(most_memberships);
    EXPECT_EQ(code(m), errc::ok);
    m.left.emplace_back();
    EXPECT_EQ(code(m), errc::bad_message);
    m.left.clear();
    m.joined.emplace_back();
    EXPECT_EQ(code(m), errc::bad_message);
}

TEST(Control, IsRefusedWithAnEndWithoutReasonOrWithTooManyCauses) {
    for (const unsigned links : {0u, 33u})
        EXPECT_EQ(
            code_after(exit_notice{1, 2, exit_kind::error},
                       [&](auto, auto m) { m.getPointerSection()[0].initAsListOfAnyStruct(1, 3, links); }),
            errc::bad_message)
            << links;
}

TEST(Control, IsRefusedWithoutItsContents) {
    for (const control& message : fixed_messages())
        EXPECT_EQ(code_after(message, [](auto root, auto) { root.getPointerSection()[0].clear(); }),
                  errc::bad_message);
    EXPECT_EQ(decode(bytes(8)).error().code(), errc::bad_message);
}

TEST(Control, IsRefusedWithANonceOrAProofOfAnotherLength) {
    for (const std::size_t size : {0u, 31u, 33u}) {
        const std::vector<kj::byte> data(size);
        const auto replace = [&](unsigned pointer) {
            return [&data, pointer](auto, auto m) {
                m.getPointerSection()[pointer].template setAs<capnp::Data>(
                    capnp::Data::Reader{data.data(), data.size()});
            };
        };
        EXPECT_EQ(code_after(fixed_messages()[0], replace(1)), errc::bad_message);
        EXPECT_EQ(code_after(fixed_messages()[1], replace(0)), errc::bad_message);
    }
}

// A thousand names that are all the same 255 bytes: what they would cost is many times what was sent.
TEST(Control, IsRefusedWhenItLeadsToTheSameBytesAgainAndAgain) {
    routes r;
    r.complete = true;  // or its data would be left out as zero
    r.added.resize(1000);
    r.added.front().name = std::string(limits::name_bytes, 'n');
    for (named_node& n : r.added) n.node = 1;
    bytes b = encode(r);
    ASSERT_TRUE(decode(b));
    // Words: root pointer, Control (1 + 1), Routes (1 + 2), the list's tag, then node and name of each entry.
    constexpr std::size_t first_name = 8;
    const auto load = [&](std::size_t at) {
        std::uint64_t word = 0;
        std::memcpy(&word, b.data() + 8 * at, 8);
        return word;
    };
    const std::uint64_t pointer = load(first_name);
    ASSERT_EQ(pointer >> 32, ((limits::name_bytes + 1) << 3) | 2) << "not a pointer to that text";
    const std::size_t target = first_name + 1 + ((pointer & 0xffffffff) >> 2);
    for (std::size_t i = 1; i < r.added.size(); ++i) {
        const std::size_t at = first_name + 2 * i;
        const auto offset = static_cast<std::uint32_t>(target - at - 1) << 2;
        const std::uint64_t word = (pointer & ~std::uint64_t{0xffffffff}) | offset | (pointer & 3);
        std::memcpy(b.data() + 8 * at, &word, 8);
    }
    const auto read = decode(b);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code(), errc::bad_message);
}

TEST(Control, KeepsTheNameOfTheMessageInHandAfterItsBytesAreGone) {
    std::string_view first;
    std::string_view second;
    for (std::string_view* in_hand : {&first, &second}) {
        bytes b = encode(exit_notice{1, 2, exit_reason{exit_kind::error, "t", "/o", "some::message"}});
        *in_hand = std::get<exit_notice>(decode(b).value()).reason.in_hand();
        std::fill(b.begin(), b.end(), std::byte{0xff});
    }
    EXPECT_EQ(first, "some::message");
    EXPECT_EQ(first.data(), second.data());
}

// In a process of its own, because the names stay.
int fill_the_table_of_type_names() {
    const auto name_of = [](const std::string& type) {
        return std::get<exit_notice>(
                   decode(encode(exit_notice{1, 2, exit_reason{exit_kind::error, "t", "/o", type}})).value())
            .reason.in_hand();
    };
    for (int i = 0; i < 4096; ++i)
        if (name_of("type" + std::to_string(i)) != "type" + std::to_string(i)) return 1;
    if (!name_of("one_more").empty()) return 2;
    return name_of("type0") == "type0" ? 0 : 3;
}

TEST(Control, ForgetsNewNamesOfMessagesWhenItHasMetTooMany) {
    EXPECT_EXIT(std::_Exit(fill_the_table_of_type_names()), ::testing::ExitedWithCode(0), "");
}

TEST(Control, IsReadOnSeveralThreadsAtOnce) {
    const auto read_all = [](std::uint64_t seed) {
        source random{std::mt19937_64{seed}};
        for (int i = 0; i < 200; ++i) expect_sound(random.message(random.below(kinds), 40));
    };
    std::vector<std::thread> threads;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) threads.emplace_back(read_all, seed);
    for (std::thread& t : threads) t.join();
}

// ---- the proofs of the handshake

std::string hex(const mac& code) {
    std::string s;
    for (const std::byte b : code) {
        s += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
        s += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
    }
    return s;
}

std::string hmac(const std::string& key, const std::string& data) {
    return hex(handshake::hmac_sha256(key, std::as_bytes(std::span{data})));
}

TEST(HandshakeProof, GivesTheCodesOfRfc4231) {
    EXPECT_EQ(hmac(std::string(20, '\x0b'), "Hi There"),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    EXPECT_EQ(hmac("Jefe", "what do ya want for nothing?"),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(hmac(std::string(20, '\xaa'), std::string(50, '\xdd')),
              "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    std::string counting;
    for (char c = 1; c <= 25; ++c) counting += c;
    EXPECT_EQ(hmac(counting, std::string(50, '\xcd')),
              "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    EXPECT_EQ(hmac(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
              "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    EXPECT_EQ(
        hmac(std::string(131, '\xaa'),
             "This is a test using a larger than block-size key and a larger than block-size data. The key "
             "needs to be hashed before being used by the HMAC algorithm."),
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
    EXPECT_EQ(hmac("", ""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(HandshakeProof, DiffersWithSecretDirectionAndEveryBitOfBothHellos) {
    hello h;
    h.name = "a";
    h.challenge = make_nonce();
    bytes connector = encode(h);
    h.name = "b";
    h.challenge = make_nonce();
    bytes acceptor = encode(h);
    std::set<mac> codes;
    std::size_t expected = 0;
    const auto add = [&](std::string_view secret, bool by_connector) {
        codes.insert(prove(secret, by_connector, connector, acceptor));
        ++expected;
    };
    add("secret", true);
    add("secret", false);
    add("secreT", true);
    add("", true);
    for (bytes* side : {&connector, &acceptor}) {
        for (std::size_t bit = 0; bit < 8 * side->size(); ++bit) {
            (*side)[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
            add("secret", true);
            (*side)[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
        }
    }
    std::swap(connector, acceptor);
    add("secret", true);
    EXPECT_EQ(codes.size(), expected);
}

TEST(HandshakeProof, IsTheSameForTheSame) {
    const bytes connector = encode(hello{});
    const bytes acceptor = encode(welcome{});
    EXPECT_TRUE(same(prove("s", true, connector, acceptor), prove("s", true, connector, acceptor)));
    EXPECT_EQ(prove("s", false, connector, acceptor),
              handshake::hmac_sha256("s", handshake::transcript(false, connector, acceptor)));
}

// What stands in one hello could be moved into the other without the lengths.
TEST(HandshakeProof, TellsWhereOneHelloEndsAndTheOtherBegins) {
    const bytes both(16, std::byte{1});
    std::set<std::vector<std::byte>> transcripts;
    for (std::size_t cut = 0; cut <= both.size(); ++cut)
        for (const bool by_connector : {false, true})
            transcripts.insert(handshake::transcript(by_connector, std::span{both}.first(cut),
                                                     std::span{both}.subspan(cut)));
    EXPECT_EQ(transcripts.size(), 2 * 17u);
}

// Other languages compute it from what schemas/control.capnp says.
TEST(HandshakeProof, IsOverWhatTheSchemaSays) {
    const bytes connector{std::byte{'c'}};
    const bytes acceptor{std::byte{'a'}, std::byte{'b'}};
    using namespace std::string_view_literals;
    const auto wanted =
        "\x1f\0\0\0\0\0\0\0coppice 1 proof of the acceptor\1\0\0\0\0\0\0\0c\2\0\0\0\0\0\0\0ab"sv;
    const auto all = handshake::transcript(false, connector, acceptor);
    EXPECT_EQ((std::string_view{reinterpret_cast<const char*>(all.data()), all.size()}), wanted);
}

TEST(HandshakeProof, ComparesEveryByte) {
    const mac code = prove("s", true, {}, {});
    EXPECT_TRUE(same(code, code));
    for (std::size_t bit = 0; bit < 8 * code.size(); ++bit) {
        mac other = code;
        other[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
        EXPECT_FALSE(same(code, other)) << bit;
    }
}

TEST(HandshakeProof, HasAFreshNonceForEveryConnection) {
    std::set<nonce> nonces;
    for (int i = 0; i < 1000; ++i) nonces.insert(make_nonce());
    EXPECT_EQ(nonces.size(), 1000u);
    // Every byte is drawn: in a thousand nonces none stays at one value.
    for (std::size_t at = 0; at < nonce{}.size(); ++at) {
        std::set<std::byte> values;
        for (const nonce& n : nonces) values.insert(n[at]);
        EXPECT_GT(values.size(), 128u) << at;
    }
}

}  // namespace
}  // namespace coppice::net
