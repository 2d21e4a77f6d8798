#include "plugins/lua/check/arguments.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <utility>

#include "plugins/lua/shapes.hpp"

namespace mansio::lua {
namespace {

using Kind = Argument::Kind;

constexpr std::size_t kMostTries = 600;  // of one call
// Among these is one that every parameter takes that takes such a value at all.
constexpr std::array<std::string_view, 10> kTriedTexts{"text",  "1",  "user@example.com", "2.0.0",  "4.7.1",
                                                       "5.7.1", "5s", "192.0.2.1",        "sha256", "i"};
constexpr std::array<std::string_view, 4> kTriedNumbers{"1", "250", "450", "550"};
// What an unknown field of a table is, all of them the same.
enum class Fill { Absent, Text, Number, True };

Argument argument(Kind kind, std::string_view text = {}) {
  Argument made;
  made.kind = kind;
  made.text = std::string{text};
  return made;
}

void add_texts(std::vector<Argument> &to) {
  for (const auto text : kTriedTexts) to.push_back(argument(Kind::String, text));
}

// What is in parentheses and behind a minus.
const Expression &operand_of(const Source &source, Index expression) {
  const auto *e = &source.expressions[expression];
  while (e->kind == ExpressionKind::Parenthesis || (e->kind == ExpressionKind::Unary && e->text == "-"))
    e = &source.expressions[e->first];
  return *e;
}

class Candidates {
 public:
  Candidates(const Source &source, const Knowledge &known) : source_(source), known_(known) {}

  std::vector<Argument> of(Index index, bool last) const {
    const auto &e = source_.expressions[index];
    if (e.kind == ExpressionKind::Parenthesis) return of(e.first, false);
    if (auto constant = simple(e); constant.kind != Kind::None) return {constant};
    std::vector<Argument> all;
    if (e.kind == ExpressionKind::Table && has_names(e)) {
      for (const auto fill : {Fill::Absent, Fill::Text, Fill::Number, Fill::True}) all.push_back(table(e, fill));
      return all;
    }
    const auto &known = known_.of(index);
    if (known.kind == Known::Kind::Object && find_shape(known.name)) return {argument(Kind::Object, known.name)};
    add_texts(all);
    // A text of the script's own making; one that is asked for may not be there.
    if (e.kind == ExpressionKind::Binary && e.text == "..") return all;
    for (const auto number : kTriedNumbers) all.push_back(argument(Kind::Number, number));
    for (const auto kind : {Kind::Nil, Kind::True, Kind::Table}) all.push_back(argument(kind));
    if (last && is_open(e)) all.push_back(argument(Kind::None));
    return all;
  }

 private:
  // Whether all its names are known, and those of the tables in it.
  bool has_names(const Expression &e) const {
    for (std::size_t i = 0; i < e.list.size(); ++i) {
      if (e.keys[i] != kNone && source_.expressions[e.keys[i]].kind != ExpressionKind::String) return false;
      const auto &value = source_.expressions[e.list[i]];
      if (value.kind == ExpressionKind::Table && !has_names(value)) return false;
    }
    return true;
  }
  // Kind::None for what is no constant.
  Argument simple(const Expression &e) const {
    switch (e.kind) {
      case ExpressionKind::Nil:
        return argument(Kind::Nil);
      case ExpressionKind::True:
        return argument(Kind::True);
      case ExpressionKind::False:
        return argument(Kind::False);
      case ExpressionKind::Number:
        return argument(Kind::Number, e.text);
      case ExpressionKind::String:
        return argument(Kind::String, e.text);
      case ExpressionKind::Function:
        return argument(Kind::Function);
      case ExpressionKind::Unary: {
        const auto &operand = source_.expressions[e.first];
        if (e.text == "-" && operand.kind == ExpressionKind::Number) return argument(Kind::Number, "-" + operand.text);
        return argument(Kind::None);
      }
      default:
        return argument(Kind::None);
    }
  }
  Argument table(const Expression &e, Fill fill) const {
    static constexpr std::array kFills{Kind::None, Kind::String, Kind::Number, Kind::True};
    auto made = argument(Kind::Table);
    for (std::size_t i = 0; i < e.list.size(); ++i) {
      std::string name;
      if (e.keys[i] != kNone) {
        const auto &key = source_.expressions[e.keys[i]];
        name = key.text;
      }
      const auto &from = source_.expressions[e.list[i]];
      auto value = from.kind == ExpressionKind::Table ? table(from, fill) : simple(from);
      if (value.kind == Kind::None)
        value = argument(kFills.at(static_cast<std::size_t>(fill)), fill == Fill::Text ? "5s" : "1");
      if (value.kind == Kind::None) continue;
      made.names.push_back(std::move(name));
      made.values.push_back(std::move(value));
    }
    return made;
  }

  const Source &source_;
  const Knowledge &known_;
};

}  // namespace

bool is_open(const Expression &e) {
  return e.kind == ExpressionKind::Call || e.kind == ExpressionKind::Method || e.kind == ExpressionKind::Varargs;
}

std::string constructor_objection(const Source &source, const Knowledge &known, World &world, std::string_view path,
                                  const std::vector<Index> &arguments, std::size_t from) {
  const Candidates candidates{source, known};
  std::vector<std::vector<Argument>> all;
  std::size_t tries = 1;
  for (std::size_t i = from; i < arguments.size(); ++i) {
    all.push_back(candidates.of(arguments[i], i + 1 == arguments.size()));
    tries *= all.back().size();
    if (tries > kMostTries) return {};
  }
  std::string said;
  std::vector<Argument> tried(all.size());
  for (std::size_t n = 0; n < tries; ++n) {
    auto rest = n;
    for (std::size_t i = 0; i < all.size(); ++i) {
      tried[i] = all[i][rest % all[i].size()];
      rest /= all[i].size();
    }
    auto objection = world.objection(path, tried);
    if (objection.empty() || (n > 0 && objection != said)) return {};
    said = std::move(objection);
  }
  return said;
}

std::string type_of_literal(const Source &source, Index expression) {
  const auto &e = source.expressions[expression];
  switch (e.kind) {
    case ExpressionKind::Nil:
      return "nil";
    case ExpressionKind::True:
    case ExpressionKind::False:
      return "boolean";
    case ExpressionKind::Number:
      return "number";
    case ExpressionKind::String:
      return "string";
    case ExpressionKind::Function:
      return "function";
    case ExpressionKind::Table:
      return "table";
    case ExpressionKind::Parenthesis:
      return type_of_literal(source, e.first);
    case ExpressionKind::Unary:
      return operand_of(source, expression).kind == ExpressionKind::Number ? "number" : "";
    default:
      return {};
  }
}

// Of a text no more is asked than that it has a digit, and nothing that no number has.
bool may_be_integer(const Source &source, Index expression) {
  constexpr std::string_view kDigits{"0123456789"}, kOfNumbers{"0123456789abcdefABCDEFxXpP.+- \f\n\r\t\v"};
  const auto &e = operand_of(source, expression);
  if (e.kind == ExpressionKind::Number) {
    const double value = std::strtod(e.text.c_str(), nullptr);
    return std::floor(value) == value;
  }
  return e.text.find_first_of(kDigits) != std::string::npos &&
         e.text.find_first_not_of(kOfNumbers) == std::string::npos;
}

std::string type_that_is_no_text(const Source &source, const Knowledge &known, Index expression) {
  if (auto type = type_of_literal(source, expression); !type.empty())
    return type == "string" || type == "number" ? std::string{} : type;
  const auto &what = known.of(expression);
  return what.kind == Known::Kind::Object && find_shape(what.name) ? what.name : "";
}

}  // namespace mansio::lua
