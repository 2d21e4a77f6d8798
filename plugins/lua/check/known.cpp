#include "plugins/lua/check/known.hpp"

#include <algorithm>
#include <cstddef>

#include "plugins/lua/shapes.hpp"

namespace mansio::lua {
namespace {

constexpr std::string_view kList = "[]";

bool is_name(std::string_view text) {
  constexpr std::string_view kLetters{"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"};
  return !text.empty() && text.find_first_not_of(kLetters) == text.npos;
}

Known object(std::string_view type) {
  if (type.empty()) return {};
  return {Known::Kind::Object, std::string{type}};
}

bool is_call(const Expression &e) { return e.kind == ExpressionKind::Call || e.kind == ExpressionKind::Method; }

Known element_of(const Known &list) {
  if (list.kind != Known::Kind::Object || !list.name.ends_with(kList)) return {};
  return object(std::string_view{list.name}.substr(0, list.name.size() - kList.size()));
}

}  // namespace

Knowledge::Knowledge(const Source &source) : source_(source), parameters_(source.locals.size()) {
  compute();
  note_assignments();
  compute();
  note_handlers();
  compute();
}

// What an expression consists of stands before it, and so does what a variable is first.
void Knowledge::compute() {
  known_.assign(source_.expressions.size(), {});
  for (std::size_t i = 0; i < known_.size(); ++i) known_[i] = find(source_.expressions[i]);
}

Known Knowledge::find(const Expression &e) const {
  switch (e.kind) {
    case ExpressionKind::String:
      return object("string");
    case ExpressionKind::Local:
      return of_local(source_.locals[e.local], parameters_[e.local]);
    case ExpressionKind::Global:
      if (source_.environment || assigned_.contains(e.text)) return {};
      return {Known::Kind::Path, e.text};
    case ExpressionKind::Field:
      return of_field(of(e.first), e.text);
    case ExpressionKind::Item:
      return element_of(of(e.first));
    case ExpressionKind::Call:
    case ExpressionKind::Method:
      return object(type_of_result(callee(e)));
    case ExpressionKind::Binary:
      return object(e.text == ".." ? "string" : "");
    case ExpressionKind::Parenthesis:
      return of(e.first);
    default:
      return {};
  }
}

Known Knowledge::of_local(const Local &local, std::string_view parameter_type) const {
  if (local.assigned) return {};
  if (!parameter_type.empty()) return object(parameter_type);
  if (local.value != kNone) return of(local.value);
  if (local.loop == kNone) return {};
  const auto &loop = source_.expressions[local.loop];
  if (local.loop_first) return object(is_call(loop) ? type_of_walk(callee(loop)) : "");
  const bool over_list = loop.kind == ExpressionKind::Call && loop.list.size() == 1 && callee(loop) == "ipairs";
  return over_list ? element_of(of(loop.list.front())) : Known{};
}

Known Knowledge::of_field(const Known &from, const std::string &name) const {
  if (from.kind == Known::Kind::Object) return object(type_of_field(from.name, name));
  if (from.kind != Known::Kind::Path || !is_name(name)) return {};
  Known found{Known::Kind::Path, from.name == "_G" ? name : from.name + '.' + name};
  if (assigned_.contains(found.name)) return {};
  return found;
}

std::string Knowledge::callee(const Expression &call) const {
  const auto &from = of(call.first);
  if (call.kind == ExpressionKind::Call) return from.kind == Known::Kind::Path ? from.name : "";
  return from.kind == Known::Kind::Object ? from.name + ':' + call.text : "";
}

void Knowledge::note_assignments() {
  for (const auto &step : source_.steps) {
    if (!step.written) continue;
    const auto &known = of(step.expression);
    if (known.kind == Known::Kind::Path) assigned_.insert(known.name);
  }
}

void Knowledge::note_handlers() {
  for (const auto &e : source_.expressions) {
    if (e.kind != ExpressionKind::Call || e.list.empty()) continue;
    if (of(e.first).is_path("mansio.on")) note_on(e);
    if (of(e.first).is_path("mansio.provide")) note_provide(e);
  }
  note_named_handlers();
}

// mansio.on(event, [options,] function)
void Knowledge::note_on(const Expression &call) {
  const auto &event = source_.expressions[call.list.front()];
  if (event.kind != ExpressionKind::String || call.list.size() < 2) return;
  note_handler(call.list.back(), types_at_event(event.text));
}

// mansio.provide(kind, name, {field = function ...})
void Knowledge::note_provide(const Expression &call) {
  const auto &kind = source_.expressions[call.list.front()];
  if (kind.kind != ExpressionKind::String || call.list.size() != 3) return;
  const auto &fields = source_.expressions[call.list[2]];
  for (std::size_t i = 0; i < fields.keys.size(); ++i) {
    if (fields.keys[i] == kNone) continue;
    const auto &field = source_.expressions[fields.keys[i]];
    if (field.kind != ExpressionKind::String) continue;
    note_handler(fields.list[i], types_of_provided(kind.text, field.text));
  }
}

void Knowledge::note_handler(Index value, const Types &types) {
  if (types.front().empty()) return;  // no event, or nothing that is called
  const auto &e = source_.expressions[value];
  if (e.kind == ExpressionKind::Function) note_parameters(value, types);
  if (e.kind == ExpressionKind::Local) named_.push_back({e.local, types});
}

void Knowledge::note_parameters(Index function, const Types &types) {
  const auto &parameters = source_.functions[source_.expressions[function].function].parameters;
  for (std::size_t i = 0; i < std::min(parameters.size(), types.size()); ++i) parameters_[parameters[i]] = types[i];
}

// A function with a name is known to get what a handler gets where it is used as one only, and always as the same.
void Knowledge::note_named_handlers() {
  for (const auto &handler : named_) {
    const auto &local = source_.locals[handler.local];
    if (local.assigned || local.value == kNone) continue;
    if (source_.expressions[local.value].kind != ExpressionKind::Function) continue;
    const auto same = std::count_if(named_.begin(), named_.end(), [&](const NamedHandler &other) {
      return other.local == handler.local && other.types == handler.types;
    });
    if (static_cast<std::uint32_t>(same) == local.references) note_parameters(local.value, handler.types);
  }
}

}  // namespace mansio::lua
