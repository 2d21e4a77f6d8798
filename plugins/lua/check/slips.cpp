#include "plugins/lua/check/slips.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

#include "plugins/lua/check/arguments.hpp"
#include "plugins/lua/check/known.hpp"
#include "plugins/lua/declare/results.hpp"
#include "plugins/lua/duration.hpp"
#include "plugins/lua/names.hpp"
#include "plugins/lua/shapes.hpp"

namespace mansio::lua {
namespace {

constexpr std::string_view kResultType = "mansio.verdict";

std::string quoted(std::string_view text) { return '"' + std::string{text} + '"'; }

bool has(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The place of a global that is reached by way of _G; "" for another one.
std::string by_table_of_globals(const Known &object, std::string_view field) {
  return object.is_path("_G") ? std::string{field} : std::string{};
}

class Finder {
 public:
  Finder(const Source &source, World &world) : source_(source), world_(world), known_(source) {}

  std::vector<Slip> find() {
    for (const auto &step : source_.steps)
      if (step.inside) look_at(step.expression, step.written);
    for (const auto &step : source_.steps)
      if (step.alone) unreturned(at(step.expression));
    for (const auto &e : source_.expressions)
      if (e.kind == ExpressionKind::Call) given(e);
    std::stable_sort(slips_.begin(), slips_.end(), [](const Slip &a, const Slip &b) { return a.line < b.line; });
    const auto same = [](const Slip &a, const Slip &b) { return a.line == b.line && a.text == b.text; };
    slips_.erase(std::unique(slips_.begin(), slips_.end(), same), slips_.end());
    return std::move(slips_);
  }

 private:
  // What functions return that are called later on, as far as that can be seen.
  void given(const Expression &call) {
    const auto function = known_.callee(call);
    if (call.list.size() < 2) return;
    if (function == "mansio.on") returned_at(at(call.list.front()), call.list.back());
    if (function == "mansio.provide") provided(call);
    if (function == "mansio.command") returned(call.list.back(), find_results("command"));
  }
  // mansio.provide(kind, name, {field = function ...})
  void provided(const Expression &call) {
    const auto &kind = at(call.list.front());
    const auto &fields = at(call.list.back());
    if (kind.kind != ExpressionKind::String) return;
    for (std::size_t i = 0; i < fields.keys.size(); ++i) {
      if (fields.keys[i] == kNone) continue;
      const auto &field = at(fields.keys[i]);
      if (kind.text == "filter")
        returned_at(field, fields.list[i]);
      else if (field.kind == ExpressionKind::String)
        returned(fields.list[i], find_results(kind.text + '.' + field.text));
    }
  }
  // By a handler of that event.
  void returned_at(const Expression &event, Index handler) {
    if (event.kind != ExpressionKind::String) return;
    const bool told = event.text == kAbortEvent.name ||
                      std::any_of(kMessageEvents.begin(), kMessageEvents.end(),
                                  [&](const MessageEventName &known) { return known.name == event.text; });
    if (told)
      returned(handler, find_results("told"));
    else
      returned(handler, find_results(event.text), "a result such as mansio.reject(\"5.7.1\", \"no\"), or nothing");
  }
  // `for_values` is what is expected instead of a value that is no result; "" for what is declared.
  void returned(Index value, const DeclaredResults *may, std::string_view for_values = {}) {
    const auto *function = &at(value);
    bool shared = false;  // so that another place may hear what this one cannot
    if (function->kind == ExpressionKind::Local) {
      const auto &local = source_.locals[function->local];
      if (local.assigned || local.value == kNone) return;
      shared = local.references > 1;
      function = &at(local.value);
    }
    if (!may || function->kind != ExpressionKind::Function || (shared && may->who != "the handler")) return;
    const auto wrong_at = [&](Index index, const std::string &got, std::string_view expected) {
      slip(at(index), std::string{may->who} + " returns " + got + ", expected " + std::string{expected});
    };
    for (const auto index : source_.functions[function->function].returned) {
      if (const auto constructor = shared ? std::string{} : constructor_called(index);
          !constructor.empty() && !may->may_be_result(constructor))
        wrong_at(index, "mansio." + constructor + "()", may->expected);
      else if (const auto got = no_result(index, *may); !got.empty())
        wrong_at(index, got, for_values.empty() ? may->expected : for_values);
    }
  }
  // Of mansio.reject(...) "reject"; "" for what is no result that is made there.
  std::string constructor_called(Index index) const {
    const auto &e = at(index);
    if (e.kind != ExpressionKind::Call) return {};
    const auto function = known_.callee(e);
    const auto *const declared = find_function(function);
    const bool makes = declared && declared->results.front().type == kResultType;
    return makes ? function.substr(function.find('.') + 1) : std::string{};
  }
  // A result that is made in a statement of its own says nothing to anybody.
  void unreturned(const Expression &call) {
    const auto function = known_.callee(call);
    const auto *const declared = find_function(function);
    if (declared && declared->results.front().type == kResultType)
      slip(call, "the result of " + function + " is heard only where the function ends with it; return it: return " +
                     function + "(...)");
  }
  // What it is that may not be returned; "" for what may be.
  std::string no_result(Index index, const DeclaredResults &may) const {
    const auto literal = type_of_literal(source_, index);
    if (!literal.empty()) {
      if (may.may_be_value(literal)) return {};
      return literal == "nil" ? "nothing" : "a " + (literal == "string" ? "text" : literal);
    }
    const auto &known = known_.of(index);
    return known.kind == Known::Kind::Path && find_function(known.name) ? "a function, " + known.name + " without ()"
                                                                        : "";
  }

  const Expression &at(Index index) const { return source_.expressions[index]; }
  void slip(const Expression &where, std::string text) { slips_.push_back({where.line, std::move(text)}); }

  // As deep as expressions are, which is bounded.
  void look_at(Index index, bool written = false) {
    const auto &e = at(index);
    if (e.first != kNone) look_at(e.first);
    if (e.second != kNone) look_at(e.second);
    for (const auto key : e.keys)
      if (key != kNone) look_at(key);
    for (const auto value : e.list) look_at(value);
    switch (e.kind) {
      case ExpressionKind::Global:
        global(e, e.text, written);
        break;
      case ExpressionKind::Field:
        if (const auto name = by_table_of_globals(known_.of(e.first), e.text); !name.empty())
          global(e, name, written);
        else
          field(e, written);
        break;
      case ExpressionKind::Method:
        field(e, false);
        call(e);
        break;
      case ExpressionKind::Call:
        call(e);
        break;
      case ExpressionKind::Binary:
        if (e.text == "..")
          for (const auto side : {e.first, e.second}) joined(side);
        break;
      default:
        break;
    }
  }

  void global(const Expression &e, std::string_view name, bool written) {
    if (source_.environment || world_.has_global(name)) return;
    auto known = world_.globals();
    for (const auto &local : source_.locals)
      if (local.name != name) known.push_back(local.name);
    if (written)
      slip(e, quoted(name) + " is no variable of this function; it lacks \"local\", or a value at load" +
                  missing_name("_G", name, std::move(known)));
    else
      slip(e, "there is no global " + quoted(name) + missing_name("_G", name, std::move(known)));
  }

  // first.text, or first:text().
  void field(const Expression &e, bool written) {
    const auto &object = known_.of(e.first);
    if (const auto *const shape = object.kind == Known::Kind::Object ? find_shape(object.name) : nullptr) {
      declared_field(e, *shape, written);
    } else if (object.kind == Known::Kind::Object && !written) {
      if (const auto methods = world_.methods_of(object.name)) strict_field(e, *methods, false);
    } else if (object.kind == Known::Kind::Path) {
      if (const auto fields = world_.fields_at(object.name)) strict_field(e, *fields, written);
    }
  }
  void declared_field(const Expression &e, const ObjectShape &shape, bool written) {
    const std::string name{shape.name};
    if (written && shape.handle)
      slip(e, name + " cannot be changed: " + quoted(e.text));
    else if (written && !has(shape.fields, e.text))
      slip(e, name + " takes no new field, such as " + quoted(e.text));
    else if (!has(shape.fields, e.text))
      slip(e, name + (shape.handle ? " has no field " : " has no ") + quoted(e.text) +
                  missing_field(name, e.text, shape.fields));
  }
  void strict_field(const Expression &e, const World::Fields &fields, bool written) {
    if (std::find(fields.known.begin(), fields.known.end(), e.text) != fields.known.end()) return;
    if (written)
      slip(e, fields.name + " takes no new field, such as " + quoted(e.text));
    else
      slip(e, fields.name + " has no " + quoted(e.text) + missing_name(fields.name, e.text, fields.known));
  }

  // An operand of `..`.
  void joined(Index side) {
    const auto type = type_that_is_no_text(source_, known_, side);
    if (find_shape(type)) slip(at(side), no_text("..", type));
  }

  void call(const Expression &e) {
    const auto function = known_.callee(e);
    if (function.empty()) return;
    const auto *const declared = find_function(function);
    if (!declared) return;
    if (world_.is_off(function)) slip(e, library_is_off(function, library_of(function)));
    const bool constructor = is_constructor(function);
    bool good = true;
    for (std::size_t i = 0; i < declared->parameters.size(); ++i) {
      const auto &parameter = declared->parameters[i];
      if (const auto *const shape = find_options(parameter.type))
        good = options_of(e, *shape, parameter.name == "..." ? 0 : i + 1) && good;
      // Options of mansio.on() stand between the others.
      if (!constructor && (i == 0 || function != "mansio.on")) argument(e, parameter, i + 1);
    }
    if (!good) return;  // of which a constructor would say the same again
    if (constructor) construct(e, function, 0);
    for (const auto &shape : kReportShapes)
      if (shape.method == function) construct(e, shape.constructor, 1);
  }
  void construct(const Expression &e, std::string_view constructor, std::size_t from) {
    auto objection = constructor_objection(source_, known_, world_, constructor, e.list, from);
    if (!objection.empty()) slip(e, std::move(objection));
  }
  void argument(const Expression &e, const DeclaredParameter &parameter, std::size_t number) {
    const auto expected = type_of_argument(parameter);
    if (expected == ArgumentType::Unknown) return;
    const bool rest = parameter.name == "...", optional = is_optional(parameter.name);
    if (number > e.list.size() && !rest && !optional && (e.list.empty() || !is_open(at(e.list.back()))))
      slip(e, wrong(expected, parameter.what, "nothing"));
    for (auto i = number; i <= e.list.size() && (rest || i == number); ++i)
      value_of(e.list[i - 1], expected, parameter.what, optional);
  }
  // An argument or an option.
  void value_of(Index index, ArgumentType expected, std::string_view what, bool optional) {
    const auto &value = at(index);
    if (const auto got = wrong_type(index, expected, optional); !got.empty())
      slip(value, wrong(expected, what, got));
    else if (value.kind != ExpressionKind::String)
      return;
    else if (expected == ArgumentType::RecordType && !has(kRecordTypes, value.text))
      slip(value, no_record_type(value.text));
    else if (expected == ArgumentType::QueueLimit && !has(kQueueLimits, value.text))
      slip(value, no_queue_limit(value.text));
    else if (expected == ArgumentType::Time && !parse_duration(value.text))
      slip(value, no_time(what, value.text));
  }
  // What it is that it cannot be; "" for what it may be, and where that is not known.
  std::string wrong_type(Index index, ArgumentType expected, bool optional) const {
    const auto literal = type_of_literal(source_, index);
    if (optional && (literal.empty() || literal == "nil")) return {};
    const bool number_or_text = literal == "number" || literal == "string";
    switch (expected) {
      case ArgumentType::Unknown:
        return {};
      case ArgumentType::Integer:
        return number_or_text && may_be_integer(source_, index) ? "" : literal;
      case ArgumentType::Boolean:
        return literal == "boolean" ? "" : literal;
      case ArgumentType::Function:
        return literal == "function" ? "" : literal;
      case ArgumentType::Table:
        return literal == "table" ? "" : literal;
      default:
        return type_that_is_no_text(source_, known_, index);
    }
  }
  // At this place among the arguments, or anywhere for 0.
  bool options_of(const Expression &e, const OptionsShape &shape, std::size_t number) {
    bool good = true;
    for (std::size_t i = 0; i < e.list.size(); ++i)
      if (number == 0 || number == i + 1) good = options(at(e.list[i]), shape) && good;
    return good;
  }
  // Whether there is nothing wrong with them.
  bool options(const Expression &table, const OptionsShape &shape) {
    const auto before = slips_.size();
    for (std::size_t i = 0; i < table.keys.size(); ++i) {
      if (table.keys[i] == kNone) continue;
      const auto &key = at(table.keys[i]);
      if (key.kind != ExpressionKind::String) continue;
      if (!has(shape.names, key.text))
        slip(key,
             std::string{shape.where} + " has no option " + quoted(key.text) + did_you_mean_or(key.text, shape.names));
      else
        option(table.list[i], type_of_option(shape, key.text), key.text);
    }
    missing(table, shape);
    return slips_.size() == before;
  }

  void option(Index value, ArgumentType expected, std::string_view name) {
    const bool known = expected == ArgumentType::Text && find_shape(type_that_is_no_text(source_, known_, value));
    value_of(value, expected, name, !known);
  }

  // What has to be given, where all that is given can be seen.
  void missing(const Expression &table, const OptionsShape &shape) {
    std::vector<std::string_view> given;
    for (const auto index : table.keys) {
      if (index == kNone) continue;
      if (at(index).kind != ExpressionKind::String) return;
      given.push_back(at(index).text);
    }
    for (const auto &option : shape.options)
      if (!is_optional(option.name) && !has(given, option.name))
        slip(table, std::string{shape.where} + " needs " + quoted(option.name));
  }

  static std::string wrong(ArgumentType expected, std::string_view what, const std::string &got) {
    const auto other = [&](std::string_view type) {
      return "expected " + std::string{type} + " for " + std::string{what} + ", got " + got;
    };
    switch (expected) {
      case ArgumentType::Integer:
        return other("an integer");
      case ArgumentType::Boolean:
        return other("true or false");
      case ArgumentType::Function:
        return other("a function");
      case ArgumentType::Table:
        return other("a table");
      default:
        return no_text(what, got);
    }
  }
  static std::string no_text(std::string_view what, const std::string &got) {
    return "expected text for " + std::string{what} + ", got " + got +
           (got == "address" || got == "recipient" ? "; its text is .address" : "");
  }

  const Source &source_;
  World &world_;
  const Knowledge known_;
  std::vector<Slip> slips_;
};

}  // namespace

std::vector<Slip> find_slips(const Source &source, World &world) { return Finder{source, world}.find(); }

}  // namespace mansio::lua
