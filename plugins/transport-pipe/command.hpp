// Command: the `argv` of pipe(8) as a template, and what becomes of it for one delivery. Words are divided by blanks;
// "{ ... }" makes one word of what stands between. Macros are ${name}, $(name) and $name; $$ is a dollar sign. An
// argument with a macro of a recipient becomes one argument a recipient. There is no shell anywhere. Pure.
//
// What comes from strangers must not turn into an option: an argument that begins with a macro may not begin with '-'.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::pipe {

enum class Macro : std::size_t {
  ClientAddress,
  ClientHelo,
  ClientHostname,
  ClientPort,
  ClientProtocol,
  Nexthop,
  QueueId,
  SaslMethod,
  SaslSender,
  SaslUsername,
  Sender,
  Size,
  // of a recipient
  Domain,
  Extension,
  Mailbox,
  OriginalRecipient,
  Recipient,
  User,
  Count
};

using Values = std::array<std::string, static_cast<std::size_t>(Macro::Count)>;
inline std::string &at(Values &values, Macro macro) { return values[static_cast<std::size_t>(macro)]; }

class Command {
 public:
  // Throws plugin::BadConfig of the option "argv".
  explicit Command(std::string_view argv);

  const std::string &program() const { return program_; }  // absolute

  // What is wrong with these values in an argument; empty: nothing. Of the whole message ...
  std::string refuses_message(const Values &message) const { return refuses(message, false); }
  // ... and of one recipient, whose values have the message's as well.
  std::string refuses_recipient(const Values &recipient) const { return refuses(recipient, true); }

  // Without recipients, arguments with macros of theirs are left out.
  std::vector<std::string> expand(const Values &message, std::span<const Values> recipients) const;

 private:
  struct Part {
    std::string text;
    std::optional<Macro> macro;
  };
  struct Argument {
    std::vector<Part> parts;
    bool per_recipient = false;
  };
  static Argument parse(std::string_view word);
  static std::string fill(const Argument &argument, const Values &values);
  std::string refuses(const Values &values, bool per_recipient) const;

  std::string program_;
  std::vector<Argument> arguments_;  // the program's name is not among them
};

}  // namespace mansio::pipe
