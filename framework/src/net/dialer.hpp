// A place to which a router keeps a link: it is dialled again, later and later, for as long as the router lives. One for
// each URI, whether an option named it or a lookup did. Home thread.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "coppice/error.hpp"
#include "net/router.hpp"

namespace coppice::net {

class neighbour;

struct router::dialer {
    static constexpr std::chrono::nanoseconds first_retry = std::chrono::milliseconds{2};

    dialer(place to, role relation) : at{std::move(to)}, as{relation} {}

    const place at;
    const role as;  // what the other side is to this node
    std::unique_ptr<attempt> trying;
    std::unique_ptr<pending_timer> again;
    neighbour* link = nullptr;
    std::chrono::nanoseconds wait = first_retry;
    error last_error;  // of the attempts since it was linked
};

}  // namespace coppice::net
