// Settings: the options of an instance, judged. Throws BadConfig, with all that is wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mansio/plugin.hpp"

namespace mansio::http {

enum class Format { Raw, Json };

struct Settings {
  std::string url, host;
  Format format = Format::Raw;
  std::vector<std::string> headers;  // "Name: value"
  std::string bearer_token, hmac_secret, signature_header;
  std::string ca_file;  // "" = the system's
  bool verify = true;
  std::int64_t connect_timeout = 0, timeout = 0;  // ns
};

Settings read_settings(const plugin::Config &config);

extern const mansio_option kOptions[];

}  // namespace mansio::http
