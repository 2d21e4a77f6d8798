// A message as filters are given it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string_view>

#include "kernel/host/filter.hpp"

namespace mansio::host {

inline std::shared_ptr<const FilterContent> content_of(std::string_view text) {
  auto content = std::make_shared<FilterContent>();
  content->file = std::move(*io::Memfd::create("message"));
  EXPECT_TRUE(content->file.write(text).ok());
  return content;
}

}  // namespace mansio::host
