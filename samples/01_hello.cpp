// 01_hello: one actor, one message, and how a program ends.
//
// An actor is a coroutine with a mailbox. A node is the runtime inside one process; it runs a tree of actors.
// What to take along: messages are plain structs, a protocol lists what an actor handles, a child_spec says how it runs.
#include <string>

#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;

// [actor]
struct greet {
    std::string name;
};
using greeter_protocol = protocol<greet>;  // a message without a handler below would not compile

task<> greeter(actor<greeter_protocol> self) {
    while (auto m = co_await self.receive())  // empty once the actor is to stop
        m.match([](const greet& g) { fmt::print("Hello, {}!\n", g.name); });
    fmt::print("{} has nothing left to do\n", self.path());
}
// [/actor]

// [main]
int main(int argc, char** argv) {
    node app{"hello", argc, argv};
    supervisor_spec tree;
    // transient: not started again after a clean end. significant: the tree ends with it.
    tree.add(child("greeter", in_coroutine, greeter).restarts(restart::transient).significant());
    if (auto root = app.start(tree); !root) {
        fmt::print(stderr, "the tree did not start: {}\n", root.error());
        return 1;
    }
    auto friendly = app.resolve<greeter_protocol>("/hello/greeter").value();
    app.send<greet>(friendly, "world");
    app.send<greet>(friendly, "coppice");
    app.stop(friendly);  // it takes no more mail, handles what it has, then its receive() is empty
    return app.wait().is_clean() ? 0 : 1;
}
// [/main]
