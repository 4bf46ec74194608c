// The gateway of coppice/actors/gateway.hpp with clients of others: Debian's python3-websockets, npm's ws, and Chromium with a page
// that the gateway serves itself. Where one is not installed, its test says so and is skipped: tools/setup --browser.
//
// The programs are started by this test, and ended by it. From the main thread.
#include <unistd.h>

#include <string>

#include <gtest/gtest.h>

#include "actors/gateway_rig.hpp"
#include "support/own_directory.hpp"
#include "support/program.hpp"

namespace coppice::tests {
namespace {

const std::string folder = "tests/actors/browser/";  // from the root of the project, where tests run

void echo_or_close(const actor<agent_protocol>& self, const gateway_ref& gateway, const web::message& m) {
    if (m.content.view() == "close me")
        self.send<web::close>(gateway, m.channel, std::uint16_t{4001}, "as you wish");
    else echo_back(self, gateway, m);
}

class GatewayBrowser : public gateway_rig {
protected:
    static constexpr int not_installed = 77;  // how a client ends that lacks its package
    agent agent_for_stock_clients() {
        start();
        agent a = add_agent("a", echo_or_close);
        port_ = std::to_string(listen(a, {.subprotocols = {"one"}}));
        return a;
    }
    web_event opened_at(const agent& a, const std::string& path) {
        return a.journal->wait(
            [path](const web_event& e) { return e.kind == what::opened && e.text == path; });
    }
    void expect_both_ends(const agent& a, const std::string& reason) {
        const web_event talk = a.journal->wait_closed(opened_at(a, "/talk").channel);
        EXPECT_EQ(talk.code, 4001u);
        EXPECT_EQ(talk.by, web::ender::agent);
        const web_event polite = a.journal->wait_closed(opened_at(a, "/polite").channel);
        EXPECT_EQ(polite.code, 4444u);
        EXPECT_EQ(polite.text, reason);
        EXPECT_EQ(polite.by, web::ender::peer);
    }
    std::string port_;
};

TEST_F(GatewayBrowser, F10_AStockClientOfPythonPasses) {
    // Debian's own: another one does not see Debian's packages.
    const std::string python = "/usr/bin/python3";
    if (::access(python.c_str(), X_OK) != 0) GTEST_SKIP() << "not run: Debian's Python is not installed";
    const agent a = agent_for_stock_clients();
    program client{{python, folder + "stock_client.py", port_}};
    const int code = client.wait();
    if (code == not_installed) GTEST_SKIP() << "not run: python3-websockets is not installed; tools/setup";
    ASSERT_EQ(code, 0);
    expect_both_ends(a, "from Python");
    EXPECT_EQ(a.journal->count(what::opened), 2u);  // the stranger was none
}

TEST_F(GatewayBrowser, F10_AStockClientOfNodePasses) {
    if (!is_installed("node")) GTEST_SKIP() << "not run: Node.js is not installed; tools/setup --browser";
    const agent a = agent_for_stock_clients();
    program client{{"node", folder + "stock_client.mjs", port_}};
    const int code = client.wait();
    if (code == not_installed) GTEST_SKIP() << "not run: npm's ws is not installed; tools/setup --browser";
    ASSERT_EQ(code, 0);
    expect_both_ends(a, "from Node");
    EXPECT_EQ(a.journal->count(what::opened), 2u);  // the stranger was none
}

TEST_F(GatewayBrowser, F10_AnUnmodifiedPageInARealBrowserPassesAndItsCrashIsHeardOf) {
    if (!is_installed("chromium"))
        GTEST_SKIP() << "not run: Chromium is not installed; tools/setup --browser";
    start();
    const agent a = add_agent("a", echo_or_close);
    web::port_options options;
    options.subprotocols = {"one"};
    options.pages = {{"/", "text/html; charset=utf-8", blob{text_of_file(folder + "page.html")}}};
    ASSERT_FALSE(options.pages[0].content.empty());
    const std::uint16_t port = listen(a, options);
    const own_directory profile;
    program browser{chromium_at(fmt::format("http://localhost:{}/", port), profile.path())};
    const web_event report = opened_at(a, "/report");
    EXPECT_EQ(report.origin, fmt::format("http://localhost:{}", port));
    const web_event verdict = a.journal->wait(
        [&](const web_event& e) { return e.kind == what::message && e.channel == report.channel; });
    EXPECT_EQ(verdict.text, "ok");
    if (verdict.text == "ok") expect_both_ends(a, "from the page");
    browser.kill();
    EXPECT_EQ(a.journal->wait_closed(report.channel).by, web::ender::lost);
    EXPECT_EQ(a.journal->count(what::closed), 3u);
}

}  // namespace
}  // namespace coppice::tests
