// The message of an operation, read piece by piece: its header fields as a list, its body from where it begins.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mansio/host.hpp"
#include "plugins/lua/header.hpp"

namespace mansio::lua {

class Content {
 public:
  // `length` octets; good while the operation is under way.
  Content(const plugin::Host &host, mansio_op op, std::uint64_t length) : host_(host), op_(op), length_(length) {}

  // Read when first asked for; throws ScriptError when it cannot be.
  const std::vector<Field> &fields();
  std::uint64_t size() const { return length_; }
  std::uint64_t body_begins();
  // Up to n bytes from `offset`, 0 at the end.
  std::size_t read(std::uint64_t offset, char *to, std::size_t n) const;

 private:
  void load();

  const plugin::Host &host_;
  mansio_op op_;
  std::uint64_t length_;
  bool loaded_ = false;
  std::vector<Field> fields_;
  std::uint64_t body_ = 0;
};

}  // namespace mansio::lua
