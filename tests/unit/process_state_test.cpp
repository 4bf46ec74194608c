// What is said of a process whose threads end one by one.
#include "process_state.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include <gtest/gtest.h>

#include "support/processes.hpp"

namespace coppice::tests {
namespace {

using coppice::detail::process_ended;
using coppice::detail::state_of_process;

// Its first thread ends, another one goes on until it is killed.
int run_without_first_thread() {
    std::thread{[] {
        for (;;) ::pause();
    }}.detach();
    ::syscall(SYS_exit, 0);  // of this thread alone
    return 1;
}
const bool role = add_role("without_first_thread", run_without_first_thread);

TEST(ProcessState, SaysEndedOnlyWhenAllThreadsHaveEnded) {
    process other{"without_first_thread", {}};
    const auto pid = static_cast<std::uint32_t>(other.id());
    await_that([&] { return state_of_process(pid) == 'Z'; });
    EXPECT_FALSE(process_ended(pid)) << "only its first thread has";
    ::kill(other.id(), SIGKILL);
    await_that([&] { return process_ended(pid); });
    EXPECT_EQ(state_of_process(pid), 'Z') << "nobody has reaped it";
    other.end_at_once();
    EXPECT_EQ(state_of_process(pid), 'X');
    EXPECT_TRUE(process_ended(pid));
}

TEST(ProcessState, OfARunningOneAndOfItself) {
    EXPECT_FALSE(process_ended(static_cast<std::uint32_t>(::getpid())));
    EXPECT_EQ(state_of_process(static_cast<std::uint32_t>(::getpid())), 'R');
}

}  // namespace
}  // namespace coppice::tests
