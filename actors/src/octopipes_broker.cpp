// Members, groups, routing, events of the Octopipes broker, and its actor; octopipes_broker.hpp. It knows who gets a frame, not how it
// gets there. On the thread of the actor's scheduler.
#include "octopipes_broker.hpp"

#include <sys/inotify.h>

#include <algorithm>
#include <bit>
#include <utility>

namespace coppice::actors::octopipes {

std::string_view to_string(happening h) noexcept {
    switch (h) {
    case happening::joined: return "joined";
    case happening::left: return "left";
    case happening::regrouped: return "regrouped";
    case happening::refused: return "refused";
    case happening::expired: return "expired";
    case happening::unread: return "unread";
    case happening::nobody: return "nobody";
    }
    return "?";
}

}  // namespace coppice::actors::octopipes

namespace coppice::actors::octopipes::parts {

namespace {

bool is_name(const std::string& name) noexcept {
    return !name.empty() && name.size() <= most_name_bytes &&
           std::all_of(name.begin(), name.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

std::uint64_t unix_ms() {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

// Of bytes that this broker has checked, or made.
frame frame_of(const letter& l) {
    const std::size_t data = l.bytes.size() - frame_overhead - l.from.size() - l.to.size();
    return {l.from, l.to, l.ttl, l.options, l.bytes.part(l.bytes.size() - 1 - data, data)};
}

result<letter> letter_of(const frame& f) {
    auto bytes = encode(f);
    if (!bytes) return bytes.error();
    const std::uint64_t size = bytes->size();
    return letter{f.from, f.to, f.ttl, f.options, size, blob{*std::move(bytes)}};
}

}  // namespace

// ---- members

std::string house::check_client(const std::string& id, const std::vector<std::string>& groups) const {
    const char* const rule = "a name has 1 to 255 printable ASCII characters";
    if (!is_name(id)) return std::string{"its name is no name: "} + rule;
    if (groups.size() > opt.most_groups)
        return "it wants more groups than it may, " + std::to_string(opt.most_groups);
    for (const std::string& group : groups)
        if (!is_name(group)) return std::string{"a group's name is no name: "} + rule;
    return {};
}

member_ptr house::find(const std::string& id) const {
    const auto at = members.find(id);
    return at == members.end() ? nullptr : at->second;
}

void house::add(const member_ptr& m, std::vector<std::string> groups) {
    m->joined_unix_ms = unix_ms();
    members[m->id] = m;
    readers_of[m->id].push_back(m);
    set_groups(m, std::move(groups));
    tell(happening::joined, m->id, {}, m->pipes ? "by pipes" : "as an actor");
}

void house::set_groups(const member_ptr& m, std::vector<std::string> groups) {
    const auto forget = [&](const std::string& group) {
        const auto at = readers_of.find(group);
        if (at == readers_of.end()) return;
        std::erase(at->second, m);
        if (at->second.empty()) readers_of.erase(at);
    };
    for (const std::string& group : m->groups) forget(group);
    std::sort(groups.begin(), groups.end());
    groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
    std::erase(groups, m->id);  // everybody is in its own
    m->groups = std::move(groups);
    for (const std::string& group : m->groups) readers_of[group].push_back(m);
}

void house::remove(member_ptr m, const std::string& how) {
    if (std::exchange(m->gone, true)) return;
    set_groups(m, {});
    auto& own = readers_of[m->id];
    std::erase(own, m);
    if (own.empty()) readers_of.erase(m->id);
    members.erase(m->id);
    m->acks.fail_all("the client " + m->id + " has gone");
    if (m->pipes) {
        lines& l = *m->pipes;
        if (l.coming.what != inflow::fate::nothing) cut_off(m, "its sender has gone within it");
        l.box.give_up();
        if (l.watch >= 0) {
            ::inotify_rm_watch(files->native_handle(), l.watch);
            watched.erase(l.watch);
        }
        remove_pipe(l.tx_path);
        remove_pipe(l.rx_path);
        boost::system::error_code ignored;
        l.tx.close(ignored);
        l.rx.close(ignored);
        l.readable = false;
        l.drained.notify();
        l.work.notify();
    } else {
        self.demonitor(m->monitor);
    }
    tell(happening::left, m->id, {}, how);
    door.notify();  // somebody may wait for its name
}

void house::close() {
    while (!members.empty()) remove(members.begin()->second, "the broker ends");
}

// ---- events

void house::tell(happening what, const std::string& id, const std::string& to, std::string text,
                 std::uint64_t bytes) {
    // Each that goes wrong is told to those who watch; the log gets the first, the second, the fourth ...
    const std::uint64_t count = ++counts[what];
    if (what == happening::joined || what == happening::left)
        self.log.debug("{} {}: {}", id, to_string(what), text);
    else if (std::has_single_bit(count))
        self.log.warn("{}: a frame of \"{}\" for \"{}\": {} ({} so far)", to_string(what), id, to, text,
                      count);
    for (const auto& [who, monitor] : watchers) self.send<broker_event>(who, what, id, to, text, bytes);
}

void house::tell_loss(const std::string& receiver, const std::string& from, const std::string& to,
                      std::uint64_t bytes, outbox::loss why) {
    const std::string whose = to == receiver ? receiver : receiver + ", which reads " + to;
    if (why == outbox::loss::expired)
        tell(happening::expired, from, receiver, "not read within its TTL by " + whose, bytes);
    else if (why == outbox::loss::no_room)
        tell(happening::unread, from, receiver, "no room for it at " + whose + ", which reads too slowly",
             bytes);
    else tell(happening::unread, from, receiver, "not read before the end of " + whose, bytes);
}

// ---- routing

// Each once, however many of its groups it is in by that name.
std::vector<member_ptr> house::receivers(const std::string& to, const member_ptr& but) const {
    std::vector<member_ptr> all;
    const auto at = readers_of.find(to);
    if (at == readers_of.end()) return all;
    for (const member_ptr& m : at->second)
        if (m != but) all.push_back(m);
    return all;
}

std::uint32_t house::route(const letter& l, const member_ptr& from) {
    const auto all = receivers(l.to, from);
    if (all.empty() && !readers_of.contains(l.to))
        tell(happening::nobody, l.from, l.to, "nobody has that name", l.size);
    for (const member_ptr& to : all)
        if (!to->gone) give(l, to);
    return static_cast<std::uint32_t>(all.size());
}

void house::give(const letter& l, const member_ptr& to) {
    if (!to->pipes) return give_actor(l, to);
    passage p{l.from, l.to, l.size, expiry_of(l.ttl), {l.bytes}};
    p.fed = l.size;
    if (p.expires) plan(*p.expires);
    to->pipes->box.add(std::move(p));
    to->pipes->work.notify();
}

void house::give_actor(const letter& l, const member_ptr& to) {
    const frame f = frame_of(l);
    if ((f.options & is_ack) != 0 && to->acks.settle(f)) {
        ++to->given;
        return;
    }
    const errc sent = self.send<received_frame>(to->actor, f);
    if (sent != errc::ok) {
        ++to->lost;
        tell(happening::unread, f.from, to->id,
             "the actor takes no more: " + std::string{coppice::to_string(sent)}, l.size);
        return;
    }
    ++to->given;
    acknowledge(to, f);
}

void house::acknowledge(const member_ptr& by, const frame& f) {
    if ((f.options & asks_ack) == 0 || (f.options & is_ack) != 0 || f.from.empty()) return;
    if (const auto ack = letter_of(ack_for(f, by->id))) route(*ack, by);
}

// What a client says to the broker through its own pipe: nobody else can say it in its name, and it is in order with its frames.
void house::to_broker(const letter& l, const member_ptr& from) {
    const frame f = frame_of(l);
    if (is_unsubscription(f.data.bytes())) return remove(from, "it has left");
    const auto wanted = read_subscription(f.data.bytes());
    if (!wanted) {
        // An ACK of one of the broker's own frames asks for nothing.
        if ((f.options & is_ack) == 0)
            tell(happening::refused, f.from, {}, "it asks for nothing that is known", l.size);
        return;
    }
    const std::string why = check_client(from->id, wanted->groups);
    assignment a{accepted, from->pipes->tx_path, from->pipes->rx_path};
    if (why.empty()) {
        set_groups(from, wanted->groups);
        tell(happening::regrouped, from->id, {}, {});
    } else {
        a = {no_pipe, {}, {}};
        tell(happening::refused, from->id, {}, why);
    }
    const auto data = encode(a);
    if (!data) return;
    if (const auto answer = letter_of(frame{{}, from->id, 0, 0, *data})) give(*answer, from);
}

// ---- messages

void house::on_join(request<join> r) {
    if (const std::string why = check_client(r->id, r->groups); !why.empty())
        return r.fail(error{errc::bad_name, why});
    if (!r->member) return r.fail(error{errc::invalid_argument, "join names no actor"});
    if (find(r->id)) return r.fail(error{errc::name_taken, r->id + " has joined already"});
    if (members.size() >= opt.most_clients)
        return r.fail(error{errc::limit_reached, "the broker has as many clients as it may"});
    auto m = std::make_shared<member>();
    m->id = r->id;
    m->actor = r->member;
    m->monitor = self.monitor(m->actor);
    add(m, r->groups);
    r.reply();
}

// The actor that has joined under that name, if it is the one that asks.
member_ptr house::own(const std::string& id, const ref<>& asker, error& why) const {
    member_ptr m = find(id);
    if (!m) why = error{errc::not_found, id + " has not joined"};
    else if (m->pipes || !(static_cast<const detail::address&>(m->actor) == asker))
        why = error{errc::denied, id + " is somebody else"};
    else return m;
    return nullptr;
}

void house::on_regroup(request<regroup> r) {
    error why;
    const member_ptr m = own(r->id, r.sender(), why);
    if (!m) return r.fail(why);
    if (const std::string wrong = check_client(r->id, r->groups); !wrong.empty())
        return r.fail(error{errc::bad_name, wrong});
    set_groups(m, r->groups);
    tell(happening::regrouped, m->id, {}, {});
    r.reply();
}

void house::on_leave(request<leave> r) {
    error why;
    const member_ptr m = own(r->id, r.sender(), why);
    if (!m) return r.fail(why);
    remove(m, "it has left");
    r.reply();
}

void house::on_publish(request<publish> r) {
    error why;
    const member_ptr m = own(r->from, r.sender(), why);
    if (!m) return r.fail(why);
    const bool wants_ack = r->within.count() > 0;
    if (r->to.empty())
        return r.fail(
            error{errc::invalid_argument, "the broker takes no frames of actors, and gives no ACK"});
    if (!is_name(r->to)) return r.fail(error{errc::bad_name, "the receiver's name is no name"});
    if (r->data.size() > most_frame_data)
        return r.fail(error{errc::too_large, "an actor's frame has at most 64 MiB"});
    const auto options =
        static_cast<std::uint8_t>((wants_ack ? asks_ack : 0) | (r->checksum ? 0 : ignores_checksum));
    const auto l = letter_of(frame{r->from, r->to, r->ttl, options, r->data});
    if (!l) return r.fail(l.error());
    if (wants_ack && m->acks.full()) return r.fail(pending_acks::too_many());
    ++m->sent;
    if (!wants_ack) return r.reply(receipt{route(*l, m), {}});
    // Who answers at once, an actor, finds it there.
    plan(clock::now() + std::min<std::chrono::nanoseconds>(r->within, std::chrono::hours{24}));
    const auto count = static_cast<std::uint32_t>(receivers(l->to, m).size());
    const auto within = r->within;
    m->acks.add(id_of(l->bytes.bytes()), l->to, count, within, std::move(r));
    route(*l, m);
}

void house::on_list(request<list_clients> r) {
    std::vector<client_info> all;
    for (const auto& [id, m] : members) {
        client_info i{id, m->groups, m->joined_unix_ms, !m->pipes, 0, m->sent, m->given, m->lost};
        if (m->pipes) {
            m->pipes->box.settle();
            i.waiting = m->pipes->box.waiting();
            i.given = m->pipes->box.given();
            i.lost = m->pipes->box.lost();
        }
        all.push_back(std::move(i));
    }
    r.reply(std::move(all));
}

void house::on_watch(request<watch> r) {
    if (!r->who) return r.fail(error{errc::invalid_argument, "watch names no actor"});
    if (std::any_of(watchers.begin(), watchers.end(), [&](const auto& w) { return w.first == r->who; }))
        return r.reply();
    if (watchers.size() >= most_watchers)
        return r.fail(error{errc::limit_reached, "the broker has most_watchers watchers"});
    watchers.emplace_back(r->who, self.monitor(r->who));
    r.reply();
}

void house::on_down(const down& d) {
    std::erase_if(watchers, [&](const auto& w) { return w.second == d.monitor; });
    for (const auto& [id, m] : members) {
        if (m->pipes || m->monitor != d.monitor) continue;
        return remove(m, "the actor has ended");
    }
}

}  // namespace coppice::actors::octopipes::parts

namespace coppice::actors::octopipes {

task<> broker(actor<broker_protocol> self, options o) {
    using parts::house;
    auto h = std::make_shared<house>(self, std::move(o));
    if (auto opened = h->open(); !opened) co_return self.fail("the broker cannot open: {}", opened.error());
    self.spawn_task(house::watch_files(h));
    self.spawn_task(house::hear_door(h));
    self.spawn_task(house::keep_door(h));
    self.spawn_task(house::serve_in_rounds(h));
    self.spawn_task(house::watch_time(h));
    self.ready();
    while (auto m = co_await self.receive())
        m.match([&](request<join> r) { h->on_join(std::move(r)); },
                [&](request<regroup> r) { h->on_regroup(std::move(r)); },
                [&](request<leave> r) { h->on_leave(std::move(r)); },
                [&](request<publish> r) { h->on_publish(std::move(r)); },
                [&](request<list_clients> r) { h->on_list(std::move(r)); },
                [&](request<watch> r) { h->on_watch(std::move(r)); }, [&](const down& d) { h->on_down(d); });
    h->close();
}

}  // namespace coppice::actors::octopipes
