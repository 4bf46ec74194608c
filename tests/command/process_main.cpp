// This test program runs process children of its own tests, too; and, where a test asks for it by COPPICE_TEST_PROGRAM, it is the
// program that a deployment file names: "library", an application, or "plugin", a program for one actor.
#include <cstdlib>
#include <string_view>

#include "command/programs.hpp"
#include "coppice/process.hpp"

int run_other_role(int& argc, char** argv);

int run_other_role(int& argc, char** argv) {
    const char* name = std::getenv("COPPICE_TEST_PROGRAM");
    if (name && name == std::string_view{"library"}) return coppice::tests::library_main(argc, argv);
    if (name && name == std::string_view{"plugin"}) return coppice::tests::plugin_main(argc, argv);
    return coppice::run_if_child(argc, argv).value_or(-1);
}
