// This test program runs process children of its own tests, too.
#include "coppice/process.hpp"

int run_other_role(int& argc, char** argv);

int run_other_role(int& argc, char** argv) { return coppice::run_if_child(argc, argv).value_or(-1); }
