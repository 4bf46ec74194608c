// Reads through Cap'n Proto's own reader, whose exceptions end here. Its limits: every word once, 3 pointers a level. It
// takes a list of bytes for a list of structs of a byte each, so the values are counted here, too.
// The outcome is a coppice::value, which is then written in order and read by whoever wanted the message.
#include "wire/generic.hpp"

#include "coppice/detail/capnp_compat.hpp"

#include <cstring>
#include <vector>

#include <capnp/message.h>
#include <kj/exception.h>

#include "value.capnp.h"

namespace coppice::wire {
namespace {

using value_list = ::capnp::List<schema::Value>::Reader;

class value_reader {
public:
    value_reader(std::size_t most_values, coppice::detail::wire_context* context) noexcept
        : left_{most_values}, context_{context} {}

    bool read_list(value_list from, std::vector<value>& list, int depth) {
        if (depth > limits::wire_nesting || !spend(from.size())) return false;
        list.reserve(from.size());
        for (const auto each : from)
            if (!read_value(each, list.emplace_back(), depth)) return false;
        return true;
    }

    bool read_map(::capnp::List<schema::Entry>::Reader from, value::map& map, int depth) {
        if (depth > limits::wire_nesting || !spend(2 * std::size_t{from.size()})) return false;
        map.reserve(from.size());
        for (const auto each : from) {
            value::entry& entry = map.emplace_back();
            if (!read_value(each.getKey(), entry.key, depth) ||
                !read_value(each.getValue(), entry.mapped, depth))
                return false;
        }
        return true;
    }

    template <class List>
    bool read_numbers(List from, value& v) {
        if (!spend(from.size())) return false;
        value::list list;
        list.reserve(from.size());
        for (const auto each : from) list.emplace_back(each);
        v = std::move(list);
        return true;
    }

    bool read_value(schema::Value::Reader from, value& v, int depth) {
        switch (from.which()) {
        case schema::Value::VOID: v = value{}; return true;
        case schema::Value::BOOL: v = from.getBool(); return true;
        case schema::Value::INT: v = from.getInt(); return true;
        case schema::Value::UINT: v = from.getUint(); return true;
        case schema::Value::FLOAT: v = from.getFloat(); return true;
        case schema::Value::TEXT: {
            const auto text = from.getText();
            v = std::string_view{text.begin(), text.size()};
            return true;
        }
        case schema::Value::DATA: {
            const auto data = from.getData();
            const auto* begin = reinterpret_cast<const std::byte*>(data.begin());
            v = value::bytes(begin, begin + data.size());
            return true;
        }
        case schema::Value::LIST: {
            value::list list;
            if (!read_list(from.getList(), list, depth + 1)) return false;
            v = std::move(list);
            return true;
        }
        case schema::Value::RECORD: {
            value::record record;
            if (!read_list(from.getRecord().getFields(), record.fields, depth + 1)) return false;
            v = std::move(record);
            return true;
        }
        case schema::Value::MAP: {
            value::map map;
            if (!read_map(from.getMap(), map, depth + 1)) return false;
            v = std::move(map);
            return true;
        }
        case schema::Value::REFERENCE: {
            const auto reference = from.getReference();
            v = wire_reference{reference.getNode(), reference.getActor(), reference.getIncarnation()};
            return true;
        }
        case schema::Value::LOAN: {
            const auto loan = from.getLoan();
            blob lent;
            const coppice::detail::wire_loan said{loan.getArena(), loan.getOffset(), loan.getSize(),
                                                  loan.getNumber()};
            if (!context_ || !context_->borrow(said, lent)) return false;
            v = value::bytes(lent.begin(), lent.end());
            return true;
        }
        case schema::Value::INTS: return read_numbers(from.getInts(), v);
        case schema::Value::UINTS: return read_numbers(from.getUints(), v);
        case schema::Value::FLOATS: return read_numbers(from.getFloats(), v);
        }
        v = value{};  // a kind of a later release
        return true;
    }

private:
    bool spend(std::size_t values) noexcept {
        if (values > left_) return false;
        left_ -= values;
        return true;
    }

    std::size_t left_;  // values that may yet be made
    coppice::detail::wire_context* context_;
};

// A Value has data words, a Record has none. In a truncated encoding the Value of nothing has none, too, and
// no pointer.
bool is_record(std::uint64_t root) {
    return (root & 3) == 0 && (root >> 32 & 0xffff) == 0 && root >> 48 != 0;
}

}  // namespace

bool read_any_order(std::span<const std::uint64_t> words, value& v, coppice::detail::wire_context* context) {
    if (words.empty()) return false;
    const ::kj::ArrayPtr<const ::capnp::word> segment{reinterpret_cast<const ::capnp::word*>(words.data()),
                                                      words.size()};
    ::capnp::ReaderOptions options;
    // Elements of no size are counted as a word each. So nobody gets more values out than words went in, and a few.
    const std::size_t most = words.size() + 1024;
    options.traversalLimitInWords = most;
    options.nestingLimit = 3 * limits::wire_nesting + 4;
    try {
        ::capnp::SegmentArrayMessageReader reader{::kj::arrayPtr(&segment, 1), options};
        value_reader values{most, context};
        if (!is_record(words[0])) return values.read_value(reader.getRoot<schema::Value>(), v, 0);
        value::record record;
        if (!values.read_list(reader.getRoot<schema::Record>().getFields(), record.fields, 1)) return false;
        v = std::move(record);
        return true;
    } catch (const ::kj::Exception&) {
        return false;  // what the peer sent is no message; there is nobody to tell more
    }
}

}  // namespace coppice::wire

namespace coppice::detail {

errc wire_read_reordered(std::span<const std::byte> in, void* where, wire_context& context,
                         wire_attempt attempt, bool native) {
    if (in.empty() || in.size() % 8 != 0 || in.size() / 8 > limits::wire_words) return errc::bad_message;
    std::span<const std::uint64_t> words{reinterpret_cast<const std::uint64_t*>(in.data()), in.size() / 8};
    std::vector<std::uint64_t> aligned;
    if ((reinterpret_cast<std::uintptr_t>(in.data()) & 7) != 0) {
        aligned.resize(words.size());
        std::memcpy(aligned.data(), in.data(), in.size());
        words = aligned;
        if (attempt(words, where, context)) return errc::ok;
    }
    if (native) return errc::bad_message;
    value v;
    if (!wire::read_any_order(words, v, &context)) return errc::bad_message;
    const std::size_t size = words_of_message(v);
    if (size > limits::wire_words) return errc::bad_message;
    std::vector<std::uint64_t> ordered(size);
    put_message(ordered.data(), v, context);
    return attempt(ordered, where, context) ? errc::ok : errc::bad_message;
}

}  // namespace coppice::detail
