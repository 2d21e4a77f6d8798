// What a host of tests puts in the place of the servers that scripts ask (`mansio lua test`): it offers this as a
// service of its own. Mansio has none.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "mansio/host.hpp"
#include "mansio/socket.hpp"
#include "plugins/lua/io/http_client.hpp"

namespace mansio::lua {

class FakeServers {
 public:
  static constexpr const char *kService = "mansio.lua.fake-servers";

  // A connection, from the server's side.
  class Conversation {
   public:
    virtual ~Conversation() = default;
    // What it says to that, added to `says`; "" is heard when more is waited for. False: it says no more after it.
    virtual bool hear(std::string_view text, std::string &says) = 0;
  };

  virtual ~FakeServers() = default;
  // False: the server that the URL names is to be asked. Otherwise the response, perhaps why there is none.
  virtual bool http(const HttpRequest &request, HttpResponse &response) const = 0;
  // False: the server that has that address ("127.0.0.1:783", "unix:/path") is to be asked. Otherwise a conversation,
  // or why there is none.
  virtual bool connect(const std::string &address, std::unique_ptr<Conversation> &made, std::string &why) const = 0;

  static const FakeServers *of(const plugin::Host &host);  // null: the host has none
  static std::unique_ptr<plugin::Stream> stream(std::unique_ptr<Conversation> conversation);
};

}  // namespace mansio::lua
