// Domain names in the one form that comparisons use: A-labels (RFC 5890), lower case, no final dot.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mansio::config {

// Nothing when `domain` is no domain name. Underscores are let through: people do use them in names.
std::optional<std::string> ascii_domain(std::string_view domain);

std::string lower(std::string_view text);  // ASCII only

}  // namespace mansio::config
