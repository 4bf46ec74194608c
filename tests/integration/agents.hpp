// What the tests of agents share: a second node in a process of its own, whose agent starts process children for the node of the
// test; and what is said of both.
#pragma once
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "process_actors.hpp"

namespace coppice::tests::carried {

/// The words of an agent's process, with their meanings:
/// NAME, of its node; PARENT or LISTEN, endpoints; SECRET; HOLD_MS; MOST; DIRECTORY; ALLOW, programs, and VARIABLES, with ':'
/// between them. OWN: it starts this same program, too. NAMESPACE: of its network.
int run_agent_process();

/// This test program, as it is named by a path.
inline std::string this_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

/// It is asked to end, and waited for: what it has started goes with it, and its names do.
class agent_process {
public:
    agent_process() noexcept = default;
    explicit agent_process(const std::map<std::string, std::string>& words) : process_{"agent", words} {}
    agent_process(agent_process&&) noexcept = default;
    agent_process& operator=(agent_process&& other) noexcept {
        end();
        process_ = std::move(other.process_);
        return *this;
    }
    ~agent_process() { end(); }
    void end() {
        process_.signal(SIGTERM);
        process_.signal(SIGCONT);
        process_.wait();
    }
    process* operator->() noexcept { return &process_; }

private:
    process process_;
};

class Agents : public InProcesses {
protected:
    using words = std::map<std::string, std::string>;

    /// The node of the test: "app", where agents link to it.
    static node_options supervising(std::chrono::milliseconds hold = 60s) {
        node_options o = listening_at("unix://top");
        o.network.hold = hold;
        return o;
    }
    /// Returns once that node's agent is found: what is started there then waits for nothing.
    static void await_agent(node& n, const std::string& name) {
        await_that([&] { return n.resolve<anything>("/" + name + "/agent").has_value(); });
    }
    /// Starts it below the root.
    static result<ref<>> start_in(node& n, child_spec spec) {
        const auto root = n.resolve<supervisor_protocol>("/" + n.name());
        return n.ask<start_child>(*root, 10min, start_child{std::move(spec)});
    }
    /// An agent that dials that node.
    static agent_process agent_named(const std::string& name, words more = {}) {
        words all{{"NAME", name}, {"PARENT", "unix://top"}, {"OWN", "1"}};
        for (auto& [word, text] : more) all[word] = text;
        return agent_process{all};
    }
};

}  // namespace coppice::tests::carried
