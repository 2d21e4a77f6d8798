// A script on the fake host.
#pragma once

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include "mansio/testing/fake_host.hpp"

namespace mansio::lua::testing {

using mansio::testing::FakeHost;
using mansio::testing::FakeResult;
using mansio::testing::FakeStage;

// A file that goes with its owner.
class ScriptFile {
 public:
  explicit ScriptFile(const std::string &text) {
    static int number = 0;
    path_ = ::testing::TempDir() + "script-" + std::to_string(::getpid()) + "-" + std::to_string(++number) + ".lua";
    std::ofstream{path_} << text;
  }
  ~ScriptFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  ScriptFile(const ScriptFile &) = delete;
  ScriptFile &operator=(const ScriptFile &) = delete;
  FakeHost::Options options(FakeHost::Options more = {}) const {
    more["script"] = path_;
    return more;
  }

 private:
  std::string path_;
};

// A script that runs. The host goes last and is destroyed first.
struct Scripted {
  explicit Scripted(const std::string &text, const FakeHost::Options &options = {})
      : file(text), host(mansio_plugin_entry_1(), file.options(options), {{"instance", "test"}}) {}
  // What a handler of `stage` says.
  FakeResult at(std::uint32_t stage, std::vector<std::string> arguments = {}) {
    FakeStage s;
    s.stage = stage;
    s.arguments = std::move(arguments);
    return host.run(s);
  }
  FakeResult rcpt(const std::string &address) { return at(MANSIO_STAGE_RCPT, {address}); }

  ScriptFile file;
  FakeHost host;
};

// What is wrong with a script before it runs; "" when nothing is.
inline std::string problem(const std::string &text, const FakeHost::Options &options = {}) {
  const ScriptFile file{text};
  return FakeHost::check(mansio_plugin_entry_1(), file.options(options));
}

// By what a script is told of a slip: when it is loaded or, by run(), later.
template <class F>
std::string load_or(F run) {
  try {
    return run();
  } catch (const std::runtime_error &e) {
    return e.what();
  }
}

// Runs assertions in Lua; "" when they hold.
inline std::string check(const std::string &text) { return problem(text + "\nmansio.on('connect', function() end)\n"); }

}  // namespace mansio::lua::testing
