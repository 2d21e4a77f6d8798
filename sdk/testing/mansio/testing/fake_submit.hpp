// What plugins submit, and the permits that they take, as the fake host has it: it is kept for the test to look at, and
// answered with what the test wants (FakeHost::submit_answer, permits_answer).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mansio/draft/services.h"
#include "mansio/plugin.hpp"

namespace mansio::testing {

struct FakeSubmission {  // mansio_submission, owned
  std::string sender;
  std::vector<std::string> recipients;
  std::string content;  // with canonical line ends
  std::uint32_t flags = 0;
  std::map<std::string, std::string, std::less<>> metadata;
};

struct FakeSubmitAnswer {
  mansio_status status = MANSIO_OK;
  std::string text = "0123456789ABC";  // the queue id; of another status why not
};

struct FakePermits {  // that were asked for
  std::string limit, key;
  std::uint32_t want = 0;
};

struct FakeGranted {
  std::uint32_t granted = 0;
  std::int64_t retry_ns = 0;
};

inline std::string canonical_lines(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool crlf = text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n';
    if (crlf) ++i;
    if (text[i] == '\n')
      out += "\r\n";
    else
      out += text[i] == '\r' ? ' ' : text[i];
  }
  if (!out.empty() && out.back() != '\n') out += "\r\n";
  return out;
}

inline FakeSubmission copy_submission(const mansio_submission *mail) {
  const auto s = plugin::read_record<mansio_submission>(mail);
  FakeSubmission out;
  out.sender = plugin::string(s.sender);
  for (std::size_t i = 0; i < s.n_recipients; ++i) out.recipients.push_back(plugin::string(s.recipients[i]));
  out.content = canonical_lines(plugin::view(s.content));
  out.flags = s.flags;
  for (std::size_t i = 0; i < s.n_metadata; ++i)
    out.metadata[plugin::string(s.metadata[i].name)] = plugin::string(s.metadata[i].value);
  return out;
}

}  // namespace mansio::testing
