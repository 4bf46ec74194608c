// The log as JSON lines: each record is one object with the same keys, whatever its text holds.
#include <unistd.h>

#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "log_sink.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

using ::testing::ElementsAre;

const std::regex record{
    R"re(\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z","level":"(\w+)","path":"([^"]*)","pid":(\d+),"text":"(([^"\\]|\\.)*)"\})re"};

task<> talks(actor<protocol<>> self) {
    self.log.info("one");
    self.log.warn("two\nlines, \"quoted\" \\ \x1b[31m and \xff");
    self.log.debug("not logged");
    co_return;
}

TEST(LogFormat, JsonIsAnObjectALineWhateverTheTextHolds) {
    const own_directory here;
    {
        node_options o = quiet(1);
        o.log_format = log_format::json;
        o.log_file = here.path("log");
        node app{"app", o};
        supervisor_spec spec;
        spec.add(child("talks", in_coroutine, talks).restarts(restart::temporary).significant());
        EXPECT_EQ(app.run(spec), 0);
    }
    std::ifstream file{here.path("log")};
    std::vector<std::string> texts;
    for (std::string line; std::getline(file, line);) {
        std::smatch parts;
        ASSERT_TRUE(std::regex_match(line, parts, record)) << line;
        if (parts[2] != "/app/talks") continue;
        EXPECT_EQ(parts[3], std::to_string(::getpid()));
        texts.push_back(parts[1].str() + " " + parts[4].str());
    }
    EXPECT_THAT(texts, ElementsAre("info one", R"(warn two\nlines, \"quoted\" \\ \u001b[31m and )"
                                               "\xef\xbf\xbd"));
}

TEST(LogFormat, TimeIsUtcWithMicroseconds) {
    EXPECT_EQ(detail::log_record_as_json(1'795'332'492'031'245'999, level::error, "", 7, ""),
              R"({"time":"2026-11-22T07:28:12.031245Z","level":"error","path":"","pid":7,"text":""})");
}

TEST(LogFormat, AnOptionSaysWhich) {
    std::string words[] = {"app", "--coppice-log-format=xml"};
    char* argv[] = {words[0].data(), words[1].data(), nullptr};
    int argc = 2;
    node app{"app", argc, argv, quiet(1)};
    const auto started = app.start(supervisor_spec{});
    EXPECT_EQ(started.error(), errc::invalid_argument);
    EXPECT_THAT(started.error().what(), ::testing::HasSubstr("expected text or json"));
}

}  // namespace
}  // namespace coppice::tests
