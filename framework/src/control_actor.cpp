// The control actor: answers what tools ask of a node. See coppice/control_actor.hpp for what that is.
//
//     describe ─► control actor ─ a job for each scheduler ─► each looks at its own between two handlers
//                      ▲ └─ a timer: the limit                    │
//                      └────────────── seen ──────────────────────┘     all there, or too late: the reply
//
// It runs on the root's scheduler and waits for none of the others. Its state is its own; what other threads may touch is the
// queue of log records (log_queue.hpp) and those of mail (mail_tap.hpp), which have locks.
#include "coppice/control_actor.hpp"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "cell_ext.hpp"
#include "log_queue.hpp"
#include "mail_followers.hpp"
#include "process/remote_process.hpp"
#include "root.hpp"

namespace coppice::detail {

namespace {

/// What one scheduler saw.
struct scheduler_looked {
    static constexpr auto lane = coppice::lane::priority;
    std::uint64_t query = 0;
    std::uint32_t from = 0;
    std::shared_ptr<node_info> seen;
};
struct query_is_due {
    using local_only = void;
    std::uint64_t query = 0;
};
/// There are records in the node's log_queue.
struct log_waits {
    using local_only = void;
    static constexpr auto lane = coppice::lane::priority;
};
/// There are records in a mail_tap.
struct mail_waits {
    using local_only = void;
    static constexpr auto lane = coppice::lane::priority;
};

using full_protocol =
    protocol<control::describe, control::message_types, control::group_members, control::join_group,
             control::follow_log, control::set_level, control::set_paused, control::follow_mail,
             scheduler_looked, query_is_due, log_waits, mail_waits>;

/// The handlers that an actor has, by its address. Any thread: the scheduler may be another.
const protocol_info* protocol_of_actor(node_core& node, const address& who) {
    const actor_id id = who.current();
    for (scheduler* s : node.all_schedulers()) {
        if (s->index != scheduler_of(id)) continue;
        const cell* c = s->peek(id);
        return c && c->published_id.load(std::memory_order_relaxed) == id
                   ? c->protocol.load(std::memory_order_relaxed)
                   : nullptr;
    }
    return nullptr;
}

class control_state {
public:
    explicit control_state(actor<full_protocol> self)
        : self_{self}, node_{*self.cell()->sched->node}, mail_{self.cell(), waker<mail_waits>()} {}
    ~control_state() {
        for (const auto& [monitor, to] : joined_) leave_group(here(), to.group, to.who);
        node_.followed_log.stop();
    }
    control_state(const control_state&) = delete;
    control_state& operator=(const control_state&) = delete;

    // ---- describe

    void describe(request<control::describe> r) {
        const std::uint64_t number = ++last_query_;
        const auto within = std::max(r->within, std::chrono::nanoseconds{0});
        query& q = queries_.emplace(number, query{std::move(r), inspection{node_}, 0}).first->second;
        for (scheduler* s : q.all.schedulers())
            q.asked += post_control(s->index, [number, me = self_.cell()->self_id()](scheduler& there) {
                auto seen = std::make_shared<node_info>();
                inspection::look(there, *seen);
                post_control(
                    scheduler_of(me),
                    [me, looked = scheduler_looked{number, there.index, std::move(seen)}](scheduler& home) {
                        if (home.find(me)) home.deliver(make_envelope<scheduler_looked>(me, 0, looked));
                    });
            });
        self_.send_after<query_is_due>(within, number);
    }
    void looked(const scheduler_looked& m) {
        const auto q = queries_.find(m.query);
        if (q == queries_.end()) return;
        q->second.all.add(m.from, std::move(*m.seen));
        if (q->second.all.answers() >= q->second.asked) finish(q);
    }
    void due(std::uint64_t number) {
        if (const auto q = queries_.find(number); q != queries_.end()) finish(q);
    }

    // ---- types and groups

    void types(request<control::message_types> r) {
        std::vector<std::string> names;
        const auto add = [&](const address& who) {
            if (const protocol_info* has = protocol_of_actor(node_, who))
                for (const message_type* m : has->messages) names.emplace_back(m->name);
        };
        if (!r->path.empty()) {
            const address who = node_.names.find(r->path);
            if (!who) return r.fail(error{errc::not_found, r->path});
            add(who);
        } else {
            for (const auto& [path, id] : node_.names.all())
                if (!is_control_path(path)) add(address{id, nullptr});
        }
        std::sort(names.begin(), names.end());
        names.erase(std::unique(names.begin(), names.end()), names.end());
        r.reply(std::move(names));
    }
    void members(request<control::group_members> r) {
        std::vector<ref<>> list;
        if (const auto all = node_.group_table.snapshot(r->group))
            for (const address& who : *all)
                if (!who.is_remote()) list.emplace_back(who);
        for (const auto& [monitor, to] : joined_)
            if (to.group == r->group) list.emplace_back(to.who);
        r.reply(std::move(list));
    }
    void join(request<control::join_group> r) {
        if (!valid_name(r->group) || !r->who) return r.fail(errc::bad_name);
        if (join_group(here(), r->group, r->who))
            joined_.emplace(self_.monitor(r->who), membership{r->group, r->who});
        r.reply();
    }

    // ---- the log

    void follow(request<control::follow_log> r) {
        if (!r->to) return r.fail(errc::invalid_argument);
        readers_.emplace(self_.monitor(r->to), reader{r->subtree, r->least, r->to, 0});
        node_.followed_log.start(waker<log_waits>());
        r.reply();
    }
    void pass_on_log() {
        auto [lines, dropped] = node_.followed_log.take();
        for (auto& [monitor, to] : readers_) to.dropped += dropped;
        for (control::log_line& line : lines) {
            for (auto& [monitor, to] : readers_) {
                if (line.level < to.least || !is_below(line.path, to.subtree)) continue;
                control::log_line copy = line;
                copy.dropped = to.dropped;
                to.dropped =
                    self_.send<control::log_line>(to.who, std::move(copy)) == errc::ok ? 0 : to.dropped + 1;
            }
        }
    }

    void has_gone(const down& d) {
        if (const auto m = joined_.find(d.monitor); m != joined_.end()) {
            leave_group(here(), m->second.group, m->second.who);
            joined_.erase(m);
        }
        if (readers_.erase(d.monitor) && readers_.empty()) node_.followed_log.stop();
        mail_.has_gone(d.monitor);
    }

    // ---- mail

    void follow(request<control::follow_mail> r) { mail_.follow(std::move(r)); }
    void pass_on_mail() { mail_.pass_on(); }

    void set_level(request<control::set_level> r) {
        if (r->subtree.empty() || r->subtree.front() != '/' || (r->to > level::error && r->to != level::off))
            return r.fail(error{errc::invalid_argument, "expected a path from '/', and a level"});
        node_.set_level(r->subtree, r->to);
        r.reply();
    }

    void set_paused(request<control::set_paused> r) {
        const actor_id id = node_.names.find(r->path).id();
        if (!id) return r.fail(error{errc::not_found, r->path});
        const bool paused = r->paused;
        post_control(scheduler_of(id), [id, paused, r = std::move(r)](scheduler& there) mutable {
            cell* c = there.find(id);
            if (!c) return r.fail(errc::down);
            life::set_paused(c, paused);
            r.reply();
        });
    }

private:
    [[nodiscard]] scheduler& here() const noexcept { return *self_.cell()->sched; }
    /// What sends this actor an M, on any thread.
    template <class M>
    std::function<void()> waker() const {
        return [me = self_.cell()->self_id()] {
            post_control(scheduler_of(me), [me](scheduler& home) {
                if (home.find(me)) home.deliver(make_envelope<M>(me, 0));
            });
        };
    }

    struct query {
        request<control::describe> who;
        inspection all;
        std::size_t asked = 0;
    };
    struct membership {
        std::string group;
        address who;
    };
    struct reader {
        std::string subtree;
        level least;
        ref<control::log_reader> who;
        std::uint64_t dropped = 0;
    };

    void finish(std::map<std::uint64_t, query>::iterator q) {
        node_description d{q->second.all.finish(), static_cast<std::uint32_t>(::getpid()),
                           self_.now().time_since_epoch()};
        q->second.who.reply(std::move(d));
        queries_.erase(q);
    }
    static bool is_below(std::string_view path, std::string_view subtree) {
        while (!subtree.empty() && subtree.back() == '/') subtree.remove_suffix(1);
        return subtree.empty() ||
               (path.starts_with(subtree) && (path.size() == subtree.size() || path[subtree.size()] == '/'));
    }

    actor<full_protocol> self_;
    node_core& node_;
    std::uint64_t last_query_ = 0;
    std::map<std::uint64_t, query> queries_;
    std::map<std::uint64_t, membership> joined_;  // by the monitor of who joined
    std::map<std::uint64_t, reader> readers_;     // of the log, the same
    mail_followers mail_;
};

task<> control_actor(actor<full_protocol> self) {
    control_state state{self};
    while (auto m = co_await self.receive())
        m.match([&](request<control::describe> r) { state.describe(std::move(r)); },
                [&](request<control::message_types> r) { state.types(std::move(r)); },
                [&](request<control::group_members> r) { state.members(std::move(r)); },
                [&](request<control::join_group> r) { state.join(std::move(r)); },
                [&](request<control::follow_log> r) { state.follow(std::move(r)); },
                [&](request<control::set_level> r) { state.set_level(std::move(r)); },
                [&](request<control::set_paused> r) { state.set_paused(std::move(r)); },
                [&](request<control::follow_mail> r) { state.follow(std::move(r)); },
                [&](const scheduler_looked& l) { state.looked(l); },
                [&](const query_is_due& q) { state.due(q.query); },
                [&](const log_waits&) { state.pass_on_log(); },
                [&](const mail_waits&) { state.pass_on_mail(); }, [&](const down& d) { state.has_gone(d); });
}

}  // namespace

bool is_control_path(std::string_view path) noexcept {
    const auto cut = path.rfind('/');
    return cut != std::string_view::npos &&
           (path.substr(cut + 1) == control_name || path.substr(cut + 1) == courier_name);
}

void start_control_actor(scheduler& s, cell* root) {
    node_core& node = *s.node;
    if (node.options.network.listen.empty() && !node.options.control && !node.log_upward) return;
    auto claimed = node.names.claim("/" + node.name + "/" + control_name, 0);
    COPPICE_ASSERT(claimed.has_value(), "the control actor's name is free in a new node");
    cell* c = s.new_cell(root);
    COPPICE_ASSERT(c, "a new scheduler has room for the control actor");
    c->name = *claimed;
    c->protocol.store(&info_of_protocol<full_protocol>::value, std::memory_order_relaxed);
    node.names.move(*claimed, c->self_id());
    s.launch(c, control_actor(actor<full_protocol>{c}).release());
}

}  // namespace coppice::detail
