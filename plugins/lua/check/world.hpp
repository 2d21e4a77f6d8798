// What a script finds when it runs, as the check of its functions asks for it: the state of Lua into which it was just
// loaded (live.cpp), or what a test makes up.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::lua {

// A value that is made for a call.
struct Argument {
  enum class Kind { None, Nil, False, True, Number, String, Function, Object, Table };
  Kind kind = Kind::Nil;
  std::string text{};  // of a number as it is written, of an object its type

  // Of a table; "" as the name of an element of a list.
  std::vector<std::string> names{};
  std::vector<Argument> values{};
};

class World {
 public:
  World() = default;
  World(const World &) = delete;
  World &operator=(const World &) = delete;
  virtual ~World() = default;

  virtual bool has_global(std::string_view name) = 0;
  virtual std::vector<std::string> globals() = 0;

  struct Fields {
    std::string name;  // of what has them, for messages
    std::vector<std::string> known;
  };
  // Of the value at a path of names, such as "mansio.json"; nothing where reading another field is no error.
  virtual std::optional<Fields> fields_at(std::string_view path) = 0;
  // Of objects of this type (a metatable's name, or "string"); nothing where they are not known.
  virtual std::optional<Fields> methods_of(std::string_view type) = 0;

  // What the function at `path` says against these arguments; "" when it takes them, or is no function of the engine.
  virtual std::string objection(std::string_view path, const std::vector<Argument> &arguments) = 0;

  // Whether the function at `path` is the engine's, and needs a library that `allow` does not have: it always fails.
  virtual bool is_off(std::string_view path) = 0;
};

}  // namespace mansio::lua
