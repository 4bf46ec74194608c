// actor<P>::ask_group: one question to all members of a group, with an answer, or the reason why there is none, from each.
//
//     for (auto& [who, outcome] : co_await self.ask_group<prepare>("stores", 2s, order))
//         if (!outcome) self.log.warn("{} has not prepared: {}", who, outcome.error());
//
// On the actor's own thread; members may live on any node.
#pragma once
#include <chrono>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "coppice/actor.hpp"
#include "coppice/race.hpp"

namespace coppice {

/// What one member of a group said to M.
template <has_reply M>
struct group_answer {
    ref<> who;
    result<reply_t<M>>
        outcome;  ///< errors as of ask(); `timeout`: it did not come to the message in its time to live, or not to an answer
};

namespace detail {
template <has_reply M>
task<group_answer<M>> ask_member(cell* self, ref<> who, nanoseconds within, M message) {
    auto outcome = co_await ask_operation<M>{
        self, who, make_envelope<M>(who.id(), self->self_id(), std::move(message)), within};
    co_return group_answer<M>{std::move(who), std::move(outcome)};
}
}  // namespace detail

template <any_protocol P>
template <has_reply M, class... Args>
task<std::vector<group_answer<M>>>
actor<P>::ask_group(std::string_view group, std::chrono::nanoseconds within, Args&&... args) const {
    static_assert(std::is_copy_constructible_v<M>,
                  "coppice: ask_group<M> copies the message for each member: M must be copyable");
    const M message{std::forward<Args>(args)...};
    std::vector<task<group_answer<M>>> asks;
    for (ref<>& who : members(group))
        if (who != me()) asks.push_back(detail::ask_member<M>(cell(), std::move(who), within, message));
    return gather(std::move(asks));
}

}  // namespace coppice
