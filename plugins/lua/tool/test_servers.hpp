// Servers that a test plays: what a script asks over HTTP, and what it says on connections, is answered by functions in
// Lua, on whose state the call that runs the script was made. What is wrong with one of them is the test's to hear.
#pragma once

#include <memory>
#include <string>

#include "plugins/lua/io/fake_servers.hpp"
#include "plugins/lua/lua_api.hpp"

namespace mansio::lua::tool {

class TestServers final : public FakeServers {
 public:
  // Of the test, which outlives this.
  explicit TestServers(lua_State *L);
  ~TestServers() override;
  TestServers(const TestServers &) = delete;
  TestServers &operator=(const TestServers &) = delete;

  // Takes the function on top of the stack: (method, url, body or nil, headers) -> status, body, headers; or nil, why,
  // whether the request was heard.
  void answer_http(lua_State *L) { take(L, http_); }
  // The same: (address) -> a function (text, whether it is the last) -> what is said, whether that is all; or nil, why.
  void answer_connections(lua_State *L) { take(L, connections_); }

  bool http(const HttpRequest &request, HttpResponse &response) const override;
  bool connect(const std::string &address, std::unique_ptr<Conversation> &made, std::string &why) const override;

  // While the script runs: the thread of the test that called it. Throws ScriptError when it runs already, and at the
  // end for what was wrong.
  class Run {
   public:
    Run(TestServers &servers, lua_State *L);
    ~Run() { servers_.running_ = nullptr; }
    Run(const Run &) = delete;
    Run &operator=(const Run &) = delete;
    void end();

   private:
    TestServers &servers_;
  };

 private:
  class Talk;

  void take(lua_State *L, int &function);
  // f(lua_State *), in which the function is called; false: it failed, as the test will hear.
  template <class F>
  bool ask(F f) const;

  lua_State *main_;
  lua_State *running_ = nullptr;
  int http_ = LUA_NOREF, connections_ = LUA_NOREF;
  mutable std::string trouble_;
};

}  // namespace mansio::lua::tool
