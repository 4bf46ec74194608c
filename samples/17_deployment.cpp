// 17_deployment: the same program runs in another way, because a file says so: no rebuild.
//
// Here the program names its file itself, so that it can run without it first. Usually whoever starts a program does:
// --coppice-deployment=FILE, or COPPICE_DEPLOYMENT. Run it in the project's folder, where the file is found.
#include <chrono>
#include <thread>

#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [tree]
struct which_thread {
    using reply = std::thread::id;
};
using disk_protocol = protocol<which_thread>;

task<> disk(actor<disk_protocol> self) {
    while (auto m = co_await self.receive())
        m.match([](request<which_thread> r) { r.reply(std::this_thread::get_id()); });
}

task<> reader(actor<protocol<>> self) {
    auto found = co_await self.resolve<disk_protocol>("disk");
    if (!found) co_return self.fail("no disk: {}", found.error());
    auto thread = co_await self.ask<which_thread>(*found, 5s);
    if (!thread) co_return self.fail("the disk does not answer: {}", thread.error());
    fmt::print("  the disk has {}\n",
               *thread == std::this_thread::get_id() ? "the reader's thread" : "a thread of its own");
}

supervisor_spec library() {
    supervisor_spec tree;
    tree.add(child("disk", in_coroutine, disk))
        .add(child("reader", in_coroutine, reader).restarts(restart::temporary).significant());
    return tree;
}
// [/tree]

int run(std::string file) {
    node_options options;
    options.schedulers = 1;
    options.deployment = std::move(file);
    return node{"library", options}.run(library());
}

int main() {
    fmt::print("as the code says:\n");
    int failed = run("");
    fmt::print("as the file says:\n");
    failed += run("samples/17_deployment.toml");

    // [check]
    const auto checked = parse_deployment("[[actor]]\n"
                                          "path = '/library/disk'\n"
                                          "carier = 'thread'\n"
                                          "shutdown = '2 seconds'\n",
                                          "mistaken.toml");
    if (!checked) fmt::print("{}\n", checked.error().text());
    // [/check]
    return failed;
}
