// The observer's figures, over a real port: read by a strict reader of our own, and by the one that the authors of OpenMetrics
// have written, if it is installed.
#include <unistd.h>

#include <fstream>
#include <limits>
#include <map>
#include <regex>
#include <sstream>
#include <thread>
#include <tuple>

#include "actors/observer_rig.hpp"
#include "support/own_directory.hpp"
#include "support/program.hpp"

namespace coppice::tests::observed {
namespace {

// ---- a reader that takes nothing but what the formats allow

struct figures_read {
    std::map<std::string, std::string> types;  // by family, as TYPE names it
    std::map<std::string, double> samples;     // by name and labels
    std::string failure;
};

class figures_reader {
public:
    figures_reader(const std::string& text, bool open) : open_{open} {
        if (!text.empty() && text.back() != '\n') fail("the last line has no end");
        std::istringstream lines{text};
        bool ended = false;
        for (std::string line; std::getline(lines, line);) {
            if (ended) fail("something follows # EOF");
            else if (open && line == "# EOF") ended = true;
            else read(line);
        }
        if (open && !ended) fail("no # EOF");
    }
    figures_read all;

private:
    void fail(const std::string& why) {
        if (all.failure.empty()) all.failure = why;
    }
    void read(const std::string& line) {
        static const std::regex head{R"(# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+))"};
        static const std::regex sample{
            R"(([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\\\|\\"|\\n)*",?)*)\} ([0-9]+(?:\.[0-9]+)?))"};
        std::smatch m;
        if (std::regex_match(line, m, head)) return read_head(line, m[1], m[2], m[3]);
        if (!std::regex_match(line, m, sample)) return fail("not understood: " + line);
        if (m[2].str().ends_with(",")) return fail(line);
        if (!all.samples.emplace(fmt::format("{}{{{}}}", m[1].str(), m[2].str()), std::stod(m[3])).second)
            return fail("a sample twice: " + line);
        const std::string suffix = m[1].str().starts_with(family_) ? m[1].str().substr(family_.size()) : "?";
        const std::string& type = all.types[family_];
        if (type == "gauge" && suffix.empty()) return;
        if (type == "counter" && (open_ ? suffix == "_total" : suffix.empty() && family_.ends_with("_total")))
            return;
        if (type == "histogram") return read_of_histogram(line, suffix, m[2], std::stod(m[3]));
        fail("a sample of another family: " + line);
    }
    void read_head(const std::string& line, const std::string& what, const std::string& name,
                   const std::string& rest) {
        if (what == "HELP" && all.types.contains(name)) fail("a family twice: " + line);
        if (what == "TYPE") {
            if (name != family_ || (rest != "counter" && rest != "gauge" && rest != "histogram")) fail(line);
            all.types[name] = rest;
        }
        family_ = name;
    }
    // Buckets come in order and never fall; the last one is as much as the count.
    void read_of_histogram(const std::string& line, const std::string& suffix, const std::string& labels,
                           double value) {
        static const std::regex bound{R"re((.*),le="([0-9]+\.[0-9]+|\+Inf)")re"};
        std::smatch m;
        if (suffix == "_bucket" && std::regex_match(labels, m, bound)) {
            const double le = m[2] == "+Inf" ? std::numeric_limits<double>::infinity() : std::stod(m[2]);
            if (m[1] != of_ || of_.empty()) last_le_ = last_count_ = 0;
            of_ = m[1];
            if (le <= last_le_ || value < last_count_) fail("out of order: " + line);
            last_le_ = le;
            last_count_ = value;
        } else if (suffix == "_count") {
            if (labels != of_ || value != last_count_ || last_le_ < 1e300)
                fail("not as its buckets: " + line);
            of_.clear();
        } else if (suffix != "_sum" || labels != of_) {
            fail("not of a histogram: " + line);
        }
    }

    bool open_;
    std::string family_;
    std::string of_;
    double last_le_ = 0;
    double last_count_ = 0;
};

figures_read read_figures(const std::string& text, bool open) { return figures_reader{text, open}.all; }

TEST(ObserverFigures, TheReaderOfTheTestsTakesNothingThatIsWrong) {
    const std::string good = "# HELP a is\n# TYPE a histogram\na_bucket{n=\"x\",le=\"0.1\"} 1\n"
                             "a_bucket{n=\"x\",le=\"+Inf\"} 2\na_sum{n=\"x\"} 0.5\na_count{n=\"x\"} 2\n";
    EXPECT_EQ(read_figures(good + "# EOF\n", true).failure, "");
    EXPECT_EQ(read_figures(good, false).failure, "");
    EXPECT_NE(read_figures(good, true).failure, "");
    EXPECT_NE(read_figures(good + good, false).failure, "");
    for (const char* wrong :
         {"# TYPE a gauge\na{} 1\n", "# HELP a x\n# TYPE a gauge\nb{} 1\n",
          "# HELP a x\n# TYPE a gauge\na{} -\n", "# HELP a x\n# TYPE a counter\na{n=\"\n\"} 1\n",
          "# HELP a x\n# TYPE a gauge\na{} 1\na{} 1\n",
          "# HELP a x\n# TYPE a histogram\na_bucket{n=\"x\",le=\"+Inf\"} 2\na_count{n=\"x\"} 1\n"})
        EXPECT_NE(read_figures(wrong, false).failure, "") << wrong;
}

// ---- what is served

class ObserverMetrics : public observer_rig {
protected:
    static std::string body_of(std::uint16_t port, const std::string& path, const std::string& type) {
        const std::string answer = get(port, path);
        EXPECT_NE(answer.find("Content-Type: " + type + "\r\n"), std::string::npos) << answer.substr(0, 400);
        return answer.substr(answer.find("\r\n\r\n") + 4);
    }
};

constexpr const char* prometheus_type = "text/plain; version=0.0.4; charset=utf-8";
constexpr const char* openmetrics_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";

TEST_F(ObserverMetrics, AreServedInBothFormatsAndCount) {
    const std::uint16_t port = observe();
    view v{port};
    v.until([&] { return v.actor_at("/app/crasher") != nullptr; });
    app_.send<crash_now>(at<crasher_protocol>("/app/crasher"));
    v.until([&] { return number_of(*v.actor_at("/app/crasher"), "restarts") == 1; });
    for (const auto& [path, type, open] : {std::tuple{"/metrics", prometheus_type, false},
                                           std::tuple{"/metrics/openmetrics", openmetrics_type, true}}) {
        const auto count = [&](const figures_read& all, const std::string& name) {
            const auto found = all.samples.find(name);
            return found == all.samples.end() ? 0.0 : found->second;
        };
        figures_read all = read_figures(body_of(port, path, type), open);
        // Pages are set behind what the channel was told.
        while (all.failure.empty() && count(all, "coppice_restarts_total{node=\"app\"}") == 0) {
            v.next();
            all = read_figures(body_of(port, path, type), open);
        }
        ASSERT_EQ(all.failure, "");
        EXPECT_EQ(count(all, "coppice_restarts_total{node=\"app\"}"), 1);
        EXPECT_EQ(count(all, "coppice_node_up{node=\"app\"}"), 1);
        EXPECT_GE(count(all, "coppice_actors{node=\"app\"}"), 5);
        EXPECT_GE(count(all, "coppice_messages_received_total{node=\"app\"}"), 1);
        EXPECT_TRUE(all.samples.contains("coppice_mailbox_messages{node=\"app\",lane=\"priority\"}"));
        EXPECT_GE(count(all, "coppice_node_answer_seconds_count{node=\"app\"}"), 2);
        EXPECT_GT(count(all, "coppice_node_answer_seconds_sum{node=\"app\"}"), 0);
    }
}

// Blocks for so many milliseconds: what an actor must not do.
task<> blocker(actor<crasher_protocol> self) {
    while (auto m = co_await self.receive())
        m.match([](const crash_now&) {},
                [](const count_one& c) {
                    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds{c.amount};
                    while (std::chrono::steady_clock::now() < end) std::this_thread::sleep_until(end);
                },
                [](request<count_of> r) { r.reply(std::uint64_t{0}); });
}

/// Of all schedulers of the node.
double sum_of(const figures_read& all, const std::string& name, const std::string& ending = "\"}") {
    double sum = 0;
    for (const auto& [key, value] : all.samples)
        if (key.starts_with(name + "{node=\"app\",scheduler=\"") && key.ends_with(ending)) sum += value;
    return sum;
}

TEST_F(ObserverMetrics, TellHowLongHandlersTakeAndHowLateTheyBegin) {
    const std::uint16_t port = observe();
    add(child("blocker", in_coroutine, blocker));
    add(child("blocked", in_thread, blocker));
    view v{port};
    const auto block = [&] {
        for (const char* path : {"/app/blocker", "/app/blocked"}) {
            app_.send<count_one>(at<crasher_protocol>(path), 30u);
            EXPECT_TRUE(app_.ask<count_of>(at<crasher_protocol>(path), 60s));
        }
    };
    const auto slowest = [&]() -> const value* {
        const auto told = v.topics.find("nodes");
        if (told == v.topics.end()) return nullptr;
        const auto& turns = list_of(list_of(told->second, "nodes").at(0), "slowest");
        return turns.size() < 2 || number_of(turns[1], "took_ns") < 30'000'000 ? nullptr : &turns[0];
    };
    // Not every turn is measured when some came at once before it: again, until some have been.
    v.until_look([&] {
        if (slowest()) return true;
        block();
        return false;
    });
    EXPECT_TRUE(text_of(*slowest(), "path").starts_with("/app/block")) << text_of(*slowest(), "path");
    // The last of its turn, which may have taken the one behind, too.
    EXPECT_TRUE(text_of(*slowest(), "message").find("::count_") != std::string::npos);
    EXPECT_GE(number_of(*slowest(), "messages"), 1u);
    for (const auto& [path, type, open] : {std::tuple{"/metrics", prometheus_type, false},
                                           std::tuple{"/metrics/openmetrics", openmetrics_type, true}}) {
        figures_read all = read_figures(body_of(port, path, type), open);
        while (all.failure.empty() && sum_of(all, "coppice_handler_seconds_sum") < 0.06) {
            v.next();
            all = read_figures(body_of(port, path, type), open);
        }
        ASSERT_EQ(all.failure, "");
        EXPECT_EQ(all.types.at("coppice_handler_seconds"), "histogram");
        EXPECT_EQ(all.types.at("coppice_ready_delay_seconds"), "histogram");
        const double in_all = sum_of(all, "coppice_handler_seconds_count");
        EXPECT_GE(in_all - sum_of(all, "coppice_handler_seconds_bucket", "le=\"0.016777216\"}"), 2)
            << "two took longer than that";
        EXPECT_EQ(sum_of(all, "coppice_handler_seconds_bucket", "le=\"+Inf\"}"), in_all);
        EXPECT_GE(all.samples.at("coppice_handler_seconds_sum{node=\"app\",scheduler=\"threads\"}"), 0.03);
        EXPECT_GT(sum_of(all, "coppice_ready_delay_seconds_count"), 0);
    }
}

TEST_F(ObserverMetrics, AreUnderstoodByTheReferenceReaderOfOpenMetrics) {
    const std::string python = "/usr/bin/python3";  // another one does not see Debian's packages
    if (::access(python.c_str(), X_OK) != 0) GTEST_SKIP() << "not run: Debian's Python is not installed";
    const std::uint16_t port = observe();
    view v{port};
    v.until([&] { return v.topics.contains("dead_letters"); });
    std::string text;
    while (text.find("coppice_handler_seconds_count") == std::string::npos) {
        v.next();
        text = body_of(port, "/metrics/openmetrics", openmetrics_type);
    }
    const own_directory files;
    std::ofstream{files.path("figures")} << text;
    program reader{{python, "tests/actors/browser/read_openmetrics.py", files.path("figures")}};
    const int code = reader.wait();
    if (code == 77) GTEST_SKIP() << "not run: python3-prometheus-client is not installed; tools/setup";
    EXPECT_EQ(code, 0) << text;
    std::ofstream{files.path("figures")} << text.substr(0, text.find("# EOF"));
    program of_broken{{python, "tests/actors/browser/read_openmetrics.py", files.path("figures")}};
    EXPECT_EQ(of_broken.wait(), 1) << "a text without its end is none";
}

}  // namespace
}  // namespace coppice::tests::observed
