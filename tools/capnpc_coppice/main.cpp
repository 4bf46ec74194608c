// capnpc-coppice: reads a request of `capnp compile` from its standard input and writes NAME.coppice.hpp and NAME.md for each
// file that was asked for, below its working directory. All is read and checked before anything is written.
//
//     capnp compile -ocoppice:into math.capnp
#include "model.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>

#include <capnp/serialize.h>
#include <kj/exception.h>

namespace coppice::capnpc {

namespace {

// Of the whole request, in words; a description of a megabyte makes a request of a few. What is larger is damaged.
constexpr std::uint64_t most_words = 64u << 20;

void write(const std::string& path, const std::string& text) {
    const std::filesystem::path where{path};
    for (const auto& part : where)
        if (part == ".." || where.is_absolute())
            throw bad_description{path +
                                  ": leads out of the folder for what is generated; give capnp --src-prefix"};
    if (where.has_parent_path()) std::filesystem::create_directories(where.parent_path());
    std::ofstream out{where, std::ios::binary | std::ios::trunc};
    out << text;
    out.close();
    if (!out) throw bad_description{path + " could not be written: " + std::strerror(errno)};
}

int run() {
    capnp::ReaderOptions limits;
    limits.traversalLimitInWords = most_words;
    capnp::StreamFdMessageReader message{STDIN_FILENO, limits};
    const auto files = read_files(message.getRoot<capnp::schema::CodeGeneratorRequest>());
    for (const file& f : files) {
        write(with_ending(f.path, ".coppice.hpp"), header_of(f));
        write(with_ending(f.path, ".md"), page_of(f));
    }
    return 0;
}

}  // namespace
}  // namespace coppice::capnpc

int main(int argc, char**) {
    if (argc > 1 || isatty(STDIN_FILENO)) {
        std::fputs(
            "capnpc-coppice is called by Cap'n Proto's compiler: capnp compile -ocoppice:FOLDER FILE.capnp\n",
            stderr);
        return 2;
    }
    try {
        return coppice::capnpc::run();
    } catch (const kj::Exception& e) {
        std::fprintf(stderr, "capnpc-coppice: the request is damaged: %s\n", e.getDescription().cStr());
    } catch (const std::exception& e) {
        std::fprintf(stderr, "capnpc-coppice: %s\n", e.what());
    }
    return 1;
}
