// The option tables: the one place that knows each option's name, type, range, help and member. The reader, the
// snapshot writer and docs/configuration.md all work from them, so that none can forget or misname an option.
// Defaults are not here: they are what a fresh struct holds (settings.hpp).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernel/config/settings.hpp"
#include "kernel/config/syntax.hpp"

namespace mansio::config {

enum class OptionType : std::uint8_t { Boolean, Integer, Number, Duration, Size, Text, Path, Choice, List };

// What a value must look like.
struct Form {
  OptionType type = OptionType::Text;
  std::int64_t least = 0, most = 0;             // Integer, Number, Duration (ns), Size (bytes)
  const Syntax *syntax = nullptr;               // Text, and the elements of a List
  std::span<const std::string_view> choices{};  // Choice: names in the order of the enumeration
};

// A checked value: durations in ns, sizes in bytes, a choice as its index.
using Datum = std::variant<bool, std::int64_t, double, std::string, std::vector<std::string>>;

struct OptionInfo {
  std::string_view name;
  Form form;
  std::string_view help;      // one sentence or a few, for the reference
  std::string_view fallback;  // text for the reference where a fresh struct's value is not the whole story
};

template <class T>
struct Option : OptionInfo {
  void (*set)(T &, Datum) = nullptr;
  Datum (*get)(const T &) = nullptr;
  bool (*given)(const T &) = nullptr;  // null: always written to a snapshot
};

std::span<const Option<Settings>> top_level_options();
std::span<const Option<Log>> log_options();
std::span<const Option<Smtpd>> smtpd_options();  // of [smtpd] and of each [listener.NAME]
std::span<const Option<Listener>> listener_options();
std::span<const Option<Transport>> transport_options();
std::span<const Option<Lookup>> lookup_options();
std::span<const Option<Filter>> filter_options();  // of each [filter.NAME] and [policy.NAME]
std::span<const Option<Event>> event_options();
std::span<const Option<Rate>> rate_options();
std::span<const Option<Auth>> auth_options();
std::span<const Option<Store>> store_options();
std::span<const Option<Budget>> budget_options();  // of each table that names a plugin
std::span<const Option<DestinationLimits>>
destination_options();  // of each transport and [[transport.NAME.destination]]
std::span<const Option<DestinationRule>> destination_rule_options();
std::span<const Option<RouteRule>> route_options();
std::span<const Option<TenantRule>> tenant_options();
std::span<const Option<SourceGroup>> source_group_options();
std::span<const Option<RateRule>> rate_limit_options();
std::span<const Option<ResponseRule>> response_options();
std::span<const Option<Queue>> queue_options();
std::span<const Option<SpoolSettings>> segment_options();
std::span<const Option<Dns>> dns_options();

std::string expected(const Form &form);                         // "an integer from 1 to 16"
std::string describe(const Form &form);                         // for the reference: "integer, 1 to 16"
std::string print_datum(const Form &form, const Datum &value);  // as TOML

}  // namespace mansio::config
