// Handshake and frames of one link; see neighbour.hpp.
// Home thread. What a frame means beyond its link is the router's business.
#include "net/neighbour.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "coppice/log.hpp"
#include "net/router.hpp"

namespace coppice::net {

namespace {

constexpr std::size_t longest_body =
    256 * 1024;  // of one frame; a record is at most a fragment and its envelope

}  // namespace

neighbour::neighbour(router& r, std::unique_ptr<byte_link> l, bool as_connector, role relation,
                     const void* from, neighbour_trust known_by)
    : owner{r},
      link{std::move(l)},
      connector{as_connector},
      as{relation},
      dialer{from},
      trust_{std::move(known_by)},
      challenge_{make_nonce()} {}

neighbour::~neighbour() = default;

void neighbour::start() {
    since = last_heard = last_said = owner.now();
    handshake_ = owner.after(limits::handshake_deadline, [this] {
        if (!is_up() && !is_closed()) close(error{errc::timeout, "it did not say who it is in time"});
    });
    hello h = owner.greeting(as == role::child    ? role::parent
                             : as == role::parent ? role::child
                                                  : as,
                             challenge_);
    h.with_secret = has_secret();
    h.token = token;
    my_hello_ = encode(h);
    link->start(*this);
    send_control(h);
}

void neighbour::close(error why) {
    if (is_closed()) return;
    const bool was_up = is_up();
    state_ = state::closed;
    handshake_.reset();
    link->flush();
    link->close();
    owner.link_down(*this, why, was_up);
}

void neighbour::refuse(errc code, std::string text) {
    send_control(refusal{code, text});
    owner.pump(*this);
    close(error{code, std::move(text)});
}

void neighbour::queue_frame(frame_header h, const frame_route* route, std::span<const std::byte> body) {
    const std::size_t most = (link->max_reserve() - frame_bytes(0, route != nullptr)) & ~std::size_t{7};
    const bool urgent = h.flags & frame_header::urgent;
    const bool first = urgent && not_to_be_passed == 0;
    std::size_t at = 0;
    do {
        const std::size_t n = std::min(most, body.size() - at);
        frame_header part = h;
        part.length = static_cast<std::uint32_t>(n);
        if (at + n < body.size()) part.flags |= frame_header::more;
        std::vector<std::byte> frame(frame_bytes(n, route != nullptr));
        std::byte* place = write_frame(frame.data(), part, route);
        if (n) std::memcpy(place, body.data() + at, n);
        if (sealed) seal_frame(frame.data());
        frame_bytes_waiting += frame.size();
        (first ? urgent_frames : frames).push_back(std::move(frame));
        not_to_be_passed += !first && (urgent || h.kind == frame_kind::control);
        at += n;
    } while (at < body.size());
}

void neighbour::send_control(const control& message) {
    frame_header h;
    h.kind = frame_kind::control;
    queue_frame(h, nullptr, encode(message));
    owner.mark_dirty(*this);
}

void neighbour::send_sign(frame_kind kind) {
    (kind == frame_kind::pong ? owes_pong : owes_ping) = true;
    owner.mark_dirty(*this);
}

std::vector<std::byte> neighbour::sign(frame_kind kind) const {
    const std::uint32_t said[2] = {owner.stuck_schedulers(), 0};
    frame_header h;
    h.kind = kind;
    h.length = said[0] ? sizeof said : 0;
    std::vector<std::byte> frame(frame_bytes(h.length, false));
    std::byte* body = write_frame(frame.data(), h, nullptr);
    if (h.length) std::memcpy(body, said, sizeof said);
    if (sealed) seal_frame(frame.data());
    return frame;
}

void neighbour::take_sign(std::span<const std::byte> body) {
    std::uint32_t said = 0;
    if (body.size() >= sizeof said) std::memcpy(&said, body.data(), sizeof said);
    if (!is_up() || said == stuck) return;
    stuck = said;
    tell_stuck();
}

void neighbour::tell_stuck() {
    switch (said_stuck.look(stuck != 0, owner.now())) {
    case stuck_reports::line::none: break;
    case stuck_reports::line::stuck:
        owner.log(level::warn, "node " + name + " says that it is stuck: " + std::to_string(stuck) +
                                   " of its schedulers make no progress; its link is up" +
                                   not_said(said_stuck.left_out()));
        break;
    case stuck_reports::line::goes_on:
        owner.log(level::info, "node " + name + " is not stuck any more");
        break;
    }
}

const char* neighbour::state_name() const noexcept {
    switch (state_) {
    case state::greeting: return "greeting";
    case state::proving: return "proving";
    case state::waiting: return "waiting";
    case state::up: return "up";
    case state::closed: break;
    }
    return "closed";
}

bool neighbour::pass_on(const parsed_frame& f, net::standing of_source) {
    const bool urgent = f.header.flags & frame_header::urgent;
    if (frame_bytes_waiting + f.size > limits::relay_queue + (urgent ? limits::flow_priority : 0))
        return false;
    frame_header h = f.header;
    h.flags = static_cast<std::uint8_t>((urgent ? frame_header::urgent : 0) |
                                        of_source << frame_header::standing_at);
    ++h.hops;
    queue_frame(h, &f.route, f.body);
    owner.mark_dirty(*this);
    return true;
}

// ---------------------------------------------------------------- events of the link

// As many messages as a scheduler runs in one go. If links brought more than that each time, it would pile up in mailboxes up to their
// bounds and be cold in the caches when its turn comes.
std::size_t neighbour::appetite() const noexcept {
    constexpr std::uint64_t messages = limits::turn_budget * 3 / 4;
    constexpr std::uint64_t first_guess = 128;  // bytes of a frame with a small message
    return static_cast<std::size_t>(messages *
                                    (recent_frames_ ? recent_bytes_ / recent_frames_ : first_guess));
}

std::size_t neighbour::received(std::span<const std::byte> bytes) {
    const std::uint64_t before = frames_in;
    const std::size_t used = take_in(bytes);
    if (frames_in == before) return used;
    // Half of what was before counts.
    recent_frames_ = recent_frames_ / 2 + (frames_in - before);
    recent_bytes_ = recent_bytes_ / 2 + used;
    return used;
}

std::size_t neighbour::take_in(std::span<const std::byte> bytes) {
    const router::on_home here{owner};
    last_heard = owner.now();
    pinged = false;
    if (!link->peer_can_write()) return take_frames(bytes, false);
    // Small frames are copied many at a time: their cache lines come from the other core side by side, not one after the
    // other, and what is checked is what is used. Large ones are copied by who takes them apart.
    constexpr std::size_t batch = 4 * 1024;
    std::size_t used = 0;
    while (!is_closed() && bytes.size() - used >= sizeof(frame_header)) {
        const auto rest = bytes.subspan(used);
        std::uint32_t length = 0;
        std::memcpy(&length, rest.data() + offsetof(frame_header, length), sizeof length);
        const std::size_t first = std::min(rest.size(), frame_bytes(length, true));
        std::size_t taken = 0;
        if (first <= batch) {
            alignas(64) std::byte copy[batch];
            const std::size_t n = std::min(rest.size(), batch);
            std::memcpy(copy, rest.data(), n);
            taken = take_frames({copy, n}, false);
        } else {
            taken = take_frames(rest.first(first), true);
        }
        if (taken == 0) break;
        used += taken;
    }
    return is_closed() ? bytes.size() : used;
}

// The whole frames at the beginning of `bytes`. Returns how many bytes they have. `shared`: the peer may change them meanwhile.
std::size_t neighbour::take_frames(std::span<const std::byte> bytes, bool shared) {
    std::size_t used = 0;
    while (!is_closed()) {
        parsed_frame f;
        const errc seen =
            parse_frame(bytes.subspan(used), is_up() ? longest_body : limits::handshake_bytes, f);
        if (seen == errc::timeout) break;
        if (seen == errc::wrong_version) {
            owner.log(level::warn, name + " sent a frame of version " + std::to_string(f.header.version) +
                                       ", which this release does not know: wrong_version; it is skipped");
            used += f.size;
            continue;
        }
        if (seen != errc::ok) {
            close(error{errc::bad_message, "the other side sent what is no frame"});
            break;
        }
        // What is looked into is a copy, if the peer can change it; mail is copied where it is taken apart.
        const bool aligned = reinterpret_cast<std::uintptr_t>(f.body.data()) % 8 == 0;
        f.shared = shared || !aligned;
        if (f.shared && f.header.kind != frame_kind::envelope) f.body = copy_of(f.body);
        used += f.size;
        ++frames_in;
        if (!is_up() && (before_up_ += f.size) > limits::handshake_bytes) {
            close(error{errc::too_large, "its handshake is too long"});
            break;
        }
        // Signs of life pass between the pieces of a frame.
        const bool sign = f.header.kind == frame_kind::ping || f.header.kind == frame_kind::pong;
        if (!sign && ((f.header.flags & frame_header::more) || !piece_.empty())) {
            if (piece_.size() + f.body.size() > longest_body) {
                close(error{errc::too_large, "a frame in pieces is too long"});
                break;
            }
            piece_.insert(piece_.end(), f.body.begin(), f.body.end());
            if (f.header.flags & frame_header::more) continue;
            std::vector<std::byte> whole = std::exchange(piece_, {});
            f.header.length = static_cast<std::uint32_t>(whole.size());
            f.body = whole;
            f.shared = false;
            f.size = frame_bytes(whole.size(), f.header.flags & frame_header::routed);
            if (!take(f)) break;
            continue;
        }
        if (!take(f)) break;
    }
    bytes_in += used;
    return is_closed() ? bytes.size() : used;
}

std::span<const std::byte> neighbour::copy_of(std::span<const std::byte> shared) {
    if (scratch_.size() < shared.size()) scratch_.resize(shared.size());
    if (!shared.empty()) std::memcpy(scratch_.data(), shared.data(), shared.size());
    return {scratch_.data(), shared.size()};
}

void neighbour::writable() {
    const router::on_home here{owner};
    blocked = false;
    owner.mark_dirty(*this);
}

void neighbour::closed(error why) {
    if (is_closed()) return;
    const router::on_home here{owner};
    const bool was_up = is_up();
    state_ = state::closed;
    handshake_.reset();
    owner.link_down(*this, why, was_up);
}

bool neighbour::take(const parsed_frame& f) {
    switch (f.header.kind) {
    case frame_kind::control: take_control(f.body); break;
    case frame_kind::ping:
        take_sign(f.body);
        send_sign(frame_kind::pong);
        break;
    case frame_kind::pong: take_sign(f.body); break;
    case frame_kind::envelope:
        if (!is_up()) close(error{errc::bad_message, "it sent mail before it was accepted"});
        else owner.take_frame(*this, f);
        break;
    }
    return !is_closed();
}

// ---------------------------------------------------------------- handshake

void neighbour::take_control(std::span<const std::byte> body) {
    result<control> message = decode(body);
    if (!message) return close(message.error());
    if (auto* h = std::get_if<hello>(&*message)) {
        if (state_ != state::greeting) return close(error{errc::bad_message, "it greeted twice"});
        return take_hello(std::move(*h), body);
    }
    if (auto* r = std::get_if<refusal>(&*message))
        return close(error{r->code, "refused by the other side: " + r->text});
    if (auto* p = std::get_if<proof>(&*message)) {
        if (state_ != state::proving) return close(error{errc::bad_message, "a proof out of turn"});
        const mac right = prove(trust_.secret, !connector, connector ? my_hello_ : their_hello_,
                                connector ? their_hello_ : my_hello_);
        if (!same(right, p->code)) return refuse(errc::wrong_secret, "the secrets differ");
        return welcome_them();
    }
    if (auto* w = std::get_if<welcome>(&*message)) {
        if (state_ == state::greeting || welcomed_)
            return close(error{errc::bad_message, "a welcome out of turn"});
        welcomed_ = true;
        seen_as = std::move(w->seen_as);
        if (state_ == state::waiting) come_up();
        return;
    }
    if (!is_up()) return close(error{errc::bad_message, "a control message before it was accepted"});
    if (auto* f = std::get_if<net::farewell>(&*message)) {
        farewell = true;
        return close(error{errc::closed, f->text});
    }
    if (auto* r = std::get_if<routes>(&*message)) return owner.take_routes(*this, *r);
    if (auto* i = std::get_if<introduce>(&*message)) return owner.take_introduction(*this, *i);
    if (auto* e = std::get_if<ended>(&*message)) return owner.take_ended(*this, *e);
    if (auto* m = std::get_if<memberships>(&*message)) return owner.take_memberships(*this, *m);
    close(error{errc::bad_message, "a control message that does not belong on a link"});
}

void neighbour::take_hello(hello h, std::span<const std::byte> bytes) {
    their_hello_.assign(bytes.begin(), bytes.end());
    node = h.node;
    name = h.name;
    ancestors = h.ancestors;
    machine = h.machine;
    pid = h.pid;
    if (!connector) as = h.as;
    if (trust_.of_a_child) {
        const std::string* secret = owner.secret_of_child(h.name);
        if (!secret || h.as != role::child)
            return refuse(errc::denied, "no child named " + h.name + " is awaited here");
        trust_.secret = *secret;
    } else if (const std::string* secret = owner.gate_.secret_of(h.name); secret && has_secret()) {
        trust_.secret = *secret;
    }
    if (const result<void> fit = owner.may_link(*this, h); !fit)
        return refuse(fit.error().code(), std::string{fit.error().text()});
    if (has_secret()) {
        state_ = state::proving;
        send_control(proof{prove(trust_.secret, connector, connector ? my_hello_ : their_hello_,
                                 connector ? their_hello_ : my_hello_)});
    } else {
        welcome_them();
    }
}

void neighbour::welcome_them() {
    state_ = state::waiting;
    send_control(welcome{link->peer().address});
    if (welcomed_) come_up();
}

void neighbour::come_up() {
    // Another node may have come under that name since it greeted, as when this is what a dead process had under way.
    if (trust_.of_a_child) {
        const std::string* secret = owner.secret_of_child(name);
        if (!secret || *secret != trust_.secret)
            return refuse(errc::denied, "another process has the place of " + name + " now");
    }
    if (const result<void> free = owner.name_is_free(name, node); !free)
        return refuse(free.error().code(), std::string{free.error().text()});
    standing = owner.gate_.standing_of(*this);
    if (as == role::parent && standing != rights_table::of_the_tree)
        return refuse(errc::denied, "who is to be above this node must be of its tree: a role may not");
    state_ = state::up;
    handshake_.reset();
    owner.link_up(*this);
}

}  // namespace coppice::net
