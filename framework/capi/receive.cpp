// Receiving: one by one, by handlers on the caller's thread, or by handlers on a thread of the library.
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "inbox.hpp"
#include "resources.hpp"

namespace coppice::c {

namespace {

using namespace std::chrono_literals;

error told(errc code, const actor_resource& a) {
    if (code == errc::ok) return {};
    return error{code,
                 code == errc::timeout ? a.box->path() + " has no mail" : a.box->path() + " is asked to end"};
}

coppice_mail handle_for(std::shared_ptr<mail_resource> mail) {
    return mail->handle ? mail->handle : handle_table::add(kind::mail, std::move(mail));
}

// Under the mutex of the handlers.
handler_entry handler_for(const actor_resource& a, const mail_resource& m) {
    if (m.what == COPPICE_MESSAGE || m.what == COPPICE_REQUEST) {
        const auto one = a.handlers.find(kind_of(m.content()));
        if (one != a.handlers.end()) return one->second;
    }
    const auto others = a.handlers.find(COPPICE_OTHERS);
    return others != a.handlers.end() ? others->second : handler_entry{};
}

// Hands the next mail that has a handler to it.
errc dispatch_one(actor_resource& a, coppice_actor actor, std::chrono::nanoseconds within) {
    std::shared_ptr<mail_resource> mail;
    handler_entry handler;
    const errc outcome = a.box->take(
        within,
        [&](const mail_resource& m) {
            const std::lock_guard lock{a.handlers_mutex};
            const handler_entry found = handler_for(a, m);
            if (found.call) handler = found;
            return found.call != nullptr;
        },
        mail);
    if (outcome != errc::ok) return outcome;
    const coppice_mail h = handle_for(mail);
    handler.call(handler.user, actor, h);
    if (!mail->kept && !mail->closed) static_cast<void>(coppice_close(h));
    return errc::ok;
}

void serve(std::shared_ptr<actor_resource> a, coppice_actor actor) {
    while (dispatch_one(*a, actor, limit_of(COPPICE_FOREVER)) != errc::stopping) {
    }
}

// The next mail, if it is a message with bytes for which there is room, and who sent it, if that is asked for.
errc take_bytes(actor_resource& a, std::chrono::nanoseconds within, std::size_t room, std::size_t& size,
                coppice_ref* sender, unseen_mail& taken) {
    return a.box->look_through(within, [&](unseen_mail& m) {
        const auto* bytes = m.content().get_if<value::bytes>();
        if (!bytes || (m.seen() && m.seen()->what != COPPICE_MESSAGE)) return std::optional{errc::no_handler};
        size = bytes->size();
        if (size > room) return std::optional{errc::too_large};
        if (sender)  // while it stays where it is, if there is no room for another handle
            if (auto who = m.sender(*a.node)) *sender = handle_of(std::move(who));
        taken = std::move(m);
        return std::optional{errc::ok};
    });
}

coppice_view view_of(const mail_resource& m) {
    coppice_view v{};
    const value& content = m.content();
    v.size = sizeof v;
    v.what = m.what;
    v.kind = kind_of(content);
    if (const auto* truth = content.get_if<bool>()) v.integer = *truth;
    else if (const auto* n = content.get_if<std::int64_t>()) v.integer = *n;
    else if (const auto* u = content.get_if<std::uint64_t>()) v.integer = static_cast<std::int64_t>(*u);
    else if (const auto* x = content.get_if<double>()) v.real = *x;
    else if (const auto* text = content.get_if<std::string>())
        v.bytes = text->c_str(), v.length = text->size();
    else if (const auto* bytes = content.get_if<value::bytes>())
        v.bytes = bytes->data(), v.length = bytes->size();
    return v;
}

int read_mail(const char* function, coppice_mail mail, const void* out, auto look) {
    return call(function, mail, [&] {
        need(out, "out");
        const auto m = use<mail_resource>(mail, "mail");
        look(m);
        return error{};
    });
}

}  // namespace

}  // namespace coppice::c

using namespace coppice::c;
using coppice::errc;
using coppice::error;
using coppice::value;

int coppice_receive(coppice_actor actor, uint64_t wait_ms, coppice_mail* out) {
    return call("coppice_receive", actor, [&] {
        need(out, "out");
        *out = 0;
        const auto a = use<actor_resource>(actor, "actor");
        std::shared_ptr<mail_resource> mail;
        const errc outcome = a->box->take(limit_of(wait_ms), {}, mail);
        if (outcome == errc::ok) *out = handle_for(std::move(mail));
        return told(outcome, *a);
    });
}

int coppice_receive_bytes(coppice_actor actor, uint64_t wait_ms, void* bytes, size_t room, size_t* size,
                          coppice_ref* sender) {
    return call("coppice_receive_bytes", actor, [&] {
        need(size, "size");
        if (room) need(bytes, "bytes");
        *size = 0;
        if (sender) *sender = 0;
        const auto a = use<actor_resource>(actor, "actor");
        unseen_mail mail;
        const errc outcome = take_bytes(*a, limit_of(wait_ms), room, *size, sender, mail);
        if (outcome == errc::no_handler)
            return error{errc::no_handler,
                         "the next mail of " + a->box->path() + " is no message with bytes: coppice_receive"};
        if (outcome == errc::too_large)
            return error{errc::too_large, "the next mail of " + a->box->path() + " has " +
                                              std::to_string(*size) + " bytes, and there is room for " +
                                              std::to_string(room)};
        if (outcome != errc::ok) return told(outcome, *a);
        if (*size) std::memcpy(bytes, mail.content().get_if<value::bytes>()->data(), *size);
        // Who has looked at it has a handle of it.
        if (mail.seen() && mail.seen()->handle) static_cast<void>(coppice_close(mail.seen()->handle));
        return error{};
    });
}

int coppice_receive_view(coppice_actor actor, uint64_t wait_ms, coppice_view* out, void* copy, size_t room) {
    return call("coppice_receive_view", actor, [&] {
        need(out, "out");
        if (room) need(copy, "copy");
        if (out->size < sizeof *out)
            refuse(errc::invalid_argument, "`out->size` is " + std::to_string(out->size) +
                                               ": set it to sizeof(coppice_view), " +
                                               std::to_string(sizeof *out));
        const std::size_t size = std::exchange(*out, coppice_view{}).size;
        out->size = size;
        const auto a = use<actor_resource>(actor, "actor");
        std::shared_ptr<mail_resource> mail;
        const errc outcome = a->box->take(limit_of(wait_ms), {}, mail);
        if (outcome != errc::ok) return told(outcome, *a);
        const coppice_mail handle = handle_for(mail);
        *out = view_of(*mail);
        out->mail = handle;
        out->size = size;
        if (out->length != 0 && out->length <= room) out->bytes = std::memcpy(copy, out->bytes, out->length);
        return error{};
    });
}

int coppice_peek(coppice_actor actor, uint64_t wait_ms, coppice_mail* out) {
    return call("coppice_peek", actor, [&] {
        need(out, "out");
        *out = 0;
        const auto a = use<actor_resource>(actor, "actor");
        return told(a->box->peek(limit_of(wait_ms), *out), *a);
    });
}

int coppice_descriptor(coppice_actor actor, int* out) {
    return call("coppice_descriptor", actor, [&] {
        need(out, "out");
        *out = use<actor_resource>(actor, "actor")->box->descriptor();
        return error{};
    });
}

int coppice_receive_answer(coppice_actor actor, uint64_t wait_ms, coppice_mail* out) {
    return call("coppice_receive_answer", actor, [&] {
        need(out, "out");
        *out = 0;
        const auto a = use<actor_resource>(actor, "actor");
        std::shared_ptr<mail_resource> mail;
        const errc outcome = a->box->take(
            limit_of(wait_ms), [](const mail_resource& m) { return m.what == COPPICE_ANSWER; }, mail);
        if (outcome == errc::ok) *out = handle_for(std::move(mail));
        return told(outcome, *a);
    });
}

int coppice_stream(coppice_node node, int* out) {
    return call("coppice_stream", node, [&] {
        need(out, "out");
        *out = -1;
        *out = use<node_resource>(node, "node")->open_stream();
        return error{};
    });
}

int coppice_mail_kind_of(coppice_mail mail, int* out) {
    return read_mail("coppice_mail_kind_of", mail, out, [&](const auto& m) { *out = m->what; });
}

int coppice_mail_value(coppice_mail mail, coppice_value* out) {
    return read_mail("coppice_mail_value", mail, out, [&](const auto& m) {
        *out = 0;
        *out = handle_table::add(kind::value,
                                 std::make_shared<value_resource>(m.share(), nullptr, &m->content()));
    });
}

int coppice_mail_sender(coppice_mail mail, coppice_ref* out) {
    return read_mail("coppice_mail_sender", mail, out, [&](const auto& m) {
        *out = 0;
        auto sender = m->sender();
        if (!sender) refuse(errc::not_found, "nobody says that it sent this");
        *out = handle_of(std::move(sender));
    });
}

int coppice_mail_number(coppice_mail mail, uint64_t* out) {
    return read_mail("coppice_mail_number", mail, out, [&](const auto& m) {
        if (m->what != COPPICE_ANSWER && m->what != COPPICE_ENDED)
            refuse(errc::invalid_argument, "only answers and ends have a number");
        *out = m->number;
    });
}

int coppice_mail_code(coppice_mail mail, int* out) {
    return read_mail("coppice_mail_code", mail, out,
                     [&](const auto& m) { *out = static_cast<int>(m->code); });
}

int coppice_handle_kind(coppice_actor actor, int value_kind, coppice_handler handler, void* user) {
    return call("coppice_handle_kind", actor, [&] {
        if (value_kind < COPPICE_OTHERS || value_kind > COPPICE_TAGGED)
            refuse(errc::invalid_argument,
                   std::to_string(value_kind) + " is no kind of value, and not COPPICE_OTHERS");
        const auto a = use<actor_resource>(actor, "actor");
        {
            const std::lock_guard lock{a->handlers_mutex};
            if (handler) a->handlers[value_kind] = {handler, user};
            else a->handlers.erase(value_kind);
        }
        a->box->look_again();
        return error{};
    });
}

int coppice_dispatch(coppice_actor actor, uint64_t wait_ms, size_t* handled) {
    return call("coppice_dispatch", actor, [&] {
        if (handled) *handled = 0;
        const auto a = use<actor_resource>(actor, "actor");
        std::size_t count = 0;
        errc outcome = dispatch_one(*a, actor, limit_of(wait_ms));
        // What comes meanwhile is left for the next call, which an event loop makes when it has looked at the rest.
        while (outcome == errc::ok && ++count < inbox::least_ahead) outcome = dispatch_one(*a, actor, 0ns);
        if (handled) *handled = count;
        return count ? error{} : told(outcome, *a);
    });
}

int coppice_serve(coppice_actor actor) {
    return call("coppice_serve", actor, [&] {
        const auto a = use<actor_resource>(actor, "actor");
        const std::lock_guard lock{a->handlers_mutex};
        if (a->server.joinable()) refuse(errc::invalid_argument, a->box->path() + " is served already");
        a->server = std::thread{serve, a->shared_from_this(), actor};
        return error{};
    });
}

int coppice_keep(coppice_mail mail) {
    return call("coppice_keep", mail, [&] {
        use<mail_resource>(mail, "mail")->kept = true;
        return error{};
    });
}
