#include "kernel/cli/simulate/configured.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <vector>

#include "kernel/config/crosscheck.hpp"
#include "kernel/config/read.hpp"

namespace mansio::cli::simulate {
namespace {

using config::TomlEntry;
using config::TomlList;
using config::TomlTable;

constexpr std::string_view kConfiguration[] = {"queue",      "transport", "tenant", "source_group",
                                               "rate_limit", "response",  "rate"};

// Of these tables the options that the scheduler takes, and so a simulation: what else is set there would do nothing.
constexpr std::string_view kQueueOptions[] = {"minimal_backoff_time",
                                              "maximal_backoff_time",
                                              "backoff_jitter",
                                              "queue_run_delay",
                                              "maximal_queue_lifetime",
                                              "qmgr_message_active_limit",
                                              "qmgr_message_recipient_limit",
                                              "defer_transports"};
constexpr std::string_view kTransportOptions[] = {"process_limit",
                                                  "process_limit_plugin",
                                                  "destination_key",
                                                  "destination",
                                                  "transport_retry_time",
                                                  "transport_rate_delay",
                                                  "transport_rate_delay_plugin",
                                                  "transport_rate_limit",
                                                  "transport_rate_burst",
                                                  "transport_rate_plugin",
                                                  "delivery_slot_cost",
                                                  "delivery_slot_loan",
                                                  "delivery_slot_discount",
                                                  "minimum_delivery_slots"};
constexpr std::string_view kDestinationOptions[] = {"match",
                                                    "site",
                                                    "mx",
                                                    "initial_destination_concurrency",
                                                    "destination_concurrency_limit",
                                                    "destination_concurrency_plugin",
                                                    "destination_concurrency_positive_feedback",
                                                    "destination_concurrency_negative_feedback",
                                                    "destination_concurrency_failed_cohort_limit",
                                                    "destination_recipient_limit",
                                                    "destination_rate_delay",
                                                    "destination_rate_delay_plugin",
                                                    "destination_rate_limit",
                                                    "destination_rate_burst",
                                                    "destination_rate_plugin",
                                                    "adaptive_rate_minimum",
                                                    "adaptive_rate_maximum",
                                                    "adaptive_rate_decrease",
                                                    "adaptive_rate_increase"};
constexpr std::string_view kRateOptions[] = {"time_limit", "on_failure"};

bool is_among(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void without_effect(const TomlEntry &entry, const std::string &prefix, config::Problems &problems) {
  problems.add(entry.place, prefix + entry.key, "has no effect in a simulation");
}

void refuse_transport(const TomlTable &options, const std::string &prefix, config::Problems &problems) {
  for (const auto &option : options) {
    const auto *text = option.value.as<std::string>();
    if ((!is_among(kTransportOptions, option.key) && !is_among(kDestinationOptions, option.key)) ||
        (option.key == "destination_key" && text && *text == "recipient"))
      without_effect(option, prefix, problems);
    if (option.key != "destination") continue;
    const auto *rules = option.value.as<TomlList>();
    for (std::size_t i = 0; rules && i < rules->size(); ++i)
      if (const auto *rule = (*rules)[i].as<TomlTable>())
        for (const auto &one : *rule)
          if (!is_among(kDestinationOptions, one.key))
            without_effect(one, fmt::format("{}destination[{}].", prefix, i + 1), problems);
  }
}

void refuse_without_effect(const TomlTable &limits, config::Problems &problems) {
  for (const auto &entry : limits) {
    const auto *table = entry.value.as<TomlTable>();
    if (!table) continue;
    for (const auto &one : *table) {
      if (entry.key == "queue" && !is_among(kQueueOptions, one.key)) without_effect(one, "queue.", problems);
      const auto *options = one.value.as<TomlTable>();
      if (entry.key == "transport" && options) refuse_transport(*options, "transport." + one.key + ".", problems);
    }
  }
}

// What [rate.NAME] has in a configuration, without what it has in a scenario.
TomlEntry rates_of(TomlEntry rates) {
  if (auto *owners = rates.value.as<TomlTable>())
    for (auto &owner : *owners)
      if (auto *options = owner.value.as<TomlTable>())
        std::erase_if(*options, [](const TomlEntry &option) { return !is_rate_option(option.key); });
  return rates;
}

// A scenario is one file: what it limits is written into it.
class NoFiles final : public config::Files {
 public:
  Result<std::string> read(const std::string &) override { return Error{Status::BadConfig, "is not read"}; }
  Result<std::vector<std::string>> glob(const std::string &) override {
    return Error{Status::BadConfig, "is not read"};
  }
};

}  // namespace

// Tables, and what holds for all transports.
bool is_configuration(std::string_view key) {
  return is_among(kConfiguration, key) || key.starts_with("default_") || key == "initial_destination_concurrency";
}
bool is_rate_option(std::string_view option) { return is_among(kRateOptions, option); }

config::Settings read_configured(const TomlTable &root, const std::string &file, config::Problems &problems) {
  TomlTable limits;
  for (const auto &entry : root)
    if (is_configuration(entry.key)) limits.push_back(entry.key == "rate" ? rates_of(entry) : entry);
  refuse_without_effect(limits, problems);
  NoFiles files;
  config::Places places;
  auto settings = config::read_settings(limits, config::Source::File, files, problems, places);
  config::crosscheck_limits(settings, file, places, problems);
  return settings;
}

}  // namespace mansio::cli::simulate
