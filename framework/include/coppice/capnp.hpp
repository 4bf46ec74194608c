// capnp_message<S>: a struct that Cap'n Proto generated, as a message. It travels as itself: its own segment is the
// payload, so that programs without Coppice read it with the schema alone. For those who use Cap'n Proto; coppice.hpp
// does not include this, and the program links libcapnp itself.
//
//     using order_message = coppice::capnp_message<Order>;    // struct Order of order.capnp
//     self.send(shop, order_message::build([](Order::Builder o) { o.setId(7); }));
//     m.match([](const order_message& o) { use(o.get().getId()); });
//
// Include it before headers of Cap'n Proto under clang (detail/capnp_compat.hpp says why). A message is not changed
// once it is built; copies are deep. One thread at a time reads an object, as its reader counts what was read.
#pragma once
#include "coppice/detail/capnp_compat.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>

#include <capnp/any.h>
#include <capnp/message.h>
#include <capnp/schema.h>

#include "coppice/wire.hpp"

namespace coppice {

namespace detail {

/// One raw segment and a reader over it.
class capnp_segment {
public:
    /// The builder's segments as one.
    explicit capnp_segment(::capnp::MessageBuilder& built);
    explicit capnp_segment(std::span<const std::uint64_t> words);

    [[nodiscard]] std::span<const std::uint64_t> words() const noexcept {
        return {reinterpret_cast<const std::uint64_t*>(words_.begin()), words_.size()};
    }
    [[nodiscard]] ::capnp::MessageReader& reader() noexcept { return reader_; }

private:
    ::kj::Array<::capnp::word> words_;
    ::kj::ArrayPtr<const ::capnp::word> table_;
    ::capnp::SegmentArrayMessageReader reader_;
};

/// Reads everything that the schema tells of, within limits. False if a pointer leads astray, a text has no end,
/// objects overlap, or structs are nested deeper than 64 pointers.
[[nodiscard]] bool capnp_is_sound(std::span<const std::uint64_t> words, ::capnp::StructSchema schema);

}  // namespace detail

/// S: a generated struct. An object that was not built, or moved from, is a struct of defaults.
template <class S>
class capnp_message {
public:
    capnp_message() noexcept = default;
    capnp_message(capnp_message&&) noexcept = default;
    capnp_message& operator=(capnp_message&&) noexcept = default;
    capnp_message(const capnp_message& other) { *this = other; }
    capnp_message& operator=(const capnp_message& other) {
        if (this != &other)
            segment_ =
                other.segment_ ? std::make_unique<detail::capnp_segment>(other.segment_->words()) : nullptr;
        return *this;
    }
    ~capnp_message() = default;

    /// fill(typename S::Builder) writes the struct. Throws what it throws.
    template <class Fill>
    requires std::is_invocable_v<Fill, typename S::Builder>
    static capnp_message build(Fill&& fill) {
        ::capnp::MallocMessageBuilder builder;
        std::forward<Fill>(fill)(builder.initRoot<S>());
        capnp_message made;
        made.segment_ = std::make_unique<detail::capnp_segment>(builder);
        return made;
    }
    /// The words of a raw segment, of a file say; bad_message if they do not hold an S.
    static result<capnp_message> from_words(std::span<const std::uint64_t> words) {
        if (!detail::capnp_is_sound(words, ::capnp::Schema::from<S>())) return errc::bad_message;
        capnp_message made;
        made.segment_ = std::make_unique<detail::capnp_segment>(words);
        return made;
    }

    /// Valid as long as the message is.
    [[nodiscard]] typename S::Reader get() const {
        return segment_ ? segment_->reader().template getRoot<S>() : typename S::Reader{};
    }
    /// The raw segment, as it travels.
    [[nodiscard]] std::span<const std::uint64_t> words() const noexcept {
        static constexpr std::uint64_t nothing = 0;
        return segment_ ? segment_->words() : std::span{&nothing, 1};
    }

private:
    std::unique_ptr<detail::capnp_segment> segment_;
};

template <class S>
struct detail::wire_native<capnp_message<S>> {
    static std::size_t words(const capnp_message<S>& m) noexcept { return m.words().size(); }
    static void write(const capnp_message<S>& m, std::uint64_t* out) noexcept {
        const auto words = m.words();
        std::memcpy(out, words.data(), words.size_bytes());
    }
    [[nodiscard]] static bool read(std::span<const std::uint64_t> words, capnp_message<S>& m) {
        auto made = capnp_message<S>::from_words(words);
        if (!made) return false;
        m = std::move(*made);
        return true;
    }
};

}  // namespace coppice
