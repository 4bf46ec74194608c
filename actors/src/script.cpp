// The actor of scripts: it resumes the Lua state, awaits what that waits for, and resumes it with what came of it. See
// script_machine.hpp for the picture. All of it runs on the actor's scheduler.
#include "coppice/actors/script.hpp"

#include <fmt/format.h>
#include <lauxlib.h>

#include "coppice/any_request.hpp"
#include "coppice/deployment.hpp"
#include "script_machine.hpp"
#include "script_mail.hpp"
#include "script_refs.hpp"
#include "script_timers.hpp"
#include "script_values.hpp"

namespace coppice::actors {

namespace script_parts {

namespace {

using nanoseconds = std::chrono::nanoseconds;

/// How often in a row a script may go on receiving after it has been told to stop: it may have loops within loops.
constexpr int most_receives_after_stop = 100;
/// Awaits that may end at once before the others on the scheduler have their turn.
constexpr int waits_a_turn = 16;

answer failed(error why) {
    return [why = std::move(why)](lua_State* l) { return push_error(l, why); };
}

// How long until then; never negative.
nanoseconds left(actor<anything> self, std::chrono::steady_clock::time_point until) {
    return std::max(until - self.now(), nanoseconds{0});
}

task<read_references> read_references_of(actor<anything> self, std::shared_ptr<machine> m,
                                         std::vector<wire_reference> known) {
    read_references read;
    if (known.empty()) co_return read;
    read.refs = co_await read_refs(self, m->ref_reader, known);
    read.known = std::move(known);
    co_return read;
}

task<answer> receive(actor<anything> self, std::shared_ptr<machine> m, wish w) {
    struct unstash {
        actor<anything> self;
        bool has_any = false;
        explicit unstash(actor<anything> a) noexcept : self{a} {}
        unstash(unstash&&) = delete;
        ~unstash() {
            if (has_any) self.unstash();
        }
    } aside{self};
    const bool is_limited = w.within != wish::for_ever;
    const auto until = is_limited ? self.now() + w.within : std::chrono::steady_clock::time_point::max();
    for (;;) {
        auto got = co_await self.receive(is_limited ? left(self, until) : wish::for_ever);
        if (!got) co_return failed(got.error());
        if (!is_wanted(*got, w.types)) {
            self.stash(std::move(*got));
            aside.has_any = true;
            continue;
        }
        if (const std::uint64_t memory = m->options().memory; size_in_lua(*got) > memory) {
            self.log.warn("a mail of {} is refused: {}", got->sender(), too_large_for(memory));
            refuse_too_large(std::move(*got), memory);
            continue;
        }
        auto mail = open_letter(std::move(*got));
        if (!mail) continue;
        std::vector<wire_reference> known;
        find_foreign(mail->content, known);
        mail->references = co_await read_references_of(self, m, std::move(known));
        co_return answer{[mail](lua_State* l) {
            push_letter(l, *mail);
            return 1;
        }};
    }
}

task<answer> ask(actor<anything> self, std::shared_ptr<machine> m, wish w) {
    const ref<anything> to = w.to;
    auto replied = co_await m->as_script().ask(to, w.within, std::move(w.content));
    if (!replied) {
        if (replied.error() == errc::no_handler && !to.is_remote())
            co_return failed(error{errc::no_handler,
                                   "an actor of the same process takes a script's requests if its "
                                   "protocol names coppice::any_request"});
        co_return failed(replied.error());
    }
    auto content = std::make_shared<const value>(*std::move(replied));
    if (const std::uint64_t memory = m->options().memory; bytes_in_lua(*content) > memory)
        co_return failed(too_large_for(memory));
    std::vector<wire_reference> known;
    find_foreign(*content, known);
    auto read = co_await read_references_of(self, m, std::move(known));
    auto references = std::make_shared<const read_references>(std::move(read));
    co_return answer{[content, references](lua_State* l) {
        push_value(l, *content, *references);
        return 1;
    }};
}

task<answer> find(std::shared_ptr<machine> m, std::string path) {
    auto found = co_await m->as_script().find(path);
    if (!found) {
        const error why = found.error();
        co_return failed(why.text().empty() ? error{why.code(), path} : why);
    }
    co_return answer{[who = *found](lua_State* l) {
        push_ref(l, {.to = who});
        return 1;
    }};
}

task<answer> fulfil(actor<anything> self, std::shared_ptr<machine> m, wish w) {
    switch (w.what) {
    case wish::kind::receive: co_return co_await receive(self, m, std::move(w));
    case wish::kind::ask: co_return co_await ask(self, m, std::move(w));
    case wish::kind::find: co_return co_await find(m, std::move(w.text));
    case wish::kind::sleep:
    case wish::kind::fail: break;
    }
    co_await self.sleep(w.within);
    co_return answer{[](lua_State* l) {
        lua_pushboolean(l, 1);
        return 1;
    }};
}

}  // namespace

task<bool> run_to_end(actor<anything> self, std::shared_ptr<machine> m, thread t, answer first, bool is_main,
                      std::shared_ptr<std::string> failure) {
    struct anchored {
        machine& m;
        thread t;
        anchored(machine& of, thread which) noexcept : m{of}, t{which} {}
        anchored(anchored&&) = delete;
        ~anchored() { m.drop(t); }
    } held{*m, t};
    answer next = std::move(first);
    bool is_told = false;  // of a shutdown, or a kill
    int receives_after_stop = 0;
    for (int waits = 1;; ++waits) {
        auto w = m->resume(t, next);
        if (!w) co_return true;
        if (w->what == wish::kind::fail) {
            *failure = std::move(w->text);
            co_return false;
        }
        if (w->what == wish::kind::receive) {
            if (!is_main)
                throw script_failed{"coppice.receive in the function of a timer: the script itself receives"};
            self.ready();
            if (self.stopping() && self.depth().normal + self.depth().priority + self.depth().system == 0 &&
                ++receives_after_stop > most_receives_after_stop)
                throw script_failed{"the script goes on receiving after it was asked to stop"};
        }
        bool cancelled_now = false;
        try {
            if (waits % waits_a_turn == 0) co_await self.yield();
            next = co_await fulfil(self, m, *std::move(w));
        } catch (const cancelled&) {
            // A shutdown says it once, and the script may clean up; a kill says it again at the next await.
            if (!is_main || is_told) throw;
            cancelled_now = true;
        }
        if (cancelled_now) {
            is_told = true;
            next = failed(errc::stopping);
        }
    }
}

}  // namespace script_parts

task<> script(actor<anything> self, script_options options) {
    auto m = std::make_shared<script_parts::machine>(self, std::move(options));
    const script_parts::thread main = m->load();
    auto failure = std::make_shared<std::string>();
    auto arguments = [m](lua_State* l) {
        luaL_checkstack(l, static_cast<int>(m->options().arguments.size()) + 1, "arguments");
        for (const std::string& one : m->options().arguments) script_parts::push_text(l, one);
        return static_cast<int>(m->options().arguments.size());
    };
    if (!co_await script_parts::run_to_end(self, m, main, std::move(arguments), true, failure))
        self.fail("{}", *failure);
}

result<void> check_script(const script_options& options) {
    try {
        const std::string text = script_parts::read_script(options);
        struct state {
            lua_State* l = luaL_newstate();
            state() = default;
            state(state&&) = delete;
            ~state() {
                if (l) lua_close(l);
            }
        } fresh;
        if (!fresh.l) return error{errc::limit_reached, "no memory for a Lua state"};
        const std::string chunk = "@" + script_parts::name_in_errors(options);
        if (luaL_loadbufferx(fresh.l, text.data(), text.size(), chunk.c_str(), "t") != LUA_OK)
            return error{errc::invalid_argument, lua_tostring(fresh.l, -1)};
        return {};
    } catch (const script_parts::script_failed& why) {
        return error{errc::io, why.what()};
    }
}

namespace {

result<child_spec> deployed_script(const std::string& name, const deployment_script& what) {
    script_options o;
    o.file = what.file;
    o.arguments = what.arguments;
    o.modules = what.modules;
    if (what.memory) o.memory = what.memory;
    if (what.instructions) o.instructions = what.instructions;
    if (auto readable = check_script(o); !readable) return readable.error();
    return child(name, in_coroutine, script, std::move(o));
}

}  // namespace

void register_scripts() noexcept { register_script_maker(&deployed_script); }

}  // namespace coppice::actors
