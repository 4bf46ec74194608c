// `coppice observe` beside a tree that runs in the test's own process: the page and the figures come over a real port, and the
// command ends as it says. One run directory a test.
#include <signal.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <regex>
#include <string>

#include <gmock/gmock.h>

#include "command/command.hpp"
#include "coppice/coppice.hpp"
#include "coppice/transport/builtin.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"
#include "support/web_client.hpp"

namespace coppice::tests {
namespace {

using ::testing::HasSubstr;

struct touch {};
struct touches {
    using reply = std::uint64_t;
};
using touched_protocol = protocol<touch, touches>;
task<> touched(actor<touched_protocol> self) {
    std::uint64_t count = 0;
    while (auto m = co_await self.receive())
        m.match([&](const touch&) { ++count; }, [&](request<touches> r) { r.reply(count); });
}

class ObserveCommand : public ::testing::Test {
protected:
    ObserveCommand() {
        node_options o;
        o.schedulers = 1;
        o.log_terminal = false;
        o.control = true;
        app_ = std::make_unique<node>("app", o);
        auto started = app_->start(supervisor_spec{}.add(child("counter", in_coroutine, touched)));
        EXPECT_TRUE(started) << started.error().what();
    }
    /// The port that the command has printed; 0 if it has ended.
    static std::uint16_t port_of(const program& page) {
        const std::regex line{R"re(http://localhost:([0-9]+)/ shows app\n)re"};
        std::smatch m;
        std::string out;
        await_that([&] { return page.has_ended() || !(out = page.out()).empty(); });
        EXPECT_TRUE(std::regex_match(out, m, line)) << out << page.err();
        return m.empty() ? std::uint16_t{0} : static_cast<std::uint16_t>(std::stoi(m[1]));
    }
    static std::string get(std::uint16_t port, const std::string& path) {
        web_client c{port};
        c.write("GET " + path + " HTTP/1.1\r\nHost: localhost:" + std::to_string(port) + "\r\n\r\n");
        return c.read_all();
    }
    static bool says(web_client& page, const std::string& text) {
        for (;;) {
            const web_frame f = page.next();
            if (f.opcode != 1) return false;
            if (f.text.find(text) != std::string::npos) return true;
        }
    }
    own_run_directory here_;
    std::unique_ptr<node> app_;
};

TEST_F(ObserveCommand, ServesThePageAndTheFiguresOfATreeThatHasNoObserver) {
    program page{{"observe", "app", "--every", "0.05"}};
    const std::uint16_t port = port_of(page);
    ASSERT_NE(port, 0);
    EXPECT_THAT(get(port, "/"), HasSubstr("observer/app.js"));
    EXPECT_THAT(get(port, "/observer/app.js"), HasSubstr("text/javascript"));
    web_client c{port};
    ASSERT_THAT(c.shake_hands("/live"), HasSubstr(" 101 "));
    ASSERT_TRUE(says(c, R"("path":"/app/counter")"));
    for (int i = 0; i < 3; ++i) app_->send<touch>(*app_->resolve<touched_protocol>("/app/counter"));
    ASSERT_TRUE(says(c, R"("received":3)"));
    c.say(R"({"id":1,"call":"stop","with":{"path":"/app/counter"}})");
    ASSERT_TRUE(says(c, R"("error":"denied")"));
    await_that(
        [&] { return get(port, "/metrics").find("coppice_node_up{node=\"app\"} 1\n") != std::string::npos; });
    page.signal(SIGTERM);
    EXPECT_EQ(page.wait(), 0) << page.err();
    await_that([&] { return app_->inspect().links.empty(); });
}

TEST_F(ObserveCommand, ActsOnTheTreeForWhoKnowsBothTokens) {
    const own_directory files;
    std::ofstream{files.path("look")} << "look\n";
    std::ofstream{files.path("act")} << "act\n";
    program page{{"observe", "--every", "0.05", "--actions", "--token-file", files.path("look"),
                  "--actions-token-file", files.path("act")}};
    const std::uint16_t port = port_of(page);
    ASSERT_NE(port, 0);
    web_client stranger{port};
    EXPECT_THAT(stranger.shake_hands("/live?token=loo"), HasSubstr(" 401 "));
    web_client c{port};
    ASSERT_THAT(c.shake_hands("/live?token=look"), HasSubstr(" 101 "));
    c.say(R"({"id":1,"call":"stop","with":{"path":"/app/counter"}})");
    ASSERT_TRUE(says(c, R"("error":"denied")"));
    c.say(R"({"id":2,"call":"unlock","with":"act"})");
    c.say(R"({"id":3,"call":"send","with":{"path":"/app/counter","type":"touch"}})");
    ASSERT_TRUE(says(c, R"("value":"sent")"));
    c.say(R"({"id":4,"call":"ask","with":{"path":"/app/counter","type":"touches"}})");
    ASSERT_TRUE(says(c, R"("id":4,"value":1)"));
    c.say(R"({"id":5,"call":"stop","with":{"path":"/app/counter"}})");
    ASSERT_TRUE(says(c, R"("value":"stopped by its supervisor")"));
    EXPECT_FALSE(app_->resolve<touched_protocol>("/app/counter"));
    page.signal(SIGINT);
    EXPECT_EQ(page.wait(), 0) << page.err();
}

TEST_F(ObserveCommand, EndsWithTheTreeAndSaysSo) {
    program page{{"observe", "app", "--every", "0.05"}};
    ASSERT_NE(port_of(page), 0);
    app_.reset();
    EXPECT_EQ(page.wait(), 4);
    EXPECT_THAT(page.err(), HasSubstr("the tree app has ended"));
}

TEST_F(ObserveCommand, SaysWhyItCannotServe) {
    EXPECT_EQ(coppice_says({"observe", "nobody"}).code, 3);
    const auto no_file = coppice_says({"observe", "--token-file", here_.path("nothing")});
    EXPECT_EQ(no_file.code, 3);
    EXPECT_THAT(no_file.err, HasSubstr("has no token"));
    program page{{"observe"}};
    const std::uint16_t port = port_of(page);
    const auto taken = coppice_says({"observe", "--port", std::to_string(port)});
    EXPECT_NE(taken.code, 0);
    EXPECT_THAT(taken.err, HasSubstr("name_taken"));
}

}  // namespace
}  // namespace coppice::tests
