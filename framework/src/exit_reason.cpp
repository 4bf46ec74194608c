// exit_reason: building one from an exception and its nested ones, chaining causes, printing.
// No state; any thread.
#include "coppice/exit_reason.hpp"

#include <exception>
#include <typeinfo>

#include <cxxabi.h>

#include "coppice/detail/operations.hpp"

#include "cell_ext.hpp"
#include "exception_cast.hpp"

namespace coppice {

std::string_view to_string(exit_kind kind) noexcept {
    switch (kind) {
    case exit_kind::normal: return "normal";
    case exit_kind::stopped: return "stopped";
    case exit_kind::killed: return "killed";
    case exit_kind::error: return "error";
    case exit_kind::failed: return "failed";
    case exit_kind::linked: return "linked";
    case exit_kind::start_failed: return "start_failed";
    case exit_kind::intensity: return "intensity";
    case exit_kind::abandoned: return "abandoned";
    case exit_kind::no_actor: return "no_actor";
    case exit_kind::significant: return "significant";
    case exit_kind::node_lost: return "node_lost";
    case exit_kind::limit_reached: return "limit_reached";
    case exit_kind::process_ended: return "process_ended";
    case exit_kind::unresponsive: return "unresponsive";
    case exit_kind::not_started: return "not_started";
    }
    return "unknown";
}

exit_reason::exit_reason(exit_kind kind, std::string text, std::string origin, std::string_view message)
    : kind_{kind},
      more_{std::make_shared<const detail>(
          detail{std::move(text), std::move(origin), message, nullptr, errc::ok})} {}

exit_reason exit_reason::because(const exit_reason& cause) const {
    exit_reason with = *this;
    detail d = more_ ? *more_ : detail{};
    std::shared_ptr<const exit_reason> link;
    if (d.cause) link = std::make_shared<const exit_reason>(d.cause->because(cause));
    else link = std::make_shared<const exit_reason>(cause);
    d.cause = std::move(link);
    with.more_ = std::make_shared<const detail>(std::move(d));
    return with;
}

exit_reason exit_reason::coded(errc code) const {
    exit_reason with = *this;
    detail d = more_ ? *more_ : detail{};
    d.code = code;
    with.more_ = std::make_shared<const detail>(std::move(d));
    return with;
}

namespace {

std::string type_name_of(const std::exception_ptr& failure) {
    try {
        std::rethrow_exception(failure);
    } catch (...) {  // for its name alone
        const std::type_info* type = abi::__cxa_current_exception_type();
        int status = 0;
        char* name = type ? abi::__cxa_demangle(type->name(), nullptr, nullptr, &status) : nullptr;
        std::string text = name ? name : "unknown";
        std::free(name);
        return text;
    }
}

// The text of an exception, and its nested one if it has any.
std::string text_of(const std::exception_ptr& failure, std::exception_ptr& nested,
                    bool* was_cancelled = nullptr) {
    if (const auto* e = detail::exception_cast<std::exception>(failure)) {
        if (const auto* n = detail::exception_cast<std::nested_exception>(failure)) nested = n->nested_ptr();
        return e->what();
    }
    if (detail::exception_cast<cancelled>(failure)) {
        if (was_cancelled) *was_cancelled = true;
        return "cancelled";
    }
    return "exception of type " + type_name_of(failure);  // the user's own
}

}  // namespace

namespace detail {

exit_reason reason_of(const std::exception_ptr& failure, std::string origin, std::string_view message,
                      bool* was_cancelled) {
    std::exception_ptr nested;
    std::string text = text_of(failure, nested, was_cancelled);
    exit_reason reason{exit_kind::error, std::move(text), std::move(origin), message};
    for (std::size_t i = 0; nested && i < limits::cause_depth; ++i) {
        std::exception_ptr deeper;
        reason = reason.because(exit_reason{exit_kind::error, text_of(nested, deeper)});
        nested = std::move(deeper);
    }
    return reason;
}

}  // namespace detail

exit_reason exit_reason::from(std::exception_ptr failure, std::string origin, std::string_view message) {
    return coppice::detail::reason_of(failure, std::move(origin), message, nullptr);
}

std::string exit_reason::to_string() const {
    std::string s{coppice::to_string(kind_)};
    if (!text().empty()) s.append(": ").append(text());
    if (!origin().empty() || !in_hand().empty()) {
        s += " (";
        if (!origin().empty()) s.append("in ").append(origin());
        if (!in_hand().empty()) s.append(origin().empty() ? "at " : ", at ").append(in_hand());
        s += ")";
    }
    std::size_t depth = 0;
    for (const exit_reason* c = cause(); c; c = c->cause()) {
        if (++depth > limits::cause_depth) return s + ", because ...";
        s.append(", because ").append(coppice::to_string(c->kind()));
        if (!c->text().empty()) s.append(": ").append(c->text());
        if (!c->origin().empty()) s.append(" (in ").append(c->origin()).append(")");
    }
    return s;
}

}  // namespace coppice
