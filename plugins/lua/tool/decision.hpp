// Decision: what somebody who watches a session has said to one event, or to all of a message's content, in a form in
// which what was recorded and what is said now compare.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mansio/testing/fake_records.hpp"
#include "plugins/lua/tool/recording.hpp"

namespace mansio::lua::tool {

struct Decision {
  std::string action = "accept";  // or "reject", "defer", "failed"
  std::uint16_t code = 0;         // of a refusal, with its defaults filled in as Mansio does
  std::string enhanced, text;     // the text of a failure is why
  std::vector<std::string> edits;
  Values session_meta, message_meta;

  bool refuses() const { return action == "reject" || action == "defer"; }
  bool failed() const { return action == "failed"; }
  bool accepts() const { return action == "accept"; }
  bool discards() const;

  // One more answer, to the next stage of the content.
  void add(const RecordedAnswer &said);
  void add(const mansio::testing::FakeResult &result, std::uint32_t stage);
  void fail(const std::string &why);
};

// `whole`: all of the message is known; if not, what a body was replaced by says nothing. Failures are alike.
bool same(const Decision &a, const Decision &b, bool whole);

// "accept", "550 5.7.1 no; change_header 1 Subject: x", "failed: why", in one line of printable characters.
std::string to_text(const Decision &decision);

}  // namespace mansio::lua::tool
