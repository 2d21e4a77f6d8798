// Settings: the options of an instance, judged. Throws BadConfig, with all that is wrong.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mansio/plugin.hpp"
#include "plugins/transport-pipe/address.hpp"
#include "plugins/transport-pipe/command.hpp"
#include "plugins/transport-pipe/content.hpp"

namespace mansio::pipe {

// The letters of `flags` that put a header before the message.
struct HeaderFlags {
  bool delivered_to = false;  // 'D'
  bool from = false;          // 'F'
  bool original_to = false;   // 'O'
  bool return_path = false;   // 'R'
};

struct Settings {
  std::optional<Command> command;
  std::string user, null_sender, recipient_delimiter;
  std::string root, directory;           // `chroot`, and what is below it
  std::vector<std::string> environment;  // NAME=VALUE, PATH among them
  HeaderFlags headers;
  AddressForm address_form;
  ContentForm content_form;
  bool final_delivery = false;   // 'X'
  std::uint64_t size_limit = 0;  // 0 = none
  std::int64_t time_limit = 0;   // ns
};

Settings read_settings(const plugin::Config &config);

extern const mansio_option kOptions[];

}  // namespace mansio::pipe
