// A script on a host of fakes, as a test sees it: its tables, its DNS and its clock are what the test says.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "mansio/testing/fake_host.hpp"
#include "plugins/lua/bind.hpp"
#include "plugins/lua/lua_api.hpp"
#include "plugins/lua/tool/test_servers.hpp"

namespace mansio::lua::tool {

class FakeScript {
 public:
  using Options = mansio::testing::FakeHost::Options;

  // `options` as in the configuration, the script among them; `name`: what the instance is called; `clock`: when time
  // begins, in ns since 1970; `L`: of the test. Throws a std::exception that says what is wrong with script or options.
  FakeScript(lua_State *L, const Options &options, const std::string &name, std::int64_t clock);

  // A table that exists; keys that it has not been given are not found. Others cannot answer.
  void know(const std::string &table) { known_.insert(table); }
  mansio::testing::FakeHost &host() { return host_; }
  TestServers &servers() { return servers_; }
  // What there is of limits of the queue, by limit and key.
  using Permits = std::map<std::pair<std::string, std::string>, std::uint32_t>;
  Permits &permits() { return permits_; }

 private:
  Permits permits_;
  std::set<std::string> known_;
  TestServers servers_;
  mansio::testing::FakeHost host_;
};

// Into the table on top: script(options, clock), whose methods drive one; what else the library in Lua is made of.
// Errors have no place of their own: the library knows whose line it was.
void add_primitives(lua_State *L);

// Of these: the script that a method is called of, and what it answered, pushed.
FakeScript &script_at(lua_State *L, int index);
void push_reply(lua_State *L, const mansio::testing::FakeReply &reply);

// Throws what is to be said where the script has nothing of that kind ("auth") under its name.
[[noreturn]] void provides_none(const char *kind);

// A method that lets the script run, with what servers of the test do meanwhile.
template <Binding F>
int driving(lua_State *L) {
  return translated(L, 0, [L] {
    TestServers::Run run{script_at(L, 1).servers(), L};
    const int n = F(L);
    run.end();
    return n;
  });
}

// The methods for AUTH, rates, events of the queue and deliveries, in fake_kinds.cpp.
int auth_step(lua_State *L);
int lease(lua_State *L);
int give_back(lua_State *L);
int tell(lua_State *L);
int abort_message(lua_State *L);
int deliver(lua_State *L);
// Those for mail that a script submits, for permits and commands, in fake_queue.cpp.
int answer_submit(lua_State *L);
int submitted(lua_State *L);
int set_permits(lua_State *L);
int call_command(lua_State *L);

}  // namespace mansio::lua::tool
