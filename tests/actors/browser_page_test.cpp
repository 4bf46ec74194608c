// A page in a real browser as an actor (coppice/actors/browser.hpp), and what the package coppice-browser is made of: its bytes
// against those of the C++ library, and its compiled files against their sources.
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <limits>

#include "browser_rig.hpp"
#include "coppice/capnp.hpp"

#include "browser.capnp.h"

namespace coppice::tests {
namespace {

const std::string package = "framework/bindings/browser/";  // from the root of the project, where tests run

class BrowserPage : public browser_rig {
protected:
    void SetUp() override {
        if (!is_installed("chromium"))
            GTEST_SKIP() << "not run: Chromium is not installed; tools/setup --browser";
    }
    /// It can be seen; kept in the folder that COPPICE_TEST_PICTURES names, if it names one.
    static void expect_picture(const own_directory& profile) {
        if (!is_installed("node")) return;
        const char* folder = std::getenv("COPPICE_TEST_PICTURES");
        const std::string file =
            folder ? std::string{folder} + "/browser_page.png" : profile.path("page.png");
        program camera{{"node", "--experimental-websocket", "--no-warnings",
                        "tests/actors/browser/screenshot.mjs", profile.path(), file}};
        EXPECT_EQ(camera.wait(), 0);
        EXPECT_TRUE(text_of_file(file).starts_with("\x89PNG"));
    }
};

TEST_F(BrowserPage, APageInARealBrowserIsAnActorAlsoAfterAReload) {
    browser::host_options options = friendly();
    options.hold = 5s;  // longer than a reload takes, also on a busy machine
    options.at.pages = {
        {"/", "text/html; charset=utf-8", blob{text_of_file("tests/actors/browser/actor.html")}}};
    options.at.directory = package + "dist";
    start(options);
    const own_directory profile;
    program chromium{{"chromium", "--headless", "--no-sandbox", "--disable-gpu",
                      "--disable-background-networking", "--disable-dev-shm-usage", "--no-first-run",
                      "--remote-debugging-port=0", "--log-level=3", "--user-data-dir=" + profile.path(),
                      fmt::format("http://localhost:{}/", port_)}};
    const auto is_word = [](const value& v) {
        const auto* text = v.get_if<std::string>();
        return text && (*text == "joined" || text->starts_with("failed"));
    };
    ASSERT_EQ(judge_->wait(is_word), value{"joined"});
    EXPECT_EQ(app_.publish<value>("news", value{"news"}), 1u);
    const value next = judge_->wait([](const value& v) { return v != value{"joined"}; });
    ASSERT_EQ(next, value{"reloaded"});
    as("/app/judge", [](actor<anything> self) -> task<> {
        auto page = co_await self.resolve<anything>("/app/browsers/page");
        self.monitor(page.value());
    });
    const auto answer =
        app_.ask<any_request>(find("/app/browsers/page"), 60s, any_request{value{"how many?"}});
    ASSERT_TRUE(answer) << answer.error().what();
    EXPECT_EQ(*answer, value{"1 steps"}) << "of the page as it was loaded again";
    EXPECT_EQ(report().begun, 1u);
    expect_picture(profile);
    // A browser that crashes is a page that stays away.
    chromium.kill();
    judge_->wait(value{"down: failed"});
}

// ---------------------------------------------------------------- bytes

std::string hex_of(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte b : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(b));
    return text;
}

/// Each value by the name under which the package's own test has it.
std::string golden_bytes() {
    using int64 = std::numeric_limits<std::int64_t>;
    const std::vector<std::pair<std::string, value>> values{
        {"nothing", value{}},
        {"true", value{true}},
        {"zero", value{0}},
        {"most", value{int64::max()}},
        {"least", value{int64::min()}},
        {"unsigned", value{std::numeric_limits<std::uint64_t>::max()}},
        {"half", value{0.5}},
        {"empty text", value{""}},
        {"text", value{"four bytes: \xf0\x9d\x84\x9e"}},
        {"no bytes", value{value::bytes{}}},
        {"bytes", value{value::bytes{std::byte{1}, std::byte{0}, std::byte{255}}}},
        {"no list", value{value::list{}}},
        {"list", value{value::list{value{1}, value{value::list{value{"two"}}}}}},
        {"no map", value{value::map{}}},
        {"map", value{value::map{{value{"a"}, value{1}}, {value{"b"}, value{value::list{value{}}}}}}},
        {"no record", value{value::record{}}},
        {"record", value{value::record{{value{7}, value{"seven"}, value{value::record{}}}}}},
        {"within", value{value::list{value{value::record{{value{true}}}}}}},
        {"reference", value{wire_reference{1, 2, 3}}},
    };
    std::string text = "{\n";
    for (const auto& [name, v] : values)
        text += fmt::format("    \"{}\": \"{}\",\n", name, hex_of(v.encode()));
    const auto frame = capnp_message<schema::BrowserFrame>::build([](schema::BrowserFrame::Builder f) {
        f.setKind(17);
        f.setCode(2);
        f.setFlags(3);
        f.setSequence(4);
        f.setAcknowledged(5);
        f.setTaken(6);
        f.setCorrelation(7);
        f.setActor(8);
        f.setType(9);
        f.setTime(10);
        f.setWindow(11);
        f.setBytes(12);
        f.setText("thirteen");
        const ::capnp::byte payload[] = {1, 4};
        f.setPayload({payload, 2});
    });
    return text + fmt::format("    \"frame\": \"{}\"\n}}\n", hex_of(std::as_bytes(frame.words())));
}

TEST(BrowserPackage, ItsBytesAreThoseOfTheCppLibrary) {
    const std::string file = package + "test/golden.json";
    if (std::getenv("COPPICE_UPDATE_GOLDEN") != nullptr) std::ofstream{file} << golden_bytes();
    EXPECT_EQ(text_of_file(file), golden_bytes()) << "COPPICE_UPDATE_GOLDEN=1 writes it anew";
    if (!is_installed("node"))
        GTEST_SKIP() << "not run: Node.js is not installed; tools/setup --languages node";
    program test{{"node", "--test", package + "test/values.test.js"}};
    EXPECT_EQ(test.wait(), 0);
}

TEST(BrowserPackage, ItsCompiledFilesAreWhatItsSourcesGive) {
    if (!is_installed("node") || ::access((package + "node_modules/typescript").c_str(), R_OK) != 0)
        GTEST_SKIP() << "not run: TypeScript is not installed; tools/setup --languages browser";
    const own_directory into;
    program build{{"node", package + "build.js", into.path()}};
    ASSERT_EQ(build.wait(), 0);
    const auto files = into.files();
    EXPECT_GE(files.size(), 14u);
    for (const std::string& name : files)
        EXPECT_EQ(text_of_file(package + "dist/" + name), text_of_file(into.path(name)))
            << name << ": npm run build, in " << package;
}

}  // namespace
}  // namespace coppice::tests
