// child_spec to bytes and back; see portable_child.hpp.
// Pure functions; any thread.
#include "process/portable_child.hpp"

#include <optional>
#include <utility>

#include "coppice/actor.hpp"
#include "net/router.hpp"
#include "net/wire_addresses.hpp"
#include "node_core.hpp"
#include "process/channel.hpp"
#include "process/image.hpp"
#include "process/wire_bytes.hpp"

namespace coppice::detail {

namespace {

struct portable_function {
    code_place arrive;
    std::optional<code_place> function;
    std::vector<std::byte> arguments;
};

struct portable_tree {
    coppice::strategy strategy{};
    std::uint32_t most_restarts = 0;
    std::chrono::nanoseconds window{};
    std::chrono::nanoseconds backoff_first{};
    std::chrono::nanoseconds backoff_most{};
    double jitter = 0;
    std::vector<std::vector<std::byte>> children;  // each a portable_child
};

struct portable_child {
    std::string name;
    coppice::carrier carrier;
    coppice::restart when{};
    std::chrono::nanoseconds shutdown_within{};
    std::chrono::nanoseconds start_within{};
    std::uint32_t capacity = 0;
    coppice::overflow policy{};
    bool is_significant = false;
    bool tells_ready = false;
    bool is_watched = false;
    heartbeat_spec beats;
    std::optional<portable_function> function;  // none: another program's
    std::optional<portable_tree> tree;          // of a supervisor
};

result<portable_function> write_function(const child_spec& spec, wire_context& context) {
    const auto start = spec.portable(spec.start, context);
    if (!start) return start.error();
    portable_function f;
    auto arrive = place_of(reinterpret_cast<const void*>(start->arrive));
    if (!arrive) return arrive.error();
    f.arrive = *std::move(arrive);
    if (start->function) {
        auto function = place_of(reinterpret_cast<const void*>(start->function));
        if (!function) return function.error();
        f.function = *std::move(function);
    }
    f.arguments = start->arguments;
    return f;
}

result<void> read_function(const portable_function& f, child_spec& spec, wire_context& context) {
    const auto arrive = code_at(f.arrive);
    if (!arrive) return arrive.error();
    void (*function)() = nullptr;
    if (f.function) {
        const auto at = code_at(*f.function);
        if (!at) return at.error();
        function = reinterpret_cast<void (*)()>(const_cast<void*>(*at));
    }
    auto start =
        reinterpret_cast<arrive_function>(const_cast<void*>(*arrive))(function, f.arguments, context);
    if (!start) return start.error();
    spec.start = std::move(start->start);
    spec.protocol = start->protocol;
    spec.portable = start->portable;
    return {};
}

}  // namespace

result<std::vector<std::byte>> write_child(const child_spec& spec, wire_context& context) {
    const auto of = [&](const error& why) {
        return error{why.code(), "child '" + spec.name + "': " + why.what()};
    };
    portable_child p{spec.name,
                     spec.carrier,
                     spec.when,
                     spec.shutdown_within,
                     spec.start_within,
                     spec.capacity,
                     spec.policy,
                     spec.is_significant,
                     spec.tells_ready,
                     spec.is_watched,
                     spec.beats,
                     {},
                     {}};
    if (spec.tree) {
        const supervisor_spec& t = *spec.tree;
        p.tree = portable_tree{t.strategy,     t.most_restarts, t.window, t.backoff_first,
                               t.backoff_most, t.jitter,        {}};
        for (const child_spec& child : t.children) {
            auto bytes = write_child(child, context);
            if (!bytes) return of(bytes.error());
            p.tree->children.push_back(*std::move(bytes));
        }
    } else if (spec.portable) {
        auto function = write_function(spec, context);
        if (!function) return of(function.error());
        p.function = *std::move(function);
    } else if (!std::holds_alternative<process_carrier>(spec.carrier)) {
        return of(errc::not_portable);
    }
    auto bytes = to_bytes(p, context);
    if (bytes.empty()) return of(errc::too_large);
    return bytes;
}

result<child_spec> read_child(std::span<const std::byte> bytes, wire_context& context) {
    auto read = from_bytes<portable_child>(bytes, context);
    if (!read) return read.error();
    portable_child& p = *read;
    child_spec spec;
    if (p.tree) {
        supervisor_spec t{p.tree->strategy};
        t.intensity(p.tree->most_restarts, p.tree->window)
            .backoff(p.tree->backoff_first, p.tree->backoff_most, p.tree->jitter);
        for (const auto& child : p.tree->children) {
            auto one = read_child(child, context);
            if (!one) return one.error();
            t.add(*std::move(one));
        }
        spec = supervisor(p.name, std::move(t));
    } else if (p.function) {
        if (auto made = read_function(*p.function, spec, context); !made) return made.error();
    } else {
        spec = child(p.name, process_carrier{});
    }
    spec.name = std::move(p.name);
    spec.carrier = std::move(p.carrier);
    spec.when = p.when;
    spec.shutdown_within = p.shutdown_within;
    spec.start_within = p.start_within;
    spec.capacity = p.capacity;
    spec.policy = p.policy;
    spec.is_significant = p.is_significant;
    spec.tells_ready = p.tells_ready;
    spec.is_watched = p.is_watched;
    spec.beats = p.beats;
    return spec;
}

result<child_spec> root_of_child(const channel_join& join, bool own_program, const child_spec& own,
                                 node_core& node) {
    net::wire_addresses context{node.net->id(), *node.net};
    node.parent_of_root = context.in(join.parent);
    child_spec spec = own;
    if (!own_program && !join.child.empty()) {
        auto read = read_child(join.child, context);
        if (!read) return read.error();
        spec = *std::move(read);
    }
    spec.name = join.path.substr(join.path.rfind('/') + 1);
    return spec;
}

}  // namespace coppice::detail
