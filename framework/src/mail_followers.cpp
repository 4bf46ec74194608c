// Following of mail, the control actor's side; see mail_followers.hpp. What runs at the followed actor, on its thread, is given there
// by a control and knows its tap and its follower alone.
#include "mail_followers.hpp"

#include <utility>

#include "node_core.hpp"
#include "root.hpp"

namespace coppice::detail {

namespace {

/// Whether `follower` may see the mail of the actor of that path. Every wish to follow is judged here, and nowhere else. Who reaches
/// a control actor may do all that it can do; but its own mail, which is where wishes come, is told to nobody. Any thread.
result<void> may_follow(const ref<>& follower, const std::string& path) {
    static_cast<void>(follower);
    if (is_control_path(path)) return error{errc::denied, path + ": the mail of control actors is not told"};
    return {};
}

/// Puts the tap at its actor, or says what is in the way. The actor's thread.
result<void> tap_at(cell* c, const ref<>& follower, const std::shared_ptr<mail_tap>& tap) {
    if (!c) return errc::down;
    const std::string path = path_of(c);
    if (auto allowed = may_follow(follower, path); !allowed) return allowed;
    if (c->ext && (c->ext->process_id || c->ext->process_actor))
        return error{errc::invalid_argument, path + " is a process of its own: its own node tells its mail"};
    follow_mail_of(c, tap);
    return {};
}

std::uint64_t messages_of(const control::mail_batch& b) noexcept {
    std::uint64_t all = b.records.size() + b.missed;
    for (const control::mail_record& r : b.records) all += r.missed;
    return all;
}

}  // namespace

mail_followers::mail_followers(cell* control_actor, std::function<void()> wake)
    : self_{control_actor}, wake_{std::move(wake)} {}

mail_followers::~mail_followers() {
    for (const auto& [monitor, f] : all_) f->tap->stop();
}

result<actor_id> mail_followers::actor_of(const control::follow_mail& wanted) const {
    if (!wanted.path.empty()) {
        if (const actor_id id = self_.cell()->sched->node->names.find(wanted.path).id()) return id;
        return error{errc::not_found, wanted.path};
    }
    if (!wanted.who) return error{errc::invalid_argument, "expected the path of an actor, or a ref"};
    if (wanted.who.is_remote())
        return error{errc::invalid_argument, "an actor of another node is followed by that node"};
    if (const actor_id id = wanted.who.current()) return id;
    return error{errc::not_found, wanted.who.to_string()};
}

void mail_followers::follow(request<control::follow_mail> r) {
    if (!r->to) return r.fail(error{errc::invalid_argument, "expected an actor to tell it to"});
    const auto whom = actor_of(*r);
    if (!whom) return r.fail(whom.error());
    forget_ended();
    if (all_.size() >= limits::mail_followers)
        return r.fail(error{errc::limit_reached, "too many follow mail here (limits::mail_followers)"});
    auto f = std::make_shared<follower>();
    f->path = r->path;
    f->to = r->to;
    f->whom = *whom;
    f->tap = std::make_shared<mail_tap>(wake_);
    all_.emplace(self_.monitor(f->to), f);
    post_control(scheduler_of(*whom), [f, r = std::move(r)](scheduler& there) mutable {
        const auto done = tap_at(there.find(f->whom), ref<>{f->to}, f->tap);
        if (done) return r.reply();
        f->is_refused.store(true, std::memory_order_relaxed);
        f->tap->end();  // which has it forgotten
        r.fail(done.error());
    });
}

void mail_followers::pass_on() {
    for (const auto& [monitor, f] : all_) {
        if (f->is_told || f->is_over) continue;
        f->is_told = true;
        static_cast<void>(self_.spawn_task(tell(self_, f)));
    }
}

// Beside the control actor's own coroutine, whose state may be gone before this ends: it knows its follower alone.
task<> mail_followers::tell(actor<anything> self, std::shared_ptr<follower> f) {
    while (auto batch = f->tap->take()) {
        f->is_over = batch->ended;
        if (f->is_refused.load(std::memory_order_relaxed)) break;
        const std::uint64_t messages = messages_of(*batch);
        batch->path = f->path;
        // Asked, so that one batch is under way and no more: what lies at a slow reader would hold up all mail between the nodes.
        const auto outcome =
            co_await self.ask<control::mail_batch>(f->to, limits::mail_batch_deadline, *std::move(batch));
        const bool arrived = outcome || outcome.error() == errc::no_reply;
        if (!arrived) f->tap->give_up(messages);
        // Its end is told by the monitor; until then the next news tries again.
        if (!arrived || f->is_over) break;
    }
    f->is_told = false;
}

void mail_followers::has_gone(std::uint64_t monitor) {
    const auto found = all_.find(monitor);
    if (found == all_.end()) return;
    const std::shared_ptr<follower> f = found->second;
    all_.erase(found);
    f->is_over = true;
    f->tap->stop();
    post_control(scheduler_of(f->whom), [f](scheduler& there) {
        if (cell* c = there.find(f->whom)) unfollow_mail_of(c, f->tap.get());
    });
}

void mail_followers::forget_ended() {
    std::erase_if(all_, [&](const auto& one) {
        if (!one.second->is_over) return false;
        self_.demonitor(one.first);
        return true;
    });
}

}  // namespace coppice::detail
