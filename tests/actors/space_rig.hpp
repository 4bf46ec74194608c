// What the tests of spaces share: processes in roles that hold, write and own what is in a space, a board that they tell
// on how far they are, and the fixture that counts what is left behind. Roles run a node of their own, as real children do.
#pragma once
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coppice/actors/space.hpp"
#include "coppice/coppice.hpp"
#include "coppice/process.hpp"
#include "coppice/transport/builtin.hpp"
#include "support/leftovers.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"
#include "support/sanitizers.hpp"

namespace coppice::tests::spaces {

using actors::slot_ptr;
using actors::slot_report;
using actors::space;
using ::testing::HasSubstr;

/// In memory that the test and its processes share.
struct board {
    std::atomic<std::uint64_t> ready;   // processes that are where the test wants them
    std::atomic<std::uint64_t> go;      // the test's word to go on
    std::atomic<std::uint64_t> writes;  // whole ones
    std::atomic<std::uint64_t> repairs;
    std::atomic<std::uint64_t> cycles;
    std::atomic<std::uint64_t> wrong;
    slot_ptr<std::uint64_t> numbers;  // written before any process is started
};

inline void complain(board& b, const std::string& what) {
    if (++b.wrong <= 5) std::fprintf(stderr, "%d: %s\n", ::getpid(), what.c_str());
}

/// A node in this process, and a script in it.
template <class F, class... A>
int run_script(F script, A... arguments) {
    node here{"role", quiet(1)};
    if (!here.start({})) return 1;
    play(here, script, arguments...);
    return ::testing::Test::HasFailure() ? 1 : 0;
}

/// Of a role: the slot of that name, in the space of that name; ends the process if there is none.
inline actors::slot open_or_end(const std::string& in, const std::string& name) {
    auto opened = space::open(in);
    auto found = opened ? opened->open_slot(name) : result<actors::slot>{opened.error()};
    if (found) return *std::move(found);
    std::fprintf(stderr, "%d: %s\n", ::getpid(), found.error().what().c_str());
    std::_Exit(95);
}

/// A directory of the test's own in memory: on a disk, thousands of files take their time.
class memory_directory {
public:
    memory_directory() {
        if (!::mkdtemp(path_.data())) std::abort();
    }
    ~memory_directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    memory_directory(const memory_directory&) = delete;
    memory_directory& operator=(const memory_directory&) = delete;
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::vector<std::string> files(const std::string& below) const {
        return names_in(path_ + "/" + below);
    }
    static std::vector<std::string> names_in(const std::string& directory) {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator{directory})
            names.push_back(entry.path().filename().string());
        return names;
    }

private:
    std::string path_ = "/dev/shm/coppice-test-XXXXXX";
};

/// One that is COPPICE_RUN_DIR for as long as it lives.
class memory_run_directory : public memory_directory {
public:
    memory_run_directory() { ::setenv("COPPICE_RUN_DIR", path().c_str(), 1); }
    ~memory_run_directory() {
        EXPECT_TRUE(names_in(path()).empty()) << "left behind: " << names_in(path()).front();
        ::setenv("COPPICE_RUN_DIR", before_.c_str(), 1);
    }

private:
    std::string before_ = std::getenv("COPPICE_RUN_DIR");
};

class Space : public ::testing::Test {
protected:
    void TearDown() override { left_.check(); }
    /// What it opens is told to it by words: SPACE, and SLOT.
    [[nodiscard]] process start(const std::string& role, const std::string& name,
                                const std::string& slot = {}) const {
        return process{role, {{"SPACE", name}, {"SLOT", slot}, {"BOARD", board_.handle()}}};
    }
    void await_ready(std::uint64_t count) {
        await_that([&] { return board_->ready >= count; });
    }
    [[nodiscard]] std::string path_of(const std::string& name) const {
        return left_.run_directory().path(name + ".space");
    }
    [[nodiscard]] std::vector<std::string> files_of(const std::string& name) const {
        return memory_directory::names_in(path_of(name));
    }
    shared<board> board_;  // before what counts descriptors
    leftovers left_;
};

}  // namespace coppice::tests::spaces
