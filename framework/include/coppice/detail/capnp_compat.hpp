// Lets Cap'n Proto 0.9's headers compile as C++20 under clang 16 and later, where comparing a text literal with a
// kj::StringPtr is ambiguous between the operator and its reversed self. Included before any header of Cap'n Proto.
#pragma once
#include <kj/string.h>

#if defined(__clang__) && defined(__cpp_impl_three_way_comparison)
namespace kj {
// NOLINTBEGIN(misc-definitions-in-headers): inline
inline bool operator==(const char* a, const StringPtr& b) { return b == StringPtr(a); }
inline bool operator!=(const char* a, const StringPtr& b) { return !(b == StringPtr(a)); }
inline bool operator==(const char* a, const String& b) { return StringPtr(b) == StringPtr(a); }
inline bool operator!=(const char* a, const String& b) { return !(StringPtr(b) == StringPtr(a)); }
// NOLINTEND(misc-definitions-in-headers)
}  // namespace kj
#endif
