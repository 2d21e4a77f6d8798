// What `mansio replay` prints: a piece for each decision that differs, and what all came to; or the same as JSON lines.
#pragma once

#include <cstddef>
#include <cstdio>
#include <set>
#include <string>

#include "plugins/lua/tool/session_replay.hpp"

namespace mansio::lua::tool {

class ReplayReport final : public ReplayListener {
 public:
  ReplayReport(std::FILE *out, bool json) : out_(out), json_(json) {}

  void decided(const Comparison &comparison) override;
  void never_came() override { ++never_came_; }
  void without_content() override { ++without_content_; }
  void with_part_of_body() override { ++with_part_of_body_; }

  void sum_up(std::size_t sessions, const std::set<std::string> &missing);
  std::size_t differing() const { return differing_; }

 private:
  std::FILE *out_;
  bool json_;
  std::size_t decisions_ = 0, differing_ = 0, never_came_ = 0, without_content_ = 0, with_part_of_body_ = 0;
};

}  // namespace mansio::lua::tool
