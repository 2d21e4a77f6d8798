#include "plugins/lua/purpose.hpp"

#include <algorithm>
#include <vector>

#include "plugins/lua/declarations.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/state.hpp"

namespace mansio::lua {
namespace {

std::string in_quotes(std::string_view text) { return '"' + std::string{text} + '"'; }

std::string not_provided(const State &state, ProvideKind kind, std::string_view instance) {
  if (state.find(kind, instance)) return {};
  const std::string what{kProvideKinds.at(static_cast<std::size_t>(kind))};
  const auto &provided = state.provided(kind);
  if (provided.empty())
    return "it provides no " + what + ", expected mansio.provide(" + in_quotes(what) + ", " + in_quotes(instance) +
           ", ...)";
  std::vector<std::string_view> names;
  for (const auto &[name, object] : provided) names.push_back(name);
  const auto near = nearest(instance, names);
  const auto &[name, object] = near.empty() ? *provided.begin() : *provided.find(near);
  std::string all;
  for (const auto other : names) all += (all.empty() ? "" : ", ") + in_quotes(other);
  const bool known_place = !near.empty() || provided.size() == 1;
  return (known_place ? object.place : "") + "it provides the " + what + ' ' + (near.empty() ? all : in_quotes(name)) +
         ", and the configuration asks for " + in_quotes(instance) +
         (near.empty() ? "" : "; did you mean " + in_quotes(instance) + '?');
}

}  // namespace

std::string missing_of(const State &state, std::string_view kind, std::string_view instance) {
  if (kind == "filter" || kind == "policy") {
    if (!state.provided(ProvideKind::Filter).empty()) return not_provided(state, ProvideKind::Filter, instance);
    if (state.stages() != 0) return {};
    return "it has no handler of what a " + std::string{kind} +
           " is asked, expected mansio.on(\"rcpt\", ...) or another";
  }
  if (kind == "event") {
    if (state.events() != 0) return {};
    return "it has no handler of what became of messages, expected mansio.on(\"delivered\", ...) or another";
  }
  const auto known = std::find(kProvideKinds.begin(), kProvideKinds.end(), kind);
  if (known == kProvideKinds.end()) return {};
  return not_provided(state, static_cast<ProvideKind>(known - kProvideKinds.begin()), instance);
}

}  // namespace mansio::lua
