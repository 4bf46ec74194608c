// Values of any type with a wire form to bytes and back, outside of messages.
// Pure functions; any thread.
#pragma once
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <vector>

#include "coppice/error.hpp"
#include "coppice/wire.hpp"

namespace coppice::detail {

/// Of what holds no references.
class no_references final : public wire_context {
public:
    wire_reference out(const address&) override { return {}; }
    address in(const wire_reference&) override { return {}; }
};

/// Empty if it is too large.
template <class T>
std::vector<std::byte> to_bytes(const T& value, wire_context& context) {
    std::vector<std::byte> bytes(wire_message<T>::size(&value));
    if (!bytes.empty()) wire_message<T>::write(&value, bytes.data(), context);
    return bytes;
}

/// bad_message if they do not hold one.
template <class T>
result<T> from_bytes(std::span<const std::byte> bytes, wire_context& context) {
    alignas(T) std::byte raw[sizeof(T)];
    if (const errc read = wire_message<T>::read(bytes, raw, context); read != errc::ok) return read;
    T* made = std::launder(reinterpret_cast<T*>(raw));
    const std::unique_ptr<T, void (*)(T*)> undo{made, [](T* t) { t->~T(); }};
    return std::move(*made);
}

}  // namespace coppice::detail
