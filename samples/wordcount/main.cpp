// wordcount: counts the words of any number of files, exactly, while a saboteur kills its workers. tools/demo runs it and
// holds the result against coreutils. Command line and checks of the input; the actors are in actors.cpp.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/core.h>
#include <unistd.h>

#include <coppice/process.hpp>
#include <coppice/transport/builtin.hpp>

#include "actors.hpp"

namespace {

using namespace wordcount;

constexpr std::string_view usage = R"(Usage: wordcount [OPTION]... [FILE]...
  --files0-from=LIST   also the files named in LIST, each ended by a NUL
  --report=FILE        write the result to FILE too: lines words bytes restarts, then the ten most frequent words
  --count-unprintable  count words without a printable character too, as newer wc do
)";

bool take_list(const std::string& path, std::vector<std::string>& files) {
    std::ifstream list{path, std::ios::binary};
    for (std::string name; std::getline(list, name, '\0');) files.push_back(name);
    return !list.bad() && !files.empty();
}

// Sizes are taken now, for the progress; what the reader finds later is what counts.
bool check_files(settings& with) {
    bool all_good = true;
    for (const std::string& path : with.files) {
        std::error_code failure;
        const bool is_file = std::filesystem::is_regular_file(path, failure);
        if (!failure && is_file && access(path.c_str(), R_OK) == 0) {
            with.total_bytes += std::filesystem::file_size(path, failure);
            if (!failure) continue;
        }
        const std::string why = failure   ? failure.message()
                                : is_file ? "it may not be read"
                                          : "it is not a file";
        fmt::print(stderr, "wordcount: cannot read {}: {}\n", path, why);
        all_good = false;
    }
    return all_good;
}

}  // namespace

int main(int argc, char** argv) {
    register_builtin_transports();
    if (const auto code = run_if_child(argc, argv)) return *code;  // a counter in a process of its own
    node_options options;
    // Hundreds of crashes are the point here, and no news.
    options.levels = {{"/wordcount/counters", level::off}};
    node app{"wordcount", argc, argv, options};  // takes its own options from argv

    settings with;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        constexpr std::string_view list = "--files0-from=";
        constexpr std::string_view report = "--report=";
        if (word.starts_with(list)) {
            if (!take_list(std::string{word.substr(list.size())}, with.files)) {
                fmt::print(stderr, "wordcount: cannot read the list {}, or it is empty\n",
                           word.substr(list.size()));
                return 2;
            }
        } else if (word.starts_with(report)) {
            with.report_file = word.substr(report.size());
        } else if (word == "--count-unprintable") {
            with.count_unprintable = true;
        } else if (word.starts_with("--")) {
            fmt::print(stderr, "wordcount: unknown option {}\n{}", word, usage);
            return 2;
        } else {
            with.files.emplace_back(word);
        }
    }
    if (with.files.empty()) {
        fmt::print(stderr, "{}", usage);
        return 2;
    }
    if (!check_files(with)) return 2;
    with.terminal = isatty(STDOUT_FILENO) == 1;
    // Small inputs are cut small, so that there is something to hand out.
    with.chunk_bytes = std::clamp<std::size_t>(with.total_bytes / 1024, 1, std::size_t{256} * 1024);
    fmt::print("counting the words of {} files, {} bytes, in chunks of at most about {} bytes\n",
               with.files.size(), with.total_bytes, with.chunk_bytes);
    std::fflush(stdout);
    return app.run(tree(std::make_shared<const settings>(std::move(with)), &app));
}
