// Deployment files: any text is one or is refused, each line of the error with the file's name, and what was read can
// be applied. The corpus has small files of every section, mistakes, and texts that go deep.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "coppice/deployment.hpp"

namespace {

void expect_lines(const coppice::error& e) {
    if (e != coppice::errc::invalid_argument || e.text().empty()) std::abort();
    for (std::string_view rest = e.text(); !rest.empty();) {
        if (!rest.starts_with("app.toml:")) std::abort();
        const auto end = rest.find('\n');
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace coppice;
    const auto read = parse_deployment({reinterpret_cast<const char*>(data), size}, "app.toml");
    if (!read) {
        expect_lines(read.error());
        return 0;
    }
    if (const auto tree = tree_of(*read); !tree) expect_lines(tree.error());
    supervisor_spec spec;
    spec.add(supervisor("io", supervisor_spec{}));
    if (const auto done = apply(*read, "app", spec); !done) {
        expect_lines(done.error());
        if (spec.children.size() != 1) std::abort();
    } else if (!apply(*read, "app", spec)) {
        std::abort();  // what it made is there the second time
    }
    return 0;
}
