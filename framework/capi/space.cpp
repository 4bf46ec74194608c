// coppice_space.h: spaces, slots and guards behind handles, over the C++ ones of the ready-made actors.
//
// A call that waits does so on its own thread (actors::space_thread) and needs no node. A guard's lock keeps calls of several threads
// apart, and is held while they look at it alone, never while anybody waits.
#include "coppice_space.h"

#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "coppice/actors/space.hpp"
#include "inbox.hpp"
#include "node_core.hpp"
#include "options.hpp"
#include "resources.hpp"
#include "values.hpp"

namespace coppice::c {

namespace {

using actors::slot_holder;
using any_pointer = actors::slot_ptr<std::byte>;

// ---------------------------------------------------------------- what handles stand for

class space_resource final : public resource {
public:
    static constexpr kind of_kind = kind::space;
    space_resource(actors::space opened, actors::space_thread by)
        : by_{std::move(by)}, opened_{std::move(opened)} {}
    /// Refuses when it is closed meanwhile.
    [[nodiscard]] actors::space get() const {
        const std::lock_guard lock{mutex_};
        if (!opened_) refuse(errc::closed, "`in` was closed before");
        return *opened_;
    }
    [[nodiscard]] const actors::space_thread& by() const noexcept { return by_; }
    error given_back() override {
        std::optional<actors::space> last;  // its end takes the directory down: not under the lock
        const std::lock_guard lock{mutex_};
        last.swap(opened_);
        return {};
    }

private:
    const actors::space_thread by_;
    mutable std::mutex mutex_;
    std::optional<actors::space> opened_;
};

class slot_resource final : public resource {
public:
    static constexpr kind of_kind = kind::slot;
    slot_resource(actors::slot opened, actors::space_thread by)
        : slot{std::move(opened)}, by{std::move(by)} {}
    const actors::slot slot;
    const actors::space_thread by;
};

// It has the lock of its slot until it is given back.
class guard_resource final : public resource {
public:
    static constexpr kind of_kind = kind::guard;
    explicit guard_resource(actors::read_guard held) : held_{std::move(held)} {}
    explicit guard_resource(actors::write_guard held) : held_{std::move(held)} {}

    /// f(the guard), of either kind.
    template <class F>
    auto look(F f) {
        const std::lock_guard lock{mutex_};
        if (auto* reads = std::get_if<actors::read_guard>(&held_)) return f(*reads);
        if (auto* writes = std::get_if<actors::write_guard>(&held_)) return f(*writes);
        refuse(errc::closed, "`guard` was closed before");
    }
    template <class F>
    auto change(F f) {
        const std::lock_guard lock{mutex_};
        if (auto* writes = std::get_if<actors::write_guard>(&held_)) return f(*writes);
        if (held_.index() == 0) refuse(errc::closed, "`guard` was closed before");
        refuse(errc::denied, "`guard` only reads: coppice_write_slot gives one that writes");
    }
    error given_back() override {
        const std::lock_guard lock{mutex_};
        held_ = std::monostate{};  // the end of a guard publishes
        return {};
    }

private:
    std::mutex mutex_;
    std::variant<std::monostate, actors::read_guard, actors::write_guard> held_;
};

// ---------------------------------------------------------------- arguments and results

// Who waits, and until when at the longest.
actors::space_thread thread_of(coppice_handle by) {
    if (by == 0) return {};
    const sender who = sender_of(by);
    if (who.actor) return {who.actor->box->path(), [box = who.actor->box] { return box->is_closed(); }};
    std::string path = who.node().with([](detail::node_core& core) { return "/" + core.name; });
    return {std::move(path), [node = who.node().shared_from_this()] { return node->is_closing(); }};
}

// What an actor's wait is cancelled with is what its other calls come back with.
error told(const error& why) {
    if (why.code() != errc::cancelled) return why;
    return error{errc::stopping, std::string{why.text()}};
}

template <class T>
T must(result<T> outcome) {
    if (!outcome) throw refused{told(outcome.error())};
    return *std::move(outcome);
}
void must(const result<void>& outcome) {
    if (!outcome) throw refused{told(outcome.error())};
}

actors::space_options options_of(const coppice_space_options& given) {
    actors::space_options o;
    if (has(given.directory)) o.directory = name_of(given.directory, "options.directory");
    if (given.slots) o.slots = given.slots;
    if (given.slot_bytes) o.slot_bytes = given.slot_bytes;
    if (given.total_bytes) o.total_bytes = given.total_bytes;
    return o;
}

value map_of(const slot_holder& who) {
    return value{value::map{{value{"who"}, value{who.who}},
                            {value{"pid"}, value{std::uint64_t{who.pid}}},
                            {value{"use"}, value{std::string{to_string(who.use)}}},
                            {value{"stopped"}, value{who.stopped}}}};
}

value map_of(const actors::slot_report& slot) {
    value::list holders;
    for (const slot_holder& who : slot.holders) holders.push_back(map_of(who));
    value::map all{{value{"name"}, value{slot.name}},       {value{"bytes"}, value{slot.bytes}},
                   {value{"used"}, value{slot.used}},       {value{"writes"}, value{slot.writes}},
                   {value{"damaged"}, value{slot.damaged}}, {value{"holders"}, value{std::move(holders)}}};
    if (slot.damaged) all.emplace_back(value{"damaged_by"}, map_of(slot.damaged_by));
    return value{std::move(all)};
}

any_pointer pointer_of(const coppice_slot_pointer* p) {
    need(p, "pointer");
    return {p->space, p->offset, p->count, p->slot, p->generation, p->filling, p->object_bytes};
}

coppice_slot_pointer pointer_of(const any_pointer& p) {
    return {p.space, p.offset, p.count, p.slot, p.generation, p.filling, p.object_bytes};
}

// ---------------------------------------------------------------- forms of calls

// A call that gives a handle, which is 0 if it fails.
template <class F>
int giving(const char* function, coppice_handle first, coppice_handle* out, F make) {
    return call(function, first, [&] {
        need(out, "out");
        *out = 0;
        *out = make();
        return error{};
    });
}

template <class F>
int guarded(const char* function, coppice_slot slot, coppice_guard* out, F take) {
    return giving(function, slot, out, [&] {
        const auto s = use<slot_resource>(slot, "slot");
        return handle_table::add(kind::guard, std::make_shared<guard_resource>(must(take(*s))));
    });
}

template <class F>
int space_made(const char* function, coppice_handle by, const char* name,
               const coppice_space_options* options, coppice_space* out, F make) {
    return giving(function, by, out, [&] {
        watch_forks();
        const actors::space_options o = options_of(known(options));
        actors::space_thread who = thread_of(by);
        auto made = must(make(name_of(name, "name"), o, who));
        return handle_table::add(kind::space,
                                 std::make_shared<space_resource>(std::move(made), std::move(who)));
    });
}

coppice_slot slot_handle_of(actors::slot made, const space_resource& in) {
    return handle_table::add(kind::slot, std::make_shared<slot_resource>(std::move(made), in.by()));
}

}  // namespace

}  // namespace coppice::c

using namespace coppice::c;
using coppice::errc;
using coppice::error;
using coppice::value;

// ---------------------------------------------------------------- spaces and slots

int coppice_create_space(coppice_handle by, const char* name, const coppice_space_options* options,
                         coppice_space* out) {
    return space_made("coppice_create_space", by, name, options, out,
                      [](std::string_view called, coppice::actors::space_options o, const auto& who) {
                          o.owner = who.who;
                          return coppice::actors::space::create(called, o);
                      });
}

int coppice_open_space(coppice_handle by, const char* name, const coppice_space_options* options,
                       coppice_space* out) {
    return space_made("coppice_open_space", by, name, options, out,
                      [](std::string_view called, const coppice::actors::space_options& o, const auto&) {
                          return coppice::actors::space::open(called, o.directory);
                      });
}

int coppice_reserve_slot(coppice_space in, const char* name, uint64_t bytes, uint64_t wait_ms,
                         coppice_slot* out) {
    return giving("coppice_reserve_slot", in, out, [&] {
        const auto s = use<space_resource>(in, "in");
        return slot_handle_of(
            must(s->get().reserve(s->by(), name_of(name, "name"), bytes, limit_of(wait_ms))), *s);
    });
}

int coppice_open_slot(coppice_space in, const char* name, coppice_slot* out) {
    return giving("coppice_open_slot", in, out, [&] {
        const auto s = use<space_resource>(in, "in");
        return slot_handle_of(must(s->get().open_slot(name_of(name, "name"))), *s);
    });
}

int coppice_release_slot(coppice_space in, const char* name, uint64_t wait_ms) {
    return call("coppice_release_slot", in, [&] {
        const auto s = use<space_resource>(in, "in");
        must(s->get().release(s->by(), name_of(name, "name"), limit_of(wait_ms)));
        return error{};
    });
}

int coppice_slot_report(coppice_slot slot, coppice_value* out) {
    return giving("coppice_slot_report", slot, out,
                  [&] { return handle_of(map_of(use<slot_resource>(slot, "slot")->slot.report()), true); });
}

int coppice_list_slots(coppice_space in, coppice_value* out) {
    return giving("coppice_list_slots", in, out, [&] {
        value::list all;
        for (const auto& one : use<space_resource>(in, "in")->get().list()) all.push_back(map_of(one));
        return handle_of(value{std::move(all)}, true);
    });
}

// ---------------------------------------------------------------- guards

int coppice_read_slot(coppice_slot slot, uint64_t wait_ms, coppice_guard* out) {
    return guarded("coppice_read_slot", slot, out,
                   [&](const slot_resource& s) { return s.slot.read(s.by, limit_of(wait_ms)); });
}
int coppice_write_slot(coppice_slot slot, uint64_t wait_ms, coppice_guard* out) {
    return guarded("coppice_write_slot", slot, out,
                   [&](const slot_resource& s) { return s.slot.write(s.by, limit_of(wait_ms)); });
}
int coppice_repair_slot(coppice_slot slot, uint64_t wait_ms, coppice_guard* out) {
    return guarded("coppice_repair_slot", slot, out,
                   [&](const slot_resource& s) { return s.slot.repair(s.by, limit_of(wait_ms)); });
}
int coppice_reset_slot(coppice_slot slot, uint64_t wait_ms) {
    return call("coppice_reset_slot", slot, [&] {
        const auto s = use<slot_resource>(slot, "slot");
        must(s->slot.reset(s->by, limit_of(wait_ms)));
        return error{};
    });
}

int coppice_abandon(coppice_guard guard) {
    return call("coppice_abandon", guard, [&] {
        const auto g = use<guard_resource>(guard, "guard");
        g->change([](auto& held) { held.abandon(); });
        give_back(g);
        return error{};
    });
}

int coppice_guard_state(coppice_guard guard, uint64_t* used, uint64_t* capacity, int* was_damaged) {
    return call("coppice_guard_state", guard, [&] {
        use<guard_resource>(guard, "guard")->look([&](const auto& held) {
            if (used) *used = held.used();
            if (capacity) *capacity = held.capacity();
            if (!was_damaged) return;
            *was_damaged = 0;
            if constexpr (requires { held.was_damaged(); }) *was_damaged = held.was_damaged() ? 1 : 0;
        });
        return error{};
    });
}

// ---------------------------------------------------------------- the arena

int coppice_allocate(coppice_guard guard, uint64_t count, uint32_t object_bytes, uint32_t alignment,
                     coppice_slot_pointer* out) {
    return call("coppice_allocate", guard, [&] {
        need(out, "out");
        *out = {};
        *out = pointer_of(use<guard_resource>(guard, "guard")->change([&](auto& held) {
            return must(held.allocate_objects(count, object_bytes, alignment));
        }));
        return error{};
    });
}

int coppice_clear(coppice_guard guard) {
    return call("coppice_clear", guard, [&] {
        use<guard_resource>(guard, "guard")->change([](auto& held) { held.clear(); });
        return error{};
    });
}

int coppice_objects(coppice_guard guard, const coppice_slot_pointer* pointer, uint32_t object_bytes,
                    uint32_t alignment, const void** out) {
    return call("coppice_objects", guard, [&] {
        need(out, "out");
        *out = nullptr;
        const any_pointer p = pointer_of(pointer);
        *out = use<guard_resource>(guard, "guard")->look([&](const auto& held) -> const void* {
            return must(held.objects(p, object_bytes, alignment)).data();
        });
        return error{};
    });
}

int coppice_objects_to_write(coppice_guard guard, const coppice_slot_pointer* pointer, uint32_t object_bytes,
                             uint32_t alignment, void** out) {
    return call("coppice_objects_to_write", guard, [&] {
        need(out, "out");
        *out = nullptr;
        const any_pointer p = pointer_of(pointer);
        *out = use<guard_resource>(guard, "guard")->change([&](auto& held) -> void* {
            return must(held.objects(p, object_bytes, alignment)).data();
        });
        return error{};
    });
}

int coppice_new_slot_pointer(const coppice_slot_pointer* pointer, coppice_value* out) {
    return giving("coppice_new_slot_pointer", 0, out, [&] {
        need(pointer, "pointer");
        const coppice_slot_pointer& p = *pointer;
        return handle_of(value{
            value::record{{p.space, p.offset, p.count, std::uint64_t{p.slot}, std::uint64_t{p.generation},
                           std::uint64_t{p.filling}, std::uint64_t{p.object_bytes}}}});
    });
}

int coppice_get_slot_pointer(coppice_value v, coppice_slot_pointer* out) {
    return call("coppice_get_slot_pointer", v, [&] {
        need(out, "out");
        *out = {};
        read_value(v, "v", [&](const value& one) {
            const auto* r = one.get_if<value::record>();
            if (!r || r->fields.size() != 7)
                refuse(errc::wrong_protocol, "the value is no slot pointer, which is a record of 7 numbers");
            const auto number = [&]<class T>(std::size_t at, T& to) {
                const auto n = r->fields[at].as<T>();
                if (!n)
                    refuse(errc::wrong_protocol,
                           "number " + std::to_string(at) + " of the slot pointer does not fit");
                to = *n;
            };
            coppice_slot_pointer p{};
            number(0, p.space);
            number(1, p.offset);
            number(2, p.count);
            number(3, p.slot);
            number(4, p.generation);
            number(5, p.filling);
            number(6, p.object_bytes);
            *out = p;
        });
        return error{};
    });
}
