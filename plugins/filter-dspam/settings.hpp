// Settings: the options of an instance, judged. Throws BadConfig, with all that is wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "mansio/config.hpp"
#include "plugins/filter-dspam/opinion.hpp"
#include "plugins/filter-dspam/user.hpp"
#include "plugins/lookup-common/endpoint.hpp"

namespace mansio::dspam {

struct Settings {
  lookup::Endpoint server;
  bool dlmtp = true;
  std::string ident, password;
  std::string parameters;  // of a message to be judged; the mode may be added
  std::string training_mode;
  UserTemplate user = *UserTemplate::parse("{address}");
  UserTemplate train_user = user;
  bool fold_case = true;            // of local parts
  std::string recipient_delimiter;  // what begins an extension, which makes no user of its own; "" = nothing
  Preferences defaults;
  std::string reject_text;
  std::string spam_header_name, spam_header_value;  // "" = none
  std::string signature_header;
  std::string preferences;  // name of a table; "" = none
  Mixed mixed = Mixed::All;
  bool silence_accepts = false;                    // DSPAM that does not look at a message is no failure
  std::vector<std::string> train_spam, train_ham;  // addresses, domains folded
  bool train_from_anyone = false;
  std::uint64_t max_size = 0;                           // 0 = any
  std::int64_t connect_timeout = 0, idle_interval = 0;  // ns
};

Settings read_settings(const plugin::Config &config);

extern const mansio_option kOptions[];

}  // namespace mansio::dspam
