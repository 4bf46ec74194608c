// How a request of any type travels: as the value that it holds, under the id of that value's type; see any_request.hpp.
// Any thread.
#include "coppice/any_request.hpp"

#include <new>
#include <utility>

namespace coppice::detail {

namespace {

using of_value = wire_message<coppice::value>;

const coppice::value& held(const void* body) noexcept { return static_cast<const any_request*>(body)->what; }

errc read(std::span<const std::byte> in, void* where, wire_context& context) {
    alignas(coppice::value) std::byte room[sizeof(coppice::value)];
    if (const errc wrong = of_value::read(in, room, context); wrong != errc::ok) return wrong;
    auto* made = std::launder(reinterpret_cast<coppice::value*>(room));
    ::new (where) any_request{std::move(*made)};
    made->~value();
    return errc::ok;
}

}  // namespace

const wire_functions wire_of_message<any_request>::functions = [] {
    wire_functions f{};
    f.size = [](const void* body) { return of_value::size(&held(body)); };
    f.write = [](const void* body, std::byte* out, wire_context& context) {
        of_value::write(&held(body), out, context);
    };
    f.read = &read;
    f.type = [](const void* body) noexcept { return type_of_value(&held(body)); };
    f.set_type = [](void* body, std::uint64_t type) noexcept {
        set_type_of_value(&static_cast<any_request*>(body)->what, type);
    };
    return f;
}();

}  // namespace coppice::detail
