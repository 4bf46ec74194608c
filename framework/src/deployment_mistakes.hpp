// What is wrong in a deployment file: collected with its place while the file is read and while it is applied to a tree, and told
// together. One thread at a time.
#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/deployment.hpp"

namespace coppice::detail {

/// Mistakes in the order of the file, the first of them in full.
class mistakes {
public:
    explicit mistakes(std::string file) : file_{std::move(file)} {}
    void add(file_place at, std::string_view what);
    /// Ok if there are none, else invalid_argument with a line for each.
    [[nodiscard]] result<void> outcome() const;

private:
    std::string file_;
    std::multimap<file_place, std::string> first_;
    std::size_t count_ = 0;
};

[[nodiscard]] std::string quote(std::string_view text);
[[nodiscard]] std::string joined(const std::vector<std::string_view>& words, std::string_view between = ", ");
/// "; did you mean 'x'?" for what is close to one of the words, else `otherwise`.
[[nodiscard]] std::string suggestion(std::string_view wrong, const std::vector<std::string_view>& words,
                                     std::string otherwise);
/// Its beginning: what is wrong in the file may be long.
[[nodiscard]] std::string shown(std::string_view text);
/// Adds the keys that mean nothing under that carrier. Beside the keys, in deployment.cpp.
void refuse_other_carriers(mistakes& wrong, const actor_changes& a, carrier_kind kind,
                           const std::string& says_so);

}  // namespace coppice::detail
