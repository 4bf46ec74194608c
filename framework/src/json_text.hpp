// A text as JSON writes it. Whatever bytes it holds, what comes out is valid JSON in UTF-8: the log, deployments and the
// command line write JSON by it. A pure function; any thread.
#pragma once
#include <string>
#include <string_view>

namespace coppice::detail {

/// With quotes. Bytes that are no UTF-8 become U+FFFD, one each.
[[nodiscard]] std::string json_text(std::string_view text);

}  // namespace coppice::detail
