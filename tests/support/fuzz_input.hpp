// A fuzzer's bytes as a supply of choices: for targets that drive something step by step. One thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace coppice::tests {

/// What must be true of a fuzzed thing, in every build.
inline void expect(bool true_one) {
    if (!true_one) std::abort();
}

class fuzz_input {
public:
    fuzz_input(const std::uint8_t* data, std::size_t size) : data_{data}, size_{size} {}
    [[nodiscard]] bool ended() const { return at_ >= size_; }
    /// The next choice; 0 once there are no more.
    std::uint8_t byte() { return at_ < size_ ? data_[at_++] : std::uint8_t{0}; }

private:
    const std::uint8_t* data_;
    std::size_t size_;
    std::size_t at_ = 0;
};

}  // namespace coppice::tests
