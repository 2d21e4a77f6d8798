// `mansio check --system`: whether the machine suits the configuration, and whether its limits suit each other; what to
// change if not. What would lose mail or stop it is a problem; what only costs speed is advice.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/cli/system_facts.hpp"
#include "kernel/config/settings.hpp"

namespace mansio::cli {

enum class Grade : std::uint8_t { Ok, Advice, Problem };
struct Finding {
  Grade grade = Grade::Ok;
  std::string subject, found;
  std::string advice;  // what to change; "" with Ok
};

std::vector<Finding> judge_system(const SystemFacts &facts, const config::Settings &settings);
std::string to_text(const std::vector<Finding> &findings);

}  // namespace mansio::cli
