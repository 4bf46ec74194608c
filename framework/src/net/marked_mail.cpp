// How marked mail gets to bytes: as the value that it holds, under the id of that value's type; see marked_mail.hpp. No actor takes
// these types, so that they are never read. Any thread.
#include "net/marked_mail.hpp"

#include "net/router.hpp"

namespace coppice {

namespace {

using of_marked_value = detail::wire_message<value>;

template <class M>
const M& marked(const void* body) noexcept {
    return *static_cast<const M*>(body);
}

template <class M>
std::uint64_t type_of_marked(const void* body) noexcept {
    return detail::type_of_value(&marked<M>(body).what);
}

errc never_read(std::span<const std::byte>, void*, detail::wire_context&) { return errc::bad_message; }

template <class M>
detail::wire_functions functions_of_marked() {
    detail::wire_functions f{};
    f.size = [](const void* body) { return of_marked_value::size(&marked<M>(body).what); };
    f.write = [](const void* body, std::byte* out, detail::wire_context& context) {
        of_marked_value::write(&marked<M>(body).what, out, context);
    };
    f.read = &never_read;
    f.type = &type_of_marked<M>;
    return f;
}

// What a stop has on the wire.
struct no_fields_at_all {};

}  // namespace

namespace detail {

const wire_functions wire_of_message<net::marked_value>::functions = functions_of_marked<net::marked_value>();
const wire_functions wire_of_message<net::marked_request>::functions =
    functions_of_marked<net::marked_request>();
const wire_functions wire_of_message<net::marked_stop>::functions = [] {
    static const no_fields_at_all none;
    wire_functions f{};
    f.size = [](const void*) { return wire_message<no_fields_at_all>::size(&none); };
    f.write = [](const void*, std::byte* out, wire_context& context) {
        wire_message<no_fields_at_all>::write(&none, out, context);
    };
    f.read = &never_read;
    return f;
}();

}  // namespace detail

namespace net {

standing standing_of_mail(const detail::envelope* e) noexcept {
    const void* body = reinterpret_cast<const std::byte*>(e) + e->type->offset;
    const detail::wire_functions* form = e->type->wire;
    if (form == &detail::wire_of_message<marked_value>::functions) return marked<marked_value>(body).as;
    if (form == &detail::wire_of_message<marked_request>::functions) return marked<marked_request>(body).as;
    if (form == &detail::wire_of_message<marked_stop>::functions) return marked<marked_stop>(body).as;
    return rights_table::of_the_tree;
}

}  // namespace net
}  // namespace coppice
