// The directory of a space: made, opened, taken down, and found to be left by an owner that has crashed. What lies in it:
// space_state.hpp. Everything here is synchronous and quick, but for create(), which may wait 100 ms. Any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "space_state.hpp"

namespace coppice::actors::space_parts {

/// What the owner of a space has; its end ends the space.
class ownership {
public:
    ownership(std::string base, std::shared_ptr<space_state> of, descriptor directory,
              descriptor alive) noexcept;
    ~ownership();
    ownership(const ownership&) = delete;
    ownership& operator=(const ownership&) = delete;
    std::uint32_t wiped = 0;

private:
    std::string base_;
    std::shared_ptr<space_state> of_;
    descriptor directory_;  // with its flock
    descriptor alive_;      // with the lock of owner_byte
};

result<std::shared_ptr<ownership>> create_home(std::string_view name, const space_options& options,
                                               std::shared_ptr<space_state>& made);
result<std::shared_ptr<space_state>> open_home(std::string_view name, std::string_view directory);

}  // namespace coppice::actors::space_parts
