// What the functions that a script gives may return where. The check at load says so of what can never be right, and
// the engine of what was returned.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace mansio::lua {

struct DeclaredResults {
  std::string_view at;   // an event, "told" for those that have happened, "transport.deliver", "command"
  std::string_view who;  // in messages
  std::array<std::string_view, 7> results{};  // by the functions of `mansio` that make them
  std::array<std::string_view, 4> values{};   // what else, by types of Lua
  std::string_view expected{};                // in messages

  constexpr bool may_be_result(std::string_view constructor) const {
    return std::find(results.begin(), results.end(), constructor) != results.end();
  }
  constexpr bool may_be_value(std::string_view type) const {
    return std::find(values.begin(), values.end(), type) != values.end();
  }
};

// Before MAIL there is no message of which more could be said.
constexpr DeclaredResults results_of_session(std::string_view event) {
  return {.at = event,
          .who = "the handler",
          .results = {"accept", "reject", "defer"},
          .values = {"nil"},
          .expected = "mansio.accept(), reject(), defer(), or nothing"};
}
constexpr DeclaredResults results_of_transaction(std::string_view event) {
  return {.at = event,
          .who = "the handler",
          .results = {"accept", "reject", "defer", "hold", "discard", "redirect"},
          .values = {"nil"},
          .expected = "mansio.accept(), reject(), defer(), hold(), discard(), redirect(), or nothing"};
}
// On its way to a recipient.
constexpr DeclaredResults results_of_way(std::string_view event) {
  return {.at = event,
          .who = "the handler",
          .results = {"accept", "reject", "defer", "hold", "discard", "route", "retry"},
          .values = {"nil"},
          .expected = "mansio.route{...}, retry(), defer(), reject(), hold(), discard(), or nothing"};
}

inline constexpr DeclaredResults kDeclaredResults[] = {
    results_of_session("connect"),
    results_of_session("helo"),
    results_of_session("starttls"),
    results_of_session("auth"),
    results_of_transaction("mail"),
    results_of_transaction("rcpt"),
    results_of_transaction("data"),
    results_of_transaction("header"),
    results_of_transaction("eoh"),
    results_of_transaction("body"),
    results_of_transaction("end-of-message"),
    results_of_session("disconnect"),
    results_of_way("route"),
    results_of_way("predelivery"),
    {.at = "retry",
     .who = "the handler",
     .results = {"accept", "reject", "defer", "hold", "retry"},
     .values = {"nil"},
     .expected = "mansio.retry(), reject(), hold(), or nothing"},
    {.at = "bounce",
     .who = "the handler",
     .results = {"accept", "defer", "discard", "redirect", "retry"},
     .values = {"nil"},
     .expected = "mansio.discard(), redirect(), defer(), or nothing"},
    {.at = "told", .who = "the handler", .results = {}, .values = {"nil"}, .expected = "nothing"},
    {.at = "lookup.lookup",
     .who = "the lookup",
     .results = {"defer"},
     .values = {"nil", "string", "number", "table"},
     .expected = "a text, a list of texts, nil for \"not found\", or mansio.defer(\"why\")"},
    {.at = "transport.deliver",
     .who = "the transport",
     .results = {"sent", "defer", "reject", "uncertain", "retry"},
     .values = {"nil"},
     .expected = "mansio.sent(), defer(), reject(), uncertain(), or nothing"},
    {.at = "auth.check",
     .who = "the check of AUTH",
     .results = {"authenticated", "reject", "defer"},
     .values = {"nil", "boolean"},
     .expected = "true, false, mansio.authenticated(user), reject() or defer()"},
    {.at = "auth.step",
     .who = "the step of AUTH",
     .results = {"challenge", "authenticated", "reject", "defer"},
     .values = {},
     .expected = "mansio.challenge(), mansio.authenticated(user), reject() or defer()"},
    {.at = "rate.lease",
     .who = "the lease",
     .results = {"permits", "defer"},
     .values = {},
     .expected = "mansio.permits(n) or mansio.defer(\"why\")"},
    {.at = "command",
     .who = "the command",
     .results = {"reject", "defer"},
     .values = {"nil", "string", "number", "table"},
     .expected = "a text, a list of texts, nothing, or mansio.reject(\"why\")"},
};

// nullptr where nothing is heard.
constexpr const DeclaredResults *find_results(std::string_view at) {
  for (const auto &declared : kDeclaredResults)
    if (declared.at == at) return &declared;
  return nullptr;
}
// Of one that is declared: of others there is no constant.
consteval std::string_view expected_of(std::string_view at) {
  for (const auto &declared : kDeclaredResults)
    if (declared.at == at) return declared.expected;
  throw "there are no results";
}

}  // namespace mansio::lua
