// mansio.http: requests to web servers.
#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "plugins/lua/declarations.hpp"
#include "plugins/lua/declare/argument.hpp"
#include "plugins/lua/engine.hpp"
#include "plugins/lua/io/fake_servers.hpp"
#include "plugins/lua/io/http_client.hpp"
#include "plugins/lua/io/io.hpp"
#include "plugins/lua/io/operation.hpp"
#include "plugins/lua/io/resolve.hpp"
#include "plugins/lua/io/server_options.hpp"
#include "plugins/lua/io/services.hpp"
#include "plugins/lua/lib/network.hpp"
#include "plugins/lua/objects.hpp"

namespace mansio::lua {
namespace {

constexpr std::int64_t kHttpTimeout = 30'000'000'000, kBodyLimit = 1 << 20;
constexpr std::size_t kHead = 64 << 10;

bool is_token(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || kMarks.find(c) != kMarks.npos;
  });
}

// The table on top, {name = value}, in the order of the names.
void read_headers(lua_State *L, HttpRequest &request) {
  expect_table(L, -1, "headers");
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      throw ScriptError{"headers has a name that is no text, expected {name = value}"};
    const auto name = text_at(L, -2, "the name of a header");
    const auto value = text_at(L, -1, "the value of a header");
    if (!is_token(name)) throw ScriptError{"headers has the name \"" + std::string{name} + "\", which none can have"};
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (std::any_of(value.begin(), value.end(), control))
      throw ScriptError{"the header " + std::string{name} + " has a control character in its value"};
    // libcurl sends one without a value when it ends in a semicolon.
    request.headers.push_back(std::string{name} + (value.empty() ? ";" : ": " + std::string{value}));
    lua_pop(L, 1);
  }
  std::sort(request.headers.begin(), request.headers.end());
}

// What the response may hold outside of Lua, in octets.
std::size_t read_options(lua_State *L, int index, HttpRequest &request, std::int64_t &timeout) {
  std::int64_t limit = std::min<std::int64_t>(kBodyLimit, static_cast<std::int64_t>(State::of(L).call_memory()));
  if (!lua_isnoneornil(L, index)) {
    expect_table(L, index, declared_argument("mansio.http.get", 2).what);
    only_fields(L, index, "mansio.http", kHttpOptions);
    timeout = timeout_field(L, index, timeout);
    if (lua_getfield(L, index, "limit") != LUA_TNIL)
      limit = integer_at(L, -1, "limit", 1, static_cast<std::int64_t>(State::of(L).call_memory()));
    lua_pop(L, 1);
    request.ca_file = text_field(L, index, "ca_file");
    if (lua_getfield(L, index, "headers") != LUA_TNIL) read_headers(L, request);
    lua_pop(L, 1);
  }
  request.limit = static_cast<std::size_t>(limit);
  return request.limit + kHead + request.body.size();
}

int push_response(lua_State *L, const HttpResponse &response) {
  State::of(L).charge(L, 100 + response.body.size() / 16 + 10 * response.headers.size());
  lua_createtable(L, 0, 3);
  lua_pushinteger(L, response.status);
  lua_setfield(L, -2, "status");
  push(L, response.body);
  lua_setfield(L, -2, "body");
  lua_createtable(L, 0, static_cast<int>(response.headers.size()));
  for (const auto &[name, value] : response.headers) {
    push(L, name);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TSTRING) {  // more than one of that name
      lua_pushliteral(L, ", ");
      push(L, value);
      lua_concat(L, 3);
    } else {
      lua_pop(L, 1);
      push(L, value);
    }
    lua_rawset(L, -3);
  }
  lua_setfield(L, -2, "headers");
  luaL_setmetatable(L, kResponseType);
  return 1;
}

plugin::Task<WaitAnswer> fetch(HttpClient &client, plugin::Host host, HttpRequest request, plugin::Cancel &cancel) {
  auto response = std::make_shared<HttpResponse>();
  const auto *const fakes = FakeServers::of(host);
  if (!fakes || !fakes->http(request, *response)) {
    auto addresses = co_await resolve(host, request.host, cancel);
    if (addresses.list.empty()) co_return unavailable(std::move(addresses.why));
    if (!IpAddress::parse(request.host)) request.addresses = std::move(addresses.list);
    *response = co_await client.fetch(std::move(request), cancel);
  }
  if (!response->why.empty()) co_return unavailable(response->why, response->sent);
  WaitAnswer answer{MANSIO_OK};
  answer.give = [response](lua_State *L) { return push_response(L, *response); };
  co_return answer;
}

int ask(lua_State *L, const char *what, HttpRequest request, int options) {
  expect_allowed(L, "http", what);
  auto &call = may_ask(L, what);
  std::string why;
  request.host = HttpClient::host_of(request.url, request.port, why);
  if (request.host.empty())
    throw ScriptError{"the URL " + why + ", expected one such as \"https://api.example.com/check\""};
  std::int64_t timeout = kHttpTimeout;
  const auto octets = read_options(L, options, request, timeout);
  call.state().charge(L, request.body.size() / 16);
  const auto &host = *call.engine().host();
  request.deadline = host.now() + timeout;
  auto &client = call.engine().services().http();
  const auto peer = request.host + ':' + std::to_string(request.port);
  return wait_for_task(L, call, peer, octets,
                       [&](plugin::Cancel &cancel) { return fetch(client, host, std::move(request), cancel); });
}

HttpRequest request_to(lua_State *L, int url, const char *method) {
  HttpRequest request;
  request.method = method;
  request.url = text_at(L, url, declared_argument("mansio.http.get", 1).what);
  if (request.url.find('\0') != std::string::npos) throw ScriptError{"the URL has a NUL in it"};
  return request;
}

void add_body(lua_State *L, int index, HttpRequest &request) {
  request.has_body = true;
  request.body = text_at(L, index, declared_argument("mansio.http.post", 2).what);
}

int get(lua_State *L) {  // (url [, options])
  return ask(L, "mansio.http.get", request_to(L, 1, "GET"), 2);
}

int post(lua_State *L) {  // (url, body [, options])
  auto request = request_to(L, 1, "POST");
  add_body(L, 2, request);
  return ask(L, "mansio.http.post", std::move(request), 3);
}

int any(lua_State *L) {  // (method, url [, body [, options]])
  const std::string method{text_at<"mansio.http.request">(L)};
  if (!is_token(method)) throw ScriptError{"the method is \"" + method + "\", expected one such as \"PUT\""};
  auto request = request_to(L, 2, method.c_str());
  if (!lua_isnoneornil(L, 3)) {
    if (method == "HEAD") throw ScriptError{"a HEAD request has no body"};
    add_body(L, 3, request);
  }
  return ask(L, "mansio.http.request", std::move(request), 4);
}

}  // namespace

void add_http(lua_State *L) {
  static constexpr luaL_Reg kFunctions[] = {
      {"get", bound<get>}, {"post", bound<post>}, {"request", bound<any>}, {nullptr, nullptr}};
  luaL_setfuncs(L, kFunctions, 0);
}

}  // namespace mansio::lua
