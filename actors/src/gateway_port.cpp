// The gateway's ports: binding, accepting, the handshake of each connection, and the pages. See gateway_host.hpp.
//
// Until its handshake is over a connection belongs to its port, whose bound keeps them few; it has one time limit for all of
// it. What it asks is judged by judge(), without I/O. Threading: the gateway's scheduler; files are read by a worker.
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include "coppice/await.hpp"
#include "coppice/on_behalf.hpp"
#include "coppice/own_task.hpp"
#include "descriptor.hpp"
#include "gateway_host.hpp"

namespace coppice::actors::web_parts {

struct port::socket {
    explicit socket(boost::asio::io_context& io, int fd) : descriptor{io.get_executor(), fd} {}
    boost::asio::posix::basic_stream_descriptor<boost::asio::io_context::executor_type> descriptor;
};

port::port(boost::asio::io_context& io, std::uint16_t n, web::port_options o, ref<web::agent_protocol> a)
    : number{n}, options{std::move(o)}, agent{a}, room{io} {}
port::~port() = default;

bool port::listening() const noexcept { return door && door->descriptor.is_open(); }

void port::stop_listening() noexcept {
    boost::system::error_code ignored;
    if (door) door->descriptor.close(ignored);
    room.notify();
    for (const stream_ptr& each : greeting) each->cut();
}

namespace {

// ---- binding

struct address_list {
    addrinfo* first = nullptr;
    ~address_list() {
        if (first) ::freeaddrinfo(first);
    }
};

errc code_of(int number) noexcept {
    switch (number) {
    case EADDRINUSE: return errc::name_taken;
    case EACCES:
    case EPERM: return errc::denied;
    case EADDRNOTAVAIL: return errc::invalid_argument;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return errc::limit_reached;
    default: return errc::io;
    }
}

error bind_error(int number, const std::string& place) {
    std::string text = place + ": " + std::generic_category().message(number);
    if (number == EADDRINUSE) text += ": somebody listens there";
    if (number == EACCES) text += ": ports below 1024 need a right; take another one";
    return {code_of(number), std::move(text)};
}

result<std::uint16_t> bind_to(descriptor& into, const std::string& address, std::uint16_t number) {
    const std::string place = address + " port " + std::to_string(number);
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
    hints.ai_socktype = SOCK_STREAM;
    address_list found;
    if (::getaddrinfo(address.c_str(), std::to_string(number).c_str(), &hints, &found.first) != 0)
        return error{errc::invalid_argument, "\"" + address + "\" is no numeric address to listen at"};
    into = descriptor{::socket(found.first->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!into) return bind_error(errno, place);
    const int on = 1;
    // The port's earlier connections may live on; another listener is still refused.
    ::setsockopt(into.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (found.first->ai_family == AF_INET6)
        ::setsockopt(into.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(into.get(), found.first->ai_addr, found.first->ai_addrlen) != 0 ||
        ::listen(into.get(), SOMAXCONN) != 0)
        return bind_error(errno, place);
    sockaddr_storage real{};
    socklen_t length = sizeof real;
    if (::getsockname(into.get(), reinterpret_cast<sockaddr*>(&real), &length) != 0)
        return bind_error(errno, place);
    return ntohs(real.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(real).sin6_port
                                            : reinterpret_cast<const sockaddr_in&>(real).sin_port);
}

std::string peer_text(const sockaddr_storage& peer, socklen_t length) {
    std::array<char, NI_MAXHOST> name{};
    std::array<char, NI_MAXSERV> service{};
    if (::getnameinfo(reinterpret_cast<const sockaddr*>(&peer), length, name.data(), name.size(),
                      service.data(), service.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return "?";
    return peer.ss_family == AF_INET6 ? fmt::format("[{}]:{}", name.data(), service.data())
                                      : fmt::format("{}:{}", name.data(), service.data());
}

// ---- the handshake

struct upgrade {
    std::string subprotocol;
    web::opened first;
};
struct read_file {
    std::string path;
    bool head_only;
};
using verdict = std::variant<http_answer, upgrade, read_file>;

verdict judge_upgrade(const host_ptr& h, const port& p, const http_head& head, target_parts& asked) {
    if (head.ahead || head.has_body)
        return http_error(400, "a client waits for the answer to its handshake before it sends more");
    if (!origin_is_known(head.origin, head.host, p.tls != nullptr, p.options.origins))
        return http_error(403, "pages of this origin are not let in; see the port's option origins");
    std::optional<std::string> token = shown_token(p.options, head.authorization, asked.token);
    if (!token) return http_error(401, "this port needs a token");
    if (!p.options.inspects.empty()) {
        const on_behalf client{h->self, principal_of_token(*token)};
        if (auto fine = client.may(right::inspect, p.options.inspects); !fine)
            return http_error(403, fine.error().text());
    }
    if (p.channels + p.expected >= p.options.connections)
        return http_error(503, "as many clients as this port takes are connected; try again later");
    upgrade made;
    made.subprotocol = agreed_subprotocol(p.options.subprotocols, head.subprotocols);
    made.first.port = p.number;
    made.first.origin = std::string{head.origin};
    made.first.path = std::move(asked.rest);
    made.first.subprotocol = made.subprotocol;
    made.first.token = *std::move(token);
    return made;
}

verdict judge_page(const port& p, const http_head& head, const target_parts& asked) {
    if (p.options.pages.empty() && p.options.directory.empty())
        return http_error(426, "this port speaks WebSocket");
    const bool head_only = head.method == "HEAD";
    if (!head_only && head.method != "GET") return http_error(405, "only GET and HEAD are answered");
    if (head.has_body) return http_error(400, "a request for a page has no body");
    for (const web::page& each : p.options.pages)
        if (each.path == asked.path)
            return http_answer{.type = each.type, .body = each.content, .head_only = head_only};
    if (p.options.directory.empty()) return http_error(404, "there is no such page");
    return read_file{asked.path.ends_with('/') ? asked.path + "index.html" : asked.path, head_only};
}

verdict judge(const host_ptr& h, const port& p, const http_head& head) {
    target_parts asked = parts_of(head.target);
    if (!asked.well_formed) return http_error(400, "the target of the request is not well-formed");
    if (head.host_fields != 1 || !host_is_known(head.host, p.options.hosts))
        return http_error(421, "this server does not go by that name; see the port's option hosts");
    return head.upgrade ? judge_upgrade(h, p, head, asked) : judge_page(p, head, asked);
}

http_answer answer_of(const result<blob>& file, const read_file& asked) {
    if (file)
        return {.type = std::string{media_type(asked.path)}, .body = *file, .head_only = asked.head_only};
    http_answer failed;
    switch (file.error().code()) {
    case errc::not_found: failed = http_error(404, "there is no such page"); break;
    case errc::too_large: failed = http_error(413, "the file is too large to be served"); break;
    default: failed = http_error(500, "the file cannot be read"); break;
    }
    failed.head_only = asked.head_only;
    return failed;
}

/// A connection among those whose handshake is not over.
class greeting_place {
public:
    greeting_place(port_ptr p, stream_ptr s) : at_{std::move(p)}, who_{std::move(s)} {
        at_->greeting.insert(who_);
    }
    greeting_place(const greeting_place&) = delete;
    greeting_place& operator=(const greeting_place&) = delete;
    ~greeting_place() {
        at_->greeting.erase(who_);
        at_->room.notify();
    }

private:
    port_ptr at_;
    stream_ptr who_;
};

/// The place of a channel that is let in and not open yet: many handshakes may be at that point at once.
class expected_place {
public:
    explicit expected_place(port_ptr p) : at_{std::move(p)} { ++at_->expected; }
    expected_place(const expected_place&) = delete;
    expected_place& operator=(const expected_place&) = delete;
    ~expected_place() { --at_->expected; }

private:
    port_ptr at_;
};

task<> answer_page(host_ptr h, port_ptr p, stream_ptr wire, verdict asked) {
    if (auto* file = std::get_if<read_file>(&asked)) {
        result<blob> got = co_await h->self.offload(
            [folder = p->options.directory, path = file->path] { return file_below(folder, path); });
        asked = answer_of(got, *file);
    }
    co_await wire->answer(std::get<http_answer>(std::move(asked)));
}

// Nothing: the connection has been answered, or is broken.
task<std::optional<web::opened>> meet(host_ptr h, port_ptr p, stream_ptr wire) {
    const greeting_place place{p, wire};
    wire->limit(p->options.limits.handshake);
    const auto reject = [&](const ending& why) {
        ++p->rejected;
        h->self.log.debug("port {}: a handshake failed: {}{}", p->number, why.text,
                          wire->late() ? " (its time was over)" : "");
    };
    if (ending failed = co_await wire->secure()) {
        reject(failed);
        co_return std::nullopt;
    }
    http_head head = co_await wire->read_head();
    if (head.failure) {
        reject(head.failure);
        if (head.failure.what == ending::how::broken_rule)
            co_await wire->answer(
                http_error(head.failure.code, "this is no HTTP request that is understood here"));
        co_return std::nullopt;
    }
    verdict decided = judge(h, *p, head);
    auto* wanted = std::get_if<upgrade>(&decided);
    if (!wanted) {
        if (head.upgrade) ++p->rejected;
        else ++p->pages;
        co_await answer_page(h, p, wire, std::move(decided));
        co_return std::nullopt;
    }
    const expected_place reserved{p};
    web::opened first = std::move(wanted->first);
    if (ending failed =
            co_await wire->accept(std::move(wanted->subprotocol), p->options.limits.message_bytes)) {
        reject(failed);
        co_return std::nullopt;
    }
    if (wire->late() || !p->listening() || h->ending) {
        wire->cut();
        co_return std::nullopt;
    }
    wire->unlimit();
    co_return first;
}

connection_ptr open_channel(const host_ptr& h, const port_ptr& p, const stream_ptr& wire) {
    auto c =
        std::make_shared<connection>(new_number(), wire, p->agent, p->options.limits, p->options.full, p);
    h->channels.emplace(c->number, c);
    ++p->channels;
    h->expect_beat(c);
    // Before its agent hears of it, and can send: the state comes first.
    for (const topic& each : p->topics) c->offer_state(h, each.name, nullptr);
    return c;
}

task<> serve(host_ptr h, port_ptr p, stream_ptr wire, std::string peer) {
    std::optional<web::opened> first;
    try {
        first = co_await meet(h, p, wire);
    } catch (const std::exception& e) {  // out of memory, or of something else of which more comes back
        h->self.log.error("port {}: a connection is dropped: {}", p->number, e.what());
    }
    if (!first) {
        wire->cut();
        h->drop_idle_ports();
        co_return;
    }
    connection_ptr c = open_channel(h, p, wire);
    first->channel = c->number;
    first->peer = std::move(peer);
    co_await hold(h, std::move(c), *std::move(first));
}

// False: the system has no room for more now.
bool accept_some(const host_ptr& h, const port_ptr& p) {
    for (int i = 0; i < accepted_a_turn && p->greeting.size() < p->options.handshakes; ++i) {
        sockaddr_storage peer{};
        socklen_t length = sizeof peer;
        const int fd = ::accept4(p->door->descriptor.native_handle(), reinterpret_cast<sockaddr*>(&peer),
                                 &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
        if (fd < 0) return errno == EAGAIN || code_of(errno) != errc::limit_reached;
        ++p->accepted;
        stream_ptr wire = p->tls ? make_tls_stream(h->io, fd, p->tls, {}) : make_plain_stream(h->io, fd);
        h->self.spawn_task(serve(h, p, std::move(wire), peer_text(peer, length)));
    }
    return true;
}

task<> accept_all(host_ptr h, port_ptr p) {
    bool short_of_room = false;
    while (p->listening()) {
        if (p->greeting.size() >= p->options.handshakes) {
            co_await p->room.wait();
            continue;
        }
        auto [failure] = co_await p->door->descriptor.async_wait(
            boost::asio::posix::descriptor_base::wait_read, boost::asio::as_tuple(coppice::await));
        if (failure || !p->listening()) break;
        if (accept_some(h, p)) {
            short_of_room = false;
            continue;
        }
        if (!std::exchange(short_of_room, true))
            h->self.log.warn(
                "port {}: no descriptor or memory for a connection; raise the limit of open files",
                p->number);
        co_await p->room.wait(descriptor_pause);
    }
    h->drop_idle_ports();
}

result<void> check_port(const web::port_options& o) {
    const auto wrong = [](const char* what) { return error{errc::invalid_argument, what}; };
    if (auto fits = check(o.limits); !fits) return fits;
    if (o.connections == 0 || o.handshakes == 0) return wrong("a port has room for a connection at least");
    if (o.tls.cert.empty() && !(o.tls.key.empty() && o.tls.ca.empty()))
        return wrong("a port with TLS needs its own certificate: tls.cert");
    std::set<std::string_view> secrets{o.token};
    for (const web::named_token& each : o.tokens)
        if (each.name.empty() || each.token.empty() || !secrets.insert(each.token).second)
            return wrong("each of a port's tokens has a name, and a secret of its own");
    for (const web::page& each : o.pages)
        if (auto checked = check_page(each); !checked) return checked.error();
    return {};
}

}  // namespace

result<port_ptr> open_port(const host_ptr& h, const web::listen& wanted, ref<web::agent_protocol> agent) {
    if (auto checked = check_port(wanted.options); !checked) return checked.error();
    const auto listening =
        std::count_if(h->ports.begin(), h->ports.end(), [](const port_ptr& p) { return p->listening(); });
    if (static_cast<std::size_t>(listening) >= h->options.ports)
        return error{errc::limit_reached, "the gateway listens at as many ports as its option ports says"};
    if (wanted.options.pages.size() > h->options.pages)
        return error{errc::limit_reached, "the port has more pages than a port may have"};
    std::shared_ptr<tls_context> tls;
    if (!wanted.options.tls.cert.empty()) {
        auto made = make_tls_context(wanted.options.tls, true);
        if (!made) return made.error();
        tls = *std::move(made);
    }
    descriptor socket;
    auto number = bind_to(socket, wanted.options.address, wanted.port);
    if (!number) return number.error();
    auto opened = std::make_shared<port>(h->io, *number, wanted.options, agent);
    opened->tls = std::move(tls);
    try {
        opened->door = std::make_unique<port::socket>(h->io, socket.get());
        static_cast<void>(socket.release());
    } catch (const std::exception& e) {  // it cannot be watched
        return error{errc::io, e.what()};
    }
    h->ports.push_back(opened);
    h->self.spawn_task(accept_all(h, opened));
    return opened;
}

}  // namespace coppice::actors::web_parts
