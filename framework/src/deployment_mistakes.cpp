// Collecting and wording what is wrong in a deployment file; see deployment_mistakes.hpp. Pure functions, but for the list, which is
// one thread's at a time.
#include "deployment_mistakes.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

namespace coppice::detail {

void mistakes::add(file_place at, std::string_view what) {
    ++count_;
    if (first_.size() == limits::deployment_errors) {
        if (!(at < std::prev(first_.end())->first)) return;
        first_.erase(std::prev(first_.end()));
    }
    // One line, and nothing that a terminal would take for a command.
    std::string line{what};
    for (char& c : line)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    first_.emplace(at, std::move(line));
}

result<void> mistakes::outcome() const {
    if (count_ == 0) return {};
    std::string text;
    for (const auto& [at, what] : first_) {
        if (!text.empty()) text += '\n';
        text += file_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + what;
    }
    if (count_ > first_.size())
        text += "\n" + file_ + ": and " + std::to_string(count_ - first_.size()) + " more";
    return error{errc::invalid_argument, std::move(text)};
}

std::string quote(std::string_view text) { return "'" + std::string{text} + "'"; }

std::string joined(const std::vector<std::string_view>& words, std::string_view between) {
    std::string all;
    for (const std::string_view word : words) (all += all.empty() ? "" : between) += word;
    return all;
}

namespace {

// Insertions, deletions, replacements and swaps of neighbours that make one word the other ("optimal string
// alignment").
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> now(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = std::min(now[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, now);
    }
    return last[b.size()];
}

}  // namespace

std::string suggestion(std::string_view wrong, const std::vector<std::string_view>& words,
                       std::string otherwise) {
    constexpr std::size_t longest = 64;  // that anybody misspells
    std::string_view nearest;
    std::size_t least = SIZE_MAX;
    if (wrong.size() <= longest)
        for (const std::string_view word : words) {
            const std::size_t d = distance(wrong, word);
            if (d < least && d <= std::max<std::size_t>(1, word.size() / 3)) {
                least = d;
                nearest = word;
            }
        }
    return nearest.empty() ? std::move(otherwise) : "; did you mean " + quote(nearest) + "?";
}

std::string shown(std::string_view text) {
    constexpr std::size_t longest = 64;
    std::size_t size = std::min(text.size(), longest);
    while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80)
        --size;  // no part of a character
    return std::string{text.substr(0, size)} + (size < text.size() ? "..." : "");
}

}  // namespace coppice::detail
