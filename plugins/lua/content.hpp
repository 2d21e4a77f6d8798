// The message of a stage, read piece by piece: its header fields as a list, its body from where it begins.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mansio/filter.hpp"
#include "plugins/lua/header.hpp"

namespace mansio::lua {

class Content {
 public:
  explicit Content(const plugin::Stage &stage) : stage_(stage) {}

  // Read when first asked for; throws ScriptError when it cannot be.
  const std::vector<Field> &fields();
  std::uint64_t size() const { return stage_.length(); }
  std::uint64_t body_begins();
  // Up to n bytes from `offset`, 0 at the end.
  std::size_t read(std::uint64_t offset, char *to, std::size_t n) const;

 private:
  void load();

  const plugin::Stage &stage_;
  bool loaded_ = false;
  std::vector<Field> fields_;
  std::uint64_t body_ = 0;
};

}  // namespace mansio::lua
