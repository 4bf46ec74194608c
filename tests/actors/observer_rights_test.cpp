// Who may look at the observer's page, and act by it, on a node with roles (docs/rights.md): by tokens with names, over a real WebSocket;
// what is refused is an answer over HTTP or to the action, and a dead letter.
#include <gmock/gmock.h>

#include "actors/observer_rig.hpp"

namespace coppice::tests::observed {
namespace {

using ::testing::HasSubstr;

class ObserverRights : public observer_rig {
protected:
    ObserverRights() : observer_rig{with_roles()} {}
    static node_options with_roles() {
        node_options o = seen_by_others();
        o.network.rights = *parse_rights("role viewer\n"
                                         "who token:viewer\n"
                                         "may inspect /app/**\n"
                                         "role guard\n"
                                         "who token:guard\n"
                                         "may inspect,stop /app/**\n"
                                         "may send,ask /app/crasher\n"
                                         "never stop /app/web\n");
        return o;
    }
    static actors::observer_options with_tokens() {
        actors::observer_options o = often();
        o.actions = true;
        o.at.tokens = {{"viewer", "viewer-secret"}, {"guard", "guard-secret"}, {"stray", "stray-secret"}};
        return o;
    }
    static value::map at_path(const std::string& path) { return {{value{"path"}, value{path}}}; }
    static value::map count(const std::string& path) {
        return {{value{"path"}, value{path}},
                {value{"type"}, value{"count_one"}},
                {value{"fields"}, value{value::list{value{std::uint64_t{3}}}}}};
    }
    std::vector<std::string> denied() {
        std::vector<std::string> all;
        for (const dead_letter& d : app_.inspect().dead_letters)
            if (d.reason == errc::denied) all.push_back(d.message);
        return all;
    }
};

TEST_F(ObserverRights, WhoMayNotInspectTheTreeIsTurnedAwayBeforeItSeesAnything) {
    const std::uint16_t port = observe(with_tokens());
    web_client none{port};
    EXPECT_THAT(none.shake_hands("/live"), HasSubstr(" 401 "));
    EXPECT_TRUE(denied().empty());
    web_client stray{port};
    stray.write(stray.handshake("/live?token=stray-secret"));
    const std::string answer = stray.read_all();
    EXPECT_THAT(answer, HasSubstr(" 403 "));
    EXPECT_THAT(answer, HasSubstr("token:stray: no rule of who is without a role allows to inspect /app"));
    EXPECT_THAT(denied(), ::testing::ElementsAre("inspect /app by token:stray, without a role"));
    view viewer{port, "/live?token=viewer-secret"};
    viewer.until([&] { return viewer.actor_at("/app/crasher") != nullptr; });
}

TEST_F(ObserverRights, AnActionIsDoneForWhoMayAndRefusedToOthersWithTheRule) {
    const std::uint16_t port = observe(with_tokens());
    view viewer{port, "/live?token=viewer-secret"};
    viewer.until([&] { return viewer.actor_at("/app/crasher") != nullptr; });
    std::uint64_t id = 0;
    for (const char* action : {"stop", "kill", "restart", "pause", "resume"}) {
        const value told = viewer.call(++id, action, at_path("/app/crasher"));
        EXPECT_EQ(text_of(told, "error"), "denied") << action;
        EXPECT_EQ(text_of(told, "text"),
                  "token:viewer: no rule of who is role viewer allows to stop /app/crasher");
    }
    EXPECT_EQ(text_of(viewer.call(++id, "send", count("/app/crasher")), "error"), "denied");
    EXPECT_EQ(denied().size(), 6u);
    EXPECT_EQ(denied().front(), "stop /app/crasher by token:viewer, role viewer");

    view guard{port, "/live?token=guard-secret"};
    EXPECT_EQ(text_of(guard.call(++id, "send", count("/app/crasher")), "error"), "");
    const auto counted = [&] {
        return app_.ask<count_of>(at<crasher_protocol>("/app/crasher"), 60s).value();
    };
    EXPECT_EQ(counted(), 3u) << "it was stopped, or sent to, by the viewer";
    EXPECT_EQ(text_of(guard.call(++id, "restart", at_path("/app/crasher")), "error"), "");
    EXPECT_EQ(counted(), 0u);
    const value refused = guard.call(++id, "stop", at_path("/app/web"));
    EXPECT_EQ(text_of(refused, "error"), "denied");
    EXPECT_THAT(text_of(refused, "text"), HasSubstr("role guard may never stop /app/web (rights:8)"));
    EXPECT_EQ(text_of(guard.call(++id, "send", count("/app/crowd")), "error"), "denied");
    EXPECT_EQ(denied().size(), 8u);
}

}  // namespace
}  // namespace coppice::tests::observed
