// 07_blocking_work: calls that block, without blocking the other actors.
//
// Actors in_coroutine share a scheduler's thread: a call that blocks holds up all of them. Hand it to a worker thread with
// offload(), or give the actor a thread of its own with in_thread, on which it may block as it likes.
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;

// Stands for a library that knows nothing of actors: wait() blocks its thread until somebody opens the gate.
class old_gate {
public:
    void open() {
        const std::lock_guard lock{mutex_};
        is_open_ = true;
        opened_.notify_all();
    }
    std::string wait() {
        std::unique_lock lock{mutex_};
        opened_.wait(lock, [&] { return is_open_; });
        return "open";
    }

private:
    std::mutex mutex_;
    std::condition_variable opened_;
    bool is_open_ = false;
};
using shared_gate = std::shared_ptr<old_gate>;  // actors share by shared_ptr, never by reference

struct open_it {};
task<> keeper(actor<protocol<open_it>> self, shared_gate gate) {
    while (auto m = co_await self.receive()) m.match([&](const open_it&) { gate->open(); });
}

// [in_thread]
struct pass {
    using reply = std::string;
};
task<> guard(actor<protocol<pass>> self, shared_gate gate) {
    while (auto m = co_await self.receive())
        m.match([&](request<pass> r) { r.reply(gate->wait()); });  // blocks this actor's own thread
}
// [/in_thread]

// [offload]
task<> traveller(actor<protocol<>> self, shared_gate first, shared_gate second) {
    const auto home = std::this_thread::get_id();
    // The keeper runs on this very scheduler: were it blocked by the wait, nobody would ever open the gate.
    self.send<open_it>(self.spawn(keeper, first));
    auto seen = co_await self.offload([first] { return first->wait(); });
    fmt::print("offload: {}, back on the own scheduler: {}\n", seen, std::this_thread::get_id() == home);

    self.send<open_it>(self.spawn(keeper, second));
    auto gate_guard = (co_await self.resolve<protocol<pass>>("guard")).value();
    auto passed = co_await self.ask<pass>(gate_guard);
    fmt::print("in_thread: {}\n", passed.value());

    try {
        co_await self.offload([]() -> int { throw std::runtime_error{"disk on fire"}; });
    } catch (const std::runtime_error& failure) {
        fmt::print("an exception comes home: {}\n", failure.what());
    }
}
// [/offload]

int main(int argc, char** argv) {
    auto first = std::make_shared<old_gate>();
    auto second = std::make_shared<old_gate>();
    supervisor_spec tree;
    tree.add(child("guard", in_thread, guard, second))
        .add(child("traveller", in_coroutine, traveller, first, second)
                 .restarts(restart::temporary)
                 .significant());
    return node{"gates", argc, argv, {.schedulers = 1}}.run(tree);
}
