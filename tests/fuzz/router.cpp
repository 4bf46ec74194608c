// A whole node whose neighbour is hostile, on virtual time: whatever that sends, before and after it has proved who it
// is, as a child, a peer or the parent, an honest neighbour goes on to be served, nothing is left behind, and one that
// cannot prove the secret reaches nobody.
//
// The first two bytes say who the hostile neighbour is and what its link is like; the others are a row of steps: a byte
// that says which, and as many bytes as that takes. Steps are mostly well-formed frames with fields that lie.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"
#include "coppice/transport/sim.hpp"
#include "net/control.hpp"
#include "net/frame.hpp"
#include "net/router.hpp"
#include "support/fuzz_input.hpp"
#include "support/hostile_link.hpp"
#include "wire/envelope.hpp"

namespace {

using namespace coppice;
using namespace std::chrono_literals;
using coppice::tests::expect;
using coppice::tests::fuzz_input;
using coppice::tests::hostile_link;
using coppice::tests::hostile_transport;
using coppice::tests::wire_end;
using net::frame_header;
using net::frame_kind;
using net::frame_route;
using net::record;
using net::record_flag;
using bytes = std::vector<std::byte>;

// ---------------------------------------------------------------- who lives on the nodes

struct item {
    std::uint64_t number = 0;
    std::string load;
};
struct question {
    std::uint64_t number = 0;
    using reply = std::uint64_t;
};
struct meet {  // be sent mail, asked, watched and linked
    ref<protocol<item, question>> who;
    std::uint64_t times = 0;
};
using open_protocol = protocol<item, question, meet, down, exit_signal>;

struct service_call {  // of honest neighbours; the hostile one does not know its type
    std::uint64_t number = 0;
    using reply = std::uint64_t;
};
struct service_mail {
    std::uint64_t number = 0;
    std::string load;
};
using service_protocol = protocol<service_call, service_mail>;

struct book {
    std::uint64_t from_hostile = 0;
    std::uint64_t sent = 0;
    std::uint64_t arrived = 0;
    std::uint64_t rounds = 0;
    bool enough = false;
    bool done = false;
};

// What the hostile neighbour is meant to know: does what it says, and is told of its end.
task<> open_door(actor<open_protocol> self, std::shared_ptr<book> log) {
    self.trap_exits();
    while (auto m = co_await self.receive()) {
        if (auto r = m.take<question>()) {
            ++log->from_hostile;
            r.reply(r->number + 1);
            continue;
        }
        if (m.get_if<item>()) ++log->from_hostile;
        const meet* met = m.get_if<meet>();
        if (!met) continue;
        ++log->from_hostile;
        if (!met->who) continue;
        const auto who = met->who;
        const std::uint64_t times = std::min<std::uint64_t>(met->times, 64);
        self.monitor(who);
        if (times % 2) self.link(who);
        for (std::uint64_t n = 0; n < times; ++n)
            static_cast<void>(self.send<item>(who, n, std::string(n % 8 == 7 ? 40'000 : n, 'x')));
        if (times % 3 == 1) static_cast<void>(co_await self.ask<question>(who, 100ms, times));
    }
}

task<> service(actor<service_protocol> self, std::shared_ptr<book> log) {
    while (auto m = co_await self.receive())
        m.match(
            [&](const service_mail& s) {
                expect(s.number == log->arrived++ && s.load.size() == s.number % 3000);
            },
            [&](request<service_call> r) { r.reply(r->number * 3); });
}

// On the honest node: everything that it sends arrives, everything that it asks is answered.
task<> customer(actor<protocol<>> self, std::shared_ptr<book> log) {
    auto to = co_await self.resolve<service_protocol>("/victim/service");
    expect(to.has_value());
    for (std::uint64_t n = 0; !log->enough; ++n) {
        ++log->sent;
        const errc outcome = co_await self.send_wait<service_mail>(*to, n, std::string(n % 3000, 's'));
        if (outcome != errc::ok)
            std::fprintf(stderr, "not sent: %s\n", std::string{to_string(outcome)}.c_str());
        expect(outcome == errc::ok);
        auto answer = co_await self.ask<service_call>(*to, 60s, n);
        if (!answer) std::fprintf(stderr, "not answered: %s\n", answer.error().what().c_str());
        expect(answer && *answer == n * 3);
        ++log->rounds;
        co_await self.sleep(20ms);
    }
    log->done = true;
}

// ---------------------------------------------------------------- what the hostile neighbour says

constexpr net::node_id hostile_id = 0xbad;
constexpr std::string_view secret = "of the honest";

// Every ref that it writes is of its own actor 7, or whose the input says.
class lying_context final : public detail::wire_context {
public:
    explicit lying_context(net::node_id whose) : whose_{whose} {}
    wire_reference out(const detail::address&) override { return {whose_, 0x1'0000'0007, 0}; }
    detail::address in(const wire_reference&) override { return {}; }

private:
    net::node_id whose_;
};

template <class M>
bytes payload_of(const M& m, net::node_id whose) {
    const detail::wire_functions* form = detail::wire_of<M>;
    lying_context context{whose};
    bytes out(form->size(&m));
    form->write(&m, out.data(), context);
    return out;
}

class hostile {
public:
    hostile(fuzz_input& in, testing::world& w, const std::shared_ptr<hostile_transport>& kind,
            std::vector<detail::actor_id> actors)
        : in_{in}, world_{w}, kind_{kind}, actors_{std::move(actors)} {
        const std::uint8_t who = in_.byte();
        knows_secret = who & 1;
        as_ = static_cast<net::role>((who >> 1) % 3);
        const std::uint8_t link = in_.byte();
        shares_memory_ = link & 1;
        most_ = std::size_t{1024} << (link >> 1) % 7;
    }

    // A new connection, and a handshake that is right as far as it knows the secret.
    void join() {
        end_ = std::make_shared<wire_end>();
        end_->shares_memory = shares_memory_;
        end_->most = most_;
        their_hello_.clear();
        read_ = 0;
        std::unique_ptr<byte_link> made = std::make_unique<hostile_link>(end_);
        if (kind_->connected) std::exchange(kind_->connected, nullptr)(std::move(made));
        else if (kind_->accepted) kind_->accepted(std::move(made));
        connector_ = as_ != net::role::parent;
        world_.run_until_idle();
        net::hello h;
        h.node = hostile_id;
        h.name = "hostile";
        h.as = as_;
        h.with_secret = true;
        my_hello_ = net::encode(h);
        control(my_hello_);
        look();
        if (their_hello_.empty()) return;
        const std::string_view key = knows_secret ? secret : std::string_view{"a guess"};
        control(net::encode(net::proof{net::prove(key, connector_, connector_ ? my_hello_ : their_hello_,
                                                  connector_ ? their_hello_ : my_hello_)}));
        control(net::encode(net::welcome{}));
        look();
    }
    void leave() {
        hang_up(*kind_, end_);
        world_.run_until_idle();
        end_.reset();
    }

    bool knows_secret;

    void step() {
        const unsigned which = in_.byte() % 14u;
        if (!end_ || !end_->link) return join();
        switch (which) {
        case 0: {  // no frame at all
            bytes some(in_.byte());
            for (auto& b : some) b = static_cast<std::byte>(in_.byte());
            feed(some, 1);
            break;
        }
        case 1: {  // a frame of anything
            frame_header h;
            h.kind = static_cast<frame_kind>(in_.byte() % 6);
            h.flags = in_.byte();
            h.hops = in_.byte();
            h.epoch = static_cast<std::uint32_t>(number(1));
            bytes body(in_.byte());
            for (auto& b : body) b = static_cast<std::byte>(in_.byte());
            send(h, body);
            break;
        }
        case 2: handshake_again(); break;
        case 3:
        case 4: mail(); break;
        case 5: {
            const auto message = some_control();
            bytes body = net::encode(message);
            spoil(body);
            envelope(record::control, record_flag::system, 0, 0, body);
            break;
        }
        case 6: fragments(); break;
        case 7:
            envelope(in_.byte() % 2 ? record::acknowledge : record::resume,
                     static_cast<std::uint16_t>(in_.byte() % 8), static_cast<std::uint32_t>(number(1)),
                     number(0), {}, false);
            break;
        case 8: envelope(record::notice, 0, in_.byte(), number(0), {}, false); break;
        case 9: world_.advance(std::chrono::milliseconds{in_.byte() % 8 == 0 ? 6000 : in_.byte()}); break;
        case 10:
            if (std::exchange(end_->reads, !end_->reads)) break;
            read_again(*kind_, end_);
            world_.run_until_idle();
            break;
        case 11: leave(); break;
        case 12: repeat_ = 1u << in_.byte() % 11; break;
        case 13: {  // routes, true or not
            net::routes r;
            r.complete = in_.byte() % 2;
            for (std::uint8_t n = in_.byte() % 16; n > 0; --n)
                r.added.push_back({some_node(), "n" + std::to_string(in_.byte())});
            for (std::uint8_t n = in_.byte() % 4; n > 0; --n) r.removed.push_back(some_node());
            bytes body = net::encode(r);
            spoil(body);
            control(body);
            break;
        }
        default: break;
        }
        look();
    }

private:
    // Small ones, the ends of the range, and what is near to what would be right.
    std::uint64_t number(std::uint64_t near) {
        switch (in_.byte() % 8) {
        case 0: return near + in_.byte();
        case 1: return near - in_.byte();
        case 2: return in_.byte();
        case 3: return ~std::uint64_t{0} - in_.byte();
        case 4: return std::uint64_t{in_.byte()} << (in_.byte() % 64);
        default: return near;
        }
    }
    net::node_id some_node() {
        switch (in_.byte() % 6) {
        case 0: return hostile_id;
        case 1: return victim_;
        case 2: return honest;
        case 3: return 0;
        default: return 0xbad0000 + in_.byte() % 64;
        }
    }
    std::uint64_t some_actor() {
        const std::uint8_t which = in_.byte();
        if (which < 128) return actors_.front();
        if (which < 192) return actors_[which % actors_.size()];
        return number(actors_.front());
    }
    // The honest ones are not to be ended: that any node of the tree may do.
    std::uint64_t endable(std::uint64_t actor) {
        return std::find(actors_.begin() + 1, actors_.end(), actor) == actors_.end() ? actor
                                                                                     : actors_.front();
    }
    void spoil(bytes& body) {
        for (std::uint8_t n = in_.byte() % 4; n > 0 && !body.empty(); --n) {
            const std::size_t at = (std::size_t{in_.byte()} << 8 | in_.byte()) % body.size();
            body[at] = static_cast<std::byte>(in_.byte());
        }
    }
    void handshake_again() {
        net::control c;
        switch (in_.byte() % 8) {
        case 0: {
            net::hello h;
            h.version = static_cast<std::uint16_t>(1 + in_.byte() % 2);
            h.node = some_node();
            h.name = in_.byte() % 4 ? "h" + std::to_string(in_.byte()) : "honest";
            h.as = static_cast<net::role>(in_.byte() % 3);
            h.with_secret = in_.byte() % 2;
            for (std::uint8_t n = in_.byte() % 4; n > 0; --n) h.ancestors.push_back(some_node());
            c = h;
            break;
        }
        case 1: c = net::proof{}; break;
        case 2: c = net::refusal{static_cast<errc>(in_.byte()), "no"}; break;
        case 3: c = net::welcome{}; break;
        case 4: c = net::farewell{"enough"}; break;
        case 5: c = net::ended{some_node(), in_.byte() % 2 != 0, "it has ended"}; break;
        case 6: {
            net::memberships m{in_.byte() % 4 ? some_node() : 0, in_.byte() % 2 != 0, {}, {}};
            for (std::uint8_t n = in_.byte() % 4; n > 0; --n)
                (in_.byte() % 2 ? m.joined : m.left)
                    .push_back({in_.byte() % 4 ? "group" : "$flows", some_actor()});
            c = m;
            break;
        }
        default: c = some_control(); break;  // which does not belong here
        }
        bytes body = net::encode(c);
        spoil(body);
        control(body);
    }
    net::control some_control() {
        switch (in_.byte() % 11) {
        case 0: return net::locate{number(0), in_.byte() % 2 ? "honest" : "nobody"};
        case 1: return net::located{number(1), some_node(), "honest"};
        case 2: return net::find{number(0), in_.byte() % 2 ? "/victim/door" : "/victim/nothing", {1, 2, 3}};
        case 3: return net::found{number(1), static_cast<errc>(in_.byte()), "found", some_actor(), 0};
        case 4: return net::watch_actor{number(0), some_actor(), some_actor(), in_.byte() % 2u};
        case 5: return net::unwatch_actor{number(0), some_actor(), some_actor()};
        case 6: return net::down_notice{number(1), some_actor(), some_actor(), {}};
        case 7: return net::link_actors{some_actor(), endable(some_actor()), in_.byte() % 2u};
        case 8: return net::unlink_actors{some_actor(), some_actor()};
        case 9: return net::exit_notice{some_actor(), endable(some_actor()), {}};
        default:
            return net::end_actor{endable(some_actor()), static_cast<net::ending>(in_.byte() % 3), number(0)};
        }
    }
    bytes some_payload(std::uint64_t& type) {
        const net::node_id whose = in_.byte() % 4 ? hostile_id : some_node();
        switch (in_.byte() % 5) {
        case 0:
            type = detail::type_of<item>->id;
            return payload_of(item{number(0), std::string(in_.byte(), 'i')}, whose);
        case 1: type = detail::type_of<question>->id; return payload_of(question{number(0)}, whose);
        case 2:
        case 3:
            type = detail::type_of<meet>->id;
            return payload_of(meet{ref<open_protocol>{detail::address{7, nullptr}}, in_.byte()}, whose);
        default: type = number(detail::type_of<item>->id); return bytes(in_.byte());
        }
    }
    void mail() {
        std::uint64_t type = 0;
        bytes body = some_payload(type);
        spoil(body);
        envelope(static_cast<record>(1 + in_.byte() % 4), static_cast<std::uint16_t>(in_.byte()), in_.byte(),
                 number(1), body, true, type);
    }
    void fragments() {
        const std::uint64_t whole = in_.byte() % 4 ? 64 + 24 * 1000 : number(1 << 20);
        const std::size_t pieces = in_.byte() % 5;
        for (std::size_t n = 0; n <= pieces; ++n) {
            bytes piece(in_.byte() % 3 ? whole / (pieces + 1) & 0x7ff8 : std::size_t{8} * in_.byte());
            if (n == 0 && piece.size() >= wire::envelope_bytes) {
                wire::envelope_fields f{};
                f.kind = in_.byte() % 8;
                f.target = some_actor();
                f.type = detail::type_of<item>->id;
                wire::write_envelope(piece.data(), f,
                                     static_cast<std::uint32_t>(number(whole - 64) & 0xff'ffff));
            }
            envelope(record::fragment, n == pieces || in_.byte() % 16 == 0 ? record_flag::last : 0, 0, whole,
                     piece);
        }
    }

    void envelope(record kind, std::uint16_t flags, std::uint32_t aux, std::uint64_t correlation,
                  std::span<const std::byte> payload, bool numbered = true, std::uint64_t type = 0) {
        const bool routed = in_.byte() % 4 == 0;
        const frame_route route{in_.byte() % 2 ? victim_ : some_node(), some_node()};
        frame_header h;
        h.kind = frame_kind::envelope;
        h.hops = routed ? in_.byte() % 20 : 0;
        h.epoch = in_.byte() % 8 ? epoch_ : static_cast<std::uint32_t>(number(epoch_));
        for (std::uint32_t times = numbered ? repeat_ : 1; times > 0; --times) {
            wire::envelope_fields f{};
            f.kind = static_cast<std::uint16_t>(kind);
            f.flags = flags;
            f.aux = aux;
            f.correlation = correlation;
            f.type = type;
            f.target = some_actor();
            f.sender = 0x1'0000'0000 + in_.byte();
            std::uint64_t& next = sequence_[static_cast<std::size_t>(net::lane_of(flags))];
            f.sequence = numbered ? (in_.byte() % 8 ? next++ : number(next)) : number(sent_by_node_);
            bytes body(wire::envelope_bytes + net::padded(payload.size()));
            wire::write_envelope(body.data(), f, static_cast<std::uint32_t>(payload.size()));
            if (!payload.empty())
                std::memcpy(body.data() + wire::envelope_bytes, payload.data(), payload.size());
            send(h, body, routed ? &route : nullptr, 1);
        }
        repeat_ = 1;
    }
    void control(std::span<const std::byte> body) {
        frame_header h;
        h.kind = frame_kind::control;
        send(h, body);
    }
    void send(frame_header h, std::span<const std::byte> body, const frame_route* route = nullptr,
              std::uint32_t times = 0) {
        h.length = static_cast<std::uint32_t>(body.size());
        const bool with_route = route || h.flags & frame_header::routed;
        const frame_route none{};
        bytes whole(net::frame_bytes(body.size(), with_route));
        std::byte* at = net::write_frame(whole.data(), h, with_route ? (route ? route : &none) : nullptr);
        if (!body.empty()) std::memcpy(at, body.data(), body.size());
        if (h.flags & frame_header::checked) net::seal_frame(whole.data());
        feed(whole, times ? times : std::exchange(repeat_, 1));
    }

    // ---- the link
    void feed(std::span<const std::byte> what, std::uint32_t times) {
        if (!end_ || !end_->link) return;
        for (; times > 1; --times) end_->to_node.insert(end_->to_node.end(), what.begin(), what.end());
        coppice::tests::feed(*kind_, end_, what);
        world_.run_until_idle();
    }
    // Reads what the node says: its hello, and the numbers of its flow to this one.
    void look() {
        if (!end_) return;
        bytes& all = end_->from_node;
        while (read_ < all.size()) {
            net::parsed_frame f;
            const errc seen = net::parse_frame(std::span{all}.subspan(read_), 1u << 20, f);
            expect(seen == errc::ok);  // nothing half, nothing wrong: the node speaks properly
            read_ += f.size;
            if (f.header.kind == frame_kind::control && their_hello_.empty()) {
                their_hello_.assign(f.body.begin(), f.body.end());
                const auto hello = net::decode(their_hello_);
                expect(hello.has_value());
                if (const auto* h = std::get_if<net::hello>(&*hello)) victim_ = h->node;
            }
            wire::envelope_view v;
            if (f.header.kind != frame_kind::envelope || (f.header.flags & frame_header::more)) continue;
            if (wire::read_canonical_envelope(f.body, v) && v.fields.kind < 16)
                sent_by_node_ = v.fields.sequence;
        }
        all.clear();
        read_ = 0;
    }

    fuzz_input& in_;
    testing::world& world_;
    std::shared_ptr<hostile_transport> kind_;
    std::vector<detail::actor_id> actors_;  // the one that is open to it first
    net::role as_ = net::role::peer;
    bool connector_ = false;
    bool shares_memory_ = false;
    std::size_t most_ = 1024;
    std::shared_ptr<wire_end> end_;
    bytes my_hello_;
    bytes their_hello_;
    std::size_t read_ = 0;
    net::node_id victim_ = 0;
    std::uint32_t epoch_ = 1;
    std::uint64_t sequence_[net::lane_count] = {1, 1, 1};
    std::uint64_t sent_by_node_ = 0;
    std::uint32_t repeat_ = 1;

public:
    net::node_id honest = 0xfa17;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz_input in{data, size};
    const auto kind = std::make_shared<hostile_transport>();
    register_transport(kind);
    register_transport(std::make_shared<sim_network>(1));
    auto log = std::make_shared<book>();
    testing::world world{1, {.fifo = true}};
    const bool above =
        size > 0 && data[0] >> 1 & 1 && (data[0] >> 1) % 3 == static_cast<int>(net::role::parent);
    network_options victim;
    victim.listen = {"sim://victim"};
    if (above) victim.parent = "hostile://above";
    else victim.listen.push_back("hostile://below");
    victim.secret = secret;
    supervisor_spec tree;
    tree.intensity(1'000'000, 1s);  // the door may be ended as often as the hostile one likes
    tree.add(child("door", in_coroutine, open_door, log).mailbox(64));
    tree.add(child("service", in_coroutine, service, log));
    expect(world.start(std::move(tree), "victim", victim).has_value());
    network_options honest;
    honest.parent = "sim://victim?from=honest";
    honest.secret = secret;
    expect(world
               .start(supervisor_spec{}.add(
                          child("customer", in_coroutine, customer, log).restarts(restart::temporary)),
                      "honest", honest)
               .has_value());
    expect(world.run_until([&] { return log->rounds > 2; }));

    const auto id = [&](const auto& found) { return found ? found->id() : detail::actor_id{0}; };
    const auto door = world.resolve<open_protocol>("/victim/door");
    const auto own = world.resolve<service_protocol>("/victim/service");
    const auto root = world.resolve<supervisor_protocol>("/victim");
    hostile it{in, world, kind, {id(door), id(own), id(root)}};
    it.join();
    while (!in.ended()) it.step();
    expect(it.knows_secret || log->from_hostile == 0);

    // The honest ones have not suffered, and are served on.
    const std::uint64_t before = log->rounds;
    expect(world.run_until([&] { return log->rounds > before + 3; }, 60s));
    log->enough = true;
    expect(world.run_until([&] { return log->done; }, 60s));
    expect(log->sent == log->arrived);
    kind->connected = nullptr;
    expect(world.finish().empty());
    kind->accepted = nullptr;
    return 0;
}
