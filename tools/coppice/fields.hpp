// Fields of messages and paths as texts on the command line, and values as JSON. Plain functions, any thread.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "coppice/value.hpp"

namespace coppice::command {

/// One field: JSON; or (a, b), a record within a record; what is neither is a text. 7 is a number, '"7"' a text.
value field_of(std::string_view text);
/// A message of that type, its fields in order.
value message_of(std::string_view type, const std::vector<std::string>& fields);
/// A record becomes a list, bytes a text of hexadecimal digits.
std::string json_of(const value& v);
/// With quotes; what is no UTF-8 becomes U+FFFD.
std::string json_text(std::string_view text);
/// Of /a/b: /a.
std::string parent_of(const std::string& path);

}  // namespace coppice::command
