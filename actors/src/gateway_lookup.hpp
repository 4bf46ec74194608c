// lookup: the addresses of a host, looked up on a thread that nobody has to wait for.
//
// getaddrinfo() cannot be interrupted, and a server of names that does not answer holds it up for as long as a minute. Asio's
// resolver would hold up who awaits it for that time, and the end of its io_context. Here the thread shares what it works on
// with who has asked; who does not want the answer any more destroys the lookup, and the thread ends when it ends. They are few
// at a time. Owner: one coroutine of an actor, on its scheduler's thread.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "gateway_stream.hpp"

namespace coppice::actors::web_parts {

/// Threads of this process that look up names, those that nobody waits for any more included. One more lookup is `limit_reached`;
/// each costs a stack, and only names that are not found keep one for long.
inline constexpr int most_lookups = 16;

class lookup {
public:
    using endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

    explicit lookup(boost::asio::io_context& io);
    lookup(const lookup&) = delete;
    lookup& operator=(const lookup&) = delete;
    ~lookup();

    /// Once. A name, or a numeric address, and a port's number. Suspends, but for numeric addresses. Cancelled with its actor, at once.
    /// Errors: unreachable, limit_reached.
    task<result<endpoints>> find(std::string name, std::string service);

private:
    struct job;
    event done_;
    std::shared_ptr<job> job_;
};

}  // namespace coppice::actors::web_parts
