// Option structs of programs that were compiled with another header than the library: sized, and grown at their end.
// Any thread.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <string>

#include "calls.hpp"

namespace coppice::c {

/// The options as this library knows them: what the program's header did not know yet has its default. `older`: the sizes that the
/// struct had in earlier headers. Of a later one it is larger, and what this library does not know must be at its default.
template <class T>
T known(const T* given, std::initializer_list<std::size_t> older = {}) {
    constexpr std::size_t longest = 4096;  // bytes; more is a size that nobody has set
    T all{};
    if (!given) return all;
    const bool fits = given->size >= sizeof(T) && given->size <= longest;
    if (!fits && std::find(older.begin(), older.end(), given->size) == older.end())
        refuse(errc::invalid_argument, "`options.size` is " + std::to_string(given->size) +
                                           ": set the options to zero, and then `size` to their sizeof");
    std::memcpy(static_cast<void*>(&all), given, std::min(given->size, sizeof(T)));
    const auto* bytes = reinterpret_cast<const unsigned char*>(given);
    for (std::size_t i = sizeof(T); i < given->size; ++i)
        if (bytes[i])
            refuse(errc::wrong_version,
                   "`options` sets what this library does not know yet: it is older than the header");
    return all;
}

/// A text that says something.
inline bool has(const char* text) noexcept { return text && *text; }

}  // namespace coppice::c
