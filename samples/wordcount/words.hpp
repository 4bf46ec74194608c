// What the word count counts: lines, words and bytes as `LC_ALL=C wc` does, and how often each word occurs.
// Plain data and plain functions; nothing here knows of actors. Values: whoever has one uses it on its own thread.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace wordcount {

struct text_hash {
    using is_transparent = void;  // found by string_view, without making a string
    std::size_t operator()(std::string_view text) const noexcept {
        return std::hash<std::string_view>{}(text);
    }
};
using frequencies = std::unordered_map<std::string, std::uint64_t, text_hash, std::equal_to<>>;

struct tally {
    std::uint64_t lines = 0;
    std::uint64_t words = 0;
    std::uint64_t bytes = 0;
    frequencies frequency;

    void add(tally other);
};

/// The blanks of the C locale.
[[nodiscard]] constexpr bool is_blank(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Counts a text that comes in pieces; words may span them. Call finish() after the last.
class counter {
public:
    /// wc of coreutils 9 counts a word only if one of its characters is printable; `all` counts the others too.
    explicit counter(bool all) noexcept : all_{all} {}
    void feed(std::string_view piece);
    tally finish();

private:
    void end_word();
    bool all_;
    std::string begun_;  // the word that the last piece broke off in
    tally tally_;
};

/// The most frequent words first; those of equal frequency in the order of their bytes.
[[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> most_frequent(const frequencies& all,
                                                                               std::size_t count);

}  // namespace wordcount
