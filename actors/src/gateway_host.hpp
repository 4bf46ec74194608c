// What a gateway has: ports, connections, outbound connections, and who may do what with them.
//
//   host ──► port ◄── connection ──► stream          tasks of the gateway, each of which holds what it uses:
//    │        ▲           ▲                            accept_all(port), serve(connection): reads, tells its agent
//    ├────────┘           │                            write_all(connection): as long as something waits for the client
//    └──► dialling ───────┘                            dial(dialling), heartbeats(host)
//
// All of it lives on the gateway's scheduler: requests and tasks change it between their awaits, never at once. After an
// await a task looks again whether its port still listens and its connection is still open.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "coppice/actors/gateway.hpp"
#include "gateway_http.hpp"
#include "gateway_stream.hpp"

namespace coppice::actors::web_parts {

using gateway_actor = actor<gateway_protocol>;

/// Pings of one channel that nobody has answered yet; the oldest one more fails with `timeout`.
inline constexpr std::size_t most_pings = 16;
/// Channels that a request may have to go through in one turn is the number of channels of a port; connections accepted in
/// one turn, so that a crowd at the door does not keep the clients inside waiting.
inline constexpr int accepted_a_turn = 32;
/// After the system had no descriptor for a connection: what waits is still in the kernel's queue.
inline constexpr std::chrono::milliseconds descriptor_pause{100};

class host;
struct port;
using host_ptr = std::shared_ptr<host>;
using port_ptr = std::shared_ptr<port>;
using stream_ptr = std::shared_ptr<stream>;

struct observer {
    ref<web::observer_protocol> who;
    std::uint64_t missed = 0;
};
/// Who beside the agent has to do with a port or a channel.
struct company {
    std::vector<ref<>> may_talk;
    std::vector<ref<>> may_watch;
    std::vector<observer> observers;
    void forget(const ref<>& who);
};

struct topic {
    std::string name;
    web::content whole;
};

/// What waits for a client.
struct outgoing {
    enum class form : std::uint8_t { message, state, ping };
    form what = form::message;
    web::content content;   ///< of a message
    std::string name = {};  ///< of a state: its topic; of a ping: its payload
};

/// How a channel is to end, by this side.
struct close_order {
    std::uint16_t code;
    std::string reason;
    web::ender by;
};

struct waiting_ping {
    std::string payload;
    std::chrono::steady_clock::time_point sent;
    request<web::ping> asked;
};

/// One open channel. It is in host::channels from its `opened` until its `closed` has been told.
class connection : public std::enable_shared_from_this<connection> {
public:
    connection(std::uint64_t number, stream_ptr wire, ref<web::agent_protocol> agent,
               web::connection_limits limits, web::when_full full, port_ptr at);

    const std::uint64_t number;
    const stream_ptr wire;
    const ref<web::agent_protocol> agent;
    const web::connection_limits limits;
    const web::when_full full;
    const port_ptr at;       ///< null: outbound
    std::uint64_t dial = 0;  ///< 0: inbound
    company around;
    bool is_reading = false;   ///< false: it waits for its agent to have room
    std::uint32_t silent = 0;  ///< periods of the heartbeat
    bool told = false;         ///< its `closed` has been sent, or is being

    /// Takes sends: neither over nor to be closed.
    [[nodiscard]] bool open() const noexcept { return !over_ && !order_; }
    [[nodiscard]] bool over() const noexcept { return over_; }
    [[nodiscard]] std::uint64_t queued_bytes() const noexcept { return queued_bytes_; }

    /// Puts a message into the queue: `closed`, or `mailbox_full`, see web::when_full.
    result<void> offer(const host_ptr& h, web::content what);
    /// Has the client told a state; nothing if it is not open any more.
    void offer_state(const host_ptr& h, const std::string& topic, const web::content* change);
    void ask_ping(const host_ptr& h, request<web::ping> asked);
    void beat(const host_ptr& h);
    /// Closes it behind what waits. The first order holds.
    void order_close(const host_ptr& h, close_order order);
    /// Closes it, and forgets what waits.
    void give_up(const host_ptr& h, close_order order);
    void pong(std::string_view payload);
    /// It is over: no more is sent, and this is what its agent is to be told.
    web::closed finish(const ending& end);
    /// The coroutine that writes; one at a time.
    static task<> write_all(host_ptr h, std::shared_ptr<connection> c);

private:
    void flush(const host_ptr& h);
    void drop_queue();
    [[nodiscard]] web::content content_of(outgoing& next);
    static task<ending> write_one(host_ptr h, std::shared_ptr<connection> c);

    std::deque<outgoing> queue_;
    std::uint64_t queued_bytes_ = 0;  ///< of messages, the one that is being written included
    std::map<std::string, std::optional<web::content>>
        states_;  ///< that are in the queue: a change, or the whole
    std::deque<waiting_ping> pings_;
    std::optional<close_order> order_;
    std::uint64_t unsent_ = 0;
    bool writing_ = false;
    bool over_ = false;
};
using connection_ptr = std::shared_ptr<connection>;

/// A port that somebody listens at, or the channels of which are still open.
struct port {
    port(boost::asio::io_context& io, std::uint16_t n, web::port_options o, ref<web::agent_protocol> a);
    ~port();
    port(const port&) = delete;
    port& operator=(const port&) = delete;

    std::uint16_t number;
    web::port_options options;
    ref<web::agent_protocol> agent;
    std::shared_ptr<tls_context> tls;  ///< null: without
    company around;
    std::vector<topic> topics;
    std::uint64_t channels = 0;
    std::uint64_t accepted = 0;
    std::uint64_t rejected = 0;
    std::uint64_t pages = 0;
    std::set<stream_ptr> greeting;  ///< connections whose handshake is not over
    event room;                     ///< one handshake less, or the end of listening

    [[nodiscard]] bool listening() const noexcept;
    /// Frees the port, at once, and cuts the handshakes that are under way.
    void stop_listening() noexcept;

    struct socket;
    std::unique_ptr<socket> door;
};

/// A connection that this side makes.
struct dialling {
    dialling(boost::asio::io_context& io, std::uint64_t n, web::connect w, url_parts u,
             ref<web::agent_protocol> a, std::shared_ptr<tls_context> t)
        : number{n}, wanted{std::move(w)}, url{std::move(u)}, agent{a}, tls{std::move(t)}, changed{io} {}
    std::uint64_t number;
    web::connect wanted;
    url_parts url;
    ref<web::agent_protocol> agent;
    std::shared_ptr<tls_context> tls;
    bool given_up = false;
    stream_ptr greeting;  ///< while it shakes hands
    connection_ptr up;    ///< while it is open
    event changed;
};
using dialling_ptr = std::shared_ptr<dialling>;

class host : public std::enable_shared_from_this<host> {
public:
    host(gateway_actor s, web::gateway_options o, boost::asio::io_context& context);

    gateway_actor self;
    web::gateway_options options;
    boost::asio::io_context& io;
    std::vector<port_ptr> ports;
    std::unordered_map<std::uint64_t, connection_ptr> channels;
    std::map<std::uint64_t, dialling_ptr> dials;
    bool ending = false;     ///< no new connections
    bool abandoned = false;  ///< the main coroutine is gone: no new tasks
    event quiet;             ///< a channel, or a dialling, less
    event pulse;             ///< the next beat is sooner
    /// When the heartbeat of each channel is due. One that is over is left out when its time comes.
    std::multimap<std::chrono::steady_clock::time_point, std::weak_ptr<connection>> beats;
    void expect_beat(const connection_ptr& c);

    /// The port that is meant by whoever says that number: the one that listens, unless it is another's and an ignored one
    /// is his own. Null: none.
    [[nodiscard]] port_ptr find_port(std::uint16_t number, const ref<>& by) const;
    /// That channel if it is open; else why not.
    [[nodiscard]] result<connection_ptr> find_channel(std::uint64_t number) const;
    [[nodiscard]] static bool may_talk(const ref<>& who, const connection& c);
    void watch(const ref<>& who);
    /// A monitored actor has ended: what it had goes.
    void forget(const ref<>& who);
    void close_port(const port_ptr& p);
    void drop_idle_ports();
    void hang_up(const dialling_ptr& d);

    /// To the observers of a channel and of its port, as far as they have room.
    template <class M>
    void copy_to_observers(connection& c, const M& what) {
        copy_to(c.around, c.number, what);
        if (c.at) copy_to(c.at->around, c.number, what);
    }
    /// Everything ends now, without leave: called when the main coroutine is gone.
    void abandon() noexcept;

private:
    template <class M>
    void copy_to(company& around, std::uint64_t channel, const M& what) {
        for (observer& each : around.observers) {
            if (each.missed != 0 && self.send<web::missed>(each.who, channel, each.missed) == errc::ok)
                each.missed = 0;
            if (self.send<M>(each.who, what) != errc::ok) ++each.missed;
        }
    }
    std::unordered_map<detail::address, std::uint64_t> monitored_;
};

/// A number that no channel or dialling of any gateway of this process has, or had.
std::uint64_t new_number();

/// Binds and listens; the port is in host::ports, and its connections are accepted.
result<port_ptr> open_port(const host_ptr& h, const web::listen& wanted, ref<web::agent_protocol> agent);
/// Tells of the connection, and reads it to its end.
task<> hold(host_ptr h, connection_ptr c, web::opened first);
result<dialling_ptr> start_dial(const host_ptr& h, web::connect wanted, ref<web::agent_protocol> agent);
/// Pings who is silent, and cuts who does not answer.
task<> heartbeats(host_ptr h);

}  // namespace coppice::actors::web_parts
