// The kinds of transport that this process knows, by scheme.
// Any thread; a kind, once found, is shared and lives as long as someone uses it.
#include "coppice/transport.hpp"

#include <map>
#include <mutex>

namespace coppice {

namespace {

struct kinds {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<const transport>, std::less<>> by_scheme;
};

kinds& all() {
    static auto& known = *new kinds;  // never destroyed: a node may be static
    return known;
}

}  // namespace

void register_transport(std::shared_ptr<const transport> kind) {
    kinds& known = all();
    const std::lock_guard lock{known.mutex};
    std::string scheme{kind->scheme()};
    known.by_scheme[std::move(scheme)] = std::move(kind);
}

result<std::shared_ptr<const transport>> find_transport(std::string_view scheme) {
    kinds& known = all();
    const std::lock_guard lock{known.mutex};
    const auto found = known.by_scheme.find(scheme);
    if (found != known.by_scheme.end()) return found->second;
    std::string names;
    for (const auto& [name, kind] : known.by_scheme) names += (names.empty() ? "" : ", ") + name;
    return error{errc::not_found, "no transport is known for " + std::string{scheme} + "://; there are: " +
                                      (names.empty() ? "none (register_builtin_transports() adds those of "
                                                       "coppice/transport/builtin.hpp)"
                                                     : names)};
}

}  // namespace coppice
