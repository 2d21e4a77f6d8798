// docs/configuration.md, generated from the option tables, so that it cannot say anything else than the program does.
#pragma once

#include <string>

namespace mansio::config {

std::string configuration_reference();

}  // namespace mansio::config
