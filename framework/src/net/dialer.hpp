// A place to which a router keeps a link: it is dialled again for as long as the router lives, when retry.hpp says. One for
// each URI, whether an option named it or a lookup did. And a place to which it is linked once, if that works: a shortcut.
// Home thread.
#pragma once
#include <memory>
#include <string>
#include <utility>

#include "coppice/error.hpp"
#include "net/retry.hpp"
#include "net/router.hpp"

namespace coppice::net {

class neighbour;

struct router::dialer {
    dialer(place to, role relation) : at{std::move(to)}, as{relation} {}

    const place at;
    const role as;  // what the other side is to this node
    std::unique_ptr<attempt> trying;
    std::unique_ptr<pending_timer> again;  // the next attempt; while there is one, the end of our patience
    neighbour* link = nullptr;
    retry when;
    error last_error;  // of the attempts since it was linked
};

/// On the way to a node that has offered a shortcut: one of its endpoints after the other.
struct router::approach {
    node_id with = 0;
    net::token token{};
    bool answers = false;  // if nothing leads there, that one may come here
    std::vector<place> left;
    std::unique_ptr<attempt> trying;
    std::unique_ptr<pending_timer> limit;
    neighbour* link = nullptr;
    std::string last_error;
};

}  // namespace coppice::net
