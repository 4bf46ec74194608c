// Who may look at the observer's page, and act by it, on a node with roles (docs/rights.md): by tokens with names, over a real WebSocket;
// what is refused is an answer over HTTP or to the action, and a dead letter.
#include <gmock/gmock.h>

#include "actors/observer_rig.hpp"

namespace coppice::tests::observed {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ObserverRights : public observer_rig {
protected:
    ObserverRights() : observer_rig{with_roles()} {}
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
    EXPECT_THAT(denied(), ElementsAre("inspect /app by token:stray, without a role"));
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

std::vector<std::string> texts_of(const value& told) {
    std::vector<std::string> all;
    for (const value& each : list_of(told, "value")) all.push_back(*each.get_if<std::string>());
    return all;
}

TEST_F(ObserverRights, WhatMayBeDoneIsToldBeforeAndRefusesNothing) {
    const std::uint16_t port = observe(with_tokens());
    view viewer{port, "/live?token=viewer-secret"};
    EXPECT_THAT(texts_of(viewer.call(1, "may", at_path("/app/crasher"))), IsEmpty());
    view guard{port, "/live?token=guard-secret"};
    EXPECT_THAT(texts_of(guard.call(1, "may", at_path("/app/crasher"))),
                ElementsAre("stop", "kill", "restart", "pause", "resume", "send", "ask"));
    EXPECT_THAT(texts_of(guard.call(2, "may", at_path("/app/crowd"))),
                ElementsAre("stop", "kill", "restart", "pause", "resume"));
    EXPECT_THAT(texts_of(guard.call(3, "may", at_path("/app/web"))), IsEmpty());
    EXPECT_EQ(text_of(guard.call(4, "may", at_path("/elsewhere")), "error"), "invalid_argument");
    EXPECT_EQ(text_of(guard.call_with(5, "may", value{}), "error"), "bad_message");
    EXPECT_THAT(denied(), IsEmpty());
}

TEST_F(ObserverRights, WhoShowsAnotherTokenActsAsThatOneFromThenOn) {
    const std::uint16_t port = observe(with_tokens());
    view person{port, "/live?token=viewer-secret"};
    EXPECT_EQ(text_of(person.call_with(1, "unlock", value{"guard-secre"}), "error"), "denied");
    EXPECT_EQ(text_of(person.call_with(2, "unlock", value{}), "error"), "denied");
    EXPECT_EQ(text_of(person.call(3, "pause", at_path("/app/crasher")), "error"), "denied");
    EXPECT_EQ(text_of(person.call_with(4, "unlock", value{"guard-secret"}), "value"), "token:guard");
    EXPECT_EQ(text_of(person.call(5, "restart", at_path("/app/crasher")), "error"), "");
    EXPECT_EQ(text_of(person.call(6, "restart", at_path("/app/web")), "error"), "denied");
    EXPECT_EQ(text_of(person.call_with(7, "unlock", value{"viewer-secret"}), "value"), "token:viewer");
    EXPECT_EQ(text_of(person.call(8, "restart", at_path("/app/crasher")), "error"), "denied");
}

}  // namespace
}  // namespace coppice::tests::observed
