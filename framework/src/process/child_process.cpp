// The parent's side of process children; see child_process.hpp and docs/processes.md.
//
//     starting ──ready and linked──► running ──end: by itself, asked, killed for a finding──► ended, told to the keeper
//
// Home thread, but for the functions of process_runner, which come there by post_control.
#include "process/child_process.hpp"

#include <signal.h>
#include <unistd.h>

#include <map>
#include <utility>
#include <vector>

#include "coppice/log.hpp"
#include "coppice/process.hpp"
#include "hexadecimal.hpp"
#include "net/router.hpp"
#include "net/wire_addresses.hpp"
#include "node_core.hpp"
#include "process/channel.hpp"
#include "process/findings.hpp"
#include "process/os_process.hpp"
#include "process/portable_child.hpp"
#include "process/remote_process.hpp"

namespace coppice::detail {

namespace {

// Of a node's name, or a path.
std::string agent_path(const std::string& of) { return of.starts_with('/') ? of : "/" + of + "/agent"; }

class child_process final : public remote_events {
public:
    /// `courier`: of children that agents start; null for one that this process does.
    child_process(node_core& node, net::router& router, process_starter& starter,
                  std::shared_ptr<kept_process> kept, std::shared_ptr<remote_courier> courier,
                  std::function<void(child_process*)> done)
        : node_{node},
          router_{router},
          starter_{starter},
          kept_{std::move(kept)},
          courier_{std::move(courier)},
          done_{std::move(done)} {}
    ~child_process() override {
        if (!told_) router_.forget_child(name());
    }

    /// Starts it, or tells the keeper why not.
    void start() {
        if (auto started = begin(); !started) not_started(started.error());
    }

    void stop(bool drain) {
        asked_ = true;
        if (!process_) return;
        if (is_sought()) return end(exit_kind::stopped);
        process_->signal(SIGCONT);  // stopped by a signal it would hear nothing
        // Without a channel it hears nothing but signals.
        if (process_->send(encode_channel({channel_stop{drain}})) != errc::ok) process_->signal(SIGTERM);
    }
    void terminate() {
        asked_ = true;
        if (!process_) return;
        if (is_sought()) return end(exit_kind::stopped);
        process_->signal(SIGTERM);
        last_net_ = router_.after(limits::terminate_grace, [this] { kill(); });
    }
    void kill() {
        asked_ = true;
        if (!process_) return;
        if (is_sought()) return end(exit_kind::stopped);
        process_->signal(SIGKILL);
        if (remote_) last_net_ = router_.after(limits::terminate_grace, [this] { give_up_if_cut_off(); });
    }
    [[nodiscard]] const kept_process* kept() const noexcept { return kept_.get(); }

    void describe(process_info& out) {
        out.path = kept_->path;
        out.pid = pid();
        out.program = carrier().program;
        out.transport = carrier().transport;
        out.generation = kept_->generation;
        out.state = asked_    ? "ending"
                    : !ready_ ? "starting"
                    : silent_ ? "silent"
                    : stuck_  ? "stuck"
                              : "running";
        out.heard = std::chrono::nanoseconds{heard_at_ ? router_.now() - heard_at_ : 0};
        out.handler = handler_;
        out.handler_age = handler_age_;
        out.agent = carrier().agent;
    }

    // ---- process_events
    void record(std::span<const std::byte> bytes) override {
        const net::router::on_home here{router_};
        // It is copied for its alignment; the child may send what it wants.
        const std::vector<std::byte> copy{bytes.begin(), bytes.end()};
        // Its signs of life may have been left out for want of room.
        if (remote_ && heard_at_) heard_at_ = router_.now();
        auto r = decode_channel(copy);
        if (!r) {
            if (!std::exchange(said_bad_record_, true))
                log(level::warn, "its process sent a record that is none: " + r.error().what());
            return;
        }
        std::visit([this](auto& m) { take(m); }, r->what);
    }
    void channel_closed() override { channel_open_ = false; }
    void line(bool of_standard_error, std::string_view text) override {
        const net::router::on_home here{router_};
        const level l = of_standard_error ? level::warn : level::info;
        if (node_.may_log(l) && l >= node_.level_at(kept_->path)) node_.write_log(l, kept_->path, text, pid_);
    }
    void ended(process_end how) override {
        const net::router::on_home here{router_};
        exit_reason as_process{exit_kind::process_ended, its_process() + " ended: " + how.to_string(),
                               kept_->path};
        if (verdict_) return end(verdict_->because(as_process));
        if (said_ && !how.by_signal) return end(std::move(*said_));
        if (asked_ && !how.by_signal && how.code == 0) return end(exit_kind::stopped);
        end(std::move(as_process));
    }

    // ---- remote_events
    void sought(const error& why) override {
        log(level::info,
            "waits for its agent " + carrier().agent + ", " +
                std::to_string(
                    std::chrono::duration_cast<std::chrono::milliseconds>(patience_for_agent()).count()) +
                " ms at most: " + why.what());
    }
    void started(std::uint32_t pid) override {
        pid_ = pid;
        agent_at_ = router_.now();
        kept_process::tell_started(kept_, pid_);
    }
    void not_started(error why) override {
        end(exit_reason{exit_kind::not_started, "its process could not be started: " + why.what(),
                        kept_->path}
                .coded(why.code()));
    }
    void linked(net::node_id node) override {
        linked_ = node;
        router_.child_is_at(name(), node);
        tell_if_ready();
    }
    void agent_lives() override {
        agent_at_ = router_.now();
        if (unanswered_) --unanswered_;
    }
    void dropped(std::uint64_t records, std::uint64_t lines) override {
        log(level::warn, "its agent dropped " + std::to_string(records) + " log records and " +
                             std::to_string(lines) + " lines of its output: more came than are taken");
    }
    void agent_ends() override {
        if (!verdict_ && !asked_) verdict_ = ended_by_agent();
    }
    void lost(exit_reason why) override {
        if (pid_ == 0)
            return end(exit_reason{
                exit_kind::not_started,
                "its process could not be started: its agent " + carrier().agent + " is gone", kept_->path}
                           .coded(errc::node_lost)
                           .because(why));
        // An agent that ends in order has ended its processes, and what it said of that may come later than its own end.
        exit_reason mine = why.is_clean()
                               ? ended_by_agent()
                               : exit_reason{why.kind() == exit_kind::node_lost ? exit_kind::node_lost
                                                                                : exit_kind::process_ended,
                                             its_process() + " is lost with its agent", kept_->path};
        end((verdict_ ? verdict_->because(mine) : mine).because(why));
    }

private:
    // "its process 4711 (vision) on hostb"
    [[nodiscard]] std::string its_process() const {
        return "its process " + std::to_string(pid_) +
               (carrier().program.empty() ? std::string{} : " (" + carrier().program + ")") +
               (remote_ ? " on " + carrier().agent : std::string{});
    }
    exit_reason ended_by_agent() const {
        return exit_reason{exit_kind::node_lost, its_process() + " was ended by its agent, which was stopped",
                           kept_->path};
    }
    /// Its agent has not been found yet: there is nothing to be ended.
    [[nodiscard]] bool is_sought() const { return remote_ && pid_ == 0 && remote_->out_of_reach(); }
    // What cannot be reached cannot be waited for. The process ends by itself: docs/processes.md.
    void give_up_if_cut_off() {
        if (!remote_->out_of_reach()) {
            last_net_ = router_.after(limits::terminate_grace, [this] { give_up_if_cut_off(); });
            return;
        }
        exit_reason mine{exit_kind::node_lost,
                         its_process() +
                             " was to be killed, but its agent is out of reach; it ends by itself "
                             "when the hold time is over",
                         kept_->path};
        log(level::warn, std::string{mine.text()});
        end(verdict_ ? verdict_->because(mine) : mine);
    }

    [[nodiscard]] const process_carrier& carrier() const {
        return std::get<process_carrier>(kept_->spec->carrier);
    }
    [[nodiscard]] std::string name() const { return kept_->path.substr(1); }
    [[nodiscard]] std::uint32_t pid() const noexcept { return pid_; }
    [[nodiscard]] const heartbeat_spec& beats() const noexcept { return kept_->spec->beats; }
    // It ends before the start counts as failed, so that the reason is told. A supervisor's start has no limit of its own.
    [[nodiscard]] std::chrono::nanoseconds patience_for_agent() const noexcept {
        const child_spec& spec = *kept_->spec;
        return (spec.is_supervisor ? limits::start_deadline : spec.start_within) / 2;
    }
    [[nodiscard]] std::int64_t patience() const noexcept { return beats().period.count() * beats().misses; }
    void log(level l, std::string text) { node_.log(l, kept_->path, std::move(text)); }

    // The first record; where it links to, only for one that this process starts: else that is its agent's affair.
    result<std::vector<std::byte>> first_record(std::string endpoint, std::string secret) {
        channel_join join;
        join.generation = kept_->generation;
        join.path = kept_->path;
        join.endpoint = std::move(endpoint);
        join.secret = std::move(secret);
        join.parent_pid = static_cast<std::uint32_t>(::getpid());
        net::wire_addresses context{router_.id(), router_};
        join.parent = context.out(kept_->parent);
        join.period = beats().period;
        join.misses = beats().misses;
        join.hold = node_.options.network.hold;
        join.shutdown_within = kept_->spec->shutdown_within;
        join.nice = carrier().nice;
        join.cpus = carrier().cpus;
        join.limits = carrier().limits;
        if (auto rights = node_.options.network.rights) {
            // Who links to it but this tree's own? Nobody: what it judges comes with a standing.
            for (rights_role& role : rights->roles) role.secret_file.clear();
            join.rights = to_text(*rights);
        }
        join.level = static_cast<std::uint8_t>(node_.level_at(kept_->path));
        {
            const std::shared_lock lock{node_.level_mutex};
            for (const auto& [path, l] : node_.levels)
                join.levels.emplace_back(path, static_cast<std::uint8_t>(l));
        }
        // On another host this same program may have to be named by where it is installed.
        if (carrier().program.empty() || (courier_ && kept_->spec->portable)) {
            child_spec spec = *kept_->spec;
            spec.carrier = in_coroutine;
            auto written = write_child(spec, context);
            if (!written) return written.error();
            join.child = *std::move(written);
        }
        std::vector<std::byte> first = encode_channel({std::move(join)});
        const std::size_t added = courier_ ? limits::path_bytes : 0;  // by the agent
        if (first.empty() || first.size() + added > channel_record)
            return error{errc::too_large, "the arguments of a process child and its tree have " +
                                              std::to_string(first.size()) + " bytes, more than " +
                                              std::to_string(channel_record) +
                                              "; send what is large as a message"};
        return first;
    }

    result<void> begin() {
        process_request what{carrier().program, carrier().arguments, carrier().environment,
                             carrier().directory};
        if (courier_) {
            auto first = first_record({}, {});
            if (!first) return first.error();
            auto made = courier_->start({agent_path(carrier().agent), patience_for_agent(), std::move(what),
                                         carrier().transport, *std::move(first)},
                                        *this);
            remote_ = made.get();
            process_ = std::move(made);
            last_tick_ = router_.now();
            tick_later();
            return {};
        }
        auto place = router_.place_for_children(starter_.links_over(carrier().transport));
        if (!place) return place.error();
        std::string secret = hexadecimal(net::make_nonce());
        const auto first = first_record(*std::move(place), secret);
        if (!first) return first.error();
        auto started = starter_.start(router_, what, *this);
        if (!started) return started.error();
        process_ = std::move(*started);
        pid_ = static_cast<std::uint32_t>(process_->id());
        kept_process::tell_started(kept_, pid_);
        router_.await_child(name(), std::move(secret), [this](net::node_id node) {
            linked_ = node;
            tell_if_ready();
        });
        // The first record always has room, unless the child is gone already, which ended() tells.
        static_cast<void>(process_->send(*first));
        last_tick_ = router_.now();
        tick_later();
        return {};
    }

    void end(exit_reason why) {
        if (std::exchange(told_, true)) return;
        router_.forget_child(name());
        ticker_.reset();
        last_net_.reset();
        for (const std::string& place : places_) router_.clear_place(place);
        if (pid_) find(finding::gone, {}, std::string{why.to_string()});
        kept_process::tell_ended(kept_, std::move(why));
        router_.post([this, done = done_] { done(this); });  // not from within its own event
    }

    void find(finding what, std::chrono::nanoseconds lasted, std::string text) {
        tell_finding(node_, {kept_->path, pid_, what, lasted, std::move(text)});
    }

    // ---- what the child says
    template <class Unexpected>
    void take(const Unexpected&) {}  // what only a parent says
    void take(channel_ready& m) {
        if (m.generation != kept_->generation) return;
        ready_ = true;
        ready_node_ = m.node;
        ready_actor_ = m.actor;
        heard_at_ = router_.now();
        tell_if_ready();
    }
    // Mail can go there once the process says who its actor is, and its link is up.
    void tell_if_ready() {
        if (!ready_ || linked_ != ready_node_ || std::exchange(told_ready_, true)) return;
        const std::uint32_t index = router_.index_of(ready_node_);
        kept_process::tell_ready(kept_, pid_, address::on_node(index, ready_actor_, 0));
    }
    void take(channel_beat& m) {
        if (m.generation != kept_->generation) return;
        heard_at_ = router_.now();
        handler_ = std::move(m.handler);
        handler_age_ = m.handler_age;
        if (std::exchange(silent_, false)) {
            log(level::info, "its process " + std::to_string(pid_) + " gives signs of life again");
            find(finding::well, {}, {});
        }
        look_at_handler();
    }
    void take(channel_log& m) {
        if (m.dropped)
            node_.write_log(level::warn, kept_->path,
                            std::to_string(m.dropped) +
                                " log records of the process were dropped: more came than are taken",
                            m.pid);
        const auto l = static_cast<level>(m.level <= 4 ? m.level : 4);
        // From its own subtree alone: it cannot speak for others.
        const bool own = is_path_of(m.path, name());
        node_.write_log(l, own ? m.path : kept_->path, m.text, m.pid);
    }
    void take(channel_found_parent& m) {
        if (m.silent)
            log(level::warn,
                "its process " + std::to_string(pid_) + " has not heard of this one for " +
                    std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(m.for_).count()) +
                    " ms");
    }
    void take(channel_place& m) {
        constexpr std::size_t most = 64;  // more kinds of transport than one node has
        if (places_.size() < most) places_.push_back(std::move(m.endpoint));
    }
    void take(channel_ended& m) {
        if (m.generation != kept_->generation) return;
        if (auto reason = decode_reason(m.notice)) said_ = *std::move(reason);
        // What its program does after the actor's end has a limit, too.
        if (!last_net_) last_net_ = router_.after(limits::shutdown_deadline, [this] { kill(); });
    }

    // ---- time
    void tick_later() {
        ticker_ = router_.after(beats().period, [this] { tick(); });
    }
    void tick() {
        const std::int64_t at = router_.now();
        const std::int64_t late = at - last_tick_ - beats().period.count();
        last_tick_ = at;
        // This process did not run, or its first scheduler did not come to it: that is no evidence of anybody's silence.
        if (late > beats().period.count()) {
            if (heard_at_) heard_at_ += late;
            tell_paused(node_, std::chrono::nanoseconds{late});
        }
        if (channel_open_) say_that_this_lives();
        // Of one on another host its agent's word is the clock: while that is cut off, nobody can say that the child is silent.
        const std::int64_t until = remote_ ? agent_at_ : at;
        if (heard_at_ && !asked_ && !silent_ && until - heard_at_ > patience()) found_silent(until);
        tick_later();
    }

    void say_that_this_lives() {
        const auto beat = encode_channel({channel_parent_beat{++number_}});
        if (!remote_) return static_cast<void>(process_->send(beat));
        // They would wait for the link, and none is worth more than the last.
        constexpr unsigned most = 16;
        if (pid_ != 0 && unanswered_ < most && remote_->send_beat(beat) == errc::ok) ++unanswered_;
    }

    void found_silent(std::int64_t at) {
        silent_ = true;
        const char state = process_->state();
        if (state == 'Z' || state == 'X') return;  // its end is on the way
        const std::string text = state == 'T' || state == 't' ? "it is stopped by a signal or a debugger"
                                                              : "its process lives, but says nothing";
        react(beats().when_silent, finding::silent, at - heard_at_, "gives no sign of life: " + text, text);
    }
    void look_at_handler() {
        const bool now_stuck = !handler_.empty() && handler_age_.count() > patience();
        if (now_stuck == stuck_) return;
        stuck_ = now_stuck;
        if (stuck_) {
            react(beats().when_stuck, finding::stuck, handler_age_.count(),
                  "is stuck: a handler of " + handler_ + " does not return", handler_);
        } else {
            log(level::info, "its process " + std::to_string(pid_) + " is not stuck any more");
            find(finding::well, {}, {});
        }
    }
    void react(reaction how, finding what, std::int64_t lasted, const std::string& said, std::string text) {
        if (asked_) return;
        find(what, std::chrono::nanoseconds{lasted}, std::move(text));
        if (how == reaction::wait) return;
        const std::string full = "its process " + std::to_string(pid_) + " " + said + ", for " +
                                 std::to_string(lasted / 1'000'000) + " ms";
        log(level::warn, how == reaction::restart ? full + "; it is killed" : full);
        if (how != reaction::restart) return;
        verdict_ = exit_reason{exit_kind::unresponsive, full, kept_->path};
        process_->signal(SIGKILL);
    }

    node_core& node_;
    net::router& router_;
    process_starter& starter_;
    std::shared_ptr<kept_process> kept_;
    std::shared_ptr<remote_courier> courier_;
    std::function<void(child_process*)> done_;
    std::unique_ptr<os_process> process_;
    remote_process* remote_ = nullptr;  // the same, if an agent runs it
    std::int64_t agent_at_ = 0;         // when the agent was heard last
    unsigned unanswered_ = 0;           // beats
    std::uint32_t pid_ = 0;
    net::node_id linked_ = 0;
    net::node_id ready_node_ = 0;
    std::uint64_t ready_actor_ = 0;
    bool ready_ = false;
    bool told_ready_ = false;
    bool told_ = false;  // the keeper knows of the end
    bool asked_ = false;
    bool channel_open_ = true;
    bool said_bad_record_ = false;
    bool silent_ = false;
    bool stuck_ = false;
    std::vector<std::string> places_;     // where it awaits children
    std::optional<exit_reason> said_;     // by the child, of its actor
    std::optional<exit_reason> verdict_;  // it is killed for this
    std::int64_t heard_at_ = 0;           // 0: it is not ready yet; the start has a limit of its own
    std::int64_t last_tick_ = 0;
    std::uint64_t number_ = 0;
    std::string handler_;
    std::chrono::nanoseconds handler_age_{0};
    std::unique_ptr<pending_timer> ticker_;
    std::unique_ptr<pending_timer> last_net_;
};

class os_process_runner final : public process_runner {
public:
    os_process_runner(node_core& node, std::unique_ptr<process_starter> starter)
        : node_{node}, starter_{std::move(starter)} {}

    void start(std::shared_ptr<kept_process> k) override {
        at_home([this, k = std::move(k)] {
            const auto refuse = [&](const error& why) {
                kept_process::tell_ended(k, exit_reason{exit_kind::not_started,
                                                        "its process could not be started: " + why.what(),
                                                        k->path}
                                                .coded(why.code()));
            };
            if (closed_) return refuse(errc::stopping);
            net::router* router = node_.net;
            if (!router && node_.open_network) {
                router = node_.open_network();
                if (auto started = router->start(); !started) return refuse(started.error());
            }
            if (!router) return refuse(errc::unreachable);
            node_.has_processes = true;
            const bool remote = !std::get<process_carrier>(k->spec->carrier).agent.empty();
            if (remote && !courier_) courier_ = make_remote_courier(node_, *router);
            auto made =
                std::make_unique<child_process>(node_, *router, *starter_, k, remote ? courier_ : nullptr,
                                                [this](child_process* gone) { forget(gone); });
            child_process& p = *made;
            all_.emplace(k.get(), std::move(made));
            p.start();
        });
    }
    void stop(const std::shared_ptr<kept_process>& k, bool drain) override {
        with(k, [drain](child_process& p) { p.stop(drain); });
    }
    void terminate(const std::shared_ptr<kept_process>& k) override {
        with(k, [](child_process& p) { p.terminate(); });
    }
    void kill(const std::shared_ptr<kept_process>& k) override {
        with(k, [](child_process& p) { p.kill(); });
    }
    void describe(node_info& out) override {
        for (const auto& [k, p] : all_) p->describe(out.processes.emplace_back());
    }
    void close() override {
        closed_ = true;
        all_.clear();
        courier_.reset();
    }

private:
    template <class F>
    void at_home(F f) {
        post_control(node_.index_list.front()->index, [f = std::move(f)](scheduler&) { f(); });
    }
    template <class F>
    void with(const std::shared_ptr<kept_process>& k, F f) {
        at_home([this, k, f] {
            if (const auto p = all_.find(k.get()); p != all_.end()) f(*p->second);
        });
    }
    void forget(child_process* gone) { all_.erase(gone->kept()); }

    node_core& node_;
    std::unique_ptr<process_starter> starter_;
    std::map<const kept_process*, std::unique_ptr<child_process>> all_;
    std::shared_ptr<remote_courier> courier_;  // with the first remote child
    bool closed_ = false;
};

}  // namespace

std::unique_ptr<process_runner> make_process_runner(node_core& node,
                                                    std::unique_ptr<process_starter> starter) {
    return std::make_unique<os_process_runner>(node, std::move(starter));
}

}  // namespace coppice::detail
