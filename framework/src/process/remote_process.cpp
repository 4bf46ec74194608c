// The supervising node's side of process children on other hosts; see remote_process.hpp.
// Home thread.
#include "process/remote_process.hpp"

#include <signal.h>

#include <map>
#include <utility>

#include "cell_ext.hpp"
#include "coppice/actor.hpp"
#include "coppice/log.hpp"
#include "node_core.hpp"
#include "process/agent_talk.hpp"

namespace coppice::detail {

namespace {

using agent_talk::told;
using messenger_protocol = protocol<told, down>;

class courier;

class one_process final : public remote_process {
public:
    one_process(std::shared_ptr<courier> of, remote_request request, remote_events& events);
    ~one_process() override;
    one_process(const one_process&) = delete;
    one_process& operator=(const one_process&) = delete;

    [[nodiscard]] pid_t id() const noexcept override { return static_cast<pid_t>(pid_); }
    errc send(std::span<const std::byte> record) noexcept override { return tell(record, false); }
    errc send_beat(std::span<const std::byte> record) noexcept override { return tell(record, true); }
    void signal(int number) noexcept override;
    [[nodiscard]] char state() const override { return state_; }
    [[nodiscard]] bool out_of_reach() const override;

    // ---- from the courier
    void take(told& t);
    void agent_is_lost(const exit_reason& why);
    [[nodiscard]] const address& agent() const noexcept { return agent_; }

private:
    errc tell(std::span<const std::byte> record, bool is_beat) noexcept;
    void look();
    void found(const address& agent);
    void not_found(const error& why);
    void refuse(const error& why);
    void took(std::size_t bytes);

    void taken(const agent_talk::started& m) { events_.started(pid_ = m.pid); }
    void taken(agent_talk::refused& m) {
        over_ = true;
        events_.not_started(error{static_cast<errc>(m.code), std::move(m.text)});
    }
    void taken(const agent_talk::linked& m) { events_.linked(m.node); }
    void taken(const agent_talk::record& m) {
        took(m.bytes.size());
        events_.record(m.bytes);
    }
    void taken(const agent_talk::channel_closed&) { events_.channel_closed(); }
    void taken(const agent_talk::line& m) {
        took(m.text.size());
        events_.line(m.of_standard_error, m.text);
    }
    void taken(const agent_talk::dropped& m) { events_.dropped(m.records, m.lines); }
    void taken(const agent_talk::lives& m) {
        state_ = static_cast<char>(m.state);
        events_.agent_lives();
    }
    void taken(const agent_talk::agent_ends&) { events_.agent_ends(); }
    void taken(const agent_talk::over& m) {
        over_ = true;
        events_.ended({.code = m.code, .by_signal = m.by_signal, .dumped_core = m.dumped_core});
    }

    std::shared_ptr<courier> of_;
    remote_request request_;
    remote_events& events_;
    std::uint64_t number_;
    address agent_;     // nobody before it is found
    char state_ = '?';  // as the agent said last
    std::uint32_t pid_ = 0;
    bool over_ = false;
    bool told_sought_ = false;
    std::uint64_t taken_ = 0;  // bytes, not told yet
    std::int64_t deadline_;
    std::unique_ptr<pending_timer> again_;
    std::unique_ptr<pending_timer> too_late_;
    error last_error_{errc::unreachable, "there was no answer"};
    std::shared_ptr<bool> here_ = std::make_shared<bool>(true);  // so that late answers find nobody
};

class courier final : public remote_courier, public std::enable_shared_from_this<courier> {
public:
    courier(node_core& node, net::router& r) : node_{node}, router{r} {}

    std::unique_ptr<remote_process> start(remote_request request, remote_events& events) override {
        return std::make_unique<one_process>(shared_from_this(), std::move(request), events);
    }

    std::uint64_t enter(one_process* p) {
        all_.emplace(++last_number_, p);
        return last_number_;
    }
    void leave(std::uint64_t number, const address& agent) {
        all_.erase(number);
        for (auto w = watched_.begin(); w != watched_.end(); ++w) {
            if (!(w->second.agent == agent) || --w->second.users > 0) continue;
            if (cell* c = here()) actor_calls::demonitor(c, w->first);
            watched_.erase(w);
            return;
        }
    }
    /// The actor that agents answer to; false: this tree ends.
    bool awake() { return here() || wake(); }
    void watch(const address& agent) {
        for (auto& [monitor, w] : watched_)
            if (w.agent == agent) return static_cast<void>(++w.users);
        cell* c = here();
        const std::uint64_t monitor = actor_calls::new_monitor_id(c);
        watched_.emplace(monitor, watch_of{agent, 1});
        actor_calls::monitor(c, agent, monitor);
    }
    template <class M>
    void post(const address& to, M message) {
        envelope* e = make_envelope<M>(to.id(), actor_, std::move(message));
        if (to.is_remote())
            return router.send_when_room(to, e, 0, [](errc) {});  // a loss is told by the monitor
        scheduler& s = *node_.index_list.front();
        if (const errc sent = s.send(to, e); sent != errc::ok) s.undeliverable(e, sent);
    }

    // ---- of its actor
    void take(const ref<>& from, told& t) {
        const auto p = all_.find(t.number);
        // Late words of one that is given up have nobody to go to.
        if (p != all_.end() && p->second->agent() == from) p->second->take(t);
    }
    void take(const down& d) {
        const auto w = watched_.find(d.monitor);
        if (w == watched_.end()) return;
        const address agent = w->second.agent;
        watched_.erase(w);
        std::vector<one_process*> lost;
        for (const auto& [number, p] : all_)
            if (p->agent() == agent) lost.push_back(p);
        for (one_process* p : lost) p->agent_is_lost(d.reason);
    }

private:
    struct watch_of {
        address agent;
        std::size_t users = 0;
    };
    [[nodiscard]] cell* here() const { return actor_ ? node_.index_list.front()->find(actor_) : nullptr; }
    bool wake();

    node_core& node_;

public:
    net::router& router;

private:
    actor_id actor_ = 0;
    std::uint64_t last_number_ = 0;
    std::map<std::uint64_t, one_process*> all_;
    std::map<std::uint64_t, watch_of> watched_;  // by monitor
};

task<> hear_agents(actor<messenger_protocol> self, std::shared_ptr<courier> of) {
    while (auto m = co_await self.receive()) {
        if (auto* t = m.template get_if<told>()) of->take(m.sender(), *t);
        else if (const auto* d = m.template get_if<down>()) of->take(*d);
    }
}

// Children end in the reverse order of their start, and this one is needed until the last process has ended: it is put in front.
void put_first(cell* parent, cell* c) {
    if (parent->last_child != c || !c->previous_sibling) return;
    cell* first = c;
    while (first->previous_sibling) first = first->previous_sibling;
    parent->last_child = c->previous_sibling;
    parent->last_child->next_sibling = nullptr;
    c->previous_sibling = nullptr;
    c->next_sibling = first;
    first->previous_sibling = c;
}

bool courier::wake() {
    scheduler& s = *node_.index_list.front();
    cell* root = s.find(node_.root.load(std::memory_order_acquire));
    if (!root || (root->attention & cell::ended)) return false;
    auto claimed = node_.names.claim("/" + node_.name + "/" + courier_name, 0);
    if (!claimed) return false;
    cell* c = s.new_cell(root);
    if (!c) {
        node_.names.release(*claimed, 0);
        return false;
    }
    put_first(root, c);
    c->name = *claimed;
    c->protocol.store(&info_of_protocol<messenger_protocol>::value, std::memory_order_relaxed);
    actor_ = c->self_id();
    node_.names.move(*claimed, actor_);
    s.launch(c, hear_agents(actor<messenger_protocol>{c}, shared_from_this()).release());
    return true;
}

// ---------------------------------------------------------------- one process

one_process::one_process(std::shared_ptr<courier> of, remote_request request, remote_events& events)
    : of_{std::move(of)},
      request_{std::move(request)},
      events_{events},
      number_{of_->enter(this)},
      deadline_{of_->router.now() + request_.patience.count()} {
    too_late_ = of_->router.after(request_.patience, [this] { refuse(last_error_); });
    again_ = of_->router.after(std::chrono::nanoseconds{0}, [this] { look(); });
}

one_process::~one_process() {
    if (!over_) signal(SIGKILL);
    of_->leave(number_, agent_);
}

void one_process::look() {
    of_->router.find(request_.agent, &info_of_protocol<agent_talk::protocol>::value,
                     [this, here = std::weak_ptr<bool>{here_}](const result<address>& at) {
                         if (here.expired() || over_ || agent_) return;
                         if (at) found(*at);
                         else not_found(at.error());
                     });
}

// It, or its node, may be about to come: children and agents start in any order.
void one_process::not_found(const error& why) {
    last_error_ = why;
    if (why.code() == errc::wrong_protocol || why.code() == errc::stopping || why.code() == errc::bad_name)
        return refuse(why);
    if (!std::exchange(told_sought_, true)) events_.sought(why);
    again_ = of_->router.after(limits::agent_search, [this] { look(); });
}

void one_process::refuse(const error& why) {
    if (over_ || agent_) return;
    over_ = true;
    again_.reset();
    events_.not_started(error{why.code(), "its agent " + request_.agent +
                                              " cannot be reached: " + why.what() +
                                              "; start it there, and link its node with this tree"});
}

void one_process::found(const address& agent) {
    if (!of_->awake()) return refuse(errc::stopping);
    agent_ = agent;
    too_late_.reset();
    of_->watch(agent_);
    process_request& p = request_.what;
    of_->post(agent_, agent_talk::start{number_, std::move(p.program), std::move(p.arguments),
                                        std::move(p.environment), std::move(p.directory),
                                        std::move(request_.transport), std::move(request_.join)});
}

errc one_process::tell(std::span<const std::byte> record, bool is_beat) noexcept {
    if (over_ || !agent_) return errc::closed;
    of_->post(agent_, agent_talk::tell{number_, is_beat, {record.begin(), record.end()}});
    return errc::ok;
}

void one_process::signal(int number) noexcept {
    if (!over_ && agent_) of_->post(agent_, agent_talk::signal{number_, number});
}

bool one_process::out_of_reach() const {
    return !agent_ || (agent_.is_remote() && of_->router.out_of_reach(agent_));
}

void one_process::take(told& t) {
    if (over_) return;
    std::visit([this](auto& m) { taken(m); }, t.what);
}

void one_process::agent_is_lost(const exit_reason& why) {
    if (std::exchange(over_, true)) return;
    events_.lost(why);
}

// In portions: room is granted long before it runs out.
void one_process::took(std::size_t bytes) {
    taken_ += agent_talk::weight(bytes);
    if (taken_ >= limits::agent_window / 8)
        of_->post(agent_, agent_talk::took{number_, std::exchange(taken_, 0)});
}

}  // namespace

std::shared_ptr<remote_courier> make_remote_courier(node_core& node, net::router& router) {
    return std::make_shared<courier>(node, router);
}

}  // namespace coppice::detail
