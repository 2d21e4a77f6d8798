// The message of an operation, read piece by piece: its header fields as a list, its body from where it begins. What is
// kept of it is set aside from the memory of the call: strangers write header sections of many short fields.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lua/header.hpp"

namespace mansio::lua {

class Call;

class Content {
 public:
  // `length` octets; good while the operation of the call is under way.
  Content(Call &call, std::uint64_t length) : call_(call), length_(length) {}

  // Read when first asked for; throws ScriptError when it cannot be, or the call may not hold that much.
  const std::vector<Field> &fields();
  std::uint64_t size() const { return length_; }
  std::uint64_t body_begins();
  // Up to n bytes from `offset`, 0 at the end.
  std::size_t read(std::uint64_t offset, char *to, std::size_t n) const;

 private:
  void load();

  Call &call_;
  std::uint64_t length_;
  bool loaded_ = false;
  std::vector<Field> fields_;
  std::uint64_t body_ = 0;
};

}  // namespace mansio::lua
