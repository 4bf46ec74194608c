// browser_host: what the host of sessions keeps: its port at the gateway, connections that have come, sessions by token.
// The host's scheduler alone; shared with its own tasks, which look again after every await.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "browser_session.hpp"

namespace coppice::actors::browser_parts {

/// SHA-256 of a token: who measures how long a look-up takes learns nothing of the token.
using token_key = std::string;

/// A connection. It has said hello or resume once it has a session, or is on its way to one.
struct caller {
    bool is_greeted = false;
    std::string token;  ///< the name of the one that it has shown
    ref<> session;      ///< nobody: not yet
};

struct known_session {
    ref<> who;  ///< nobody: it is being started
    std::string path;
    std::uint64_t channel = 0;  ///< 0: none
    std::string token;          ///< the name of the one that its page has shown
};

class host : public std::enable_shared_from_this<host> {
public:
    host(actor<browser_host_protocol> self, browser::host_options options)
        : self{self}, options{std::make_shared<const browser::host_options>(std::move(options))} {}
    host(const host&) = delete;
    host& operator=(const host&) = delete;

    const actor<browser_host_protocol> self;
    const std::shared_ptr<const browser::host_options> options;

    /// Asks the gateway for the port. An error, or it listens.
    task<result<void>> listen();
    void on_opened(const web::opened& o);
    void on_message(const web::message& m);
    void on_closed(const web::closed& c);
    void on_down(const down& d);
    [[nodiscard]] browser::host_report report() const;

private:
    task<> listen_again();
    task<> expect_greeting(std::uint64_t channel);
    task<> begin(std::uint64_t channel, token_key key, frame hello);

    void greet(std::uint64_t channel, caller& c, const web::content& content);
    void connect(std::uint64_t channel, const token_key& key, frame greeting);
    void turn_away(std::uint64_t channel, const error& why, browser::close_code code);
    void close(std::uint64_t channel, browser::close_code code, std::string reason);
    [[nodiscard]] result<void> may_begin(const frame& hello) const;
    void forget_channel(std::uint64_t channel);

    gateway_ref gateway_;
    std::uint64_t gateway_monitor_ = 0;
    std::uint16_t port_ = 0;
    bool is_listening_ = false;

    std::map<std::uint64_t, caller> callers_;  // by channel
    std::map<token_key, known_session> sessions_;
    std::map<std::uint64_t, token_key> monitors_;  // of sessions
    std::uint64_t last_number_ = 0;                // of sessions without a name
    browser::host_report counts_;
};

}  // namespace coppice::actors::browser_parts
