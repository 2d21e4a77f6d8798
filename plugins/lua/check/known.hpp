// What the expressions of a source are known to be: a place among the globals, or an object of a type.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/lua/check/source.hpp"

namespace mansio::lua {

struct Known {
  enum class Kind : std::uint8_t {
    Nothing,
    Path,    // what is found at these names from _G on: "mansio.json"
    Object,  // of this type: "transaction", "string", "recipient[]"
  };
  Kind kind = Kind::Nothing;
  std::string name{};

  bool is_path(std::string_view path) const { return kind == Kind::Path && name == path; }
};

class Knowledge {
 public:
  // The source has to outlive it.
  explicit Knowledge(const Source &source);

  const Known &of(Index expression) const { return known_[expression]; }
  // "mansio.lookup", "message:header", or "" where it is not known what a Call or Method calls.
  std::string callee(const Expression &call) const;

 private:
  using Types = std::array<std::string_view, 3>;
  struct NamedHandler {
    Index local;
    Types types;
  };

  void compute();
  Known find(const Expression &expression) const;
  Known of_local(const Local &local, std::string_view parameter_type) const;
  Known of_field(const Known &object, const std::string &name) const;
  void note_assignments();
  void note_handlers();
  void note_on(const Expression &call);
  void note_provide(const Expression &call);
  void note_handler(Index value, const Types &types);
  void note_parameters(Index function, const Types &types);
  void note_named_handlers();

  const Source &source_;
  std::vector<Known> known_;                     // of each expression
  std::set<std::string, std::less<>> assigned_;  // paths to which the script itself gives values
  std::vector<std::string_view> parameters_;     // of each local: its type as a handler's parameter, or ""
  std::vector<NamedHandler> named_;
};

}  // namespace mansio::lua
