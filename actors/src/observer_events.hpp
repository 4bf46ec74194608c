// What has happened between two looks, for people: restarts, processes that have come and gone, nodes that are silent and answer
// again. Found by comparing, so it is as exact as looks are frequent: two restarts between two looks are one event that says
// so. Plain data; the observer's thread alone.
#pragma once
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "observer_tree.hpp"

namespace coppice::actors::observing {

class tree_events {
public:
    /// What is different from the last look, as objects of JSON; of the first look nothing. `time`: milliseconds since 1970.
    [[nodiscard]] std::vector<std::string> look(const tree_seen& seen, const tree_rows& rows,
                                                std::uint64_t time);

private:
    struct known_process {
        std::uint32_t pid = 0;
        std::uint64_t generation = 0;
    };
    struct teller;
    void compare_processes(const tree_seen& seen, const teller& tell);
    void compare_silence(const tree_seen& seen, const teller& tell);

    bool has_looked_ = false;
    std::map<std::string, known_process> processes_;  // by path
    std::set<std::string> silent_;                    // paths
};

}  // namespace coppice::actors::observing
