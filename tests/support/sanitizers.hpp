// What a test has to know of the sanitizer that it is built with. Constants only.
#pragma once

namespace coppice::tests {

/// Everything takes several times as long: fewer rounds, smaller messages.
#ifdef COPPICE_SANITIZED
inline constexpr bool slow_build = true;
#else
inline constexpr bool slow_build = false;
#endif

/// UBSan's check of dynamic types asks the kernel through a pipe whether memory can be read, and takes every object for a
/// wrong one when it cannot make that pipe: not for tests that leave their process no file descriptor.
#if __has_feature(undefined_behavior_sanitizer)
inline constexpr bool sanitizer_needs_descriptors = true;
#else
inline constexpr bool sanitizer_needs_descriptors = false;
#endif

}  // namespace coppice::tests
