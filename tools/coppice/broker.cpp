// `coppice broker --octopipes DIR`; broker.hpp.
#include "broker.hpp"

#include <cstdint>
#include <string>

#include "coppice/actors/octopipes.hpp"
#include "coppice/coppice.hpp"
#include "exit_code.hpp"

namespace coppice::command {

namespace {

struct broker_arguments {
    std::string name = "broker";
    actors::octopipes_options octopipes;
    std::string level = "info";
} broker_said;

}  // namespace

void declare_broker(CLI::App& app) {
    auto& o = broker_said.octopipes;
    app.add_option("--octopipes", o.directory,
                   "speak Octopipes over named pipes in this folder, which is made if it is missing")
        ->required();
    app.add_option("--cap", o.cap, "where the common access pipe is; by default \"cap\" in the folder");
    app.add_option("--most-clients", o.most_clients, "clients at once")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--queue-frames", o.queue_frames, "frames that may wait for one client")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--queue-bytes", o.queue_bytes, "and bytes of them")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--name", broker_said.name, "of its node, in its log")->capture_default_str();
    app.add_option("--level", broker_said.level, "log this level and above, to standard error")
        ->capture_default_str()
        ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}));
}

void run_broker() {
    node_options o;
    bool known = true;
    o.level = level_of(broker_said.level, known);  // declare_broker() lets no others pass
    o.schedulers = 1;
    supervisor_spec tree;
    tree.add(child("octopipes", in_coroutine, actors::octopipes::broker, broker_said.octopipes)
                 .restarts(restart::temporary)
                 .significant()
                 .awaits_ready());
    const int code = node{broker_said.name, o}.run(std::move(tree));
    if (code == static_cast<int>(run_result::start_failed))
        throw command_failed{exit_code::failed, "the broker did not start: its log says why"};
    if (code != static_cast<int>(run_result::ok))
        throw command_failed{exit_code::failed, "the broker did not end in order: its log says why"};
}

}  // namespace coppice::command
