// What an agent's list allows: each request is judged by program, arguments, variables and directory, and all that is not allowed is
// refused, whatever is done with links and dots.
#include "process/agent_list.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>

#include "support/own_directory.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

using detail::agent_list;
using detail::process_request;
using ::testing::HasSubstr;

class AgentList : public ::testing::Test {
protected:
    AgentList() {
        for (const char* name : {"vision", "other"}) std::ofstream{place_.path(name)} << "a program\n";
        std::filesystem::create_directory(place_.path("data"));
    }
    [[nodiscard]] std::string path(const std::string& name) const { return place_.path(name); }
    static errc judged(const agent_options& o, const process_request& r, const std::string& says = {}) {
        const auto done = agent_list{o}.judge(r);
        EXPECT_THAT(done.error().what(), HasSubstr(says));
        return done.error().code();
    }
    own_directory place_;
};

TEST_F(AgentList, AllowsNothingByDefault) {
    EXPECT_EQ(judged({}, {path("vision"), {}, {}, {}}, "--allow"), errc::denied);
    EXPECT_EQ(judged({}, {"", {}, {}, {}}, "own program"), errc::denied);
}

TEST_F(AgentList, GivesTheProgramByThePathThatWasAllowedWithoutLinks) {
    std::filesystem::create_symlink(path("vision"), path("listed"));
    std::filesystem::create_symlink(path("vision"), path("unlisted"));
    const agent_options o{.programs = {path("listed")}};
    const agent_list list{o};
    for (const std::string& asked : {path("listed"), path("vision"), std::string{"listed"}}) {
        const auto done = list.judge({asked, {"any"}, {}, {}});
        ASSERT_TRUE(done) << asked << ": " << done.error().what();
        EXPECT_EQ(done->program, path("vision"));
    }
    for (const std::string& asked : {path("unlisted"), path("data/../vision"), path(".") + "/vision",
                                     std::string{"vision"}, std::string{"./listed"}, path("listed") + "/"})
        EXPECT_EQ(judged(o, {asked, {}, {}, {}}), errc::denied) << asked;
}

TEST_F(AgentList, IsNotLedAstrayByALinkThatIsPutInThePlaceOfAnAllowedProgram) {
    const agent_options o{.programs = {path("vision")}};
    const agent_list list{o};
    std::filesystem::remove(path("vision"));
    std::filesystem::create_symlink(path("other"), path("vision"));
    const auto done = list.judge({path("vision"), {}, {}, {}});
    EXPECT_EQ(done.error().code(), errc::denied);
    EXPECT_THAT(done.error().what(), HasSubstr("has become a symbolic link"));
}

TEST_F(AgentList, HoldsAProgramToItsArgumentsIfItSaysThem) {
    const agent_options o{.programs = {{path("vision"), {"--camera", "0"}}, {path("vision"), {"--help"}}}};
    for (const std::vector<std::string>& right : {std::vector<std::string>{"--camera", "0"}, {"--help"}})
        EXPECT_EQ(judged(o, {path("vision"), right, {}, {}}), errc::ok);
    for (const std::vector<std::string>& wrong :
         {std::vector<std::string>{}, {"--camera"}, {"--camera", "0", "x"}})
        EXPECT_EQ(judged(o, {path("vision"), wrong, {}, {}}, "with these arguments"), errc::denied);
}

TEST_F(AgentList, DoesNotGuessWhichOfTwoProgramsANameMeans) {
    std::filesystem::create_directory(path("data/bin"));
    std::ofstream{path("data/bin/vision")} << "another\n";
    const agent_options o{.programs = {path("vision"), path("data/bin/vision")}};
    EXPECT_EQ(judged(o, {"vision", {}, {}, {}}, "two programs of its list"), errc::denied);
    EXPECT_EQ(judged(o, {path("data/bin/vision"), {}, {}, {}}), errc::ok);
}

TEST_F(AgentList, LetsNobodySetWhatDecidesWhatAProgramLoadsOrRuns) {
    const agent_options o{.programs = {path("vision")}, .environment = {"CAMERA"}};
    const auto with = [&](const char* name) { return judged(o, {path("vision"), {}, {{name, "x"}}, {}}); };
    EXPECT_EQ(with("CAMERA"), errc::ok);
    for (const char* name : {"CAMERAS", "camera", "", "LD_PRELOAD", "LD_LIBRARY_PATH", "PATH", "BASH_ENV",
                             "PYTHONPATH", "GCONV_PATH", "COPPICE_CHANNEL", "COPPICE_PARENT"})
        EXPECT_EQ(with(name), errc::denied) << name;
    for (const char* name : {"LD_PRELOAD", "PATH", "COPPICE_PARENT", "A=B", ""}) {
        const agent_options wrong{.environment = {name}};
        EXPECT_EQ(agent_list{wrong}.check().error().code(), errc::invalid_argument) << name;
    }
}

TEST_F(AgentList, KeepsWorkingDirectoriesWithinTheOneThatItNames) {
    std::filesystem::create_directory(path("data/in"));
    std::filesystem::create_directory(path("data-beside"));
    std::filesystem::create_symlink(path("data-beside"), path("data/out"));
    const agent_options o{.programs = {path("vision")}, .directory = path("data")};
    const auto in = [&](const std::string& directory) {
        return judged(o, {path("vision"), {}, {}, directory});
    };
    const agent_list list{o};
    const auto none = list.judge({path("vision"), {}, {}, {}});
    ASSERT_TRUE(none);
    EXPECT_EQ(none->directory, path("data"));
    EXPECT_EQ(in(path("data")), errc::ok);
    EXPECT_EQ(in(path("data/in")), errc::ok);
    for (const char* outside : {"data-beside", "data/out", "data/..", "data/in/../.."})
        EXPECT_EQ(in(path(outside)), errc::denied) << outside;
    EXPECT_EQ(in("data"), errc::invalid_argument);
    const agent_options no_directory{.programs = {path("vision")}};
    EXPECT_EQ(judged(no_directory, {path("vision"), {}, {}, path("data")}, "--directory"), errc::denied);
}

TEST_F(AgentList, SaysWhatIsWrongWithItself) {
    const agent_options relative{.programs = {"bin/vision"}};
    EXPECT_EQ(agent_list{relative}.check().error().code(), errc::invalid_argument);
    const agent_options nowhere{.directory = path("none")};
    EXPECT_EQ(agent_list{nowhere}.check().error().code(), errc::not_found);
    const agent_options file{.directory = path("vision")};
    EXPECT_EQ(agent_list{file}.check().error().code(), errc::not_found);
    std::filesystem::create_symlink(path("b"), path("a"));
    std::filesystem::create_symlink(path("a"), path("b"));
    const agent_options loop{.programs = {path("a")}};
    EXPECT_EQ(agent_list{loop}.check().error().code(), errc::invalid_argument);
    const agent_options later{.programs = {path("not-installed-yet")}};
    EXPECT_TRUE(agent_list{later}.check());
}

}  // namespace
}  // namespace coppice::tests
