#include "plugins/lua/tool/test_servers.hpp"

#include <utility>

#include "plugins/lua/bind.hpp"

namespace mansio::lua::tool {
namespace {

constexpr const char *kNoAnswer = "the test's answer failed";

// "Name: value", and "Name;" without a value.
void push_request_headers(lua_State *L, const HttpRequest &request) {
  lua_createtable(L, 0, static_cast<int>(request.headers.size()));
  for (const auto &line : request.headers) {
    const auto colon = line.find(": ");
    const auto name = colon == line.npos ? line.substr(0, line.size() - 1) : line.substr(0, colon);
    push(L, colon == line.npos ? std::string_view{} : std::string_view{line}.substr(colon + 2));
    lua_setfield(L, -2, name.c_str());
  }
}

// The table on top.
void read_response_headers(lua_State *L, HttpResponse &response) {
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    const std::string name{text_at(L, -2, "the name of a header")}, value{text_at(L, -1, "the value of a header")};
    response.headers.emplace_back(name, value);
    lua_pop(L, 1);
  }
}

}  // namespace

TestServers::TestServers(lua_State *L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  main_ = lua_tothread(L, -1);
  lua_pop(L, 1);
}

TestServers::~TestServers() {
  for (const int function : {http_, connections_}) luaL_unref(main_, LUA_REGISTRYINDEX, function);
}

void TestServers::take(lua_State *L, int &function) {
  luaL_unref(L, LUA_REGISTRYINDEX, std::exchange(function, LUA_NOREF));
  function = luaL_ref(L, LUA_REGISTRYINDEX);
}

template <class F>
bool TestServers::ask(F f) const {
  if (!running_) {
    trouble_ = "a server was asked while nothing ran";
    return false;
  }
  auto why = protect(running_, f);
  if (!why.empty() && trouble_.empty()) trouble_ = std::move(why);
  return trouble_.empty();
}

bool TestServers::http(const HttpRequest &request, HttpResponse &response) const {
  if (http_ == LUA_NOREF) return false;
  const bool asked = ask([&](lua_State *L) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, http_);
    push(L, request.method);
    push(L, request.url);
    if (request.has_body)
      push(L, request.body);
    else
      lua_pushnil(L);
    push_request_headers(L, request);
    lua_call(L, 4, 3);
    if (lua_isnil(L, 1)) {
      response.why = text_at(L, 2, "why there is no answer");
      response.sent = lua_toboolean(L, 3) != 0;
      return;
    }
    response.status = static_cast<int>(integer_at(L, 1, "the status", 100, 599));
    response.body = text_at(L, 2, "the body");
    read_response_headers(L, response);
    response.sent = true;
  });
  if (!asked) response.why = kNoAnswer;
  if (response.body.size() > request.limit)
    response.why = "the response is larger than " + std::to_string(request.limit) + " octets";
  return true;
}

// One connection; its function is let go with it.
class TestServers::Talk final : public Conversation {
 public:
  Talk(const TestServers &servers, int function) : servers_(servers), function_(function) {}
  ~Talk() override { luaL_unref(servers_.main_, LUA_REGISTRYINDEX, function_); }
  Talk(const Talk &) = delete;
  Talk &operator=(const Talk &) = delete;

  bool hear(std::string_view text, std::string &says) override {
    bool over = true;
    const bool heard = servers_.ask([&](lua_State *L) {
      lua_rawgeti(L, LUA_REGISTRYINDEX, function_);
      push(L, text);
      lua_call(L, 1, 2);
      says += text_at(L, 1, "what the server says");
      over = lua_toboolean(L, 2) != 0;
    });
    return heard && !over;
  }

 private:
  const TestServers &servers_;
  int function_;
};

bool TestServers::connect(const std::string &address, std::unique_ptr<Conversation> &made, std::string &why) const {
  if (connections_ == LUA_NOREF) return false;
  int function = LUA_NOREF;
  const bool asked = ask([&](lua_State *L) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, connections_);
    push(L, address);
    lua_call(L, 1, 2);
    if (lua_isnil(L, 1)) {
      why = text_at(L, 2, "why there is no connection");
      return;
    }
    expect_function(L, 1, "the conversation");
    lua_settop(L, 1);
    function = luaL_ref(L, LUA_REGISTRYINDEX);
  });
  if (!asked) why = kNoAnswer;
  if (function != LUA_NOREF) made = std::make_unique<Talk>(*this, function);
  return true;
}

TestServers::Run::Run(TestServers &servers, lua_State *L) : servers_(servers) {
  if (servers_.running_) throw ScriptError{"the script is waiting for this answer, and cannot be asked meanwhile"};
  servers_.running_ = L;
  servers_.trouble_.clear();
}

void TestServers::Run::end() {
  if (!servers_.trouble_.empty()) throw ScriptError{std::exchange(servers_.trouble_, {})};
}

}  // namespace mansio::lua::tool
