// A place to which a router keeps a link: it is dialled again for as long as the router lives, when retry.hpp says. One for
// each URI, whether an option named it or a lookup did. Home thread.
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

}  // namespace coppice::net
