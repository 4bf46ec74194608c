// What the tests of pages as actors share: a node with a gateway, a host of browsers and actors that pages talk to; Node.js with
// the package coppice-browser; and what those actors have heard.
//
// Journals are for any thread; what a test waits for is an entry in one.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/actors/browser.hpp"
#include "coppice/any_request.hpp"
#include "coppice/coppice.hpp"
#include "coppice/own_task.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/own_directory.hpp"
#include "support/program.hpp"

namespace coppice::tests {

namespace browser = actors::browser;
using namespace std::chrono_literals;

/// What an actor has heard, in order.
class journal {
public:
    void add(value v) {
        const std::lock_guard lock{mutex_};
        all_.push_back(std::move(v));
        changed_.notify_all();
    }
    using test = std::function<bool(const value&)>;
    /// The first for which it is so, once there is one.
    value wait(const test& is_so) {
        std::unique_lock lock{mutex_};
        for (std::size_t at = 0;; changed_.wait(lock))
            for (; at < all_.size(); ++at)
                if (is_so(all_[at])) return all_[at];
    }
    value wait(const value& what) {
        return wait([&](const value& v) { return v == what; });
    }
    std::vector<value> all() {
        const std::lock_guard lock{mutex_};
        return all_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<value> all_;
};
using journal_ptr = std::shared_ptr<journal>;

/// Runs there, as that actor.
struct act {
    std::function<task<>(actor<anything>)> what;
    using local_only = void;
};

/// Writes down what it is sent, and gives back what it is asked, but for a few words.
inline task<> witness(actor<anything> self, journal_ptr log) {
    std::vector<request<any_request>> ignored;
    while (auto m = co_await self.receive()) {
        if (const auto* a = m.get_if<act>()) {
            self.spawn_task(a->what(self));
        } else if (const auto* d = m.get_if<down>()) {
            log->add(value{"down: " + std::string{to_string(d->reason.kind())}});
        } else if (auto asked = m.take<any_request>()) {
            const value what = asked->what;
            if (what == value{"fail"}) asked.fail("no tea today");
            else if (what == value{"ignore"}) ignored.push_back(std::move(asked));
            else asked.reply(what);
        } else if (const auto* v = m.get_if<value>()) {
            log->add(*v);
            if (*v == value{"end"}) co_return;
        }
    }
}

class browser_rig : public ::testing::Test {
protected:
    explicit browser_rig(node_options of_node = quiet()) : app_{"app", std::move(of_node)} {
        register_builtin_transports();
    }

    void SetUp() override {
        // Node.js has a WebSocket of its own since 20.10, behind a switch until 22.
        if (!is_installed("node"))
            GTEST_SKIP() << "not run: Node.js is not installed; tools/setup --languages node";
        program check{
            {"node", "--experimental-websocket", "-e", "process.exit(globalThis.WebSocket ? 0 : 77)"}};
        if (check.wait() != 0)
            GTEST_SKIP() << "not run: this Node.js has no WebSocket; it needs 20.10 or newer";
    }
    static node_options quiet() {
        node_options o;
        o.schedulers = 2;
        o.log_terminal = std::getenv("COPPICE_TEST_LOG") != nullptr;
        o.level = level::debug;
        return o;
    }
    /// What pages may do in most tests.
    static browser::host_options friendly() {
        browser::host_options o;
        o.names = {"*"};
        o.reach = {"/app/*", "/app/browsers/*"};
        o.join = {"news", "talk"};
        o.publish = {"talk"};
        o.value_bytes = 2u << 20;
        return o;
    }
    void start(const browser::host_options& options, carrier gateway_as = in_coroutine) {
        supervisor_spec tree;
        tree.intensity(10'000, 1s);
        tree.add(child("web", std::move(gateway_as), actors::gateway,
                       actors::web::gateway_options{.farewell = 50ms}))
            .add(child("judge", in_coroutine, witness, judge_))
            .add(child("echo", in_coroutine, witness, echo_))
            .add(child("mortal", in_coroutine, witness, std::make_shared<journal>())
                     .restarts(restart::temporary))
            .add(child("browsers", in_coroutine, actors::browser_host, options).awaits_ready());
        auto started = app_.start(tree);
        ASSERT_TRUE(started) << started.error().what();
        port_ = report().port;
        ASSERT_NE(port_, 0);
    }
    browser::host_report report() {
        auto host = app_.resolve<actors::browser_host_protocol>("browsers").value();
        return app_.ask<browser::status>(host, 60s).value();
    }
    void until_none_is_left() {
        while (!report().sessions.empty()) {
        }
    }
    [[nodiscard]] std::string url(std::uint16_t port = 0) const {
        return fmt::format("ws://localhost:{}/", port ? port : port_);
    }
    /// Node.js with a scene of tests/actors/browser/peer.mjs.
    [[nodiscard]] std::unique_ptr<program> page(const std::string& scene, std::vector<std::string> more = {},
                                                std::uint16_t port = 0) const {
        std::vector<std::string> words{"node",          "--experimental-websocket",
                                       "--no-warnings", "tests/actors/browser/peer.mjs",
                                       scene,           url(port)};
        words.insert(words.end(), more.begin(), more.end());
        return std::make_unique<program>(std::move(words));
    }
    ref<> find(const std::string& path) { return app_.resolve<anything>(path).value(); }
    /// As the actor of that name.
    void as(const std::string& path, std::function<task<>(actor<anything>)> what) {
        ASSERT_EQ(app_.send<act>(find(path), std::move(what)), errc::ok);
    }
    std::uint64_t dead_letters() { return app_.inspect().dead_letter_count; }

    own_run_directory directory_;
    journal_ptr judge_ = std::make_shared<journal>();
    journal_ptr echo_ = std::make_shared<journal>();
    node app_;
    std::uint16_t port_ = 0;
};

}  // namespace coppice::tests
