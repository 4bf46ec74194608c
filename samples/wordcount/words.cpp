// Counting; see words.hpp. A piece is scanned once; words that lie within it are looked up without a copy.
#include "words.hpp"

#include <algorithm>

namespace wordcount {

namespace {

bool has_printable(std::string_view word) noexcept {
    return std::any_of(word.begin(), word.end(), [](char c) { return c > ' ' && c <= '~'; });
}

void count_one(frequencies& all, std::string_view word) {
    if (const auto at = all.find(word); at != all.end()) ++at->second;
    else all.emplace(word, 1);
}

}  // namespace

void tally::add(tally other) {
    lines += other.lines;
    words += other.words;
    bytes += other.bytes;
    for (const auto& [word, times] : other.frequency) frequency[word] += times;
}

void counter::end_word() {
    if (begun_.empty()) return;
    if (all_ || has_printable(begun_)) {
        ++tally_.words;
        count_one(tally_.frequency, begun_);
    }
    begun_.clear();
}

void counter::feed(std::string_view piece) {
    tally_.bytes += piece.size();
    tally_.lines += static_cast<std::uint64_t>(std::count(piece.begin(), piece.end(), '\n'));
    auto at = piece.begin();
    while (at != piece.end()) {
        const auto end = std::find_if(at, piece.end(), is_blank);
        begun_.append(at, end);
        if (end == piece.end()) return;
        end_word();
        at = std::find_if_not(end, piece.end(), is_blank);
    }
}

tally counter::finish() {
    end_word();
    return std::move(tally_);
}

std::vector<std::pair<std::string, std::uint64_t>> most_frequent(const frequencies& all, std::size_t count) {
    std::vector<std::pair<std::string, std::uint64_t>> list{all.begin(), all.end()};
    const auto kept = static_cast<std::ptrdiff_t>(std::min(count, list.size()));
    std::partial_sort(list.begin(), list.begin() + kept, list.end(), [](const auto& a, const auto& b) {
        return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    list.resize(static_cast<std::size_t>(kept));
    return list;
}

}  // namespace wordcount
