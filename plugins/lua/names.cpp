#include "plugins/lua/names.hpp"

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <vector>

#include "plugins/lua/declarations.hpp"

namespace mansio::lua {
namespace {

constexpr std::size_t kLongest = 64;  // of a name that is compared

// Letters inserted, removed, replaced or swapped with their neighbour; case costs nothing.
std::size_t distance(std::string_view a, std::string_view b) {
  const auto same = [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  };
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1)});
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

// Of "helo" the name "helo_name": the shortest one of which it is a part.
std::string_view with_part(std::string_view given, std::span<const std::string_view> known) {
  const auto is_between = [](char c) { return c == '_' || c == '-'; };
  std::string_view best;
  for (const auto name : known) {
    const auto at = name.find(given);
    if (given.empty() || at == name.npos) continue;
    const auto end = at + given.size();
    const bool whole = (at == 0 || is_between(name[at - 1])) && (end == name.size() || is_between(name[end]));
    if (whole && (best.empty() || name.size() < best.size())) best = name;
  }
  return best;
}

// Of what Lua has and scripts do not, in the table of that name: that it is off, or not offered. "" for others.
std::string why_not_there(std::string_view table, std::string_view name) {
  const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::string_view library;
  if (table == "_G" && name == "io") library = "io";
  if (table == "_G" && is_one_of({"package", "require"})) library = "package";
  if (table == "os" && is_one_of({"execute", "exit", "getenv", "remove", "rename", "setlocale", "tmpname"}))
    library = "os";
  if (!library.empty())
    return "; it is off, as it reaches the system: allow = [\"" + std::string{library} +
           "\"] in the configuration opens it";
  if (table == "_G" && is_one_of({"coroutine", "debug", "collectgarbage", "dofile", "loadfile", "warn"}))
    return "; scripts are not offered it";
  return {};
}

}  // namespace

std::string_view nearest(std::string_view given, std::span<const std::string_view> known) {
  if (given.size() > kLongest) return {};
  std::string_view best;
  std::size_t least = std::max<std::size_t>(given.size() / 3, 1) + 1;  // one more than what passes for a slip
  for (const auto name : known) {
    if (name.size() > kLongest) continue;
    const auto d = distance(given, name);
    if (d < least || (d == least && !best.empty() && name < best)) {
      least = d;
      best = name;
    }
  }
  return best;
}

std::string did_you_mean(std::string_view given, std::span<const std::string_view> known) {
  auto near = nearest(given, known);
  if (near.empty()) near = with_part(given, known);
  return near.empty() ? std::string{} : "; did you mean \"" + std::string{near} + "\"?";
}

std::string did_you_mean_or(std::string_view given, std::span<const std::string_view> known) {
  constexpr std::size_t kFew = 26;
  auto text = did_you_mean(given, known);
  if (!text.empty() || known.empty() || known.size() > kFew) return text;
  for (const auto name : known) (text += text.empty() ? "; there is " : ", ") += name;
  return text;
}

std::string missing_field(std::string_view object, std::string_view field, std::span<const std::string_view> known) {
  const auto of_session = [&] {
    return std::find(kSessionFields.begin(), kSessionFields.end(), field) != kSessionFields.end();
  };
  if (object == "transaction" && of_session())
    return "; it is one of the session: transaction.session." + std::string{field};
  return did_you_mean_or(field, known);
}

std::string missing_name(std::string_view table, std::string_view given, std::vector<std::string> known) {
  auto why = why_not_there(table, given);
  if (!why.empty()) return why;
  std::sort(known.begin(), known.end());
  const std::vector<std::string_view> names{known.begin(), known.end()};
  return table == "_G" ? did_you_mean(given, names) : did_you_mean_or(given, names);
}

std::string_view library_of(std::string_view function) {
  constexpr std::string_view kPrefix = "mansio.";
  if (!function.starts_with(kPrefix)) return {};
  function.remove_prefix(kPrefix.size());
  const auto *const found = std::find(kLibraries.begin(), kLibraries.end(), function.substr(0, function.find('.')));
  return found == kLibraries.end() ? std::string_view{} : *found;
}

std::string library_is_off(std::string_view function, std::string_view library) {
  return std::string{function} + " is off; allow = [\"" + std::string{library} + "\"] in the configuration opens it";
}

std::string no_record_type(std::string_view given) {
  return "there is no type \"" + std::string{given} + "\" of records here, expected A, AAAA, MX, TXT or PTR" +
         did_you_mean(given, kRecordTypes);
}

std::string no_queue_limit(std::string_view given) {
  return "there is no limit \"" + std::string{given} +
         "\" to take of, expected tenant_rate_limit, campaign_rate_limit, sender_rate_limit or "
         "source_pool_rate_limit" +
         did_you_mean(given, kQueueLimits);
}

std::string no_time(std::string_view what, std::string_view given) {
  return std::string{what} + " is \"" + std::string{given} + "\", expected a time such as \"5s\"";
}

}  // namespace mansio::lua
