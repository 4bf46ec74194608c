// This test program runs process children of its own tests, too: as the same program, and as another one.
#include "process_actors.hpp"

int run_other_role(int& argc, char** argv);

int run_other_role(int& argc, char** argv) {
    using namespace coppice::tests::carried;
    if (argc > 1 && argv[1] == as_program)
        return coppice::run_as_child(argc, argv, program_actor,
                                     std::vector<std::string>{argv + 2, argv + argc});
    return coppice::run_if_child(argc, argv).value_or(-1);
}
