// Code shown in docs/processes.md that no sample holds. Compiled, not run.
// See docs/snippets/README.md or the other snippets for how regions are marked.
#include <string>

#include <coppice/coppice.hpp>
#include <coppice/process.hpp>
#include <coppice/transport/builtin.hpp>

using namespace coppice;
using namespace std::chrono_literals;

namespace {

struct frame {
    int number = 0;
};
task<> vision(actor<protocol<frame>> self, std::string camera) {
    while (auto m = co_await self.receive())
        m.match([&](const frame& f) { self.log.info("frame {} of {}", f.number, camera); });
}

}  // namespace

int tool_main(int argc, char** argv);
int tool_main(int argc, char** argv) {
    // [if_child]
    register_builtin_transports();
    if (const auto code = run_if_child(argc, argv)) return *code;
    // [/if_child]
    return 0;
}

int worker_main(int argc, char** argv);
// [as_child]
int worker_main(int argc, char** argv) {  // the whole main of vision-worker
    register_builtin_transports();
    return run_as_child(argc, argv, vision, std::string{argc > 1 ? argv[1] : "0"});
}
// [/as_child]

supervisor_spec app();
supervisor_spec app() {
    supervisor_spec spec;
    // [other_program]
    spec.add(child("vision", in_process("vision-worker", {"front camera"}).over("shm")).heartbeat(500ms, 4));
    // [/other_program]
    // [on_another_host]
    spec.add(child("vision", in_process("/opt/app/bin/vision").on("hostb")));
    // [/on_another_host]
    return spec;
}

int agent_main(int argc, char** argv);
// [agent]
int agent_main(int argc, char** argv) {  // on host b
    register_builtin_transports();
    node_options options;
    options.network.parent = "tls://hosta:4711?cert=b.pem&key=b.key&ca=ca.pem";
    supervisor_spec tree;
    tree.add(agent({.programs = {"/opt/app/bin/vision"},
                    .environment = {"CAMERA"},
                    .directory = "/var/lib/vision",
                    .most = 8}));
    return node{"hostb", argc, argv, options}.run(tree);
}
// [/agent]
