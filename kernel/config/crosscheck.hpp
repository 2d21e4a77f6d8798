// What can be wrong between options that are each right by themselves.
#pragma once

#include "kernel/config/problems.hpp"
#include "kernel/config/read.hpp"

namespace mansio::config {

void crosscheck(const Settings &settings, const std::string &file, const Places &places, Problems &problems);
// Of that what the scheduler goes by alone: limits and who owns them, whose mail they bind, and what replies do.
void crosscheck_limits(const Settings &settings, const std::string &file, const Places &places, Problems &problems);

}  // namespace mansio::config
