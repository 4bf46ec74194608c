// Places in the code of a program, as another process that runs the same program finds them: address space layout is
// randomised, offsets within the program and its libraries are not.
// No state; any thread.
#pragma once
#include <cstdint>
#include <string>

#include "coppice/error.hpp"

namespace coppice::detail {

struct code_place {
    std::string image;  ///< path of the library; empty: the program itself
    std::string build;  ///< its build id, in hexadecimal; empty: it has none
    std::uint64_t offset = 0;
};

/// Where that code stands. `not_portable` for what is in no loaded image: code that was made at run time.
result<code_place> place_of(const void* code);
/// The code at that place in this process. `not_found` if that image is not loaded here, `wrong_version` if it was built anew,
/// `bad_message` if there is no code at that place.
result<const void*> code_at(const code_place& place);

}  // namespace coppice::detail
