// on_behalf: what an actor of the tree does for somebody else: for a script, for a page in a browser, for who holds a token. Each act is
// decided by the node's rights (rights.hpp, docs/rights.md) before it is done, and a refusal is an error that says which rule it comes
// from, and a dead letter of the node.
//
//     const on_behalf kiosk{self, "token:kiosk"};
//     auto who = co_await kiosk.find("/app/till");                  // denied, or a ref
//     if (auto sent = kiosk.send(*who, value{"open"}); !sent) self.log.warn("{}", sent.error());
//
// A ref that somebody was given is no right: it is looked at by its actor's path, by the node where that actor is. On a node without roles
// nothing is asked. A script is of the tree unless a role names it; whoever else has no role may do nothing.
// Of the actor that acts: on its scheduler's thread, as long as it lives. Copyable.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "coppice/actor.hpp"
#include "coppice/rights.hpp"
#include "coppice/value.hpp"

namespace coppice {

/// The role of one for whom an actor acts, who shows that principal; empty: none. A script, "script:NAME", has a role only if one names
/// scripts, and is of the tree without; whoever else has the role that rights_table::role_of() gives.
[[nodiscard]] rights_table::role_number role_on_behalf(const rights_table& table, const std::string& shown);

class on_behalf {
public:
    /// `shown`: the principal, as "script:watch" or "token:kiosk"; empty: it shows nothing, and has the role of `anyone` at most.
    template <any_protocol P>
    on_behalf(const actor<P>& self, std::string shown) : on_behalf{self.cell(), std::move(shown)} {}

    /// It may do everything, and nothing is asked.
    [[nodiscard]] bool is_of_the_tree() const noexcept { return as_ == rights_table::of_the_tree; }
    /// Whether it may do that. Counts nothing: for what is shown or hidden.
    [[nodiscard]] bool allows(right what, std::string_view object) const noexcept;
    /// The same for what it does now: `denied`, and a refusal is counted.
    [[nodiscard]] result<void> may(right what, std::string_view object) const;

    /// As actor::resolve. `denied` to who may do nothing with the actor of that path, whether there is one or not, and for endpoints.
    /// This must live until then.
    [[nodiscard]] task<result<ref<>>> find(std::string path) const;
    /// As actor::send. ok: handed over; what an actor of another node is not allowed to get becomes a dead letter there.
    result<void> send(const ref<>& to, value what) const;
    /// As actor::ask with an any_request. This must live until then.
    [[nodiscard]] task<result<value>> ask(ref<> to, std::chrono::nanoseconds within, value what) const;
    /// As actor::monitor. That an actor of another node may not be monitored is told by a `down` with the code `denied`.
    [[nodiscard]] result<std::uint64_t> monitor(const ref<>& who) const;
    /// As actor::stop; of an actor of another node a refusal is a dead letter there.
    result<void> stop(const ref<>& who) const;
    /// As actor::join.
    result<void> join(std::string_view group) const;
    /// As actor::publish: how many took it. A member whose own right the message needs, and that it may not, is left out.
    result<std::size_t> publish(std::string_view group, const value& what) const;

private:
    on_behalf(detail::cell* self, std::string shown);
    [[nodiscard]] error refused(right what, std::string_view object) const;
    [[nodiscard]] const std::string& path_of(const ref<>& who) const;
    [[nodiscard]] result<void> may_mail(const ref<>& to, bool asked, const value& what) const;

    actor<anything> self_;
    std::string shown_;
    rights_table::role_number as_ = rights_table::of_the_tree;
    // Of actors here. An id is never used again, and its name is its own until it ends.
    mutable std::unordered_map<std::uint64_t, std::string> paths_;
};

}  // namespace coppice
