// One connection to DSPAM's daemon: a message after the other, each about one user. Coroutines on the instance's loop.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mansio/loop.hpp"
#include "mansio/socket.hpp"
#include "plugins/filter-dspam/answer.hpp"

namespace mansio::dspam {

// Up to n bytes of a message in canonical form from `offset`; 0 at the end, -1 when they cannot be read.
using ReadMessage = std::function<std::int64_t(std::uint64_t offset, char *to, std::size_t n)>;

struct Request {
  std::string from;        // of MAIL FROM: password@ident, or the sender
  std::string parameters;  // of DSPAMPROCESSMODE; "": none
  std::string user;
  ReadMessage read;
};

struct Exchange {
  std::string failure;     // why there is no answer; "" = there is one
  bool untouched = false;  // of a failure: DSPAM cannot have begun with the message
  std::optional<Answer> answer;
};

class Connection {
 public:
  explicit Connection(plugin::Host host) : socket_(host) {}

  // The first of `servers` that connects and greets. "", or why none did. `dlmtp`: it must speak that.
  plugin::Task<std::string> open(const std::vector<plugin::Endpoint> &servers, const std::string &name, bool dlmtp,
                                 std::int64_t deadline, plugin::Cancel &cancel);
  plugin::Task<Exchange> send(const Request &request, std::int64_t deadline, plugin::Cancel &cancel);

  // Of an idle one: the daemon has closed it, or has said something that would be taken for the next answer.
  bool gone() const;
  bool usable() const { return usable_; }  // after an exchange: the next one may come
  void rest() { socket_.set_cancel(nullptr); }

 private:
  plugin::Task<std::string> greet(const std::string &name, bool dlmtp, std::int64_t deadline);
  // A command and its reply; "", or why it is not `wanted`.
  plugin::Task<std::string> command(const std::string &text, int wanted, std::int64_t deadline);
  plugin::Task<std::string> write(std::string_view bytes, std::int64_t deadline);
  plugin::Task<std::string> message(const Request &request, std::int64_t deadline);
  // A line without its end; nothing, and `why`.
  plugin::Task<std::optional<std::string>> line(std::int64_t deadline, std::string &why);
  plugin::Task<std::string> reply(CommandReply &to, std::int64_t deadline);

  plugin::Socket socket_;
  plugin::ReadBuffer buffer_{65536};
  bool usable_ = false;
};

// A message with its dots stuffed and its end, a piece at a time; lines end in CRLF. It has no NULs: DSPAM drops them
// before it looks for lines, so that "\0." alone on a line would end the message.
class DotStuffer {
 public:
  std::string add(std::string_view piece);
  std::string end() const;  // the line end that the last line may lack, and the final dot

 private:
  bool line_begins_ = true;
};

}  // namespace mansio::dspam
