// Names and texts of the error table, and the end of the process on a broken invariant.
// The numbers stand in error.hpp, the explanations in docs/errors.md.
#include "coppice/error.hpp"

#include <cstdio>
#include <cstdlib>

namespace coppice {

std::string_view to_string(errc code) noexcept {
    switch (code) {
    case errc::ok: return "ok";
    case errc::timeout: return "timeout";
    case errc::down: return "down";
    case errc::mailbox_full: return "mailbox_full";
    case errc::unreachable: return "unreachable";
    case errc::denied: return "denied";
    case errc::no_handler: return "no_handler";
    case errc::no_reply: return "no_reply";
    case errc::deadlock: return "deadlock";
    case errc::cancelled: return "cancelled";
    case errc::not_found: return "not_found";
    case errc::name_taken: return "name_taken";
    case errc::bad_name: return "bad_name";
    case errc::wrong_protocol: return "wrong_protocol";
    case errc::start_failed: return "start_failed";
    case errc::limit_reached: return "limit_reached";
    case errc::priority_refused: return "priority_refused";
    case errc::stopping: return "stopping";
    case errc::failed: return "failed";
    case errc::invalid_argument: return "invalid_argument";
    case errc::io: return "io";
    case errc::closed: return "closed";
    case errc::node_lost: return "node_lost";
    case errc::outcome_unknown: return "outcome_unknown";
    case errc::name_refused: return "name_refused";
    case errc::wrong_secret: return "wrong_secret";
    case errc::wrong_version: return "wrong_version";
    case errc::not_portable: return "not_portable";
    case errc::bad_message: return "bad_message";
    case errc::too_large: return "too_large";
    }
    return "unknown";
}

std::string error::what() const {
    std::string s{to_string(code_)};
    if (text_) s += ": " + *text_;
    return s;
}

namespace detail {

void assert_failed(const char* what, const char* file, int line) noexcept {
    std::fprintf(stderr,
                 "coppice: broken invariant: %s (%s:%d). This is a defect of Coppice; please report it with "
                 "this line.\n",
                 what, file, line);
    std::abort();
}

}  // namespace detail
}  // namespace coppice
