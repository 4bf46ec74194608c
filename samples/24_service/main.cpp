// 24_service: a service from its description, for any number of clients, over one kind of transport after the other.
//
// math.capnp says what the service offers; coppice_generate() in CMake makes math.coppice.hpp of it: the types, a server to
// derive from and a client with one function for each endpoint; and math.md, its documentation. In two terminals:
//
//     24_service serve shm://math
//     24_service ask   shm://math
//
// Without arguments the program does both in two processes, over shm, pipe and tcp, which is how it runs as a test.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <coppice/coppice.hpp>
#include <coppice/transport/builtin.hpp>
#include <fmt/core.h>

#include "math.coppice.hpp"

using namespace coppice;
using namespace std::chrono_literals;

// [server]
class calculator : public demo::math::server {
public:
    using server::server;

protected:
    task<> sum(request<demo::math::Sum> r) override { co_return answer(r, r->a + r->b); }
    task<> difference(request<demo::math::Difference> r) override { co_return answer(r, r->a - r->b); }
    task<> minus(request<demo::math::Minus> r) override { co_return answer(r, r->a - r->b); }
    task<> add(request<demo::math::Add> r) override {
        shapes::Vector sum;
        for (const shapes::Vector& v : r->vectors) sum = {sum.x + v.x, sum.y + v.y};
        ++served_;
        r.reply(sum);
        co_return;
    }
    task<> round(demo::math::Round m) override {
        how_ = m.how;
        auto told = co_await roundingChanged({m.how, current_client()});
        for (const auto& each : told)
            if (each.outcome != errc::ok)
                self_.log.warn("client {} was not told: {}", each.client, to_string(each.outcome));
    }
    task<> statistics(request<demo::math::Statistics> r) override { co_return r.reply(served_, how_); }

private:
    void answer(auto& r, double exact) {
        ++served_;
        r.reply(how_ == demo::Rounding::down ? std::floor(exact)
                : how_ == demo::Rounding::up ? std::ceil(exact)
                                             : exact);
    }
    std::uint64_t served_ = 0;
    demo::Rounding how_ = demo::Rounding::exact;
};

task<> math(demo::math::service_actor self) {
    calculator all{self, {.queue = 16}};
    co_await all.serve_clients();
}
// [/server]

int serve(const std::string& uri) {
    node_options options;
    options.level = level::warn;
    options.network.listen = {uri};
    supervisor_spec tree;
    tree.add(child("math", in_coroutine, math));
    return node{"school", options}.run(tree);
}

// [client]
task<> pupil(actor<demo::math::notifications> self, std::string uri) {
    auto service = co_await self.resolve<demo::math::service_protocol>(uri + "#/school/math");
    if (!service) co_return self.fail("no service at {}: {}", uri, service.error());
    auto math = (co_await demo::math::join(self, *service)).value();

    auto five = co_await math.sum(2, 3);
    auto half = co_await math.difference(2, 1.5, 10s);
    fmt::print("2 + 3 = {}, 2 - 1.5 = {}\n", five.value().result, half.value().result);

    std::vector<shapes::Vector> walk{{1, 2}, {3, 4}};
    auto end = co_await math.add(walk);
    fmt::print("the walk ends at {}, {}\n", end.value().result.x, end.value().result.y);

    static_cast<void>(co_await math.round(demo::Rounding::down));
    auto note = co_await self.receive();  // all clients are told, this one too
    note.match([&](const demo::math::RoundingChanged& change) {
        fmt::print("client {} has changed the rounding\n", change.by);
    });
    auto none = co_await math.difference(2, 1.5);
    auto statistics = co_await math.statistics();
    fmt::print("2 - 1.5 = {}; {} requests served\n", none.value().result, statistics.value().served);
    static_cast<void>(co_await math.leave_service());
}
// [/client]

int ask(const std::string& uri) {
    node_options options;
    options.level = level::error;
    supervisor_spec tree;
    tree.add(child("pupil", in_coroutine, pupil, uri).restarts(restart::temporary).significant());
    return node{"home", options}.run(tree);
}

// The service's process as a child of this one.
int both(const char* program, std::string uri) {
    fmt::print("over {}:\n", uri.substr(0, uri.find(':')));
    std::fflush(stdout);
    std::string words[] = {program, "serve", uri};
    char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    pid_t child = 0;
    if (::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments, environ) != 0)
        return EXIT_FAILURE;
    const int code = ask(uri);
    ::kill(child, SIGTERM);
    int status = 0;
    ::waitpid(child, &status, 0);
    return code != 0 ? code : WEXITSTATUS(status);
}

// A port that nobody has: the kernel gives one, and two processes are told of it. The socket stays open, so that nobody else is
// given that port; with SO_REUSEADDR, as the service's socket has, both may be bound to it.
std::string free_port() {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    socklen_t size = sizeof where;
    if (::setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        ::bind(s, reinterpret_cast<sockaddr*>(&where), size) != 0 ||
        ::getsockname(s, reinterpret_cast<sockaddr*>(&where), &size) != 0)
        std::abort();
    return std::to_string(ntohs(where.sin_port));
}

int main(int argc, char** argv) {
    const std::string role = argc > 2 ? argv[1] : "";
    if (role == "serve") return serve(argv[2]);
    if (role == "ask") return ask(argv[2]);
    std::string directory = (std::filesystem::temp_directory_path() / "coppice-math-XXXXXX").string();
    if (!::mkdtemp(directory.data())) return EXIT_FAILURE;
    ::setenv("COPPICE_RUN_DIR", directory.c_str(), 1);  // where shm and pipe have their sockets
    int worst = 0;
    for (const std::string& uri :
         {std::string{"shm://math"}, std::string{"pipe://math"}, "tcp://127.0.0.1:" + free_port()})
        worst = std::max(worst, both(argv[0], uri));
    std::filesystem::remove_all(directory);
    return worst;
}
