// The herald: what tells agents of the ends of their channels; see gateway_host.hpp.
//
// An agent may have no room for a `closed` for as long as it likes, and the gateway may end meanwhile, or be killed. So not the
// gateway waits for that room but a child of it: children are ended after their parent, by a shutdown, which leaves them their
// limit. Each parting is a task of its own, so that no agent waits for another; a shutdown cancels none of them, as they end
// with the herald's main coroutine. Threading: the gateway's scheduler.
#include <algorithm>
#include <utility>

#include "coppice/own_task.hpp"
#include "gateway_host.hpp"

namespace coppice::actors::web_parts {

namespace {

void log_lost(const actor<protocol<>>& self, const partings& all) {
    std::vector<ref<>> agents;
    for (const partings::parting& each : all.lost)
        if (std::find(agents.begin(), agents.end(), each.agent) == agents.end()) agents.push_back(each.agent);
    self.log.error(
        "the ends of {} channels could not be told: {} agents, the first of them {}, had no room in their "
        "mailboxes before the limit of the gateway's end; the first channel is {}",
        all.lost.size(), agents.size(), agents.front(), all.lost.front().what.channel);
}

task<> tell_one(actor<protocol<>> self, std::shared_ptr<partings> all, partings::parting next) {
    const std::function<void()> told = std::exchange(next.told, nullptr);
    bool in_time = true;
    try {
        web::closed what = next.what;
        static_cast<void>(co_await self.send_wait<web::closed>(next.agent, std::move(what)));
    } catch (const cancelled&) {
        in_time = false;
    }
    told();
    if (!in_time) all->lost.push_back(std::move(next));
    if (--all->under_way == 0 && !all->lost.empty()) log_lost(self, *all);
    all->changed.notify();
}

/// What is left when the herald is killed.
struct last_words {
    actor<protocol<>> self;
    std::shared_ptr<partings> all;
    last_words(actor<protocol<>> of, std::shared_ptr<partings> these) : self{of}, all{std::move(these)} {}
    last_words(const last_words&) = delete;
    last_words& operator=(const last_words&) = delete;
    ~last_words() {
        for (partings::parting& each : all->waiting) {
            each.told = nullptr;  // it holds what this is a part of
            all->lost.push_back(std::move(each));
        }
        all->waiting.clear();
        if (all->under_way == 0 && !all->lost.empty()) log_lost(self, *all);
    }
};

}  // namespace

task<> herald(actor<protocol<>> self, std::shared_ptr<partings> all) {
    const last_words guard{self, all};
    bool parent_is_gone = false;
    for (;;) {
        while (!all->waiting.empty()) {
            ++all->under_way;
            self.spawn_task(tell_one(self, all, std::move(all->waiting.front())));
            all->waiting.pop_front();
        }
        if (parent_is_gone && all->under_way == 0) co_return;
        try {
            co_await all->changed.wait();
        } catch (const cancelled&) {
            // Of a shutdown, which is told once. Of a kill, the next await throws, too.
            if (std::exchange(parent_is_gone, true)) throw;
        }
    }
}

}  // namespace coppice::actors::web_parts
