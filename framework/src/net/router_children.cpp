// Where the nodes of process children link to this one: listeners for them alone, on which a child is known by a secret that was
// made for its process and that nobody else has. And where the command line links to it. Part of the router, home thread.
#include <chrono>
#include <utility>

#include "coppice/log.hpp"
#include "hexadecimal.hpp"
#include "net/neighbour.hpp"
#include "net/peer.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice::net {

using namespace std::chrono_literals;

namespace {

constexpr std::string_view place_prefix = "children-";

// A name in the run directory that nobody else has.
std::string fresh_name() { return std::string{place_prefix} + detail::hexadecimal(make_token()); }

// Without a name that the deployment has chosen, one of this life alone.
result<std::string> uri_of_place(const std::string& transport) {
    if (transport.find("://") != std::string::npos) return transport;
    const auto options = transport.find('?');
    const std::string scheme = transport.substr(0, options);
    const auto kind = find_transport(scheme);
    if (!kind) return kind.error();
    std::string uri =
        scheme + "://" + ((*kind)->reach() == reach::network ? std::string{"127.0.0.1:0"} : fresh_name());
    if (options != std::string::npos) uri += transport.substr(options);
    return uri;
}

}  // namespace

result<std::string> router::place_for_children(const std::string& transport) {
    if (const auto known_place = children_places_.find(transport); known_place != children_places_.end())
        return known_place->second;
    auto uri = uri_of_place(transport);
    if (!uri) return uri.error();
    auto at = place_of(*uri);
    if (!at) return at.error();
    // Before it is there: who is killed between the two has left nothing that nobody knows of.
    if (node_.on_place_for_children && at->kind->reach() != reach::network) node_.on_place_for_children(*uri);
    auto listening =
        at->kind->listen(*this, at->where, [this, all = at->sealed](std::unique_ptr<byte_link> l) {
            accepted(std::move(l), all, {{}, true});
        });
    if (!listening)
        return error{listening.error().code(),
                     "a place for children over " + transport + ": " + std::string{listening.error().text()}};
    // As it was asked for, options and all, at the port that was given.
    endpoint place = *endpoint::parse(*uri);
    place.host = (*listening)->where().host;
    place.port = (*listening)->where().port;
    children_listeners_.push_back(std::move(*listening));
    return children_places_.emplace(transport, place.to_string()).first->second;
}

// A tree runs without it: what is wrong is told, and that is all. The directory is this user's alone, and the kernel tells
// whose the process at the other end is.
void router::listen_for_control() {
    const std::string uri = "unix://" + node_.name + ".control";
    const auto failed = [&](const error& why) {
        log(level::warn, "the command line cannot find this tree: " + uri + ": " + why.what());
    };
    auto at = place_of(uri);
    if (!at) return failed(at.error());
    auto listening =
        at->kind->listen(*this, at->where, [this, all = at->sealed](std::unique_ptr<byte_link> l) {
            accepted(std::move(l), all, {.of_own_user = true});
        });
    if (!listening) return failed(listening.error());
    control_listener_ = std::move(*listening);
}

void router::await_child(const std::string& name, std::string secret, std::function<void(node_id)> linked) {
    awaited_children_.insert_or_assign(name, awaited_child{std::move(secret), std::move(linked)});
}

void router::forget_child(const std::string& name) { awaited_children_.erase(name); }

void router::child_is_at(const std::string& name, node_id node) {
    has_name(node, name);
    if (peer& p = peer_of(node); p.name.empty()) p.name = name;
}

bool router::out_of_reach(const address& who) {
    const peer* p = at_index(who.node());
    return !p || p->lost || p->unreachable_since != 0 || !way_to(p->id);
}

void router::clear_place(const std::string& uri) {
    constexpr int tries = 40;
    auto at = place_of(uri);
    if (!at || at->kind->reach() == reach::network || !at->where.host.starts_with(place_prefix)) return;
    if (is_clear(*at)) return;
    places_to_clear_.emplace_back(*std::move(at), tries);
    if (!clearer_ && !stopped_) clearer_ = after(250ms, [this] { clear_places(); });
}

// Who listens takes over what a dead one left, and removes it when it ends.
bool router::is_clear(const place& at) {
    const auto taken = at.kind->listen(*this, at.where, [](std::unique_ptr<byte_link> l) { l->close(); });
    return taken || taken.error().code() != errc::name_taken;
}

// A process that was killed while it started another one leaves its lock in that one's hands until it runs its program.
void router::clear_places() {
    std::erase_if(places_to_clear_, [this](auto& one) { return is_clear(one.first) || --one.second == 0; });
    clearer_ = places_to_clear_.empty() || stopped_ ? nullptr : after(250ms, [this] { clear_places(); });
}

const std::string* router::secret_of_child(const std::string& name) const noexcept {
    const auto child = awaited_children_.find(name);
    return child == awaited_children_.end() ? nullptr : &child->second.secret;
}

void router::child_linked(const neighbour& n) {
    if (const auto child = awaited_children_.find(n.name); child != awaited_children_.end())
        child->second.linked(n.node);
}

}  // namespace coppice::net
