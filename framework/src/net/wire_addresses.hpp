// How refs inside messages cross the wire: as the id of their node and of the actor there; and how blobs are lent.
// Used while a message is written or read, on the thread that does that; it has no state of its own.
#pragma once
#include "coppice/wire.hpp"
#include "net/loans.hpp"
#include "net/router.hpp"

namespace coppice::net {

class wire_addresses final : public detail::wire_context {
public:
    wire_addresses(node_id self, router& r) noexcept : self_{self}, router_{r} {}
    detail::wire_reference out(const address& a) override {
        if (!a) return {};
        if (a.is_remote()) return {node_table::id_of(a.node()), a.id_there(), a.incarnation()};
        const actor_id now = a.current();
        return {self_, now ? now : a.id(), a.incarnation()};
    }
    address in(const detail::wire_reference& r) override {
        if (r.node == 0 || r.actor == 0) return {};
        // A place that no scheduler can have: whoever wrote it had it from nobody.
        const std::uint32_t at = detail::scheduler_of(r.actor);
        if (at == 0 || at > limits::schedulers) return {};
        if (r.node == self_)
            return r.incarnation ? address{r.actor, r.incarnation} : address{r.actor, nullptr};
        return address::on_node(router_.index_of(r.node), r.actor, r.incarnation);
    }
    bool lend(const blob& b, detail::wire_loan& loan) override { return lends && lends->lend(b, loan); }
    bool borrow(const detail::wire_loan& loan, blob& b) override {
        return borrows && borrows->borrow(loan, b);
    }

    lent_blobs* lends = nullptr;       // to the node that the message goes to
    message_loans* borrows = nullptr;  // of the message that is read

private:
    node_id self_;
    router& router_;
};

}  // namespace coppice::net
