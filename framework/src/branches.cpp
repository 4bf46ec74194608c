// Own tasks and the branches of race and gather: what happens when one finishes.
// Owner thread, called by the scheduler after the branch's coroutine has been destroyed.
#include "cell_ext.hpp"
#include "coppice/own_task.hpp"
#include "coppice/race.hpp"
#include "exception_cast.hpp"
#include "node_core.hpp"

namespace coppice::detail {

void branch_group::cancel_all() noexcept {
    for (std::size_t i = 0; i < count; ++i)
        if (first[i].owner) cancel_side(&first[i]);
}

void branch_group::branch_done(side_strand* s) noexcept {
    branch_group& group = *static_cast<branch*>(s)->group;
    ++group.finished;
    if (s->failure && !group.decided) {
        if (!exception_cast<cancelled>(s->failure) || !group.failure) group.failure = s->failure;
        group.decide();
    }
    if (group.finished == group.count) group.waiter->sched->make_ready(group.waiter);
}

void own_task_base::finished(side_strand* s) noexcept {
    auto* me = static_cast<own_task_base*>(s);
    const auto keep = std::move(me->keeps_alive);
    me->is_done = true;
    if (me->joiner) me->sched->make_ready(std::exchange(me->joiner, nullptr));
    if (me->failure && !me->joined && !exception_cast<cancelled>(me->failure))
        unjoined_failure(me->owner, me->failure);
}

void own_task_base::unjoined_failure(cell* owner, std::exception_ptr failure) {
    exit_reason why = exit_reason::from(std::move(failure), path_of(owner),
                                        owner->in_hand ? owner->in_hand->name : std::string_view{});
    if (owner->attention & cell::ended)
        owner->sched->node->log(level::error, path_of(owner),
                                "a task failed while the actor ended: " + why.to_string());
    else life::request_kill(owner, std::move(why));
}

}  // namespace coppice::detail
