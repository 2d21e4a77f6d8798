// What tests of filters and policies hand to the fake host, and what they get back.
//
//   FakeHost host{mansio_plugin_entry_1(), {{"tag", "[X]"}}};
//   const auto result = host.run({.stage = MANSIO_STAGE_END_OF_MESSAGE, .content = "Subject: a\r\n\r\nb\r\n"});
//   EXPECT_EQ(result.last->status, MANSIO_OK);
//   EXPECT_EQ(result.edits, std::vector<std::string>{"change_header 1 Subject: [X] a"});
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mansio/filter.hpp"

namespace mansio::testing {

using FakeMeta = std::map<std::string, std::string, std::less<>>;

struct FakeStage {
  std::uint32_t stage = MANSIO_STAGE_CONNECT;
  std::vector<std::string> arguments{};
  std::vector<std::pair<std::string, std::string>> macros{};
  std::string content{};  // canonical: CRLF line ends
  std::string session = "test.1";
  std::string queue_id = "0123456789ABC";
  FakeMeta session_meta{}, message_meta{};
  std::chrono::nanoseconds time_limit = std::chrono::hours{1};
};

// What an edit is, for where it is possible.
enum class FakeEdit { Message, Hold, Discard, Route, Redirect };

// One stage under way.
struct FakeWork {
  FakeStage stage;
  bool filter = false;  // or a policy
  // "add_header X-Seen: yes", "hold reason", "route smtp:[192.0.2.1]"; of versions "version 1 a@example.com" for each
  // recipient, and "of_version 1 add_header X-Seen: yes".
  std::vector<std::string> edits;
  std::uint32_t versions = 0;
  FakeMeta session_meta, message_meta;
  unsigned progress = 0;

  bool possible(FakeEdit what) const {
    const auto at = stage.stage;
    const bool of_message = at >= MANSIO_STAGE_MAIL && at <= MANSIO_STAGE_END_OF_MESSAGE;
    const bool on_its_way = !filter && (at == MANSIO_STAGE_ROUTE || at == MANSIO_STAGE_PRE_DELIVERY);
    switch (what) {
      case FakeEdit::Message:
        return filter && at == MANSIO_STAGE_END_OF_MESSAGE;
      case FakeEdit::Hold:
        return of_message || on_its_way || (!filter && at == MANSIO_STAGE_RETRY);
      case FakeEdit::Discard:
        return of_message || on_its_way || (!filter && at == MANSIO_STAGE_BOUNCE);
      case FakeEdit::Route:
        return on_its_way;
      case FakeEdit::Redirect:
        return of_message || (!filter && at == MANSIO_STAGE_BOUNCE);
    }
    return false;
  }
  // The recipients are the arguments of the message's end, as edits have changed them since.
  std::uint32_t version(const std::vector<std::string> &recipients) {
    constexpr std::uint32_t kMost = 100;
    if (!possible(FakeEdit::Message) || recipients.empty() || versions == kMost) return 0;
    for (const auto &recipient : recipients)
      if (!may_have_version(recipient)) return 0;
    ++versions;
    for (const auto &recipient : recipients) edits.push_back("version " + std::to_string(versions) + ' ' + recipient);
    return versions;
  }
  bool may_have_version(const std::string &recipient) const {
    const auto same = [&](std::string_view other) {
      const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
      return std::equal(recipient.begin(), recipient.end(), other.begin(), other.end(),
                        [&](char a, char b) { return lower(a) == lower(b); });
    };
    bool known = std::any_of(stage.arguments.begin(), stage.arguments.end(), same);
    for (const std::string_view line : edits) {
      const auto verb = line.substr(0, line.find(' '));
      const bool its = same(line.substr(line.rfind(' ') + 1));
      if (verb == "redirect") known = its;
      if (its && verb == "add_recipient") known = true;
      if (its && verb == "delete_recipient") known = false;
      if (its && verb == "version") return false;
    }
    return known;
  }
  mansio_status edit(FakeEdit what, std::string line) {
    if (!possible(what)) return MANSIO_UNSUPPORTED;
    edits.push_back(std::move(line));
    return MANSIO_OK;
  }
};

// The draft services. Host::with_work(host, op, otherwise, f) runs f(FakeWork &) while that operation is open.
template <class Host>
struct FakeFilterServices {
  static std::string text(mansio_str name, mansio_str value) {
    return plugin::string(name) + ": " + plugin::string(value);
  }
  // A field that the host refuses: the commonest reasons.
  static bool refused(mansio_str name, mansio_str value) {
    const auto n = plugin::view(name), v = plugin::view(value);
    const auto of_name = [](char c) { return c > 0x20 && c < 0x7f && c != ':'; };
    if (n.empty() || n.size() > 100 || !std::all_of(n.begin(), n.end(), of_name)) return true;
    std::size_t line = n.size() + 2;
    for (const char c : v) {
      line = c == '\n' ? 0 : line + 1;
      if (c == '\0' || line > 999) return true;  // with its CR
    }
    return false;
  }
  static mansio_status edit_field(const mansio_host *h, mansio_op op, std::uint32_t version, mansio_str name,
                                  mansio_str value, std::string line) noexcept {
    return refused(name, value) ? MANSIO_FAIL : edit_version(h, op, version, std::move(line));
  }
  static mansio_status edit_version(const mansio_host *h, mansio_op op, std::uint32_t version,
                                    std::string line) noexcept {
    return Host::with_work(h, op, mansio_status{MANSIO_FAIL}, [&](FakeWork &w) {
      if (version > w.versions) return mansio_status{MANSIO_FAIL};
      if (version != 0) line = "of_version " + std::to_string(version) + ' ' + line;
      return w.edit(FakeEdit::Message, std::move(line));
    });
  }
  static mansio_status edit(const mansio_host *h, mansio_op op, FakeEdit what, std::string line) noexcept {
    return Host::with_work(h, op, mansio_status{MANSIO_FAIL},
                           [&](FakeWork &w) { return w.edit(what, std::move(line)); });
  }
  static std::int64_t get(const mansio_host *h, mansio_op op, FakeMeta FakeStage::*which, mansio_str name, char *to,
                          std::size_t n) noexcept {
    return Host::with_work(h, op, std::int64_t{-1}, [&](FakeWork &w) -> std::int64_t {
      const auto found = (w.stage.*which).find(plugin::view(name));
      if (found == (w.stage.*which).end()) return -1;
      if (to) std::copy_n(found->second.data(), std::min(n, found->second.size()), to);
      return static_cast<std::int64_t>(found->second.size());
    });
  }
  static mansio_status set(const mansio_host *h, mansio_op op, FakeMeta FakeWork::*which, mansio_str name,
                           mansio_str value) noexcept {
    return Host::with_work(h, op, mansio_status{MANSIO_FAIL}, [&](FakeWork &w) -> mansio_status {
      if (w.stage.stage >= MANSIO_STAGE_DISCONNECT) return MANSIO_UNSUPPORTED;
      (w.*which)[plugin::string(name)] = plugin::string(value);
      return MANSIO_OK;
    });
  }

  static constexpr mansio_host_meta meta{
      [](const mansio_host *h, mansio_op op, mansio_str name, char *to, std::size_t n) noexcept {
        return get(h, op, &FakeStage::session_meta, name, to, n);
      },
      [](const mansio_host *h, mansio_op op, mansio_str name, char *to, std::size_t n) noexcept {
        return get(h, op, &FakeStage::message_meta, name, to, n);
      },
      [](const mansio_host *h, mansio_op op, mansio_str name, mansio_str value) noexcept {
        return set(h, op, &FakeWork::session_meta, name, value);
      },
      [](const mansio_host *h, mansio_op op, mansio_str name, mansio_str value) noexcept {
        return set(h, op, &FakeWork::message_meta, name, value);
      }};
  static constexpr mansio_host_edit edits{
      [](const mansio_host *h, mansio_op op, std::uint32_t version, mansio_str name, mansio_str value) noexcept {
        return edit_field(h, op, version, name, value, "add_header " + text(name, value));
      },
      [](const mansio_host *h, mansio_op op, std::uint32_t version, std::uint32_t position, mansio_str name,
         mansio_str value) noexcept {
        return edit_field(h, op, version, name, value,
                          "insert_header " + std::to_string(position) + ' ' + text(name, value));
      },
      [](const mansio_host *h, mansio_op op, std::uint32_t version, mansio_str name, std::uint32_t nth,
         mansio_str value) noexcept {
        return edit_field(h, op, version, name, value,
                          "change_header " + std::to_string(nth) + ' ' + text(name, value));
      },
      [](const mansio_host *h, mansio_op op, std::uint32_t version, mansio_str name, std::uint32_t nth) noexcept {
        return edit_field(h, op, version, name, {},
                          "delete_header " + std::to_string(nth) + ' ' + plugin::string(name));
      },
      [](const mansio_host *h, mansio_op op, mansio_str address) noexcept {
        return edit(h, op, FakeEdit::Message, "set_sender " + plugin::string(address));
      },
      [](const mansio_host *h, mansio_op op, mansio_str address) noexcept {
        return edit(h, op, FakeEdit::Message, "add_recipient " + plugin::string(address));
      },
      [](const mansio_host *h, mansio_op op, mansio_str address) noexcept {
        return edit(h, op, FakeEdit::Message, "delete_recipient " + plugin::string(address));
      },
      [](const mansio_host *h, mansio_op op, std::uint32_t version, mansio_str chunk) noexcept {
        return edit_version(h, op, version, "replace_body " + plugin::string(chunk));
      },
      [](const mansio_host *h, mansio_op op, mansio_str reason) noexcept {
        return edit(h, op, FakeEdit::Hold, "hold " + plugin::string(reason));
      },
      [](const mansio_host *h, mansio_op op, mansio_str reason) noexcept {
        return edit(h, op, FakeEdit::Discard, "discard " + plugin::string(reason));
      },
      [](const mansio_host *h, mansio_op op, const mansio_str *recipients, std::size_t n) noexcept {
        std::vector<std::string> names;
        for (std::size_t i = 0; i < n; ++i) names.push_back(plugin::string(recipients[i]));
        return Host::with_work(h, op, std::uint32_t{0}, [&](FakeWork &w) { return w.version(names); });
      },
      [](const mansio_host *h, mansio_op op, mansio_str address) noexcept -> mansio_status {
        if (address.n == 0) return MANSIO_FAIL;
        return edit(h, op, FakeEdit::Redirect, "redirect " + plugin::string(address));
      },
      [](const mansio_host *h, mansio_op op, mansio_str transport, mansio_str nexthop) noexcept -> mansio_status {
        if (transport.n == 0 && nexthop.n == 0) return MANSIO_FAIL;
        return edit(h, op, FakeEdit::Route, "route " + plugin::string(transport) + ':' + plugin::string(nexthop));
      },
      [](const mansio_host *h, mansio_op op, mansio_str pool) noexcept -> mansio_status {
        return pool.n == 0 ? MANSIO_FAIL : edit(h, op, FakeEdit::Route, "source_pool " + plugin::string(pool));
      }};
  static constexpr mansio_host_progress progress{[](const mansio_host *h, mansio_op op) noexcept {
    Host::with_work(h, op, 0u, [](FakeWork &w) { return ++w.progress; });
  }};

  static const void *service(std::string_view id) {
    if (id == "mansio.host.meta/1~draft") return &meta;
    if (id == "mansio.host.edit/1~draft") return &edits;
    if (id == "mansio.host.progress/1~draft") return &progress;
    return nullptr;
  }
};

}  // namespace mansio::testing
