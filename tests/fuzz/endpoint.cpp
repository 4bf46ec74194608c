// Endpoints as users and deployment files write them: any text is one or is refused with a reason, and one that is taken
// is the same after it was written and read again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "coppice/endpoint.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace coppice;
    const auto read = endpoint::parse({reinterpret_cast<const char*>(data), size});
    if (!read) {
        if (read.error() != errc::invalid_argument || read.error().text().empty()) std::abort();
        return 0;
    }
    const std::string written = read->to_string();
    const auto again = endpoint::parse(written);
    // Escaping can make a text longer than an endpoint may be.
    if (!again && written.size() <= 4096) std::abort();
    if (again && (*again != *read || again->to_string() != written)) std::abort();
    for (const auto& [name, text] : read->options) {
        static_cast<void>(read->bytes(name, 0));
        static_cast<void>(read->number(name, 0));
        static_cast<void>(read->one_of(name, "off", {"off", "header", "all"}));
    }
    static_cast<void>(read->only({"ring", "checksum"}));
    return 0;
}
