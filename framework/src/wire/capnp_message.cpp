// What capnp_message<S> has in common for all S: one segment out of a builder's several, and the check of what a peer
// sent. The check is a walk along the schema, so that reading afterwards finds nothing that is not what it should be.
#include "coppice/capnp.hpp"

#include <cstring>

#include <capnp/dynamic.h>
#include <kj/exception.h>

namespace coppice::detail {
namespace {

// Own words, and words that were walked through once: there is nothing left to bound.
::capnp::ReaderOptions unbounded() {
    ::capnp::ReaderOptions options;
    options.traversalLimitInWords = ~std::uint64_t{0} >> 8;
    return options;
}

::kj::Array<::capnp::word> copy_of(const void* from, std::size_t words) {
    auto copy = ::kj::heapArray<::capnp::word>(words);
    if (words != 0) std::memcpy(copy.begin(), from, words * sizeof(::capnp::word));
    return copy;
}

::kj::Array<::capnp::word> one_segment(::capnp::MessageBuilder& built) {
    const auto segments = built.getSegmentsForOutput();
    if (segments.size() == 1) return copy_of(segments[0].begin(), segments[0].size());
    const auto root = built.getRoot<::capnp::AnyPointer>().asReader();
    auto words = ::kj::heapArray<::capnp::word>(root.targetSize().wordCount + 1);
    std::memset(words.begin(), 0, words.size() * sizeof(::capnp::word));
    ::capnp::FlatMessageBuilder flat{words};
    flat.setRoot(root);
    return words;
}

void walk(::capnp::DynamicStruct::Reader object);

void walk(const ::capnp::DynamicValue::Reader& found) {
    switch (found.getType()) {
    case ::capnp::DynamicValue::STRUCT: return walk(found.as<::capnp::DynamicStruct>());
    case ::capnp::DynamicValue::LIST: {
        const auto list = found.as<::capnp::DynamicList>();
        switch (list.getSchema().whichElementType()) {
        case ::capnp::schema::Type::TEXT:
        case ::capnp::schema::Type::DATA:
        case ::capnp::schema::Type::LIST:
        case ::capnp::schema::Type::STRUCT:
        case ::capnp::schema::Type::ANY_POINTER:
            for (const auto each : list) walk(each);
            return;
        default: return;  // numbers: within bounds, like the list
        }
    }
    case ::capnp::DynamicValue::ANY_POINTER: found.as<::capnp::AnyPointer>().targetSize(); return;
    default: return;  // numbers; text and data were looked at when they were got
    }
}

void walk(::capnp::DynamicStruct::Reader object) {
    for (const auto field : object.getSchema().getNonUnionFields())
        if (object.has(field)) walk(object.get(field));
    KJ_IF_MAYBE (active, object.which()) {
        if (object.has(*active)) walk(object.get(*active));
    }
}

}  // namespace

capnp_segment::capnp_segment(::capnp::MessageBuilder& built)
    : words_{one_segment(built)},
      table_{words_.begin(), words_.size()},
      reader_{::kj::arrayPtr(&table_, 1), unbounded()} {}

capnp_segment::capnp_segment(std::span<const std::uint64_t> words)
    : words_{copy_of(words.data(), words.size())},
      table_{words_.begin(), words_.size()},
      reader_{::kj::arrayPtr(&table_, 1), unbounded()} {}

bool capnp_is_sound(std::span<const std::uint64_t> words, ::capnp::StructSchema schema) {
    if (words.empty()) return false;
    const ::kj::ArrayPtr<const ::capnp::word> segment{reinterpret_cast<const ::capnp::word*>(words.data()),
                                                      words.size()};
    ::capnp::ReaderOptions options;
    options.traversalLimitInWords = 2 * words.size() + 1024;  // an AnyPointer is measured, then got
    try {
        ::capnp::SegmentArrayMessageReader reader{::kj::arrayPtr(&segment, 1), options};
        walk(reader.getRoot<::capnp::DynamicStruct>(schema));
        return true;
    } catch (const ::kj::Exception&) {
        return false;
    }
}

}  // namespace coppice::detail
