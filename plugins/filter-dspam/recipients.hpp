// The recipients of the messages under way, by session. A recipient that somebody after this filter refuses is none:
// what a filter notes in the message's metadata is dropped then. So each recipient is remembered here with the one
// before it, and only which was the last goes into the metadata.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mansio::dspam {

class Recipients {
 public:
  void forget(std::string_view session) { sessions_.erase(std::string{session}); }

  // `last`: the metadata as it is; returns what it is to be.
  std::string add(std::string_view session, const std::optional<std::string> &last, std::string address) {
    auto &all = sessions_[std::string{session}];
    all.push_back({std::move(address), number(last)});
    return std::to_string(all.size());
  }

  // Those of the message, in their order; they are forgotten.
  std::vector<std::string> take(std::string_view session, const std::optional<std::string> &last) {
    std::vector<std::string> out;
    const auto entry = sessions_.find(std::string{session});
    if (entry == sessions_.end()) return out;
    auto &all = entry->second;
    for (auto n = number(last); n > 0 && n <= all.size();) {
      out.push_back(std::move(all[n - 1].address));
      const auto before = all[n - 1].before;
      if (before >= n) break;
      n = before;
    }
    sessions_.erase(entry);
    std::reverse(out.begin(), out.end());
    return out;
  }

 private:
  struct Entry {
    std::string address;
    std::size_t before;  // from 1; 0 = none
  };
  static std::size_t number(const std::optional<std::string> &text) {
    std::size_t value = 0;
    if (text) std::from_chars(text->data(), text->data() + text->size(), value);
    return value;
  }

  std::unordered_map<std::string, std::vector<Entry>> sessions_;
};

}  // namespace mansio::dspam
