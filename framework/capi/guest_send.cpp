// See guest_send.hpp. The envelope does not hold what is sent, but says where it is: it is written before the call ends.
#include "guest_send.hpp"

#include <memory>
#include <span>

#include "asio_driver.hpp"
#include "coppice/wire.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice::c {

namespace {

using detail::envelope;

struct lent_message {
    const void* body;
    const detail::wire_functions* form;  // of the body
    std::size_t size;                    // of its wire form
};

const lent_message& lent(const void* body) noexcept { return *static_cast<const lent_message*>(body); }

constexpr detail::wire_functions lent_form{
    [](const void* body) { return lent(body).size; },
    [](const void* body, std::byte* out, detail::wire_context& context) {
        lent(body).form->write(lent(body).body, out, context);
    },
    nullptr, [](const void* body) noexcept { return lent(body).form->type(lent(body).body); }};
constexpr detail::message_type lent_type{detail::type_of<value>->id,
                                         detail::type_of<value>->name,
                                         lane::normal,
                                         false,
                                         nullptr,
                                         nullptr,
                                         static_cast<std::uint32_t>(detail::body_offset<lent_message>),
                                         static_cast<std::uint32_t>(sizeof(lent_message)),
                                         &lent_form,
                                         nullptr};

// Bytes travel as a value of them would.
const std::span<const std::byte>& bytes_at(const void* body) noexcept {
    return *static_cast<const std::span<const std::byte>*>(body);
}
constexpr detail::wire_functions form_of_bytes{
    [](const void* body) {
        const std::size_t words = 1 + detail::value_words + detail::bytes_words(bytes_at(body).size());
        return words <= limits::wire_words ? words * 8 : 0;
    },
    [](const void* body, std::byte* out, detail::wire_context& context) {
        auto* const to = reinterpret_cast<std::uint64_t*>(out);
        detail::wire_writer w{to + 1, &context};
        std::uint64_t* const slot = w.add_struct(to, detail::value_struct, detail::value_words);
        detail::put_bytes(slot, bytes_at(body).data(), bytes_at(body).size(), w);
    },
    nullptr, [](const void*) noexcept { return detail::type_of<value>->id; }};

envelope* make_lent(detail::actor_id sender, const lent_message& what) {
    constexpr std::size_t bytes = detail::envelope_bytes<lent_message>;
    void* block = detail::pool_alloc(bytes);
    auto* e = ::new (block) envelope{nullptr,
                                     &lent_type,
                                     0,
                                     sender,
                                     0,
                                     static_cast<std::uint16_t>(bytes / 64),
                                     envelope::waits_for_room,
                                     lane::normal};
    ::new (static_cast<void*>(static_cast<std::byte*>(block) + detail::body_offset<lent_message>))
        lent_message{what};
    return e;
}

// Invariant: between two visits of guests a drain that was asked for is on its way, or the inbox is empty and asleep, and whoever puts
// something there asks for one. So what is found in it, which this thread may have sent before, is seen to by a drain here.
placed send_lent(detail::scheduler& here, const detail::address& to, detail::actor_id sender,
                 const void* body, const detail::wire_functions& form) {
    using detail::scheduler;
    net::router* const net = to.is_remote() ? here.node->net : nullptr;
    if (!net || net->home() != here.index) return placed::elsewhere;
    const std::size_t size = form.size(body);
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
    std::unique_ptr<envelope, void (*)(envelope*)> mail{make_lent(sender, {body, &form, size}),
                                                        [](envelope* e) { detail::release(e); }};
    const errc outcome = net->send(to, mail.get());
    if (outcome == errc::ok) {
        static_cast<void>(mail.release());
        return placed::taken;
    }
    return outcome == errc::mailbox_full ? placed::full : placed::elsewhere;
}

}  // namespace

placed send_as_guest(detail::scheduler& here, const detail::address& to, detail::actor_id sender,
                     const value& what) {
    return send_lent(here, to, sender, &what, *detail::type_of<value>->wire);
}

placed send_as_guest(detail::scheduler& here, const detail::address& to, detail::actor_id sender,
                     std::span<const std::byte> what) {
    return send_lent(here, to, sender, &what, form_of_bytes);
}

}  // namespace coppice::c
