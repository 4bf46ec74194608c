// A process that a supervisor has started takes its place: the framework's own child life runs on a thread of the library, and
// its actor is one of the program's. There is one such place in a process.
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "coppice/process.hpp"
#include "coppice/transport/builtin.hpp"
#include "inbox.hpp"
#include "resources.hpp"

namespace coppice::c {

namespace {

struct child_place {
    std::mutex mutex;
    bool taken = false;
    std::shared_future<int> code;
};
// Never destroyed: its thread may still run while the process ends.
child_place& place() {
    static child_place& one = *new child_place;
    return one;
}

void live(std::shared_ptr<inbox> box, child_spec own, std::shared_ptr<std::promise<int>> code) {
    char name[] = "coppice";
    char* arguments[] = {name, nullptr};
    char** argv = arguments;
    int argc = 1;
    int ended = static_cast<int>(run_result::start_failed);
    try {
        ended = detail::run_child(argc, argv, &own);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "coppice: this child cannot take its place: %s\n", e.what());
    }
    own = {};
    box->set_ended();  // also if its actor never ran
    code->set_value(ended);
}

}  // namespace

}  // namespace coppice::c

using namespace coppice::c;
using coppice::errc;
using coppice::error;

int coppice_is_child(void) {
    const std::lock_guard lock{place().mutex};
    return !is_forked() && !place().taken && coppice::is_child() ? 1 : 0;
}

int coppice_open_child(int announce, coppice_node* node, coppice_actor* actor) {
    return call("coppice_open_child", 0, [&] {
        need(node, "node");
        need(actor, "actor");
        *node = *actor = 0;
        const std::lock_guard lock{place().mutex};
        if (place().taken)
            refuse(errc::invalid_argument, "this process has taken its place as a child before");
        if (!coppice::is_child())
            refuse(errc::not_found, "this process was not started by a supervisor of a Coppice tree: it is "
                                    "one that is started as "
                                    "child(\"name\", in_process(\"this program\")), or by an [[actor]] with "
                                    "program = \"...\" in a "
                                    "deployment file");
        coppice::register_builtin_transports();
        watch_forks();
        auto of = std::make_shared<node_resource>();
        auto box = std::make_shared<inbox>(of);
        auto spec = coppice::child("child", coppice::in_coroutine, &take_mail, box);
        // Its parent has the limit for it.
        if (!announce) spec.awaits_ready(limit_of(COPPICE_FOREVER));
        auto made = std::make_shared<actor_resource>(of, box);
        auto code = std::make_shared<std::promise<int>>();
        place().code = code->get_future().share();
        of->exit_code = place().code;
        std::thread{live, box, std::move(spec), std::move(code)}.detach();  // its end is the code
        place().taken = true;
        if (!box->wait_started())
            refuse(errc::start_failed, "the child did not start, with exit code " +
                                           std::to_string(place().code.get()) +
                                           ": its parent's log and standard error say why");
        of->remember(box);
        *actor = handle_table::add(kind::actor, std::move(made));
        *node = handle_table::add(kind::node, std::move(of));
        return error{};
    });
}

int coppice_exit_code(void) {
    std::shared_future<int> code;
    {
        const std::lock_guard lock{place().mutex};
        code = place().code;
    }
    return code.valid() && !is_forked() ? code.get() : 0;
}
