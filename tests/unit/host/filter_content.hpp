// A message as filters are given it.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>
#include <string_view>

#include "kernel/host/filter.hpp"

namespace mansio::host {

inline std::shared_ptr<const FilterContent> content_of(std::string_view text) {
  auto content = std::make_shared<FilterContent>();
  content->fd.reset(::memfd_create("message", MFD_CLOEXEC));
  content->length = text.size();
  EXPECT_EQ(::write(content->fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  return content;
}

}  // namespace mansio::host
