// What is wrong with the options of a transport: names and types by the plugin's table, then values by the plugin's
// own check(), which runs without an instance. Every caller that judges options does it here, so that what is checked
// beforehand is what a start demands.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/config/parse.hpp"
#include "mansio/abi.h"

namespace mansio::host {

struct OptionProblem {
  std::string option;  // "": the options as a whole
  std::string text;    // "is 99999, expected an integer from 1 to 65535"
};
std::string to_string(const OptionProblem &problem);  // "OPTION TEXT"

using OptionTexts = std::map<std::string, std::string>;

struct TableCheck {
  OptionTexts values;  // canonical; a default where none or nothing sensible is given
  std::vector<OptionProblem> problems;
};
TableCheck check_table(const mansio_plugin &plugin, const OptionTexts &given);

// Mansio has an option of that name in every table that names a plugin, so that a plugin's own never gets there.
bool is_of_budgets(std::string_view option);

// Both checks. The plugin's own is left out while an option that it demands is missing.
std::vector<OptionProblem> judge_options(const mansio_plugin &plugin, const OptionTexts &given,
                                         const OptionTexts &facts);

// One line, whatever a plugin put into it.
std::string one_line(std::string_view text);

}  // namespace mansio::host
