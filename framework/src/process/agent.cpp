// The agent: what supervisors on other nodes start processes by; see coppice/agent.hpp.
//
//     start ─► judged by the list ─► os_process ─► its records, lines, end ─► told, to the courier that asked
//                   └─► refused                 its link ─► this node, by a secret that is made here
//
// Its actor lives on the first scheduler, which is the thread of the node's router and of its processes' events: all of this runs
// there. What is told and not taken yet is bounded for each process (limits::agent_window).
#include "coppice/agent.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "cell_ext.hpp"
#include "coppice/actor.hpp"
#include "coppice/log.hpp"
#include "hexadecimal.hpp"
#include "net/handshake_proof.hpp"
#include "net/router.hpp"
#include "node_core.hpp"
#include "process/agent_list.hpp"
#include "process/agent_talk.hpp"
#include "process/channel.hpp"
#include "process/os_process.hpp"
#include "process_state.hpp"

namespace coppice {

namespace detail {

namespace {

using agent_talk::told;

class agent_state;

/// One process of the agent's, and what is known of who asked for it.
class agents_process final : public process_events {
public:
    agents_process(agent_state& of, address supervisor, std::uint64_t number) noexcept
        : of_{of}, supervisor_{supervisor}, number_{number} {}
    ~agents_process() override;
    agents_process(const agents_process&) = delete;
    agents_process& operator=(const agents_process&) = delete;

    result<void> start(const process_request& what, const std::string& transport, channel_join join);

    [[nodiscard]] bool is_of(const address& who, std::uint64_t number) const noexcept {
        return number_ == number && supervisor_ == who;
    }
    [[nodiscard]] const address& supervisor() const noexcept { return supervisor_; }
    /// Its place in the tree of its supervisor; empty once it has ended.
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] bool is_abandoned() const noexcept { return abandoned_; }

    void hear(const agent_talk::tell& m);
    void signal(int what) {
        if (process_) process_->signal(what);
    }
    void took(std::uint64_t bytes) noexcept { under_way_ -= std::min(under_way_, bytes); }
    /// Asks it to end, and kills it after that time.
    void end_within(std::chrono::nanoseconds limit);
    /// Nobody waits for it any more.
    void abandon();
    /// Kills it; returns when it is gone. Whoever asked for it is told.
    void end_now();
    void tell(decltype(told::what) what);

    // ---- process_events
    void record(std::span<const std::byte> bytes) override;
    void channel_closed() override { tell(agent_talk::channel_closed{}); }
    void line(bool of_standard_error, std::string_view text) override;
    void ended(process_end how) override;

private:
    bool has_room(std::size_t bytes);
    bool is_too_much(std::size_t bytes);
    void tell_dropped();
    void clear_up();

    agent_state& of_;
    const address supervisor_;
    const std::uint64_t number_;
    std::string path_;
    std::chrono::nanoseconds patience_{0};
    std::unique_ptr<os_process> process_;
    std::uint64_t under_way_ = 0;  // told, and not taken yet
    std::uint64_t dropped_records_ = 0;
    std::uint64_t dropped_lines_ = 0;
    std::vector<std::string> places_;  // where it awaits children
    bool abandoned_ = false;
    bool over_ = false;
    std::unique_ptr<pending_timer> limit_;
};

class agent_state {
public:
    agent_state(actor<agent_talk::protocol> self, agent_options options)
        : self_{self}, node_{*self.cell()->sched->node}, options_{std::move(options)}, list_{options_} {}
    ~agent_state() {
        ending_ = true;  // what ends now has nobody to go to
    }
    agent_state(const agent_state&) = delete;
    agent_state& operator=(const agent_state&) = delete;

    /// Why it cannot do its work; ok if it can.
    [[nodiscard]] result<void> check() const {
        if (self_.cell()->sched != node_.index_list.front())
            return error{errc::invalid_argument,
                         "an agent runs on the first scheduler of its node: use coppice::agent()"};
        if (!node_.net)
            return error{errc::invalid_argument,
                         "an agent's node has links: give it an endpoint (listen, parent, connect)"};
        return list_.check();
    }

    void take(const ref<>& from, agent_talk::start& m) {
        auto p = std::make_unique<agents_process>(*this, from, m.number);
        agents_process& made = *p;
        // Monitored before it is answered: one that is gone meanwhile is heard of.
        if (std::none_of(monitors_.begin(), monitors_.end(), [&](const auto& w) { return w.second == from; }))
            monitors_.emplace(self_.monitor(from), from);
        if (auto done = start(std::move(p), m); !done) {
            node_.log(level::warn, self_.path(),
                      "refused to start " + (m.program.empty() ? "this program" : m.program) + " for " +
                          address{from}.to_string() + ": " + done.error().what());
            agent_talk::refused why{static_cast<std::uint16_t>(done.error().code()),
                                    "agent " + self_.path() + ": " + std::string{done.error().text()}};
            post(from, told{m.number, std::move(why)});
            forget_if_idle(from);
        } else {
            node_.log(level::info, self_.path(), "started for " + made.path());
        }
    }
    void take(const ref<>& from, const agent_talk::tell& m) {
        if (agents_process* p = find(from, m.number)) p->hear(m);
    }
    void take(const ref<>& from, const agent_talk::signal& m) {
        agents_process* p = find(from, m.number);
        if (p && (m.what == SIGTERM || m.what == SIGKILL)) p->signal(m.what);
    }
    void take(const ref<>& from, const agent_talk::took& m) {
        if (agents_process* p = find(from, m.number)) p->took(m.bytes);
    }
    void take(const down& d) {
        const auto w = monitors_.find(d.monitor);
        if (w == monitors_.end()) return;
        const address gone = w->second;
        monitors_.erase(w);
        for (const auto& p : all_) {
            if (!(p->supervisor() == gone) || p->is_abandoned()) continue;
            node_.log(level::warn, self_.path(),
                      "the supervisor of " + p->path() +
                          " is gone, its process is ended: " + d.reason.to_string());
            p->abandon();
        }
    }

    /// No more starts; those that run are asked to end.
    void begin_end() {
        closing_ = true;
        for (const auto& p : all_) {
            p->tell(agent_talk::agent_ends{});
            p->end_within(limits::shutdown_deadline - limits::terminate_grace);
        }
    }
    [[nodiscard]] bool is_idle() const noexcept { return all_.empty(); }

    // ---- for its processes
    [[nodiscard]] net::router& router() const { return *node_.net; }
    [[nodiscard]] bool is_ending() const noexcept { return ending_; }
    void post(const address& to, told what) {
        envelope* e = make_envelope<told>(to.id(), self_.cell()->self_id(), std::move(what));
        if (to.is_remote())
            return node_.net->send_when_room(to, e, 0, [](errc) {});  // its end is told by the monitor
        scheduler& s = *self_.cell()->sched;
        if (const errc sent = s.send(to, e); sent != errc::ok) s.undeliverable(e, sent);
    }
    void log(level l, const std::string& text) { node_.log(l, self_.path(), text); }
    void forget(const agents_process* p) {
        const address supervisor = p->supervisor();
        std::erase_if(all_, [p](const auto& one) { return one.get() == p; });
        forget_if_idle(supervisor);
        if (all_.empty() && waiter) self_.cell()->sched->make_ready(std::exchange(waiter, nullptr));
    }
    /// Not from within an event of that process's.
    void forget_later(agents_process* p) {
        router().post([this, p, here = std::weak_ptr<bool>{here_}] {
            if (!here.expired()) forget(p);
        });
    }
    strand* waiter = nullptr;  // of until_idle

private:
    agents_process* find(const address& who, std::uint64_t number) const noexcept {
        const auto p =
            std::find_if(all_.begin(), all_.end(), [&](const auto& one) { return one->is_of(who, number); });
        return p == all_.end() ? nullptr : p->get();
    }
    void forget_if_idle(const address& supervisor) {
        if (std::any_of(all_.begin(), all_.end(),
                        [&](const auto& p) { return p->supervisor() == supervisor; }))
            return;
        std::erase_if(monitors_, [&](const auto& w) {
            if (!(w.second == supervisor)) return false;
            self_.demonitor(w.first);
            return true;
        });
    }

    result<void> start(std::unique_ptr<agents_process> p, agent_talk::start& m) {
        if (closing_) return error{errc::stopping, "it is being stopped"};
        auto first = decode_channel(m.join);
        auto* join = first ? std::get_if<channel_join>(&first->what) : nullptr;
        if (!join || !join->path.starts_with('/') || !valid_node_name(std::string_view{join->path}.substr(1)))
            return error{errc::bad_message, "what the process is to be told first is no place in a tree"};
        auto judged = list_.judge({m.program, m.arguments, m.environment, m.directory});
        if (!judged) return judged.error();
        // Two of one place would take each other's mail. One that its supervisor has given up is in nobody's place.
        const auto same = std::find_if(all_.begin(), all_.end(),
                                       [&](const auto& one) { return one->path() == join->path; });
        if (same != all_.end()) {
            if (!((*same)->supervisor() == p->supervisor()) && !(*same)->is_abandoned())
                return error{errc::name_taken, join->path + " runs here for another supervisor"};
            (*same)->end_now();
        }
        if (std::count_if(all_.begin(), all_.end(), [](const auto& one) { return !one->path().empty(); }) >=
            static_cast<std::ptrdiff_t>(options_.most))
            return error{errc::limit_reached,
                         "it runs " + std::to_string(options_.most) +
                             " processes, and no more at once (agent_options::most, --most)"};
        agents_process& made = *p;
        all_.push_back(std::move(p));
        auto started = made.start(*judged, m.transport, std::move(*join));
        if (!started) std::erase_if(all_, [&](const auto& one) { return one.get() == &made; });
        return started;
    }

    actor<agent_talk::protocol> self_;
    node_core& node_;
    agent_options options_;
    agent_list list_;
    std::shared_ptr<bool> here_ = std::make_shared<bool>(true);  // so that what is put off finds nobody
    bool closing_ = false;
    bool ending_ = false;
    std::map<std::uint64_t, address> monitors_;  // of those that have processes here
    std::vector<std::unique_ptr<agents_process>> all_;
};

// ---------------------------------------------------------------- one process

agents_process::~agents_process() { clear_up(); }

result<void> agents_process::start(const process_request& what, const std::string& transport,
                                   channel_join join) {
    path_ = join.path;
    patience_ = join.period * join.misses;
    auto place = of_.router().place_for_children(transport);
    if (!place) return place.error();
    join.endpoint = *std::move(place);
    join.secret = hexadecimal(net::make_nonce());
    join.parent_pid = static_cast<std::uint32_t>(::getpid());
    std::string secret = join.secret;
    const std::vector<std::byte> first = encode_channel({std::move(join)});
    if (first.empty() || first.size() > channel_record)
        return error{errc::too_large, "what the process is to be told first is too large"};
    auto started = os_process::start(of_.router(), what, *this);
    if (!started) return started.error();
    process_ = *std::move(started);
    of_.router().await_child(path_.substr(1), std::move(secret),
                             [this](net::node_id node) { tell(agent_talk::linked{node}); });
    tell(agent_talk::started{static_cast<std::uint32_t>(process_->id())});
    // It always has room, unless the child is gone already, which ended() tells.
    static_cast<void>(process_->send(first));
    return {};
}

void agents_process::hear(const agent_talk::tell& m) {
    if (!process_) return;
    static_cast<void>(
        process_->send(m.record));  // without a channel it hears nothing, which channel_closed() has told
    if (m.is_beat)
        tell(agent_talk::lives{
            static_cast<std::uint8_t>(state_of_process(static_cast<std::uint32_t>(process_->id())))});
}

void agents_process::end_within(std::chrono::nanoseconds limit) {
    if (!process_) return;
    if (process_->send(encode_channel({channel_stop{}})) != errc::ok) process_->signal(SIGTERM);
    limit_ = of_.router().after(limit, [this] { signal(SIGKILL); });
}

void agents_process::abandon() {
    abandoned_ = true;
    end_within(patience_);
}

void agents_process::end_now() {
    process_.reset();
    ended({.code = SIGKILL, .by_signal = true});
}

void agents_process::tell(decltype(told::what) what) {
    if (!abandoned_ && !of_.is_ending()) of_.post(supervisor_, told{number_, std::move(what)});
}

// ---- what it says

bool agents_process::has_room(std::size_t bytes) {
    if (under_way_ + agent_talk::weight(bytes) > limits::agent_window) return false;
    tell_dropped();
    under_way_ += agent_talk::weight(bytes);
    return true;
}
// What must not be lost has as much room again.
bool agents_process::is_too_much(std::size_t bytes) {
    under_way_ += agent_talk::weight(bytes);
    if (under_way_ <= 2 * limits::agent_window) return false;
    of_.log(level::warn, path_ + ": its process says more than its supervisor takes; it is killed");
    signal(SIGKILL);
    return true;
}
void agents_process::tell_dropped() {
    if (!dropped_records_ && !dropped_lines_) return;
    tell(agent_talk::dropped{std::exchange(dropped_records_, 0), std::exchange(dropped_lines_, 0)});
}

void agents_process::record(std::span<const std::byte> bytes) {
    const net::router::on_home here{of_.router()};
    std::vector<std::byte> copy{bytes.begin(), bytes.end()};
    if (auto r = decode_channel(copy)) {
        if (auto* place = std::get_if<channel_place>(&r->what)) {
            constexpr std::size_t most = 64;  // more kinds of transport than one node has
            if (places_.size() < most) places_.push_back(std::move(place->endpoint));
            return;
        }
        const auto* log_record = std::get_if<channel_log>(&r->what);
        if (log_record || std::holds_alternative<channel_beat>(r->what)) {
            if (!has_room(copy.size())) {
                if (log_record) dropped_records_ += 1 + log_record->dropped;
                return;
            }
            return tell(agent_talk::record{std::move(copy)});
        }
    }
    if (!is_too_much(copy.size())) tell(agent_talk::record{std::move(copy)});
}

void agents_process::line(bool of_standard_error, std::string_view text) {
    const net::router::on_home here{of_.router()};
    if (has_room(text.size())) tell(agent_talk::line{of_standard_error, std::string{text}});
    else ++dropped_lines_;
}

void agents_process::ended(process_end how) {
    const net::router::on_home here{of_.router()};
    tell_dropped();
    tell(agent_talk::over{how.code, how.by_signal, how.dumped_core});
    clear_up();
    path_.clear();  // the place is free
    of_.forget_later(this);
}

void agents_process::clear_up() {
    limit_.reset();
    if (std::exchange(over_, true) || path_.empty()) return;
    process_.reset();
    of_.router().forget_child(path_.substr(1));
    for (const std::string& place : std::exchange(places_, {})) of_.router().clear_place(place);
}

// ---------------------------------------------------------------- the actor

/// Awaits the end of the last process, or that the agent is killed.
struct until_idle : pending {
    agent_state& state;
    explicit until_idle(agent_state& s) : pending{idles}, state{s} {}
    static void on_cancel(pending* p, strand* s) noexcept {
        if (s->state != strand::waiting || !(s->flags & strand::cancel_all)) return;
        static_cast<until_idle*>(p)->state.waiter = nullptr;
        s->sched->make_ready(s);
    }
    static constexpr pending_kind idles{&on_cancel, "the end of its processes"};
    bool await_ready() const noexcept { return state.is_idle(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
        strand* self = h.promise().self;
        self->resume = h;
        if (self->flags & strand::cancel_all) return false;
        state.waiter = self;
        self->op = this;
        self->state = strand::waiting;
        return true;
    }
    void await_resume() const noexcept {}
};

task<> run_agent(actor<agent_talk::protocol> self, agent_options options) {
    agent_state state{self, std::move(options)};
    if (const auto good = state.check(); !good) co_return self.fail("{}", good.error());
    while (auto m = co_await self.receive()) {
        if (auto* start = m.template get_if<agent_talk::start>()) state.take(m.sender(), *start);
        else if (const auto* tell = m.template get_if<agent_talk::tell>()) state.take(m.sender(), *tell);
        else if (const auto* signal = m.template get_if<agent_talk::signal>())
            state.take(m.sender(), *signal);
        else if (const auto* took = m.template get_if<agent_talk::took>()) state.take(m.sender(), *took);
        else if (const auto* gone = m.template get_if<down>()) state.take(*gone);
    }
    state.begin_end();
    co_await until_idle{state};
}

}  // namespace

}  // namespace detail

child_spec agent(agent_options options, std::string name) {
    return child(std::move(name), on_scheduler(0), &detail::run_agent, std::move(options));
}

}  // namespace coppice
