// Scripts as principals (docs/rights.md): what a role lets a script do with actors of its own node and of another one, by refs that it
// has found and by refs that it was given. Two real nodes with a socket between them; a script in a file tells by its answers what
// became of what it did.
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "coppice/actors/script.hpp"
#include "coppice/any_request.hpp"
#include "coppice/on_behalf.hpp"
#include "coppice/transport/builtin.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"

namespace coppice::tests::script_rights {

/// Needs the right to write what it names, and not to be sent.
struct open_drawer {
    std::string drawer;
    [[nodiscard]] demand needs() const { return {right::write, drawer}; }
};

namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Tells who asks what it was sent.
task<> drawers(actor<protocol<open_drawer, any_request>> self) {
    std::string opened;
    while (auto m = co_await self.receive())
        m.match([&](const open_drawer& o) { opened += "[" + o.drawer + "]"; },
                [&](request<any_request> r) { r.reply(value{opened}); });
}
task<> till(actor<protocol<value, any_request>> self) {
    std::string seen;
    self.join("news");
    while (auto m = co_await self.receive())
        m.match([&](const value& v) { seen += v.get_if<std::string>() ? *v.get_if<std::string>() : "?"; },
                [&](request<any_request> r) { r.reply(value{seen}); });
}

/// Sends mail to the actor that it is told, which has a ref to it by that.
task<> shows_itself(actor<protocol<any_request>> self) {
    while (auto m = co_await self.receive()) {
        auto asked = m.take<any_request>();
        if (!asked) continue;
        if (const auto* path = asked->what.get_if<std::string>()) {
            auto whom = co_await self.resolve<anything>(*path);
            if (whom) self.send<value>(*whom, value{"here I am"});
        }
        asked.reply(value{"well"});
    }
}

constexpr const char* watch = R"lua(
    local met
    for mail in coppice.mails{types = {"value"}} do
        if not mail.asked then met = mail.sender
        else
            local verb, whom, what = mail.value[1], mail.value[2], mail.value[3]
            local function done(ok, why) mail:reply(ok and "ok" or why.code .. ": " .. why.text) end
            if verb == "join" then done(coppice.join(whom))
            elseif verb == "publish" then done(coppice.publish(whom, what))
            elseif verb == "ended" then
                local d = coppice.receive{types = {"down"}}
                mail:reply(d.kind .. ": " .. d.reason)
            else
                local who, why = met
                if whom ~= "met" then who, why = coppice.find(whom) end
                if not who then done(nil, why)
                elseif verb == "find" then done(true)
                elseif verb == "send" then done(coppice.send(who, what))
                elseif verb == "open" then
                    done(coppice.send(who, coppice.record("coppice::tests::script_rights::open_drawer", what)))
                elseif verb == "ask" then done(coppice.ask(who, "seen?"))
                elseif verb == "monitor" then done(coppice.monitor(who))
                elseif verb == "stop" then done(coppice.stop(who)) end
            end
        end
    end
)lua";

class ScriptRights : public ::testing::Test {
protected:
    ScriptRights() { register_builtin_transports(); }

    void start(const std::string& rights) {
        std::ofstream{files_.path("watch.lua")} << watch;
        app_ = std::make_unique<node>("app", with(rights, listening_at("unix://rights-of-scripts")));
        supervisor_spec tree;
        tree.add(child("till", in_coroutine, till))
            .add(child("drawers", in_coroutine, drawers))
            .add(child("vault", in_coroutine, shows_itself))
            .add(child("watch", in_coroutine, actors::script,
                       actors::script_options{.file = files_.path("watch.lua")}));
        const auto started = app_->start(tree);
        ASSERT_TRUE(started) << started.error().what();
        shop_ = std::make_unique<node>("shop", with(rights, below(app_->listening().front())));
        supervisor_spec shop;
        shop.add(child("till", in_coroutine, till))
            .add(child("drawers", in_coroutine, drawers))
            .add(child("vault", in_coroutine, shows_itself));
        ASSERT_TRUE(shop_->start(shop));
        ASSERT_TRUE(shop_->resolve<anything>("/app/watch"));  // now they are linked
    }
    static node_options with(const std::string& rights, node_options o) {
        o.network.rights = *parse_rights(rights);
        o.network.secret = "the secret of the tree";
        return o;
    }
    std::string ask(const std::string& path, value what) {
        const auto who = app_->resolve<anything>(path);
        EXPECT_TRUE(who) << path << ": " << who.error().what();
        const auto said = app_->ask<any_request>(*who, 60s, std::move(what));
        EXPECT_TRUE(said) << path << ": " << said.error().what();
        const auto* text = said ? said->get_if<std::string>() : nullptr;
        return text ? *text : "";
    }
    /// What became of it when the script did that.
    std::string script(const std::string& verb, const std::string& whom, const std::string& what = {}) {
        return ask("/app/watch", value{value::list{value{verb}, value{whom}, value{what}}});
    }
    /// From now on the script has a ref to it that it has not looked up.
    void meet(const std::string& path) { ASSERT_EQ(ask(path, value{"/app/watch"}), "well"); }
    static std::uint64_t denied(const node& where) {
        std::uint64_t count = 0;
        for (const auto& [why, n] : where.inspect().dead_letter_reasons)
            if (why == errc::denied) count += n;
        return count;
    }
    static std::string last_denied(const node& where) {
        std::string last;
        for (const dead_letter& d : where.inspect().dead_letters)
            if (d.reason == errc::denied) last = d.message;
        return last;
    }

    own_run_directory directory_;
    own_directory files_;
    std::unique_ptr<node> app_;
    std::unique_ptr<node> shop_;
};

constexpr const char* for_watch = "role watcher\n"
                                  "who script:wa*\n"
                                  "may send,ask,monitor /app/till\n"
                                  "may send,ask /shop/till\n"
                                  "may write left\n"
                                  "may monitor /*/drawers\n"
                                  "may publish news\n"
                                  "may ask /*/vault\n"
                                  "never ask /*/vault\n";

TEST_F(ScriptRights, AScriptMayDoWithActorsOfItsNodeWhatItsRoleAllowsAndIsToldTheRuleElse) {
    start(for_watch);
    EXPECT_EQ(script("send", "/app/till", "a"), "ok");
    EXPECT_EQ(script("ask", "till"), "ok");
    EXPECT_EQ(script("monitor", "/app/till"), "ok");
    EXPECT_EQ(script("publish", "news", "n"), "ok");
    EXPECT_EQ(ask("/app/till", value{}), "an");
    EXPECT_EQ(denied(*app_), 0u);
    EXPECT_EQ(script("stop", "/app/till"),
              "denied: script:watch: no rule of who is role watcher allows to stop /app/till");
    EXPECT_EQ(last_denied(*app_), "stop /app/till by script:watch, role watcher");
    EXPECT_EQ(script("find", "/app/vault"),
              "denied: script:watch: no rule of who is role watcher allows to inspect /app/vault");
    EXPECT_EQ(script("find", "unix://rights-of-scripts#/app/till").substr(0, 7), "denied:");
    EXPECT_EQ(script("join", "news"),
              "denied: script:watch: no rule of who is role watcher allows to join news");
    EXPECT_EQ(script("publish", "alarms", "x").substr(0, 7), "denied:");
    EXPECT_EQ(denied(*app_), 5u);
    EXPECT_EQ(ask("/app/till", value{}), "an");
}

TEST_F(ScriptRights, ARefThatItWasGivenIsNoRight) {
    start(for_watch);
    meet("/app/vault");
    EXPECT_EQ(script("ask", "met"), "denied: script:watch: role watcher may never ask /*/vault (rights:9)");
    EXPECT_EQ(script("send", "met", "x").substr(0, 7), "denied:");
    EXPECT_EQ(script("monitor", "met").substr(0, 7), "denied:");
    EXPECT_EQ(script("stop", "met").substr(0, 7), "denied:");
    EXPECT_EQ(denied(*app_), 4u);
    EXPECT_EQ(ask("/app/vault", value{}), "well");
}

TEST_F(ScriptRights, ActorsOfAnotherNodeAreGuardedThereByTheirPaths) {
    start(for_watch);
    EXPECT_EQ(script("send", "/shop/till", "a"), "ok");
    EXPECT_EQ(script("ask", "/shop/till"), "ok");
    EXPECT_EQ(ask("/shop/till", value{}), "a");
    EXPECT_EQ(denied(*shop_), 0u);
    meet("/shop/vault");
    EXPECT_EQ(script("ask", "met"),
              "denied: node shop does not allow that: role watcher may never ask /*/vault (rights:9)");
    EXPECT_EQ(last_denied(*shop_), "ask /shop/vault by somebody for whom node app acts, role watcher");
    EXPECT_EQ(script("send", "met", "x"), "ok");  // handed over; what becomes of it is counted there
    EXPECT_EQ(script("stop", "met"), "ok");
    EXPECT_EQ(ask("/shop/vault", value{}), "well");  // behind them
    EXPECT_EQ(denied(*shop_), 3u);
    EXPECT_EQ(script("monitor", "met"), "ok");
    EXPECT_THAT(script("ended", ""), HasSubstr("does not allow that"));
    EXPECT_EQ(script("monitor", "/shop/till"), "ok");
    EXPECT_THAT(script("ended", ""), HasSubstr("allows to monitor /shop/till"));
    EXPECT_EQ(denied(*shop_), 5u);
    EXPECT_EQ(script("find", "/shop/other").substr(0, 7), "denied:");
}

TEST_F(ScriptRights, AMessageThatNeedsARightOfItsOwnNeedsItOfAScriptToo) {
    start(for_watch);
    for (const std::string till : {"/app/drawers", "/shop/drawers"}) {
        SCOPED_TRACE(till);
        EXPECT_EQ(script("open", till, "left"), "ok");
        script("open", till, "right");
        EXPECT_EQ(ask(till, value{}), "[left]");
    }
    EXPECT_EQ(last_denied(*app_), "write right by script:watch, role watcher");
    EXPECT_EQ(last_denied(*shop_), "write right by somebody for whom node app acts, role watcher");
}

TEST_F(ScriptRights, AScriptThatNoRoleNamesIsOfTheTree) {
    start("role tree\nwho name:shop\nmay all **\nrole guest\nwho anyone\nrole other\nwho script:other\n");
    EXPECT_EQ(script("ask", "/app/vault"), "ok");
    EXPECT_EQ(script("ask", "/shop/vault"), "ok");
    EXPECT_EQ(script("join", "news"), "ok");
    EXPECT_EQ(script("stop", "/app/till"), "ok");
    EXPECT_EQ(denied(*app_) + denied(*shop_), 0u);
}

TEST_F(ScriptRights, AScriptWithoutAFileIsKnownByItsActorsName) {
    node app{"lone", with("role a\nwho script:inner\nrole b\nwho script:file.d\n", quiet(1))};
    ASSERT_TRUE(app.start({}));
    play(app, [](actor<anything> self) -> task<> {
        const auto answers = [](actor<anything> a, std::string name,
                                actors::script_options o) -> task<std::string> {
            const auto who =
                co_await a.start(child(std::move(name), in_coroutine, actors::script, std::move(o)));
            if (!who) co_return who.error().what();
            auto said = co_await a.ask<any_request>(*who, 60s, value{});
            const auto* text = said ? said->get_if<std::string>() : nullptr;
            co_return text ? *text : "nothing";
        };
        const std::string asks = "for mail in coppice.mails() do "
                                 "local ok, why = coppice.join('g') mail:reply(ok and 'ok' or why.text) end";
        const std::string refused = co_await answers(self, "inner", {.source = asks});
        EXPECT_THAT(refused, StartsWith("script:inner: no rule of who is role a"));
        const std::string other = co_await answers(self, "another", {.source = asks});
        EXPECT_EQ(other, "ok");
    });
}

}  // namespace
}  // namespace coppice::tests::script_rights
