// log_lines: what a node logged, and waiting for it. For tests of what a node tells people, and for those that go
// on when it has told something. Any thread; it outlives the nodes that it listens to.
//
//     log_lines seen;
//     node_options o = quiet(2);
//     seen.listen_to(o);
//     node one{"one", o};
//     ...
//     seen.wait_for({"linked to node two"});
#pragma once
#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/node.hpp"

namespace coppice::tests {

class log_lines {
public:
    /// Lines of level info and above, of a node that is made with these options.
    void listen_to(node_options& o) {
        o.level = level::info;
        o.log_hook = [this](level, std::string_view, std::string_view line) {
            const std::lock_guard lock{mutex_};
            lines_.emplace_back(line);
            changed_.notify_all();
        };
    }
    /// Returns the first line that has all of these, once there is one.
    std::string wait_for(const std::vector<std::string>& parts) {
        std::unique_lock lock{mutex_};
        for (;;) {
            for (const std::string& l : lines_)
                if (has(l, parts)) return l;
            changed_.wait(lock);
        }
    }
    /// How many lines have all of these by now.
    std::size_t count(const std::vector<std::string>& parts) {
        const std::lock_guard lock{mutex_};
        return static_cast<std::size_t>(
            std::count_if(lines_.begin(), lines_.end(), [&](const std::string& l) { return has(l, parts); }));
    }

private:
    static bool has(const std::string& line, const std::vector<std::string>& parts) {
        return std::all_of(parts.begin(), parts.end(),
                           [&](const std::string& p) { return line.find(p) != std::string::npos; });
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> lines_;
};

}  // namespace coppice::tests
