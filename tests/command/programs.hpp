// Programs that deployment files of tests name: this test program again, told by COPPICE_TEST_PROGRAM which of them to be.
#pragma once
#include <filesystem>
#include <string>

namespace coppice::tests {

/// What files name as their program.
inline std::string this_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }
/// An application: a supervisor `shelf` with the actors `left` and `right`, and `desk`.
int library_main(int& argc, char** argv);
/// A program for one actor, which counts: `add`, `get`.
int plugin_main(int& argc, char** argv);

}  // namespace coppice::tests
