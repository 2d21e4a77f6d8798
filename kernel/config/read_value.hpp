// One value of the tree against the form its option demands.
#pragma once

#include <optional>
#include <string>

#include "kernel/config/options.hpp"
#include "kernel/config/parse.hpp"
#include "kernel/config/problems.hpp"
#include "kernel/config/toml.hpp"

namespace mansio::config {

class ValueReader {
 public:
  ValueReader(Files &files, Problems &problems) : files_(files), problems_(problems) {}

  // Nothing when the value is not as `form` demands; the problem has been reported then.
  std::optional<Datum> read(const TomlValue &value, const std::string &key, const Form &form);
  // `value` names a file that holds the option's text.
  std::optional<Datum> read_file(const TomlValue &value, const std::string &key, const Form &form);
  // An option the kernel does not know, as text for its plugin: lists joined by ',', and a table of lists as a list
  // of NAME=ELEMENT.
  std::optional<std::string> plugin_text(const TomlValue &value, const std::string &key);

 private:
  std::optional<std::string> secret(const TomlValue &value, const std::string &key);
  std::optional<std::string> text_of(const TomlValue &value, const std::string &key);
  std::optional<std::vector<std::string>> list_of(const TomlValue &value, const std::string &key, const Form &form);
  bool plugin_list(const TomlList &list, const std::string &key, const std::string &prefix, std::string &out);
  std::nullopt_t refuse(const TomlValue &value, const std::string &key, const Form &form);

  Files &files_;
  Problems &problems_;
};

}  // namespace mansio::config
