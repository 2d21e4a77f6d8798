#include "plugins/lookup-common/table.hpp"

#include <utility>

#include "plugins/common/ascii.hpp"

namespace mansio::lookup {
namespace {

std::size_t checked_limit(std::int64_t limit) {
  if (limit < 0) throw plugin::BadConfig{"expansion_limit", "is " + std::to_string(limit) + ", expected 0 or more"};
  return static_cast<std::size_t>(limit);
}

}  // namespace

Table::Table(const plugin::Config &config)
    : Table(config.flag("fold_case"), config.list("domain"), config.option("result_format"),
            config.integer("expansion_limit")) {}

Table::Table(bool fold_case, const std::vector<std::string> &domains, std::string_view result_format,
             std::int64_t expansion_limit)
    : fold_case_(fold_case),
      result_format_("result_format", result_format),
      expansion_limit_(checked_limit(expansion_limit)) {
  for (const auto &domain : domains) {
    if (domain.empty() || domain.find_first_of(":/@ \t") != std::string::npos)
      throw plugin::BadConfig{"domain", "has \"" + domain + "\", expected names of domains such as \"example.com\""};
    domains_.insert(ascii::lower(domain));
  }
}

std::optional<std::string> Table::key(std::string_view raw) const {
  if (raw.empty()) return std::nullopt;
  if (!domains_.empty()) {
    const auto parts = parts_of(raw);
    if (!parts.qualified || parts.local.empty() || !domains_.contains(ascii::lower(parts.domain))) return std::nullopt;
  }
  auto key = fold_case_ ? ascii::lower(raw) : std::string{raw};
  if (!result_format_.covers(key)) return std::nullopt;
  return key;
}

bool Table::Values::add(std::string_view value) {
  auto made = value.empty() ? std::nullopt : table_.result_format_.expand(key_, value);
  if (!made || made->empty()) return true;
  if (table_.expansion_limit_ != 0 && values_.size() == table_.expansion_limit_) {
    too_many_ = true;
    return false;
  }
  values_.push_back(std::move(*made));
  return true;
}

Answer Table::Values::answer() && {
  if (too_many_)
    return Answer::try_later("more than " + std::to_string(table_.expansion_limit_) + " values (expansion_limit)");
  return values_.empty() ? Answer::not_found() : Answer::found(std::move(values_));
}

}  // namespace mansio::lookup
