// Rights as operators write them: any text is a table or is refused with a line and a reason; a table that was written and read again
// decides the same; and a pattern means what its definition says, which is spelled out here without a thought for time. A text, then a
// pattern and a name, with zero bytes between.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/rights.hpp"
#include "support/fuzz_input.hpp"

namespace {

using namespace coppice;
using coppice::tests::expect;

std::vector<std::string_view> parts_of(std::string_view text) {
    std::vector<std::string_view> parts;
    for (std::size_t slash = text.find('/'); slash != text.npos; slash = text.find('/')) {
        parts.push_back(text.substr(0, slash));
        text.remove_prefix(slash + 1);
    }
    parts.push_back(text);
    return parts;
}

// fits[w][g]: what is behind w in `wanted` means what is behind g in `given`. A star takes nothing, or one and stays.
template <class Texts, class IsStar, class Fit>
bool fits(const Texts& wanted, const Texts& given, IsStar is_star, Fit one_fits) {
    std::vector<std::vector<bool>> fit(wanted.size() + 1, std::vector<bool>(given.size() + 1));
    for (std::size_t w = wanted.size() + 1; w-- > 0;)
        for (std::size_t g = given.size() + 1; g-- > 0;) {
            const bool more = g < given.size();
            if (w == wanted.size()) fit[w][g] = !more;
            else if (is_star(wanted[w])) fit[w][g] = fit[w + 1][g] || (more && fit[w][g + 1]);
            else fit[w][g] = more && one_fits(wanted[w], given[g]) && fit[w + 1][g + 1];
        }
    return fit[0][0];
}

bool part_means(std::string_view pattern, std::string_view part) {
    return fits(pattern, part, [](char c) { return c == '*'; }, [](char a, char b) { return a == b; });
}

bool means(std::string_view pattern, std::string_view name) {
    return fits(parts_of(pattern), parts_of(name), [](std::string_view p) { return p == "**"; }, part_means);
}

void same_decisions(const rights_table& one, const rights_table& other, std::string_view object) {
    for (std::size_t role = 0; role <= rights_table::nobody; ++role)
        for (std::size_t what = 0; what < right_count; ++what) {
            const auto number = static_cast<rights_table::role_number>(role);
            const auto asked = static_cast<right>(what);
            const verdict said = one.decide(number, asked, object);
            expect(!said.because.empty());
            expect(said.allowed == one.allows(number, asked, object));
            expect(said.allowed == other.allows(number, asked, object));
            if (one.is_of_the_tree(number)) expect(said.allowed);
        }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view all{reinterpret_cast<const char*>(data), size};
    const std::string_view text = all.substr(0, all.find('\0'));
    const std::string_view rest = all.substr(std::min(all.size(), text.size() + 1));
    const std::string_view pattern = rest.substr(0, rest.find('\0'));
    const std::string_view name = rest.substr(std::min(rest.size(), pattern.size() + 1));

    if (pattern.size() + name.size() < 256) expect(matches(pattern, name) == means(pattern, name));

    const auto read = parse_rights(text);
    if (!read) {
        expect(read.error() == errc::invalid_argument && read.error().text().starts_with("rights:"));
        return 0;
    }
    expect(read->roles.size() <= rights_table::most_roles);
    const std::string written = to_text(*read);
    const auto again = parse_rights(written);
    expect(again && to_text(*again) == written);
    same_decisions(*read, *again, name);
    const std::string shown[] = {"name:" + std::string{name}, "uid:0"};
    expect(read->role_of(shown) == again->role_of(shown));
    return 0;
}
