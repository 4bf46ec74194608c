// capnpc-coppice as Cap'n Proto's compiler calls it: the text that it makes, byte by byte, and what it refuses and how.
// COPPICE_UPDATE_GENERATED=1 writes the expected texts anew.
#include <stdlib.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "support/own_directory.hpp"

namespace coppice::tests {
namespace {

const std::filesystem::path sources = COPPICE_SOURCES;

std::string text_of(const std::filesystem::path& file) {
    std::ifstream in{file, std::ios::binary};
    EXPECT_TRUE(in) << file;
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

struct outcome {
    int status = -1;
    std::string said;  // on both outputs
};
outcome run(const std::string& command) {
    outcome seen;
    FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    if (!pipe) return seen;
    std::array<char, 4096> some{};
    while (const std::size_t n = std::fread(some.data(), 1, some.size(), pipe))
        seen.said.append(some.data(), n);
    const int status = ::pclose(pipe);
    seen.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return seen;
}

// The compiler on files of `from`, into `to`.
outcome compile(const std::string& from, const std::string& to, const std::string& files) {
    return run("cd '" + from + "' && '" COPPICE_CAPNP "' compile '-o" COPPICE_CAPNPC ":" + to + "' '-I" +
               (sources / "schemas").string() + "' " + files);
}

class Capnpc : public ::testing::Test {
protected:
    // A description in which this stands behind the usual beginning.
    outcome describe(const std::string& text) {
        std::ofstream{own_.path("bad.capnp")} << "@0xfa787fb40a2e912c;\n"
                                                 "using Coppice = import \"/coppice/service.capnp\";\n"
                                              << text;
        return compile(own_.path(), own_.path(), "bad.capnp");
    }
    void expect_refused(const std::string& description, const std::string& where, const std::string& what) {
        const outcome seen = describe(description);
        EXPECT_NE(seen.status, 0) << description;
        EXPECT_NE(seen.said.find("capnpc-coppice: bad.capnp: " + where), std::string::npos) << seen.said;
        EXPECT_NE(seen.said.find(what), std::string::npos) << seen.said;
        EXPECT_FALSE(std::filesystem::exists(own_.path("bad.coppice.hpp"))) << "nothing half is left";
    }
    // The path of what the compiler says to its plug-ins of the sample's description.
    std::string request_for_math() {
        std::string path = own_.path("request");
        const outcome seen = run("cd '" + (sources / "samples/24_service").string() +
                                 "' && '" COPPICE_CAPNP "' compile -o- '-I" + (sources / "schemas").string() +
                                 "' math.capnp > '" + path + "'");
        EXPECT_EQ(seen.status, 0) << seen.said;
        return path;
    }
    const own_directory own_;
};

TEST_F(Capnpc, S13_TheGeneratedTextsAreThoseThatWereReviewed) {
    const outcome made =
        compile((sources / "samples/24_service").string(), own_.path(), "math.capnp shapes.capnp");
    ASSERT_EQ(made.status, 0) << made.said;
    for (const char* name : {"math.coppice.hpp", "math.md", "shapes.coppice.hpp", "shapes.md"}) {
        const auto kept = sources / "tests/actors/generated" / (std::string{name} + ".expected");
        if (::getenv("COPPICE_UPDATE_GENERATED")) {
            std::filesystem::create_directories(kept.parent_path());
            std::filesystem::copy_file(own_.path(name), kept,
                                       std::filesystem::copy_options::overwrite_existing);
        }
        EXPECT_EQ(text_of(own_.path(name)), text_of(kept));
    }
}

TEST_F(Capnpc, RefusesAUnionByTheNameOfItsStruct) {
    expect_refused("struct A { union { b @0 :Bool; c @1 :Int32; } }", "A:", "union");
}
TEST_F(Capnpc, RefusesAGroupByTheNameOfItsField) {
    expect_refused("struct A { x @0 :Bool; both :group { b @1 :Bool; c @2 :Int32; } }", "A.both:", "group");
}
TEST_F(Capnpc, RefusesGenericsWhereTheyAreMadeAndWhereTheyAreUsed) {
    expect_refused("struct A(T) { x @0 :T; }", "A:", "generic");
    expect_refused("interface I(T) { f @0 (x :T); }", "I:", "generic");
    expect_refused("interface I { f @0 [T] (x :T) -> (); }", "I.f:", "type parameters");
}
TEST_F(Capnpc, RefusesAnyPointerAndInterfacesAsValues) {
    expect_refused("struct A { x @0 :AnyPointer; }", "A.x:", "AnyPointer");
    expect_refused("interface I { f @0 (x :List(I)); }", "I.f.x:", "interface as a value");
    expect_refused("interface I { f @0 () -> (who :I); }", "I.f -> .who:", "interface as a value");
}
TEST_F(Capnpc, RefusesAStructThatHoldsItself) {
    expect_refused("struct A { x @0 :List(B); }  struct B { y @0 :A; }", "", "holds itself");
}
TEST_F(Capnpc, RefusesMoreFieldsThanAMessageHas) {
    std::string fields;
    for (int n = 0; n < 65; ++n) fields += " f" + std::to_string(n) + " @" + std::to_string(n) + " :Bool;";
    expect_refused("struct A {" + fields + " }", "A:", "more than 64 fields");
}
TEST_F(Capnpc, RefusesResultsThatNobodyWouldGet) {
    expect_refused("interface I { f @0 () -> (x :Bool) $Coppice.notification; }", "I.f:", "$notification");
    expect_refused("interface I { f @0 () -> (x :Bool) $Coppice.oneWay; }", "I.f:", "$oneWay");
    expect_refused("interface I { f @0 () $Coppice.oneWay $Coppice.notification; }",
                   "I.f:", "$notification and $oneWay");
}
TEST_F(Capnpc, RefusesInterfacesThatExtendOthers) {
    expect_refused("interface I {} interface J extends(I) {}", "J:", "extends");
}
TEST_F(Capnpc, RefusesNamesThatMeetInCxx) {
    expect_refused("struct Ab { x @0 :C; struct C {} } struct AbC {}", "", "rename one");
    expect_refused("interface I { sum @0 () -> (x :Bool); sumResults @1 (); }",
                   "I.sumResults:", "rename one");
}
TEST_F(Capnpc, RefusesADefaultThatCxxWouldNotHave) {
    expect_refused("struct A { x @0 :List(Int32) = [1, 2]; }", "A.x:", "default");
}
TEST_F(Capnpc, RefusesANamespaceThatIsNone) {
    expect_refused("$Coppice.namespace(\"a::\");", "", "is no C++ namespace");
    expect_refused("$Coppice.namespace(\"x { evil\");", "", "is no C++ namespace");
    expect_refused("$Coppice.namespace(\"std\");", "", "is no C++ namespace");
}

TEST_F(Capnpc, RefusesARequestThatIsCutOffOrIsNone) {
    const std::string good = request_for_math();
    const auto size = std::filesystem::file_size(good);
    for (std::uintmax_t cut = 0; cut < size; cut += 1 + size / 40) {
        const outcome seen = run("cd '" + own_.path() + "' && head -c " + std::to_string(cut) +
                                 " request | '" COPPICE_CAPNPC "'");
        EXPECT_EQ(seen.status, 1) << cut << ": " << seen.said;
        EXPECT_NE(seen.said.find("capnpc-coppice: "), std::string::npos) << cut << ": " << seen.said;
    }
    EXPECT_EQ(run("cd '" + own_.path() + "' && head -c 100000 /dev/zero | '" COPPICE_CAPNPC "'").status, 1);
    EXPECT_EQ(run("'" COPPICE_CAPNPC "' --help < /dev/null").status, 2);
}

// Each byte of a request changed in turn: a refusal or a result, never a crash.
TEST_F(Capnpc, SurvivesARequestWithDamagedBytes) {
    const std::string good = request_for_math();
    const std::string bytes = text_of(good);
    for (std::size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 150) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
        std::ofstream{own_.path("damaged"), std::ios::binary} << damaged;
        const outcome seen = run("cd '" + own_.path() + "' && '" COPPICE_CAPNPC "' < damaged");
        EXPECT_TRUE(seen.status == 0 || seen.status == 1) << at << ": " << seen.said;
    }
}

}  // namespace
}  // namespace coppice::tests
