// marked_mail: mail that a node of the tree sends for somebody who is not of it (on_behalf.hpp). It leaves as the value that it
// holds, and its record says what that one may do (record_flag::standing_at): the node where the receiver is decides by the
// receiver's path there, and by what the message needs, as for strangers. Only for actors of other nodes. Any thread.
#pragma once
#include "coppice/detail/envelope.hpp"
#include "coppice/value.hpp"
#include "coppice/wire.hpp"
#include "net/gate.hpp"

namespace coppice::net {

struct marked_value {
    value what;
    standing as = rights_table::nobody;
};
struct marked_request {
    value what;
    standing as = rights_table::nobody;
    using reply = value;
};
/// What makes a stop for another node (make_stop_order), which has no bytes.
struct marked_stop {
    standing as = rights_table::of_the_tree;
};

/// What they may do for whom that mail is sent; of the tree for all other mail.
[[nodiscard]] standing standing_of_mail(const detail::envelope* e) noexcept;

}  // namespace coppice::net

namespace coppice::detail {

template <>
struct wire_of_message<net::marked_value> {
    static const wire_functions functions;
    static constexpr const wire_functions* value = &functions;
};
template <>
struct wire_of_message<net::marked_request> {
    static const wire_functions functions;
    static constexpr const wire_functions* value = &functions;
};
template <>
struct wire_of_message<net::marked_stop> {
    static const wire_functions functions;
    static constexpr const wire_functions* value = &functions;
};

}  // namespace coppice::detail
