// What a process that was killed left of the place where its children linked to it.
// The test holds its lock, as a process does that the killed one was just starting.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <string>

#include "coppice/transport/builtin.hpp"
#include "net/router.hpp"
#include "node_core.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

class ChildrensPlaces : public ::testing::TestWithParam<const char*> {
protected:
    ChildrensPlaces() { register_builtin_transports(); }
    void on_home(std::function<void(net::router&)> f) {
        std::promise<void> done;
        coppice::detail::post_control(node_.core().index_list.front()->index,
                                      [&](coppice::detail::scheduler& s) {
                                          f(*s.node->open_network());
                                          done.set_value();
                                      });
        done.get_future().wait();
    }
    own_run_directory directory_;
    node node_{"app", quiet(1)};
};
INSTANTIATE_TEST_SUITE_P(Over, ChildrensPlaces, ::testing::Values("unix", "pipe"),
                         [](const auto& of) { return std::string{of.param}; });

TEST_P(ChildrensPlaces, AreClearedOnceNobodyHasTheirLock) {
    ASSERT_TRUE(node_.start(supervisor_spec{}));
    const std::string name = "children-0123456789abcdef0123456789abcdef";
    const bool pipe = std::string_view{GetParam()} == "pipe";
    const std::string path = directory_.path(name + (pipe ? ".pipe" : ".sock"));
    if (pipe) {
        ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    } else {
        const int s = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::strcpy(at.sun_path, path.c_str());
        ASSERT_EQ(::bind(s, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
        ::close(s);
    }
    const int lock = ::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct flock first_byte{};
    first_byte.l_type = F_WRLCK;
    first_byte.l_len = 1;
    ASSERT_EQ(::fcntl(lock, F_OFD_SETLK, &first_byte), 0);
    on_home([&](net::router& r) { r.clear_place(std::string{GetParam()} + "://" + name); });
    EXPECT_EQ(::access(path.c_str(), F_OK), 0) << "somebody may live who has it";
    ::close(lock);
    await_that(
        [&] { return ::access(path.c_str(), F_OK) != 0 && ::access((path + ".lock").c_str(), F_OK) != 0; });
}

}  // namespace
}  // namespace coppice::tests
