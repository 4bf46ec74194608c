// The gateway's outbound connections: each is dialled, held, and dialled again, by a task of its own. See
// gateway_host.hpp.
//
// Names are looked up by Asio's resolver, off this thread. One limit, connection_limits::handshake, is for the way from
// there to the end of the handshake. Threading: the gateway's scheduler.
#include <algorithm>
#include <exception>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "coppice/await.hpp"
#include "coppice/own_task.hpp"
#include "coppice/race.hpp"
#include "gateway_host.hpp"

namespace coppice::actors::web_parts {

namespace {

using boost::asio::ip::tcp;
constexpr auto outcome_of = boost::asio::as_tuple(coppice::await);

// A connected socket's number; the caller's from now on.
task<result<int>> reach(host_ptr h, std::string name, std::string service) {
    tcp::resolver resolver{h->io};
    auto [unknown, found] = co_await resolver.async_resolve(name, service, outcome_of);
    if (unknown) co_return error{errc::unreachable, name + ": " + unknown.message()};
    error last{errc::unreachable, name + ": it has no address"};
    for (const auto& each : found) {
        tcp::socket trying{h->io};
        auto [failure] = co_await trying.async_connect(each.endpoint(), outcome_of);
        if (!failure) co_return trying.release();
        last = error{errc::unreachable, name + " port " + service + ": " + failure.message()};
    }
    co_return last;
}

std::string offered(const std::vector<std::string>& subprotocols) {
    std::string text;
    for (const std::string& each : subprotocols) (text += text.empty() ? "" : ", ") += each;
    return text;
}

// The reason why not; none: the channel has been open, and is over.
task<ending> dial_once(host_ptr h, dialling_ptr d) {
    std::string name = d->url.host;
    if (name.starts_with('[')) name = name.substr(1, name.size() - 2);
    auto reached = co_await with_timeout(d->wanted.limits.handshake, reach(h, name, d->url.port));
    if (!reached) co_return ending{ending::how::lost, 0, "no connection in time"};
    if (!*reached) co_return ending{ending::how::lost, 0, std::string{reached->error().text()}};
    stream_ptr wire =
        d->tls ? make_tls_stream(h->io, **reached, d->tls, name) : make_plain_stream(h->io, **reached);
    if (d->given_up || h->ending) co_return ending{};
    d->greeting = wire;
    wire->limit(d->wanted.limits.handshake);
    if (ending failed = co_await wire->secure()) co_return failed;
    client_welcome welcome = co_await wire->greet(
        {d->url.host_field(), d->url.target, d->wanted.token, offered(d->wanted.subprotocols)},
        d->wanted.limits.message_bytes);
    d->greeting = nullptr;
    if (welcome.failure) co_return std::move(welcome.failure);
    if (wire->late() || d->given_up || h->ending)
        co_return ending{ending::how::lost, 0, "no handshake in time"};
    wire->unlimit();

    auto c =
        std::make_shared<connection>(new_number(), wire, d->agent, d->wanted.limits, d->wanted.full, nullptr);
    c->dial = d->number;
    h->channels.emplace(c->number, c);
    h->expect_beat(c);
    d->up = c;
    web::opened first{.channel = c->number,
                      .dial = d->number,
                      .peer = d->url.host_field(),
                      .path = d->url.target,
                      .subprotocol = std::move(welcome.subprotocol)};
    co_await hold(h, std::move(c), std::move(first));
    d->up = nullptr;
    co_return ending{};
}

task<> dial(host_ptr h, dialling_ptr d) {
    std::chrono::nanoseconds wait = d->wanted.retry_first;
    while (!d->given_up && !h->ending) {
        ending failed;
        try {
            failed = co_await dial_once(h, d);
        } catch (const std::exception& e) {
            failed = {ending::how::lost, 0, e.what()};
        }
        if (stream_ptr left = std::exchange(d->greeting, nullptr)) left->cut();
        if (d->given_up || h->ending) break;
        if (failed) h->self.log.info("{} cannot be connected to yet: {}", d->wanted.url, failed.text);
        else wait = d->wanted.retry_first;
        co_await d->changed.wait(wait);
        wait = std::min(wait * 2, d->wanted.retry_most);
    }
    h->dials.erase(d->number);
    h->quiet.notify();
}

}  // namespace

result<dialling_ptr> start_dial(const host_ptr& h, web::connect wanted, ref<web::agent_protocol> agent) {
    auto url = url_of(wanted.url);
    if (!url) return url.error();
    if (h->dials.size() >= h->options.dials)
        return error{errc::limit_reached,
                     "the gateway has as many outbound connections as its option dials says"};
    if (wanted.retry_first.count() <= 0 || wanted.retry_most < wanted.retry_first ||
        wanted.limits.handshake.count() <= 0 || wanted.limits.close.count() <= 0 ||
        wanted.limits.message_bytes == 0)
        return error{errc::invalid_argument,
                     "times of a connection are above 0, and retry_most is no less than retry_first"};
    std::shared_ptr<tls_context> tls;
    if (url->tls) {
        auto made = make_tls_context(wanted.tls, false);
        if (!made) return made.error();
        tls = *std::move(made);
    }
    auto d = std::make_shared<dialling>(h->io, new_number(), std::move(wanted), *std::move(url), agent,
                                        std::move(tls));
    h->dials.emplace(d->number, d);
    h->self.spawn_task(dial(h, d));
    return d;
}

}  // namespace coppice::actors::web_parts
