// What ends when a resource ends: a run directory on a file system that is full, and no more memory to map. Each kind of
// transport says what ran out, leaves nothing behind, and works again once there is some. (Descriptors:
// tests/conformance.)
//
// Each test is a process of its own, in a mount namespace where that is needed; without root those are skipped.
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "coppice/endpoint.hpp"
#include "coppice/transport/pipe.hpp"
#include "coppice/transport/shm.hpp"
#include "coppice/transport/unix.hpp"
#include "support/io_reactor.hpp"
#include "support/own_directory.hpp"
#include "support/processes.hpp"
#include "support/sanitizers.hpp"

namespace coppice::tests {
namespace {

constexpr int skipped = 77;

int failed(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    return 1;
}

std::shared_ptr<const transport> kind_of(const std::string& name) {
    return name == "unix" ? unix_transport() : name == "shm" ? shm_transport() : pipe_transport();
}

// limit_reached, with these words.
bool says(const error& why, const char* words) {
    return why == errc::limit_reached && why.text().find(words) != std::string_view::npos;
}

struct pair_of_links {
    std::unique_ptr<listener> at;
    std::unique_ptr<byte_link> here, there;
    error why;
    bool joined() const { return here && there; }
};

// One attempt to listen and to connect. `why` if it fails.
pair_of_links join(io_reactor& on, const transport& how, const endpoint& where) {
    pair_of_links p;
    auto at = how.listen(on, where, [&p](std::unique_ptr<byte_link> l) { p.there = std::move(l); });
    if (!at) {
        p.why = at.error();
        return p;
    }
    p.at = std::move(*at);
    bool told = false;
    auto trying = how.connect(on, where, [&](result<std::unique_ptr<byte_link>> l) {
        told = true;
        if (l) p.here = std::move(*l);
        else p.why = l.error();
    });
    if (!trying) p.why = trying.error();
    else on.run_until([&] { return told && (!p.here || p.there); });
    p.at.reset();  // its callback leads here
    return p;
}

// KIND, DIRECTORY: on a tmpfs of its own, in which only so many files can be.
int run_full_disk() {
    const std::string in = word("DIRECTORY");
    const auto how = kind_of(word("KIND"));
    const auto where = endpoint::parse(word("KIND") + "://name");
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
        return skipped;
    ::setenv("COPPICE_RUN_DIR", (in + "/run").c_str(), 1);
    bool joined = false;
    int met = 0;
    for (int inodes = 2; inodes < 12 && !joined; ++inodes) {  // the root is one
        const std::string options = "size=64k,mode=0700,nr_inodes=" + std::to_string(inodes);
        if (::mount("coppice-test", in.c_str(), "tmpfs", 0, options.c_str()) != 0) return skipped;
        {
            io_reactor on;
            pair_of_links p = join(on, *how, *where);
            joined = p.joined();
            if (!joined) {
                ++met;
                if (!says(p.why, "No space left on device") &&
                    !(p.why == errc::limit_reached || p.why == errc::io))
                    return failed(std::to_string(inodes) + " inodes: " + p.why.what());
                if (inodes == 2 && !says(p.why, "No space left on device")) return failed(p.why.what());
            }
            on.run_ready();
        }
        if (::umount(in.c_str()) != 0) return failed("something of it is left open");
    }
    if (!joined) return failed("it never joined");
    return met > 0 ? 0 : failed("there was always room");
}
const bool full_disk_role = add_role("full_disk", run_full_disk);

// DIRECTORY: hardly any address space is left for a segment.
int run_no_memory() {
    ::setenv("COPPICE_RUN_DIR", word("DIRECTORY").c_str(), 1);
    const auto how = shm_transport();
    const auto where = endpoint::parse("shm://name?ring=64MiB&max-ring=64MiB");
    if (!where) return failed(where.error().what());
    io_reactor on;
    if (pair_of_links p = join(on, *how, *where); !p.joined()) return failed("at first: " + p.why.what());
    rlimit before{};
    ::getrlimit(RLIMIT_AS, &before);
    std::size_t pages = 0;
    std::ifstream{"/proc/self/statm"} >> pages;
    rlimit low = before;
    low.rlim_cur = pages * 4096 + (std::size_t{32} << 20);
    ::setrlimit(RLIMIT_AS, &low);
    error why;
    {
        const pair_of_links p = join(on, *how, *where);
        if (p.joined()) return failed("there was room");
        why = p.why;
    }
    ::setrlimit(RLIMIT_AS, &before);
    if (!says(why, "Cannot allocate memory")) return failed(why.what());
    const pair_of_links p = join(on, *how, *where);
    return p.joined() ? 0 : failed("afterwards: " + p.why.what());
}
const bool no_memory_role = add_role("no_memory", run_no_memory);

class Exhaustion : public ::testing::TestWithParam<const char*> {
protected:
    const own_directory own;
    const std::string directory = own.path();
};

TEST_P(Exhaustion, OfTheRunDirectorysFileSystemIsToldAndAfterwardsLinksAreMadeAgain) {
    if (::getuid() != 0) GTEST_SKIP() << "needs root, for a mount of its own";
    process there{"full_disk", {{"KIND", GetParam()}, {"DIRECTORY", directory}}};
    const int outcome = there.wait();
    if (outcome == skipped) GTEST_SKIP() << "mounts are not allowed here";
    EXPECT_EQ(outcome, 0);
}

INSTANTIATE_TEST_SUITE_P(Of, Exhaustion, ::testing::Values("unix", "shm", "pipe"),
                         [](const auto& one) { return std::string{one.param}; });

using ShmExhaustion = Exhaustion;
TEST_P(ShmExhaustion, OfAddressSpaceForASegmentIsToldAndAfterwardsLinksAreMadeAgain) {
    if (slow_build) GTEST_SKIP() << "sanitizers take all address space there is";
    process there{"no_memory", {{"DIRECTORY", directory}}};
    EXPECT_EQ(there.wait(), 0);
}
INSTANTIATE_TEST_SUITE_P(Of, ShmExhaustion, ::testing::Values("shm"));

}  // namespace
}  // namespace coppice::tests
