// For tests that leave their process no file descriptor.
// UBSan's check of dynamic types asks the kernel through a pipe whether memory can be read, and takes every object for a
// wrong one when it cannot make that pipe.
#pragma once

namespace coppice::tests {

#if __has_feature(undefined_behavior_sanitizer)
inline constexpr bool sanitizer_needs_descriptors = true;
#else
inline constexpr bool sanitizer_needs_descriptors = false;
#endif

}  // namespace coppice::tests
