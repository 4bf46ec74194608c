// The session's mailbox: what the host brings from the page, what the tree sends, and the wait for a page that is away.
//
// Mail of the tree is taken only while the page has room: else it waits in the mailbox, whose bound its senders meet. What the
// host brings comes in the priority lane, and is taken always.
#include "browser_session.hpp"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "browser_calls.hpp"
#include "browser_page.hpp"

namespace coppice::actors::browser_parts {

namespace {

using browser::close_code;

/// The session has been without a connection for as long as it is held, unless one has come meanwhile.
struct held_long_enough {
    using local_only = void;
    std::uint64_t absence = 0;
};

/// How a session goes on after what it has handled.
enum class verdict : std::uint8_t { go_on, over, lost };

class absence {
public:
    explicit absence(std::shared_ptr<page> p) : page_{std::move(p)} {}
    absence(const absence&) = delete;
    absence& operator=(const absence&) = delete;
    /// Counts the time from when the page is found to be away, once.
    void look() {
        if (page_->is_connected()) {
            timer_.cancel();
            is_away_ = false;
        } else if (!std::exchange(is_away_, true)) {
            timer_ = page_->self.send_after<held_long_enough>(page_->options->hold, ++number_);
        }
    }
    [[nodiscard]] bool is_over(const held_long_enough& h) const noexcept {
        return is_away_ && h.absence == number_;
    }

private:
    std::shared_ptr<page> page_;
    timer timer_;
    bool is_away_ = false;
    std::uint64_t number_ = 0;
};

void on_attach(page& p, const attach& a) {
    if (p.is_connected() && p.channel() == a.channel) return;
    const bool is_known = a.greeting.kind == frame_kind::hello || a.greeting.flags & flag_new_page ||
                          p.release(a.greeting.acknowledged, a.greeting.taken);
    p.connect(a);
    if (!is_known) p.close(close_code::bad_frame, "it acknowledges what was not sent");
}

verdict on_arrived(const std::shared_ptr<page>& p, const arrived& a) {
    if (a.channel != p->channel())
        return verdict::go_on;  // of a connection before: it comes again over this one
    auto f = decode_frame(a.bytes.bytes());
    if (!f) return p->close(close_code::bad_frame, std::string{f.error().text()}), verdict::go_on;
    if (!p->release(f->acknowledged, f->taken))
        return p->close(close_code::bad_frame, "it acknowledges what was not sent"), verdict::go_on;
    if (!is_numbered(f->kind)) {
        if (f->kind == frame_kind::ping) p->pong(f->correlation);
        else if (f->kind != frame_kind::acknowledge && f->kind != frame_kind::pong)
            p->close(close_code::bad_frame, "a frame that has no place in a session");
        return verdict::go_on;
    }
    if (f->sequence <= p->last_received) return verdict::go_on;  // it was taken before the connection was cut
    if (f->sequence != p->last_received + 1)
        return p->close(close_code::bad_frame, "a number too far: a frame is missing"), verdict::go_on;
    if (p->is_overrun())
        return p->close(close_code::not_kept_to, "too much that it has asked for is not acknowledged"),
               verdict::go_on;
    p->last_received = f->sequence;
    if (f->kind == frame_kind::bye) return verdict::over;
    if (!act_for_page(p, *std::move(f))) p->close(close_code::bad_frame, "a frame that a page does not send");
    return verdict::go_on;
}

// What the gateway did not do. A connection that does not take what is sent is of no use: the page comes again.
void on_refused(page& p, const web::refused& r) {
    if (r.channel == p.channel() && r.what == "send")
        p.close(close_code::come_again, "what is sent finds no room at the gateway");
}

/// What a session takes at any time; all other mail only while its page has room for it.
template <class P>
std::optional<verdict> handle_own(const std::shared_ptr<page>& p, const absence& away, received<P>& m) {
    const bool is_of_host = m.sender() == p->self.parent();
    if (is_of_host && m.template is<arrived>()) return on_arrived(p, *m.template get_if<arrived>());
    if (is_of_host && m.template is<attach>()) {
        on_attach(*p, *m.template get_if<attach>());
        return verdict::go_on;
    }
    if (is_of_host && m.template is<detach>()) {
        if (m.template get_if<detach>()->channel == p->channel()) p->disconnect();
        return verdict::go_on;
    }
    if (const auto* h = m.template get_if<held_long_enough>())
        return away.is_over(*h) ? verdict::lost : verdict::go_on;
    if (const auto* r = m.template get_if<web::refused>()) {
        on_refused(*p, *r);
        return verdict::go_on;
    }
    if (const auto* d = m.template get_if<down>()) {
        p->deliver(*d);
        return verdict::go_on;
    }
    return std::nullopt;
}

// Waits until the gateway has what the page is told last: what an actor that has ended had sent is no longer its leave to send.
task<> say_over(std::shared_ptr<page> p) {
    constexpr std::chrono::nanoseconds patience = std::chrono::seconds{2};
    const gateway_ref gateway = p->gateway();
    const std::uint64_t channel = p->channel();
    if (channel == 0) co_return;
    p->disconnect();
    const auto code = as_number(close_code::over);
    // Without an answer the host closes it, when it hears of the end.
    static_cast<void>(
        co_await p->self.ask<web::close>(gateway, patience, channel, code, "the session has ended"));
}

/// Whatever way the session ends, also by a kill.
struct end_of_page {
    std::shared_ptr<page> p;
    explicit end_of_page(std::shared_ptr<page> of) : p{std::move(of)} {}
    end_of_page(const end_of_page&) = delete;
    end_of_page& operator=(const end_of_page&) = delete;
    ~end_of_page() { p->end(); }
};

}  // namespace

task<> session(actor<anything> self, std::shared_ptr<const browser::host_options> options,
               std::string principal) {
    auto p = std::make_shared<page>(self, std::move(options), std::move(principal));
    const end_of_page at_end{p};
    absence away{p};
    for (;;) {
        away.look();
        std::optional<verdict> next;
        bool is_any_next = p->has_room();
        if (!is_any_next) {
            auto some =
                co_await self.receive_only<attach, detach, arrived, held_long_enough, web::refused, down>();
            if (some) next = handle_own(p, away, *some);
            else if (some.error() == errc::down) is_any_next = true;  // an exit_signal waits
            else break;
        }
        if (is_any_next) {
            auto m = co_await self.receive();
            if (!m) break;
            next = handle_own(p, away, m);
            if (!next) p->deliver(std::move(m));
        }
        if (next == verdict::over) {
            p->acknowledge();
            co_await say_over(p);
            co_return;
        }
        if (next == verdict::lost)
            co_return self.fail(
                "the page has been away for longer than {} ms",
                std::chrono::duration_cast<std::chrono::milliseconds>(p->options->hold).count());
        // One acknowledgement for all that has come together.
        if (self.depth().priority == 0) p->acknowledge();
    }
    p->bye(errc::stopping, "the session was asked to end");
    co_await say_over(p);
}

std::uint64_t most_queued(const browser::host_options& o) noexcept {
    // What is kept is over the bound by one message, and by answers, which are small once it is reached.
    return o.queue_bytes + 2 * (std::uint64_t{o.value_bytes} + frame_overhead) +
           std::uint64_t{2 * o.window + o.asks + o.monitors} * frame_overhead;
}

}  // namespace coppice::actors::browser_parts
