// One file of tests: a state of Lua with all its libraries and the table `test`, and the cases that the file
// registered.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "plugins/lua/lua_api.hpp"

namespace mansio::lua::tool {

struct Failure {
  std::string why;  // "" when the case passed
  std::string log;  // what its scripts wrote meanwhile
};

class TestFile {
 public:
  // Throws std::runtime_error with what is wrong with the file: it does not load, or has no case. `update`: golden
  // files are written instead of compared.
  TestFile(const std::string &path, bool update);
  ~TestFile();
  TestFile(const TestFile &) = delete;
  TestFile &operator=(const TestFile &) = delete;

  const std::vector<std::string> &cases() const { return names_; }
  Failure run(std::size_t number);

 private:
  void load(const std::string &path, bool update);

  lua_State *L_;
  int shared_ = LUA_NOREF, run_ = LUA_NOREF;
  std::vector<std::string> names_;
};

}  // namespace mansio::lua::tool
