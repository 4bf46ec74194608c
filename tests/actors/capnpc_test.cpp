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
    outcome describe(const std::string& text, const std::string& files = "bad.capnp") {
        std::ofstream{own_.path("bad.capnp")} << "@0xfa787fb40a2e912c;\n"
                                                 "using Coppice = import \"/coppice/service.capnp\";\n"
                                              << text;
        return compile(own_.path(), own_.path(), files);
    }
    std::string header_of(const std::string& description) {
        const outcome seen = describe(description);
        EXPECT_EQ(seen.status, 0) << seen.said;
        return text_of(own_.path("bad.coppice.hpp"));
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

TEST_F(Capnpc, NamesThatAreMacrosOrWordsOfGnusCxxGetAnUnderscore) {
    const std::string made =
        header_of("$Coppice.namespace(\"demo\"); enum E { linux @0; unix @1; errno @2; typeof @3; }"
                  " interface I { assert @0 (offsetof :Bool); }");
    for (const char* name :
         {"linux_ = 0", "unix_ = 1", "errno_ = 2", "typeof_ = 3", "task<> assert_(", "bool offsetof_ ="})
        EXPECT_NE(made.find(name), std::string::npos) << name;
}
TEST_F(Capnpc, AParameterDoesNotShadowATypeOfTheGeneratedCode) {
    const std::string made =
        header_of("$Coppice.namespace(\"demo\"); interface I { f @0 (server :Bool, requests :Bool); }");
    EXPECT_NE(made.find("auto f(bool server_, bool requests_, "), std::string::npos) << made;
    EXPECT_NE(made.find("bool server = false;"), std::string::npos) << made;
}
TEST_F(Capnpc, ATextIsWholeInCodeAndOnThePageWhateverItHolds) {
    const std::string made = header_of(
        "$Coppice.namespace(\"demo\"); struct A { a @0 :Text = \"a\\x00b\"; b @1 :Text = \"a::b\\n<`|\"; }"
        " interface I { f @0 () $Coppice.deprecated(\"use \\\"\\xc3\\xa9\\\"\\n?\"); }");
    EXPECT_NE(made.find("a = std::string(\"a\\000b\", 3);"), std::string::npos) << made;
    // Attributes have no numbered escapes.
    EXPECT_NE(made.find("[[deprecated(\"use \\\"\xc3\xa9\\\" \\?\")]]"), std::string::npos) << made;
    const std::string page = text_of(own_.path("bad.md"));
    EXPECT_NE(page.find("| `\"a\\x00b\"` |"), std::string::npos) << page;
    EXPECT_NE(page.find("| ``\"a::b\\n<`\\|\"`` |"), std::string::npos) << page;
}
TEST_F(Capnpc, ACommentStaysOneWhateverItsLinesEndIn) {
    const std::string made = header_of("$Coppice.namespace(\"demo\");\nstruct A {\n  # one \\\t\r\n  # "
                                       "two\rthree\n  # four?\?/\n  x @0 :Bool;\n}\n");
    EXPECT_EQ(made.find('\r'), std::string::npos) << made;
    EXPECT_EQ(made.find("\\ \n"), std::string::npos) << made;
    EXPECT_NE(made.find("/// one \\."), std::string::npos) << made;
    EXPECT_EQ(made.find("?/\n"), std::string::npos) << made;
}
TEST_F(Capnpc, IncludesAnImportedFileByItsPathFromWhereNamesBegin) {
    std::filesystem::create_directories(own_.path("near/by"));
    std::ofstream{own_.path("near/far.capnp")} << "@0xfa787fb40a2e912a; struct Far { x @0 :Bool; }";
    std::ofstream{own_.path("near/by/beside.capnp")}
        << "@0xfa787fb40a2e912b; using F = import \"../far.capnp\";"
           " struct Given { far @0 :F.Far; }";
    // A type of the third file comes by way of the second: as a parameter, since those of `Given` are taken over.
    std::ofstream{own_.path("near/by/top.capnp")} << "@0xfa787fb40a2e912c; using B = import \"beside.capnp\";"
                                                     " interface I { f @0 B.Given -> B.Given; }";
    const outcome seen = compile(own_.path(), own_.path(), "near/by/top.capnp");
    ASSERT_EQ(seen.status, 0) << seen.said;
    const std::string made = text_of(own_.path("near/by/top.coppice.hpp"));
    EXPECT_NE(made.find("#include \"near/far.coppice.hpp\""), std::string::npos) << made;
    EXPECT_NE(made.find("#include \"near/by/beside.coppice.hpp\""), std::string::npos) << made;
}
TEST_F(Capnpc, TakesAStructOfAFileWhoseNameEndsAsThatOfStreams) {
    expect_refused("interface I { f @0 () -> stream; }", "I.f:", "stream");
    std::ofstream{own_.path("upstream.capnp")} << "@0xfa787fb40a2e912b; struct Water { cold @0 :Bool; }";
    const std::string made = header_of(
        "$Coppice.namespace(\"demo\"); interface I { f @0 () -> import \"upstream.capnp\".Water; }");
    EXPECT_NE(made.find("using reply = ::upstream::Water;"), std::string::npos) << made;
}
TEST_F(Capnpc, RefusesFilesWhoseTypesHoldEachOthers) {
    std::ofstream{own_.path("other.capnp")}
        << "@0xfa787fb40a2e912b; using B = import \"bad.capnp\"; struct C { x @0 :B.A; }";
    const outcome seen = describe("struct A { x @0 :Bool; } struct D { x @0 :import \"other.capnp\".C; }",
                                  "bad.capnp other.capnp");
    EXPECT_NE(seen.status, 0);
    EXPECT_NE(seen.said.find("into a file of its own"), std::string::npos) << seen.said;
}
TEST_F(Capnpc, RefusesOneNameInTwoFilesOfANamespace) {
    std::ofstream{own_.path("other.capnp")}
        << "@0xfa787fb40a2e912b; using Coppice = import \"/coppice/service.capnp\";"
           " $Coppice.namespace(\"demo\"); struct A { x @0 :Bool; }";
    const std::string files = "bad.capnp other.capnp";
    const outcome seen = describe("$Coppice.namespace(\"demo\"); struct A { x @0 :Int8; }", files);
    EXPECT_NE(seen.status, 0);
    EXPECT_NE(seen.said.find("demo::A is one of bad.capnp, too"), std::string::npos) << seen.said;
    EXPECT_EQ(describe("$Coppice.namespace(\"demo\"); struct B { x @0 :Int8; }", files).status, 0);
    EXPECT_EQ(describe("struct B { x @0 :Int8; }", "bad.capnp bad.capnp").status, 0)
        << "a file that is given twice";
}

TEST_F(Capnpc, RefusesAUnionByTheNameOfItsStruct) {
    expect_refused("struct A { union { b @0 :Bool; c @1 :Int32; } }", "A:", "union");
    expect_refused("struct A { b :union { c @0 :Bool; d @1 :Int32; } }", "A.b:", "union");
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
    expect_refused("struct A { x @0 :AnyStruct; }", "A.x:", "AnyStruct");
    expect_refused("struct A { x @0 :List(AnyList); }", "A.x:", "AnyList");
    expect_refused("struct A { x @0 :Capability; }", "A.x:", "Capability");
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
TEST_F(Capnpc, RefusesMoreEndpointsThanACompilerTakes) {
    std::string requests;
    for (int n = 0; n < 101; ++n) requests += " f" + std::to_string(n) + " @" + std::to_string(n) + " ();";
    expect_refused("interface I {" + requests + " }", "I:", "more than 100 requests");
    std::string notifications;
    for (int n = 0; n < 101; ++n)
        notifications += " f" + std::to_string(n) + " @" + std::to_string(n) + " () $Coppice.notification;";
    expect_refused("interface I {" + notifications + " }", "I:", "more than 100 notifications");
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
    expect_refused("interface HTTP {} interface Http {}", "Http:", "namespace http");
    expect_refused("struct A { interface B {} } interface AB {}", "AB:", "rename one");
}
TEST_F(Capnpc, RefusesADefaultThatCxxWouldNotHave) {
    expect_refused("struct A { x @0 :List(Int32) = [1, 2]; }", "A.x:", "default");
}
TEST_F(Capnpc, RefusesANamespaceThatIsNone) {
    expect_refused("$Coppice.namespace(\"a::\");", "", "is no C++ namespace");
    expect_refused("$Coppice.namespace(\"x { evil\");", "", "is no C++ namespace");
    expect_refused("$Coppice.namespace(\"std\");", "", "is no C++ namespace");
    expect_refused("$Coppice.namespace(\"linux\");", "", "is no C++ namespace");
    expect_refused("$Coppice.namespace(\"_A\");", "", "is no C++ namespace");
    expect_refused("$Coppice.namespace(\"time::x\");", "", "function of C");
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

// ---------------------------------------------------------------- coppice_generate()

// A project that includes the function as an installed package does, in a folder with a blank.
class CapnpcInCmake : public Capnpc {
protected:
    CapnpcInCmake() {
        std::filesystem::create_directories(at("shared/deep"));
        write("CMakeLists.txt",
              "cmake_minimum_required(VERSION 3.25)\n"
              "project(outside LANGUAGES NONE)\n"
              "add_executable(Coppice::capnpc IMPORTED)\n"
              "set_target_properties(Coppice::capnpc PROPERTIES IMPORTED_LOCATION \"" COPPICE_CAPNPC "\")\n"
              "set(COPPICE_SCHEMA_DIR \"" COPPICE_SOURCES "/schemas\")\n"
              "set(CAPNP_EXECUTABLE \"" COPPICE_CAPNP "\")\n"
              "include(\"" COPPICE_SOURCES "/framework/cmake/generate.cmake\")\n"
              "unset(COPPICE_SCHEMA_DIR)\n"
              "add_library(service INTERFACE)\n"
              "coppice_generate(TARGET service SCHEMAS main.capnp main.capnp IMPORTS shared)\n");
        write("main.capnp", "@0xfa787fb40a2e912c; using Coppice = import \"/coppice/service.capnp\";\n"
                            "using Given = import \"/given.capnp\"; $Coppice.namespace(\"demo\");\n"
                            "interface I { f @0 Given.Parameters -> (); }\n");
        write("shared/given.capnp", "@0xfa787fb40a2e912d; using Deep = import \"deep/colour.capnp\";\n"
                                    "struct Parameters { x @0 :Deep.Colour = red; }\n");
        write("shared/deep/colour.capnp", "@0xfa787fb40a2e912e; enum Colour { red @0; }\n");
    }
    [[nodiscard]] std::string at(const std::string& name) const { return own_.path("a project/" + name); }
    // Newer than what was made, as the build tool sees it: times of files stand still for some milliseconds.
    void write(const std::string& name, const std::string& text) const {
        do std::ofstream{at(name)} << text;
        while (std::filesystem::exists(made()) &&
               std::filesystem::last_write_time(at(name)) <= std::filesystem::last_write_time(made()));
    }
    [[nodiscard]] std::string made() const { return at("build/service_services/main.coppice.hpp"); }
    [[nodiscard]] outcome configure() const {
        return run("'" COPPICE_CMAKE "' -G '" COPPICE_GENERATOR "' -S '" + at("") + "' -B '" + at("build") +
                   "'");
    }
    [[nodiscard]] std::string build() const {
        const outcome seen = run("'" COPPICE_CMAKE "' --build '" + at("build") + "'");
        EXPECT_EQ(seen.status, 0) << seen.said;
        return text_of(made());
    }
};

TEST_F(CapnpcInCmake, MakesAnewWhatImportsAFileThatHasChangedHoweverFarAway) {
    const outcome seen = configure();
    ASSERT_EQ(seen.status, 0) << seen.said;
    EXPECT_NE(build().find("::colour::Colour x = ::colour::Colour::red"), std::string::npos);
    write("shared/deep/colour.capnp",
          "@0xfa787fb40a2e912e; $import \"/coppice/service.capnp\".namespace(\"tint\"); enum Colour { red "
          "@0; }\n");
    EXPECT_NE(build().find("::tint::Colour x = ::tint::Colour::red"), std::string::npos);
    // An import that is new is known at once, and so is a change of it.
    write("main.capnp",
          "@0xfa787fb40a2e912c; using Other = import \"other.capnp\"; interface I { f @0 Other.P -> (); }\n");
    write("other.capnp", "@0xfa787fb40a2e912f; struct P { formerly @0 :Bool; }\n");
    EXPECT_NE(build().find("bool formerly"), std::string::npos);
    write("other.capnp", "@0xfa787fb40a2e912f; struct P { lately @0 :Bool; }\n");
    EXPECT_NE(build().find("bool lately"), std::string::npos);
}

TEST_F(CapnpcInCmake, SaysSoIfThereIsNoSuchTarget) {
    std::ofstream{at("CMakeLists.txt"), std::ios::app}
        << "coppice_generate(TARGET servise SCHEMAS main.capnp)\n";
    const outcome seen = configure();
    EXPECT_NE(seen.status, 0);
    EXPECT_NE(seen.said.find("no target servise"), std::string::npos) << seen.said;
}

}  // namespace
}  // namespace coppice::tests
