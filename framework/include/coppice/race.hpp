// race, gather, with_timeout: several awaits at once within one coroutine.
//
//     auto first = co_await race(self.receive(), self.sleep(1s));     // std::variant; index() tells who was first
//     auto [a, b] = co_await gather(self.ask<get>(x), self.ask<get>(y));
//     auto pages  = co_await gather(std::move(fetches));              // a std::vector of tasks: a std::vector of values
//     auto page   = co_await with_timeout(250ms, fetch(self, url));   // result<...>: timeout
//
// Branches are tasks or operations. Losers are cancelled and waited for before the await ends, so nothing of them is left.
// A losing receive leaves its message in the mailbox; a losing ask forgets its reply.
#pragma once
#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coppice/detail/operations.hpp"
#include "coppice/task.hpp"

namespace coppice {

namespace detail {

template <class A>
struct awaited {
    using type = decltype(std::declval<A&>().await_resume());
};
template <class T>
struct awaited<task<T>> {
    using type = T;
};
template <class A>
requires(await_adapter<A>::adapts)
struct awaited<A> {
    using type = typename await_adapter<A>::value_type;
};
template <class A>
struct awaited<std::vector<A>> {  // so that the gather() of other awaitables can be looked at and left
    using type = void;
};
template <class A>
using branch_value =
    std::conditional_t<std::is_void_v<typename awaited<A>::type>, std::monostate, typename awaited<A>::type>;

// Many of one kind, for the gather() of its own.
template <class A>
inline constexpr bool is_vector = false;
template <class A>
inline constexpr bool is_vector<std::vector<A>> = true;

/// The strand and the actor of the awaiting coroutine.
struct current_strand {
    strand* s = nullptr;
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
        s = h.promise().self;
        return false;
    }
    strand* await_resume() const noexcept { return s; }
};

struct branch_group;
struct branch : side_strand {
    branch_group* group = nullptr;
};

/// Waits for all of a set of branches; the first to finish, or to fail, may cancel the others.
struct branch_group : pending {
    strand* waiter = nullptr;
    branch* first = nullptr;
    std::size_t count = 0;
    std::size_t finished = 0;
    bool first_wins = false;
    bool decided = false;
    std::exception_ptr failure;
    branch_group() noexcept : pending{gathers} {}

    /// Lets the branches run; the awaiting strand goes on when all are done.
    bool await_ready() const noexcept { return count == 0; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
        waiter = h.promise().self;
        waiter->resume = h;
        kind = first_wins ? &races : &gathers;
        waiter->op = this;
        waiter->state = strand::waiting;
        return true;
    }
    void await_resume() {
        throw_if_cancelled(waiter);
        if (failure) std::rethrow_exception(failure);
    }
    void decide() noexcept {
        decided = true;
        cancel_all();
    }
    void cancel_all() noexcept;
    static void on_cancel(pending* p, strand*) noexcept { static_cast<branch_group*>(p)->cancel_all(); }
    static constexpr pending_kind races{&on_cancel, "race"};
    static constexpr pending_kind gathers{&on_cancel, "gather"};
    static void branch_done(side_strand* s) noexcept;
};

template <class Slot, class A>
task<> run_branch(branch_group* group, Slot* slot, A awaitable) {
    if constexpr (std::is_void_v<typename awaited<A>::type>) {
        co_await std::move(awaitable);
        if (group->decided && group->first_wins) co_return;
        slot->emplace();
    } else {
        auto&& value = co_await std::move(awaitable);
        if (group->decided && group->first_wins) co_return;
        slot->emplace(std::forward<decltype(value)>(value));
    }
    if (group->first_wins) group->decide();
}

template <class... A, std::size_t... I>
void start_branches(cell* owner, branch_group& group, std::array<branch, sizeof...(A)>& branches,
                    std::tuple<std::optional<branch_value<A>>...>& slots, std::index_sequence<I...>,
                    A&... awaitables) {
    group.first = branches.data();
    group.count = sizeof...(A);
    ((branches[I].group = &group,
      start_side(owner, run_branch(&group, &std::get<I>(slots), std::move(awaitables)).release(),
                 &branch_group::branch_done, &branches[I])),
     ...);
}

}  // namespace detail

/// Awaits the first of several; std::monostate stands for void. An exception of the first to finish leaves the await.
template <class... A>
task<std::variant<detail::branch_value<A>...>> race(A... awaitables) {
    using outcome = std::variant<detail::branch_value<A>...>;
    detail::strand* self = co_await detail::current_strand{};
    std::tuple<std::optional<detail::branch_value<A>>...> slots;
    std::array<detail::branch, sizeof...(A)> branches;
    detail::branch_group group;
    group.first_wins = true;
    detail::start_branches<A...>(detail::owner_of(self), group, branches, slots,
                                 std::index_sequence_for<A...>{}, awaitables...);
    co_await group;
    std::optional<outcome> won;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
        ((std::get<I>(slots) && !won
              ? static_cast<void>(won.emplace(std::in_place_index<I>, std::move(*std::get<I>(slots))))
              : void()),
         ...);
    }(std::index_sequence_for<A...>{});
    COPPICE_ASSERT(won.has_value(), "a race that did not fail has a winner");
    co_return std::move(*won);
}

/// Awaits all of several. The first exception cancels the others and leaves the await when they are done.
template <class... A>
requires(!detail::is_vector<A> && ...)
task<std::tuple<detail::branch_value<A>...>> gather(A... awaitables) {
    detail::strand* self = co_await detail::current_strand{};
    std::tuple<std::optional<detail::branch_value<A>>...> slots;
    std::array<detail::branch, sizeof...(A)> branches;
    detail::branch_group group;
    detail::start_branches<A...>(detail::owner_of(self), group, branches, slots,
                                 std::index_sequence_for<A...>{}, awaitables...);
    co_await group;
    co_return std::apply([](auto&... s) { return std::tuple<detail::branch_value<A>...>{std::move(*s)...}; },
                         slots);
}

/// The same for as many as there are; their values in the same order. None is none at once.
template <class A>
task<std::vector<detail::branch_value<A>>> gather(std::vector<A> awaitables) {
    detail::strand* self = co_await detail::current_strand{};
    std::vector<std::optional<detail::branch_value<A>>> slots(awaitables.size());
    std::vector<detail::branch> branches(awaitables.size());
    detail::branch_group group;
    group.waiter = self;  // with no branches it is not suspended
    group.first = branches.data();
    group.count = branches.size();
    for (std::size_t i = 0; i < branches.size(); ++i) {
        branches[i].group = &group;
        detail::start_side(detail::owner_of(self),
                           detail::run_branch(&group, &slots[i], std::move(awaitables[i])).release(),
                           &detail::branch_group::branch_done, &branches[i]);
    }
    co_await group;
    std::vector<detail::branch_value<A>> values;
    values.reserve(slots.size());
    for (auto& one : slots) values.push_back(std::move(*one));
    co_return values;
}

namespace detail {
template <class T>
struct limited {
    using type = result<T>;
};
template <>
struct limited<errc> {  // of send_wait: one code more
    using type = errc;
};
}  // namespace detail

/// Awaits with a limit: the value, or `timeout`, after which the awaitable has been cancelled. What gives an errc, as
/// send_wait, gives an errc.
template <class A>
task<typename detail::limited<typename detail::awaited<A>::type>::type>
with_timeout(std::chrono::nanoseconds within, A awaitable) {
    detail::strand* self = co_await detail::current_strand{};
    auto first = co_await race(std::move(awaitable), detail::sleep_operation{detail::owner_of(self), within});
    if (first.index() == 1) co_return errc::timeout;
    if constexpr (std::is_void_v<typename detail::awaited<A>::type>) co_return result<void>{};
    else co_return std::get<0>(std::move(first));
}

}  // namespace coppice
