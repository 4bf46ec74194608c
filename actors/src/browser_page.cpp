// What a session keeps for its page and writes to it; see browser_page.hpp. It knows the gateway by its messages alone.
// On the session's scheduler.
#include "browser_page.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "browser_rights.hpp"

namespace coppice::actors::browser_parts {

namespace {

constexpr std::size_t most_seen_references = 4'096;

error too_large_for_page(std::size_t size, const browser::host_options& o) {
    return {errc::too_large,
            fmt::format("a value of {} bytes; pages take {} (browser::host_options::value_bytes)", size,
                        o.value_bytes)};
}

template <class Visit>
void each_reference(const value& v, const Visit& visit) {
    if (const auto* r = v.get_if<wire_reference>()) {
        visit(*r);
    } else if (const auto* list = v.get_if<value::list>()) {
        for (const value& each : *list) each_reference(each, visit);
    } else if (const auto* record = v.get_if<value::record>()) {
        for (const value& each : record->fields) each_reference(each, visit);
    } else if (const auto* map = v.get_if<value::map>()) {
        for (const auto& [key, mapped] : *map) {
            each_reference(key, visit);
            each_reference(mapped, visit);
        }
    }
}

std::uint64_t type_of(const value& v) noexcept {
    const auto* r = v.get_if<value::record>();
    return r ? r->type : 0;
}

}  // namespace

// ---------------------------------------------------------------- requests that the page owes an answer to

bool page::was_taken(const owed_answer& a) const noexcept {
    return kept_.empty() || a.sequence < kept_.front().sequence;
}

template <class Test>
void page::fail_owed_if(const Test& is_so, const error& why) {
    for (auto at = owed_.begin(); at != owed_.end();) {
        if (!is_so(at->second)) {
            ++at;
            continue;
        }
        at->second.asked.fail(why);
        at = owed_.erase(at);
    }
}

// ---------------------------------------------------------------- the connection

void page::connect(const attach& a) {
    if (channel_ != 0) close(browser::close_code::taken_over, "another connection has come for this session");
    gateway_ = a.gateway;
    channel_ = a.channel;
    if (a.greeting.flags & flag_new_page) {
        // What the page before had taken and not answered is gone with it.
        fail_owed_if([&](const owed_answer& each) { return was_taken(each); },
                     {errc::outcome_unknown, "the page had this request, and was replaced by another one"});
        for (const auto& [number, watched] : monitors) self.demonitor(watched.first);
        monitors.clear();
        mail_taken_ = 0;
        mail_sent_ = static_cast<std::uint64_t>(std::ranges::count_if(kept_, &kept::is_mail));
    }
    frame welcome{.kind = frame_kind::welcome};
    welcome.time = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(options->hold).count());
    welcome.window = options->window;
    welcome.bytes = options->value_bytes;
    welcome.text = self.path();
    write(with_receipt(std::move(welcome)));
    for (const kept& each : kept_) write(each.bytes);
    // Only now the page may take for done what is not among the failures before.
    write(with_receipt({.kind = frame_kind::acknowledge}));
}

void page::close(browser::close_code code, std::string reason) {
    constexpr std::size_t most = 120;  // RFC 6455: 123 bytes. Ours are ASCII
    reason.resize(std::min(reason.size(), most));
    if (channel_ != 0) self.send<web::close>(gateway_, channel_, as_number(code), std::move(reason));
    channel_ = 0;
}

void page::acknowledge() {
    if (channel_ != 0 && told_ != last_received) write(with_receipt({.kind = frame_kind::acknowledge}));
}
void page::pong(std::uint64_t correlation) {
    write(with_receipt({.kind = frame_kind::pong, .correlation = correlation}));
}

blob page::with_receipt(frame f) {
    f.acknowledged = told_ = last_received;
    return encode(f);
}

void page::write(blob bytes) {
    if (channel_ == 0) return;
    const errc sent =
        self.send<web::send>(gateway_, channel_, web::content{web::kind::binary, std::move(bytes)});
    // The page comes again, and gets all that it has not acknowledged.
    if (sent != errc::ok) close(browser::close_code::come_again, "the gateway does not take what is sent");
}

// ---------------------------------------------------------------- to the page

bool page::has_room() const noexcept {
    return mail_sent_ - mail_taken_ < options->window && kept_.size() < options->window &&
           (kept_.empty() || kept_bytes_ < options->queue_bytes);
}

bool page::is_overrun() const noexcept {
    // Beside mail: one answer for each frame that it may have under way, each ask, and the ends of what it monitors.
    const std::size_t most = 2 * std::size_t{options->window} + options->asks + options->monitors;
    return kept_.size() > most;
}

void page::keep(frame f, received<anything> mail) {
    f.sequence = next_++;
    const bool is_mail =
        f.kind == frame_kind::mail || f.kind == frame_kind::ask || f.kind == frame_kind::down;
    if (is_mail) ++mail_sent_;
    blob bytes = with_receipt(std::move(f));
    kept_bytes_ += bytes.size();
    kept_.push_back({next_ - 1, is_mail, bytes, std::move(mail)});
    write(std::move(bytes));
}

void page::deliver(received<anything> mail) {
    if (auto asked = mail.take<any_request>()) {
        if (asked.wants_reply()) return ask_page(std::move(asked));
        // Sent, not asked: a message like others; what is left of it if the page never gets it is the log's.
        const value content = std::move(asked->what);
        return tell_page({}, content);
    }
    if (const auto* v = mail.get_if<value>()) return tell_page(std::move(mail), *v);
    mail.match([](const exit_signal&) {});  // of a type of C++ alone: a dead letter, `no_handler` to an asker
}

void page::tell_page(received<anything> mail, const value& content) {
    frame f{.kind = frame_kind::mail};
    f.payload = content.encode();
    if (f.payload.empty() || f.payload.size() > options->value_bytes) {
        self.log.warn("a message from {} is dropped: {}", mail.sender(),
                      too_large_for_page(f.payload.size(), *options));
        if (mail) mail.match([](const exit_signal&) {});  // a dead letter
        return;
    }
    f.type = type_of(content);
    see_references(content);
    f.actor = number_of_sender(mail.sender());
    keep(std::move(f), std::move(mail));
}

bool page::make_room_for_request(request<any_request>& r) {
    if (owed_.size() < options->asks) return true;
    const auto now = self.now();
    fail_owed_if([&](const owed_answer& each) { return now - each.since >= options->ask_within; },
                 {errc::timeout, "the page has not answered"});
    if (owed_.size() < options->asks) return true;
    r.fail(error{errc::limit_reached,
                 fmt::format("the page has {} requests to answer already (browser::host_options::asks)",
                             options->asks)});
    return false;
}

void page::ask_page(request<any_request> r) {
    if (!make_room_for_request(r)) return;
    frame f{.kind = frame_kind::ask};
    f.payload = r->what.encode();
    if (f.payload.empty() || f.payload.size() > options->value_bytes)
        return r.fail(too_large_for_page(f.payload.size(), *options));
    f.type = type_of(r->what);
    see_references(r->what);
    f.actor = number_of_sender(r.sender());
    f.correlation = ++last_request_;
    r->what = value{};  // it is in the frame
    owed_.emplace(f.correlation, owed_answer{std::move(r), self.now(), next_});
    keep(std::move(f));
}

void page::deliver(const down& d) {
    const auto at =
        std::ranges::find_if(monitors, [&](const auto& each) { return each.second.first == d.monitor; });
    if (at == monitors.end()) return;
    frame f{.kind = frame_kind::down, .code = as_number(d.reason.kind())};
    f.correlation = at->first;
    f.actor = at->second.second;
    f.text = cut_text(d.reason.to_string());
    monitors.erase(at);
    keep(std::move(f));
}

void page::answer(std::uint64_t correlation, const value& v) {
    if (correlation == 0) return;
    frame f{.kind = frame_kind::answer, .correlation = correlation};
    f.payload = v.encode();
    if (f.payload.empty() || f.payload.size() > options->value_bytes)
        return fail(correlation, too_large_for_page(f.payload.size(), *options));
    if (kept_bytes_ > options->queue_bytes)
        return fail(correlation,
                    {errc::mailbox_full, "the answer has come, but too much waits for the page"});
    f.type = type_of(v);
    see_references(v);
    keep(std::move(f));
}

void page::fail(std::uint64_t correlation, const error& why) {
    if (correlation == 0) return;
    frame f{.kind = frame_kind::failure, .code = as_number(why.code())};
    f.correlation = correlation;
    f.text = cut_text(std::string{why.text()});
    keep(std::move(f));
}

void page::found(std::uint64_t correlation, const ref<>& who, std::string path) {
    frame f{.kind = frame_kind::found, .correlation = correlation};
    f.actor = number_of(who, true);
    f.text = std::move(path);
    keep(std::move(f));
}

void page::bye(errc code, std::string text) {
    keep({.kind = frame_kind::bye, .code = as_number(code), .text = cut_text(std::move(text))});
}

// ---------------------------------------------------------------- from the page

bool page::release(std::uint64_t acknowledged, std::uint64_t taken) {
    if (acknowledged >= next_ || taken > mail_sent_) return false;
    mail_taken_ = std::max(mail_taken_, taken);
    while (!kept_.empty() && kept_.front().sequence <= acknowledged) {
        kept_bytes_ -= kept_.front().bytes.size();
        kept_.pop_front();
    }
    return true;
}

result<ref<>> page::reachable(std::uint64_t number) const {
    const auto at = actors_.find(number);
    if (at == actors_.end())
        return error{errc::not_found, number > last_actor_ || number == 0
                                          ? "there is no such ref"
                                          : "this ref was forgotten for others: find it again"};
    if (!at->second.is_reachable)
        return error{errc::denied, "pages may not reach this actor (browser::host_options::reach)"};
    return at->second.who;
}

result<value> page::content_of(const frame& f) const {
    if (f.payload.size() > options->value_bytes) return too_large_for_page(f.payload.size(), *options);
    if (is_reserved_type(f.type)) return error{errc::denied, "a value of this type is no mail"};
    auto v = value::decode(f.payload);
    if (!v) return v;
    if (auto* r = v->get_if<value::record>()) r->type = f.type;
    bool is_known = true;
    each_reference(*v, [&](const wire_reference& r) {
        if (r.actor != 0 && std::ranges::find(seen_, r) == seen_.end()) is_known = false;
    });
    if (!is_known)
        return error{errc::denied, "a reference that this page was not given, or that was forgotten since"};
    return v;
}

request<any_request> page::take_owed(std::uint64_t correlation) {
    const auto at = owed_.find(correlation);
    if (at == owed_.end()) return request<any_request>{nullptr};
    request<any_request> asked = std::move(at->second.asked);
    owed_.erase(at);
    return asked;
}

// ---------------------------------------------------------------- numbers

std::uint64_t page::number_of(const ref<>& who, bool is_reachable) {
    const auto [at, is_new] = numbers_.try_emplace({who.id(), who.tag()}, last_actor_ + 1);
    if (!is_new) {
        actors_.at(at->second).is_reachable |= is_reachable;
        return at->second;
    }
    actors_.emplace(++last_actor_, known_actor{who, is_reachable});
    if (actors_.size() > options->actors) {
        const ref<> oldest = actors_.begin()->second.who;
        numbers_.erase({oldest.id(), oldest.tag()});
        actors_.erase(actors_.begin());
    }
    return last_actor_;
}

std::uint64_t page::number_of_sender(const ref<>& who) {
    if (!who) return 0;
    return number_of(who, options->answer_senders || allows(options->reach, who.to_string()));
}

void page::see_references(const value& v) {
    each_reference(v, [&](const wire_reference& r) {
        if (std::ranges::find(seen_, r) != seen_.end()) return;
        seen_.push_back(r);
        if (seen_.size() > most_seen_references) seen_.pop_front();
    });
}

// ---------------------------------------------------------------- the end

void page::end() {
    fail_owed_if([&](const owed_answer& each) { return was_taken(each); },
                 {errc::outcome_unknown, "the page had this request, and its session has ended"});
    fail_owed_if([](const owed_answer&) { return true; }, {errc::down, "the page's session has ended"});
    // Behind them the runtime counts and names each as a dead letter, as what a mailbox is left with.
    for (kept& each : kept_)
        if (each.mail) self.stash(std::move(each.mail));
    kept_.clear();
}

}  // namespace coppice::actors::browser_parts
