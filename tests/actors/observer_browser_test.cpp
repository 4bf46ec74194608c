// The observer's page in a real browser: Chromium, through playwright-core, does what a person would do, by
// tests/actors/browser/observer.mjs, and says what it sees. Its pictures are kept beside this program, in the folder screenshots.
//
// What is not installed skips the test, which says so: tools/setup --browser. From the main thread.
#include <signal.h>

#include <filesystem>
#include <string>

#include "actors/observer_rig.hpp"
#include "coppice/process.hpp"
#include "support/leftovers.hpp"
#include "support/program.hpp"

namespace coppice::tests::observed {
namespace {

/// Beside the test program: what a build leaves behind.
std::string screenshots() {
    const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "screenshots";
    std::filesystem::create_directories(folder);
    return folder.string();
}

/// For who listens there again after a restart. As long as it lives nobody else is given that port.
class free_port {
public:
    free_port() : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
        const int on = 1;  // as who listens has it: both may be bound to the port
        ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        sockaddr_in where = loopback(0);
        socklen_t size = sizeof where;
        ::bind(fd_, reinterpret_cast<const sockaddr*>(&where), size);
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&where), &size);
        number_ = ntohs(where.sin_port);
    }
    ~free_port() { ::close(fd_); }
    free_port(const free_port&) = delete;
    free_port& operator=(const free_port&) = delete;
    [[nodiscard]] std::uint16_t number() const noexcept { return number_; }

private:
    int fd_;
    std::uint16_t number_ = 0;
};

std::string what_is_missing() {
    for (const char* each : {"chromium", "node"})
        if (!is_installed(each)) return each;
    if (program{{"node", "-e", "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)"}}.wait() != 0)
        return "Node.js 20, or later,";
    const bool has_driver = std::filesystem::exists("tests/actors/browser/node_modules/playwright-core");
    return has_driver ? "" : "playwright-core";
}

class ObserverBrowser : public observer_rig {
protected:
    explicit ObserverBrowser(node_options of_node = seen_by_others()) : observer_rig{std::move(of_node)} {}
    static talking_program browser(const std::string& scene, std::uint16_t port,
                                   const std::string& query = "") {
        return talking_program{{"node", "tests/actors/browser/observer.mjs", scene,
                                fmt::format("http://localhost:{}/{}", port, query), screenshots()}};
    }
};

// A browser that is not installed is no failure, but it is told.
#define SKIP_WITHOUT_BROWSER() \
    if (const std::string missing = what_is_missing(); !missing.empty()) \
    GTEST_SKIP() << "not run: " << missing << " is not installed; tools/setup --browser"

TEST_F(ObserverBrowser, ThePageShowsTenThousandActorsAndOneOfThemThatCrashes) {
    SKIP_WITHOUT_BROWSER();
    const std::uint16_t port = observe(now_and_then());
    ASSERT_TRUE(app_.ask<spawn_many>(at<crowd_protocol>("/app/crowd"), 60s, 10'000u));
    const auto gone =
        add(child("gone", in_coroutine, crasher).restarts(restart::temporary)).assume<crasher_protocol>();
    app_.shutdown(gone);
    while (app_.resolve<crasher_protocol>("/app/gone"))
        app_.resolve<crasher_protocol>("/app/crasher").value();
    app_.send<count_one>(gone, 1u);
    auto person = browser("many", port);
    EXPECT_TRUE(person.hear().starts_with("actors 100"));
    ASSERT_EQ(person.hear(), "crash it");
    app_.send<crash_now>(at<crasher_protocol>("/app/crasher"));
    person.tell("done");
    EXPECT_EQ(person.hear(), "crash seen");
    EXPECT_EQ(person.hear(), "done");
}

TEST_F(ObserverBrowser, ActionsAreDoneOnceTheirTokenIsSaidAlsoAfterTheConnectionWasLost) {
    SKIP_WITHOUT_BROWSER();
    actors::observer_options options = often();
    options.actions = true;
    options.actions_token = "let me";
    const free_port mine;
    options.port = mine.number();
    const std::uint16_t port = observe(options);
    auto person = browser("actions", port);
    const auto count = [&] { return app_.ask<count_of>(at<crasher_protocol>("/app/crasher"), 60s).value(); };
    ASSERT_EQ(person.hear(), "count 5");
    EXPECT_EQ(count(), 5u);
    person.tell("done");
    ASSERT_EQ(person.hear(), "count 0");
    EXPECT_EQ(count(), 0u);
    person.tell("done");
    ASSERT_EQ(person.hear(), "break the connection");
    // As a restart of the observer does.
    ASSERT_TRUE(app_.ask<restart_child>(supervisor_, 60s, std::string{"observer"}));
    person.tell("done");
    ASSERT_EQ(person.hear(), "count 7");
    EXPECT_EQ(count(), 7u);
    person.tell("done");
    EXPECT_EQ(person.hear(), "done");
}

class ObserverRightsBrowser : public ObserverBrowser {
protected:
    ObserverRightsBrowser() : ObserverBrowser{with_roles()} {}
};

TEST_F(ObserverRightsBrowser, ButtonsArePressableForWhoMayAndAnotherTokenMakesOneSomebodyElse) {
    SKIP_WITHOUT_BROWSER();
    actors::observer_options options = with_tokens();
    const free_port mine;
    options.port = mine.number();
    auto person = browser("roles", observe(options), "?token=viewer-secret");
    ASSERT_EQ(person.hear(), "break the connection");
    ASSERT_TRUE(app_.ask<restart_child>(supervisor_, 60s, std::string{"observer"}));
    person.tell("done");
    EXPECT_EQ(person.hear(), "done");
}

// ---- another process

task<> inner(actor<crasher_protocol> self) {
    while (co_await self.receive()) {
    }
}
task<> worker(actor<crasher_protocol> self) {
    auto below = co_await self.start(child("inner", in_coroutine, inner));
    if (!below) co_return self.fail("{}", below.error());
    self.ready();
    while (co_await self.receive()) {
    }
}

TEST_F(ObserverBrowser, AProcessThatIsKilledIsSeenToGoAndToComeBack) {
    SKIP_WITHOUT_BROWSER();
    const std::uint16_t port = observe();
    add(child("worker", in_process, worker).awaits_ready());
    auto person = browser("processes", port);
    const std::string wish = person.hear();
    ASSERT_TRUE(wish.starts_with("kill ")) << wish;
    const pid_t pid = std::stoi(wish.substr(5));
    const auto known = app_.inspect().processes;
    ASSERT_EQ(known.size(), 1u);
    ASSERT_EQ(known[0].pid, static_cast<std::uint32_t>(pid));
    ::kill(pid, SIGKILL);
    person.tell("done");
    const std::string now = person.hear();
    EXPECT_TRUE(now.starts_with("now ")) << now;
    EXPECT_NE(now, fmt::format("now {}", pid));
    EXPECT_EQ(person.hear(), "done");
}

}  // namespace
}  // namespace coppice::tests::observed
