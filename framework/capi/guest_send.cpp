// See guest_send.hpp. The envelope does not hold the value, but says where it is: it is written before the call ends.
#include "guest_send.hpp"

#include <memory>

#include "asio_driver.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice::c {

namespace {

using detail::envelope;

struct lent_value {
    const value* what;
    std::size_t size;  // of its wire form
};

const lent_value& lent(const void* body) noexcept { return *static_cast<const lent_value*>(body); }

// Travels as the value would.
constexpr detail::wire_functions lent_form{
    [](const void* body) { return lent(body).size; },
    [](const void* body, std::byte* out, detail::wire_context& context) {
        detail::type_of<value>->wire->write(lent(body).what, out, context);
    },
    nullptr, [](const void* body) noexcept { return detail::type_of<value>->wire->type(lent(body).what); }};
constexpr detail::message_type lent_type{detail::type_of<value>->id,
                                         detail::type_of<value>->name,
                                         lane::normal,
                                         false,
                                         nullptr,
                                         nullptr,
                                         static_cast<std::uint32_t>(detail::body_offset<lent_value>),
                                         static_cast<std::uint32_t>(sizeof(lent_value)),
                                         &lent_form,
                                         nullptr};

envelope* make_lent(detail::actor_id sender, const lent_value& what) {
    constexpr std::size_t bytes = detail::envelope_bytes<lent_value>;
    void* block = detail::pool_alloc(bytes);
    auto* e = ::new (block) envelope{nullptr,
                                     &lent_type,
                                     0,
                                     sender,
                                     0,
                                     static_cast<std::uint16_t>(bytes / 64),
                                     envelope::waits_for_room,
                                     lane::normal};
    ::new (static_cast<void*>(static_cast<std::byte*>(block) + detail::body_offset<lent_value>))
        lent_value{what};
    return e;
}

}  // namespace

// Invariant: between two visits of guests a drain that was asked for is on its way, or the inbox is empty and asleep, and whoever puts
// something there asks for one. So what is found in it, which this thread may have sent before, is seen to by a drain here.
placed send_as_guest(detail::scheduler& here, const detail::address& to, detail::actor_id sender,
                     const value& what) {
    using detail::scheduler;
    net::router* const net = to.is_remote() ? here.node->net : nullptr;
    if (!net || net->home() != here.index) return placed::elsewhere;
    const std::size_t size = detail::type_of<value>->wire->size(&what);
    if (size == 0 || size > limits::fragment) return placed::elsewhere;

    const scheduler::as_current current{here};
    envelope* const waiting = here.inbox.load(std::memory_order_relaxed);
    if (waiting == scheduler::closed_tag()) return placed::elsewhere;
    // What a drain throws ends the process, as on the own thread.
    if (waiting != scheduler::idle_tag() && waiting != nullptr)
        [&]() noexcept { detail::drain_once(here); }();
    if (!net->has_room(to)) return placed::full;
    // A lease is an asio_driver's.
    if (!here.awake) static_cast<detail::asio_driver*>(here.drive)->drain_later();
    std::unique_ptr<envelope, void (*)(envelope*)> mail{make_lent(sender, {&what, size}),
                                                        [](envelope* e) { detail::release(e); }};
    const errc outcome = net->send(to, mail.get());
    if (outcome == errc::ok) {
        static_cast<void>(mail.release());
        return placed::taken;
    }
    return outcome == errc::mailbox_full ? placed::full : placed::elsewhere;
}

}  // namespace coppice::c
