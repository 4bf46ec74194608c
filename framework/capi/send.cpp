// Refs, sending, asking and answering. A send goes out on the calling thread, which waits where there is no room; an ask, and what
// is told later, runs beside the actor's own coroutine, or in the node's name.
#include <chrono>
#include <cstddef>
#include <future>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "cell_ext.hpp"
#include "coppice/any_request.hpp"
#include "coppice/race.hpp"
#include "guest_send.hpp"
#include "inbox.hpp"
#include "resources.hpp"
#include "root.hpp"

namespace coppice::c {

namespace {

using namespace std::chrono_literals;

struct target {
    sender from;
    pin<ref_resource> ref;
    coppice::ref<anything> to;
    [[nodiscard]] std::string name() const { return ref->text(); }
};

target target_of(coppice_handle from, coppice_ref to) {
    target t{sender_of(from), use<ref_resource>(to, "to"), {}};
    t.to = t.ref->seen_from(t.from.node());
    if (!t.to)
        refuse(errc::invalid_argument, "`to` leads nowhere: it came in a message as the ref of nobody");
    return t;
}

error outcome(errc code, const target& t) {
    if (code == errc::ok) return {};
    return error{code, t.name()};
}

struct envelope_owner {
    detail::envelope* e;
    explicit envelope_owner(detail::envelope* made) noexcept : e{made} {}
    envelope_owner(envelope_owner&&) = delete;
    ~envelope_owner() {
        if (e) detail::release(e);
    }
};

// What is sent: of a handle, which keeps it, or made for the call.
struct value_in_hand {
    coppice_handle handle;
    template <class F>
    auto look(F f) const {
        return read_value(handle, "v", f);
    }
    [[nodiscard]] value take() const { return value_of(handle, "v"); }
};
struct value_made {
    value made;
    template <class F>
    auto look(F f) const {
        return f(made);
    }
    value take() { return std::move(made); }
};

// Of the caller: copied where they do not go out within the call.
struct bytes_in_hand {
    std::span<const std::byte> all;
    auto look(auto f) const { return f(all); }
    [[nodiscard]] value take() const { return value{value::bytes(all.begin(), all.end())}; }
};

// The calling thread inside its actor's scheduler, for as long as it takes to give it a message for another node; see drive_lease.hpp.
class short_visit {
public:
    using place = placed;
    explicit short_visit(const target& t) : to_{t} {
        detail::drive_lease* const lease = t.to.is_remote() ? t.from.lease() : nullptr;
        if (!lease || detail::scheduler::current()) return;
        if (lease->step_in() || lease->ask_for_way()) lease_ = lease;
    }
    short_visit(short_visit&&) = delete;
    ~short_visit() {
        if (!lease_) return;
        if (stays_) lease_->leave();
        else lease_->step_out(sent_);
    }
    explicit operator bool() const noexcept { return lease_ && to_.from.node().has_core(); }
    place send(const auto& what) {
        detail::scheduler& here = to_.from.actor->box->lent();
        const auto put = [&](const auto& v) { return send_as_guest(here, to_.to, to_.from.id(), v); };
        place outcome = what.look(put);
        if (outcome == place::full) {
            lease_->serve();  // what goes out makes room, and what comes in
            outcome = what.look(put);
        }
        sent_ = outcome == place::taken;
        return outcome;
    }
    // f(the node's core), as on the scheduler's own thread.
    void with(auto f) {
        detail::scheduler& here = to_.from.actor->box->lent();
        const detail::scheduler::as_current current{here};
        f(*here.node);
    }
    void stay_until(std::chrono::steady_clock::time_point until, auto done) {
        stays_ = true;
        lease_->begin_stay();
        lease_->run_until(until, done);
    }

private:
    const target& to_;
    detail::drive_lease* lease_ = nullptr;
    bool sent_ = false;
    bool stays_ = false;
};

// Gives it to who has it wait for room, and waits for what that tells; `inside` runs the scheduler meanwhile.
errc wait_for_room(const target& t, detail::envelope*& mail, std::chrono::nanoseconds within,
                   std::optional<short_visit>& inside) {
    node_resource& node = t.from.node();
    inbox* const box = t.from.actor ? t.from.actor->box.get() : nullptr;
    waiting<void> sent;
    std::optional<detail::outside_send> under_way;
    const auto begin = [&](detail::node_core& core) {
        under_way.emplace(core, t.to);
        under_way->when_room(std::exchange(mail, nullptr), [answer = sent.answer](errc told) {
            if (told == errc::ok) answer->set({});
            else answer->set(told);
        });
    };
    if (inside) inside->with(begin);
    else node.with(begin);
    sent.answer.reset();
    if (box) box->add_send(*under_way);
    if (inside) {
        inside->stay_until(std::chrono::steady_clock::now() + within,
                           [&] { return sent.arrival.wait_for(0s) == std::future_status::ready; });
        inside.reset();
        within = 0s;  // it is over, or was
    }
    if (sent.arrival.wait_for(within) == std::future_status::timeout)
        node.if_running([&](detail::node_core&) { under_way->withdraw(); });
    const auto told = sent.get();
    const bool is_over = (box && box->remove_send(*under_way)) || node.is_closing();
    if (told) return errc::ok;
    if (is_over) return errc::stopping;
    return told.error().code() == errc::cancelled ? errc::timeout : told.error().code();
}

// Waits for room for so long.
errc send_within(const target& t, auto&& what, std::chrono::nanoseconds within) {
    const bool waits = within > within.zero();
    std::optional<short_visit> inside{std::in_place, t};
    auto place = *inside ? inside->send(what) : short_visit::place::elsewhere;
    if (place == short_visit::place::taken) return errc::ok;
    if (place == short_visit::place::full && !waits) return errc::mailbox_full;
    if (place == short_visit::place::elsewhere) inside.reset();

    envelope_owner mail{detail::make_envelope<value>(t.to.id(), t.from.id(), what.take())};
    if (inside) return wait_for_room(t, mail.e, within, inside);
    errc done = errc::ok;
    {
        const detail::guest_turn turn{t.from.lease(), detail::drive_lease::errand::send};
        // Who waits keeps step with the receiver; of what is sent at once a mailbox takes so many.
        const std::uint64_t most = waits ? limits::remote_window : limits::mailbox;
        done = t.from.node().with(
            [&](detail::node_core& core) { return detail::outside_send{core, t.to}.if_room(mail.e, most); });
    }
    if (done != errc::mailbox_full || !mail.e || !waits) return done;
    if (t.from.actor && !t.to.is_remote() && t.to.id() == t.from.actor->box->id())
        return done;  // who waits for itself to receive waits for ever
    return wait_for_room(t, mail.e, within, inside);
}

template <class F>
int send_one(const char* function, coppice_handle from, coppice_ref to, F make) {
    return call(function, from, [&] {
        const target t = target_of(from, to);
        return outcome(send_within(t, value_made{make()}, {}), t);
    });
}

task<> ask_one(actor<anything> self, ref<anything> to, value v, std::chrono::nanoseconds within,
               std::shared_ptr<detail::blocking_answer<value>> answer) {
    auto replied = co_await self.ask<any_request>(to, within, std::move(v));
    answer->set(std::move(replied));
}

// Beside the actor, or under the node's root.
void run_for(const sender& from, std::function<task<>(actor<anything>)> body) {
    if (from.actor) run_beside(*from.actor->box, std::move(body));
    else run_in_node(from.node(), std::move(body));
}

// For something that the scheduler brings, running it meanwhile; not after that time, when another thread's work is waited for.
template <class T>
void wait_as_guest(detail::drive_lease* lease, std::future<T>& arrival, std::chrono::nanoseconds within) {
    if (!lease) return;
    const auto until = std::chrono::steady_clock::now() + within;
    const auto here = [&] { return arrival.wait_for(0s) == std::future_status::ready; };
    if (detail::run_as_guest(*lease, until, here)) return;
    lease->stand_by(true);
    arrival.wait_until(until);
    lease->stand_by(false);
}

// The answer as mail; also that there is none, when the actor ends.
struct answer_told {
    std::shared_ptr<inbox> box;
    std::uint64_t number;
    bool told = false;
    void tell(result<value> r, std::shared_ptr<ref_resource> sender = {}) {
        told = true;
        value v;
        if (r) v = *std::move(r);
        else v = value{r.error().text().empty() ? to_string(r.error().code()) : r.error().text()};
        auto mail = mail_resource::make(box->node(), std::move(v));
        mail->what = COPPICE_ANSWER;
        mail->number = number;
        mail->code = r.error().code();
        mail->found = std::move(sender);
        box->put(std::move(mail));
    }
    explicit answer_told(std::shared_ptr<inbox> b, std::uint64_t n) : box{std::move(b)}, number{n} {}
    answer_told(answer_told&&) = delete;
    ~answer_told() {
        if (!told) tell(error{errc::cancelled});
    }
};

task<> ask_for_mail(actor<anything> self, ref<anything> to, value v, std::chrono::nanoseconds within,
                    std::string /*name*/, std::shared_ptr<answer_told> answer) {
    auto replied = co_await self.ask<any_request>(to, within, std::move(v));
    answer->tell(std::move(replied));
}

std::string path_of(const char* path) {
    std::string all{name_of(path, "path")};
    if (all.size() > limits::path_bytes)
        refuse(errc::bad_name, "`path` has " + std::to_string(all.size()) + " bytes, of at most " +
                                   std::to_string(limits::path_bytes));
    return all;
}

// What is told of an actor that was not found.
error not_found(const error& why, const std::string& path) {
    const std::string said{why.text()};
    if (said.empty()) return error{why.code(), path};
    return error{why.code(), said.find(path) == said.npos ? path + ": " + said : said};
}

task<> send_for_mail(actor<anything> self, ref<anything> to, value v, std::chrono::nanoseconds within,
                     std::string name, std::shared_ptr<answer_told> answer) {
    auto first = co_await race(self.send_wait<value>(to, std::move(v)), self.sleep(within));
    const errc sent = first.index() == 1 ? errc::timeout : std::get<0>(first);
    if (sent == errc::ok) answer->tell(value{});
    else answer->tell(error{sent, name});
}

std::uint64_t next_number() noexcept {
    static std::atomic<std::uint64_t> last{0};
    return ++last;
}

// What is sent beside the actor; its outcome comes to it as mail with that number.
int told_later(const char* function, coppice_actor from, coppice_ref to, coppice_value v,
               std::uint64_t* number, auto send, std::chrono::nanoseconds within) {
    return call(function, from, [&] {
        need(number, "number");
        *number = 0;
        const auto a = use<actor_resource>(from, "from");
        // A std::function is copied, so what it holds is shared.
        const target t = target_of(from, to);
        auto content = std::make_shared<value>(value_of(v, "v"));
        auto answer = std::make_shared<answer_told>(a->box, *number = next_number());
        run_beside(*a->box, [to = t.to, name = t.name(), content = std::move(content), within, send,
                             answer](actor<anything> self) {
            return send(self, to, std::move(*content), within, name, answer);
        });
        return error{};
    });
}

}  // namespace

}  // namespace coppice::c

using namespace coppice::c;
using coppice::errc;
using coppice::error;
using coppice::result;
using coppice::value;

int coppice_find(coppice_handle from, const char* path, coppice_ref* out) {
    return call("coppice_find", from, [&] {
        need(out, "out");
        *out = 0;
        const std::string to = path_of(path);
        const sender s = sender_of(from);
        const auto found = find_actor(s.node(), to);
        if (!found) return not_found(found.error(), to);
        *out = handle_of(std::make_shared<ref_resource>(*found, s.node()));
        return error{};
    });
}

int coppice_find_later(coppice_actor from, const char* path, uint64_t* number) {
    return call("coppice_find_later", from, [&] {
        need(number, "number");
        *number = 0;
        const std::string to = path_of(path);
        const auto a = use<actor_resource>(from, "from");
        auto answer = std::make_shared<answer_told>(a->box, *number = next_number());
        find_actor_later(*a->node, to, [answer, to, node = a->node](result<coppice::detail::address> found) {
            if (found) answer->tell(value{}, std::make_shared<ref_resource>(*found, *node));
            else answer->tell(not_found(found.error(), to));
        });
        return error{};
    });
}

int coppice_self(coppice_actor actor, coppice_ref* out) {
    return call("coppice_self", actor, [&] {
        need(out, "out");
        *out = 0;
        const auto a = use<actor_resource>(actor, "actor");
        *out = handle_of(std::make_shared<ref_resource>(a->box->me(), *a->node));
        return error{};
    });
}

int coppice_ref_text(coppice_ref ref, char* text, size_t room) {
    return call("coppice_ref_text", ref, [&] {
        copy_text(use<ref_resource>(ref, "ref")->text(), text, room);
        return error{};
    });
}

int coppice_same(coppice_ref a, coppice_ref b) {
    return call("coppice_same", a, [&] {
        const auto first = use<ref_resource>(a, "a")->reference();
        const auto second = use<ref_resource>(b, "b")->reference();
        if (first.node == second.node && first.actor == second.actor) return error{};
        return error{errc::not_found, "the two lead to different actors"};
    });
}

int coppice_send_nothing(coppice_handle from, coppice_ref to) {
    return send_one("coppice_send_nothing", from, to, [] { return value{}; });
}
int coppice_send_bool(coppice_handle from, coppice_ref to, int b) {
    return send_one("coppice_send_bool", from, to, [&] { return value{b != 0}; });
}
int coppice_send_int32(coppice_handle from, coppice_ref to, int32_t n) {
    return send_one("coppice_send_int32", from, to, [&] { return value{n}; });
}
int coppice_send_int64(coppice_handle from, coppice_ref to, int64_t n) {
    return send_one("coppice_send_int64", from, to, [&] { return value{n}; });
}
int coppice_send_uint64(coppice_handle from, coppice_ref to, uint64_t n) {
    return send_one("coppice_send_uint64", from, to, [&] { return value{n}; });
}
int coppice_send_double(coppice_handle from, coppice_ref to, double x) {
    return send_one("coppice_send_double", from, to, [&] { return value{x}; });
}
int coppice_send_text(coppice_handle from, coppice_ref to, const char* text, size_t size) {
    return send_one("coppice_send_text", from, to, [&] {
        const auto all = text_of(text, size, "text");
        check_size(all.size(), "text");
        return value{all};
    });
}
int coppice_send_bytes(coppice_handle from, coppice_ref to, const void* bytes, size_t size) {
    return call("coppice_send_bytes", from, [&] {
        const target t = target_of(from, to);
        check_size(size, "bytes");
        return outcome(
            send_within(t, bytes_in_hand{std::as_bytes(std::span{bytes_of(bytes, size, "bytes")})}, {}), t);
    });
}
int coppice_send_pair(coppice_handle from, coppice_ref to, int64_t x, int64_t y) {
    return send_one("coppice_send_pair", from, to, [&] { return value{value::record{{x, y}}}; });
}
int coppice_send_four(coppice_handle from, coppice_ref to, int64_t a, int64_t b, int64_t c, int64_t d) {
    return send_one("coppice_send_four", from, to, [&] { return value{value::record{{a, b, c, d}}}; });
}
int coppice_send_int_text(coppice_handle from, coppice_ref to, int64_t n, const char* text, size_t size) {
    return send_one("coppice_send_int_text", from, to, [&] {
        const auto all = text_of(text, size, "text");
        check_size(all.size(), "text");
        return value{value::record{{n, all}}};
    });
}
int coppice_send_tagged(coppice_handle from, coppice_ref to, uint64_t tag, const void* bytes, size_t size) {
    return send_one("coppice_send_tagged", from, to, [&] {
        check_size(size, "bytes");
        return tagged_value(tag, bytes_of(bytes, size, "bytes"));
    });
}

int coppice_send(coppice_handle from, coppice_ref to, coppice_value v, uint64_t wait_ms) {
    return call("coppice_send", from, [&] {
        const target t = target_of(from, to);
        return outcome(send_within(t, value_in_hand{v}, limit_of(wait_ms)), t);
    });
}

int coppice_send_later(coppice_actor from, coppice_ref to, coppice_value v, uint64_t wait_ms,
                       uint64_t* number) {
    return told_later("coppice_send_later", from, to, v, number, send_for_mail, limit_of(wait_ms));
}

int coppice_ask(coppice_handle from, coppice_ref to, coppice_value v, uint64_t within_ms,
                coppice_value* answer) {
    return call("coppice_ask", from, [&] {
        need(answer, "answer");
        *answer = 0;
        const target t = target_of(from, to);
        auto content = std::make_shared<value>(value_of(v, "v"));
        waiting<value> told;
        run_for(t.from, [to = t.to, content = std::move(content), within = limit_of(within_ms),
                         answer_told = told.answer](coppice::actor<coppice::anything> self) {
            return ask_one(self, to, std::move(*content), within, answer_told);
        });
        told.answer.reset();
        wait_as_guest(t.from.lease(), told.arrival, limit_of(within_ms));
        auto replied = told.get();
        if (replied) {
            *answer = handle_of(*std::move(replied), true);
            return error{};
        }
        const error why = replied.error();
        if (why.code() == errc::failed) return why;
        return error{why.code(), t.name() + (why.text().empty() ? "" : ": " + std::string{why.text()})};
    });
}

int coppice_ask_later(coppice_actor from, coppice_ref to, coppice_value v, uint64_t within_ms,
                      uint64_t* number) {
    return told_later("coppice_ask_later", from, to, v, number, ask_for_mail, limit_of(within_ms));
}

namespace {

int reply_with(const char* function, coppice_mail request, auto make) {
    return call(function, request, [&] {
        const auto m = use<mail_resource>(request, "request");
        m->answer(make());
        return error{};
    });
}

}  // namespace

int coppice_reply(coppice_mail request, coppice_value v) {
    return reply_with("coppice_reply", request, [&] { return value_of(v, "v"); });
}
int coppice_reply_text(coppice_mail request, const char* text, size_t size) {
    return reply_with("coppice_reply_text", request, [&] {
        const auto all = text_of(text, size, "text");
        check_size(all.size(), "text");
        return value{all};
    });
}
int coppice_reply_int64(coppice_mail request, int64_t n) {
    return reply_with("coppice_reply_int64", request, [&] { return value{n}; });
}
int coppice_fail(coppice_mail request, const char* text, size_t size) {
    return call("coppice_fail", request, [&] {
        const auto m = use<mail_resource>(request, "request");
        m->fail(std::string{text_of(text, size, "text")});
        return error{};
    });
}
