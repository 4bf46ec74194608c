// space_keeper: the actor that owns a space, answers for it, and tells who wants to know of slots whose writer has died.
//
// It hears of the death as waiters do (space_wakeups.hpp): a description of the slot's file is closed. Then it looks at the
// slots that are being written; one whose lock is free is damaged. While one is written it looks again from time to time,
// since a ring may come a moment before the kernel frees the lock. Runs on its scheduler's thread; making the space, which may
// wait for others, on a worker.
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coppice/actors/space.hpp"
#include "space_state.hpp"
#include "space_wakeups.hpp"

namespace coppice::actors {

/// Which slots of a space have a write whose writer is gone, each told once.
class slot_watch {
public:
    slot_watch(const space& of, const actor<anything>& self)
        : space_{of.state_}, bell_{self}, table_{space_->bells()->subscribe(space_->control(), bell_)} {}

    /// Those that have not been told before.
    std::vector<slot_damaged> look() {
        std::vector<slot_damaged> found;
        writing_ = false;
        for (std::uint32_t i = 0; i < space_->slots(); ++i) {
            watched* one = find(i);
            if (!one || one->slot->header().writing.load(std::memory_order_acquire) == 0) continue;
            const std::uint64_t broken = one->slot->broken_write();
            if (broken == 0) writing_ = true;
            else if (std::exchange(one->told, broken) != broken) found.push_back(damage_of(*one));
        }
        return found;
    }
    /// All of them, also those that have been told.
    [[nodiscard]] std::vector<slot_damaged> damaged() const {
        std::vector<slot_damaged> found;
        for (const auto& [index, one] : slots_)
            if (one.slot->broken_write() != 0) found.push_back(damage_of(one));
        return found;
    }
    static task<> wait(std::shared_ptr<slot_watch> w, actor<anything> self) {
        constexpr std::chrono::seconds when_deaf{1};  // the kernel gives no more watches to this user
        const std::chrono::nanoseconds idle =
            w->table_ ? std::chrono::nanoseconds{std::chrono::hours{1}} : std::chrono::nanoseconds{when_deaf};
        const bool rang = co_await w->bell_.wait(self, w->writing_ ? w->delay_ : idle);
        w->delay_ = rang ? std::chrono::nanoseconds{space_parts::first_look}
                         : std::min<std::chrono::nanoseconds>(w->delay_ * 2, space_parts::last_look);
        if (rang) co_await self.sleep(space_parts::first_look);  // one look for what comes close together
    }

private:
    struct watched {
        std::shared_ptr<space_parts::slot_state> slot;
        space_parts::wakeups::subscription heard;
        std::uint64_t told = 0;
    };

    watched* find(std::uint32_t index) {
        const space_parts::table_entry& e = space_->entry(index);
        const auto at = slots_.find(index);
        const bool used = e.state.load(std::memory_order_acquire) == space_parts::entry_state::used;
        if (at != slots_.end()) {
            if (used && at->second.slot->generation() == e.generation.load(std::memory_order_relaxed))
                return &at->second;
            slots_.erase(at);
        }
        auto opened = used ? space_->open_entry(index)
                           : result<std::shared_ptr<space_parts::slot_state>>{errc::not_found};
        if (!opened) return nullptr;
        watched one{*std::move(opened), {}, 0};
        one.heard = space_->bells()->subscribe(one.slot->file(), bell_);
        return &slots_.insert_or_assign(index, std::move(one)).first->second;
    }
    [[nodiscard]] slot_damaged damage_of(const watched& one) const {
        return {space_->name(), one.slot->name(), one.slot->report().damaged_by};
    }

    std::shared_ptr<space_parts::space_state> space_;
    space_parts::bell bell_;
    space_parts::wakeups::subscription table_;
    std::map<std::uint32_t, watched> slots_;
    bool writing_ = false;
    std::chrono::nanoseconds delay_ = space_parts::first_look;
};

namespace space_parts {
namespace {

using keeper_self = actor<space_protocol>;

struct keeper_state {
    space own;
    std::shared_ptr<slot_watch> watch;
    std::map<std::uint64_t, ref<protocol<slot_damaged>>> watchers{};  // by their monitor
};
using shared_state = std::shared_ptr<keeper_state>;

void tell(const keeper_self& self, const ref<protocol<slot_damaged>>& who, const slot_damaged& what) {
    const errc outcome = self.send<slot_damaged>(who, what);
    if (outcome != errc::ok && outcome != errc::down)
        self.log.warn("slot {} is damaged, and {} could not be told: {}", what.slot, who.to_string(),
                      to_string(outcome));
}

void look(const keeper_self& self, const keeper_state& state) {
    for (const slot_damaged& d : state.watch->look()) {
        self.log.warn(
            "slot {} of space {} is damaged: its writer {}[{}] died, or was ended by an exception, while it "
            "was writing",
            d.slot, d.space, d.by.who, d.by.pid);
        for (const auto& [id, who] : state.watchers) tell(self, who, d);
    }
}

task<> look_always(keeper_self self, shared_state state) {
    for (;;) {
        look(self, *state);
        co_await slot_watch::wait(state->watch, actor<anything>{self.cell()});
    }
}

task<> answer_reserve(keeper_self self, shared_state state, request<reserve_slot> r) {
    const auto made = co_await state->own.reserve(self, r->name, r->bytes);
    if (made) r.reply();
    else r.fail(made.error());
}

task<> answer_release(keeper_self self, shared_state state, request<release_slot> r) {
    const auto done = co_await state->own.release(self, r->name);
    if (done) r.reply();
    else r.fail(done.error());
}

void answer_watch(const keeper_self& self, keeper_state& state, request<watch_slots> r) {
    const auto who = r->who;
    r.reply();
    if (!who) return;
    look(self, state);  // so that what is damaged now is told once to all, and to this one in the next line
    for (const slot_damaged& d : state.watch->damaged()) tell(self, who, d);
    state.watchers.emplace(self.monitor(who), who);
}

}  // namespace
}  // namespace space_parts

task<> space_keeper(actor<space_protocol> self, std::string name, space_options options) {
    if (options.owner.empty()) options.owner = self.path();
    auto made = co_await self.offload([&] { return space::create(name, options); });
    if (!made) co_return self.fail("{}", made.error());
    if (made->wiped() > 0)
        self.log.info("{} spaces that crashed processes had left were wiped", made->wiped());
    // The tasks below end after this function, and with them the space.
    auto state = std::make_shared<space_parts::keeper_state>(*std::move(made));
    state->watch = std::make_shared<slot_watch>(state->own, actor<anything>{self.cell()});
    self.spawn_task(space_parts::look_always(self, state));
    self.ready();
    while (auto m = co_await self.receive())
        m.match([&](request<list_slots> r) { r.reply(state->own.list()); },
                [&](request<watch_slots> r) { space_parts::answer_watch(self, *state, std::move(r)); },
                [&](request<reserve_slot> r) {
                    self.spawn_task(space_parts::answer_reserve(self, state, std::move(r)));
                },
                [&](request<release_slot> r) {
                    self.spawn_task(space_parts::answer_release(self, state, std::move(r)));
                },
                [&](const down& d) { state->watchers.erase(d.monitor); });
}

}  // namespace coppice::actors
