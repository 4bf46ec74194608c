// What an agent allows to be started (agent_options), and the judgement of one request: all that is not allowed is refused, and the
// text says what would have to be allowed. Looks at the file system; any thread.
#pragma once
#include <string>
#include <vector>

#include "coppice/agent.hpp"
#include "coppice/error.hpp"
#include "process/os_process.hpp"

namespace coppice::detail {

class agent_list {
public:
    /// Follows the symbolic links of what the options name, once.
    explicit agent_list(const agent_options& options);

    /// invalid_argument, not_found: what is wrong with the options.
    [[nodiscard]] result<void> check() const;
    /// The request as it is carried out: the program by the path that was allowed. `denied`, `not_found`, `invalid_argument`.
    [[nodiscard]] result<process_request> judge(process_request wanted) const;

private:
    struct entry {
        std::string listed;
        std::string real;  // without symbolic links, when the agent was started
        const allowed_program* allowed;
    };
    [[nodiscard]] result<const entry*> program_of(const process_request& wanted) const;
    [[nodiscard]] result<void> judge_environment(const process_request& wanted) const;
    [[nodiscard]] result<std::string> directory_of(const process_request& wanted) const;

    const agent_options& options_;
    std::vector<entry> entries_;
    std::string directory_;  // likewise; empty: none was named
};

}  // namespace coppice::detail
