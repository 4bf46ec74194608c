// browser_page: what a session keeps: frames that its page has not acknowledged, requests that the page owes an answer to, the
// actors and monitors that it knows by number. It writes frames, and reads none (browser_session.cpp, browser_calls.cpp).
//
//     the tree ── mail ──► kept_ ── web::send ──► page          a frame stays in kept_ until the page acknowledges it;
//                            └────── again after a resume        with it the mail, which is a dead letter if it never does
//
// The session's scheduler alone. Owned by the session and its own tasks.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "browser_session.hpp"
#include "coppice/any_request.hpp"
#include "coppice/on_behalf.hpp"
#include "coppice/value.hpp"

namespace coppice::actors::browser_parts {

/// An actor that the page knows by a number.
struct known_actor {
    ref<> who;
    bool is_reachable = false;  ///< the page may send to it, ask and monitor it
};

/// A request that the page has to answer.
struct owed_answer {
    request<any_request> asked;
    std::chrono::steady_clock::time_point since;
    std::uint64_t sequence = 0;  ///< of the frame that brought it to the page
};

class page {
public:
    page(actor<anything> self, std::shared_ptr<const browser::host_options> options, std::string principal)
        : self{self}, options{std::move(options)}, as_page{self, std::move(principal)} {}
    page(const page&) = delete;
    page& operator=(const page&) = delete;

    const actor<anything> self;
    const std::shared_ptr<const browser::host_options> options;
    /// What the page does to others goes by way of this, once the host's lists allow it.
    const on_behalf as_page;
    /// Asks of the page that are under way.
    std::uint32_t asks = 0;
    std::set<std::string> groups;
    /// By the page's number: the monitor's, and the actor's number.
    std::map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>> monitors;
    /// The last frame of the page that was taken.
    std::uint64_t last_received = 0;

    // ---- the connection
    [[nodiscard]] bool is_connected() const noexcept { return channel_ != 0; }
    [[nodiscard]] std::uint64_t channel() const noexcept { return channel_; }
    [[nodiscard]] const gateway_ref& gateway() const noexcept { return gateway_; }
    /// Takes a connection over, says welcome and sends again what is not acknowledged.
    void connect(const attach& a);
    /// Closes the connection; the session stays.
    void close(browser::close_code code, std::string reason);
    /// The connection is gone.
    void disconnect() noexcept { channel_ = 0; }
    /// Tells the page what was received, if it has not been told.
    void acknowledge();
    void pong(std::uint64_t correlation);

    // ---- to the page
    /// True if the page may get another piece of mail.
    [[nodiscard]] bool has_room() const noexcept;
    /// More frames wait to be acknowledged than a page that keeps to the rules can cause.
    [[nodiscard]] bool is_overrun() const noexcept;
    /// A message or a request of the tree's.
    void deliver(received<anything> mail);
    /// A monitored actor has ended.
    void deliver(const down& d);
    void answer(std::uint64_t correlation, const value& v);
    void fail(std::uint64_t correlation, const error& why);
    void found(std::uint64_t correlation, const ref<>& who, std::string path);
    void bye(errc code, std::string text);

    // ---- from the page
    /// All up to that number is at the page, which has taken so many pieces of mail. False: neither can be.
    [[nodiscard]] bool release(std::uint64_t acknowledged, std::uint64_t taken);
    /// The actor of that number, to be sent to, asked or monitored: `not_found`, `denied`.
    [[nodiscard]] result<ref<>> reachable(std::uint64_t number) const;
    /// The value of a frame, as the tree gets it: `bad_message`, `too_large`, `denied`.
    [[nodiscard]] result<value> content_of(const frame& f) const;
    /// The request that the page answers; empty if it owes none of that number.
    [[nodiscard]] request<any_request> take_owed(std::uint64_t correlation);

    /// What was under way is told to its senders: requests fail, mail becomes dead letters.
    void end();

private:
    /// A numbered frame that is not acknowledged.
    struct kept {
        std::uint64_t sequence = 0;
        bool is_mail = false;  // that the page counts when it takes it
        blob bytes;
        received<anything> mail;
    };
    void keep(frame f, received<anything> mail = {});
    void write(blob bytes);
    [[nodiscard]] blob with_receipt(frame f);
    std::uint64_t number_of(const ref<>& who, bool is_reachable);
    [[nodiscard]] std::uint64_t number_of_sender(const ref<>& who);
    /// The page has acknowledged the frame that brought it.
    [[nodiscard]] bool was_taken(const owed_answer& a) const noexcept;
    template <class Test>
    void fail_owed_if(const Test& is_so, const error& why);
    bool make_room_for_request(request<any_request>& r);
    void ask_page(request<any_request> r);
    void tell_page(received<anything> mail, const value& content);
    void see_references(const value& v);

    gateway_ref gateway_;
    std::uint64_t channel_ = 0;
    std::uint64_t told_ = 0;  // of `last_received`, what the page has been told

    std::deque<kept> kept_;
    std::uint64_t kept_bytes_ = 0;
    std::uint64_t next_ = 1;
    std::uint64_t mail_sent_ = 0;
    std::uint64_t mail_taken_ = 0;

    std::map<std::uint64_t, owed_answer> owed_;
    std::uint64_t last_request_ = 0;

    std::map<std::uint64_t, known_actor> actors_;                               // by number, which is by age
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> numbers_;  // by id and tag
    std::uint64_t last_actor_ = 0;
    std::deque<wire_reference> seen_;  // in values for the page; it may send these on
};

}  // namespace coppice::actors::browser_parts
