// What a Lua source says, as far as it matters to the check of names (slips.hpp): its expressions, its local variables
// and where they are used. How it branches does not matter, and is not kept.
//
// The expressions lie in one vector and name each other by their places there, so that nothing is as deep as a script
// may be but what walks over it, and that is bounded by kDeepestExpression.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mansio::lua {

using Index = std::uint32_t;
inline constexpr Index kNone = UINT32_MAX;
inline constexpr std::uint16_t kDeepestExpression = 1000;  // of expressions within each other

enum class ExpressionKind : std::uint8_t {
  Nil,
  True,
  False,
  Number,  // text: as it is written
  String,  // text: what it stands for
  Varargs,
  Function,     // function
  Local,        // local
  Global,       // text: its name
  Field,        // first.text, or first["text"]
  Item,         // first[second]
  Call,         // first(list)
  Method,       // first:text(list)
  Table,        // {keys = list}
  Unary,        // text first
  Binary,       // first text second
  Parenthesis,  // (first), which is one value
};

struct Expression {
  ExpressionKind kind = ExpressionKind::Nil;
  std::uint32_t line = 0;
  std::uint16_t depth = 1;
  std::string text{};
  Index first = kNone, second = kNone;
  Index local = kNone, function = kNone;
  std::vector<Index> list{};  // arguments, or a table's values
  std::vector<Index> keys{};  // beside `list`; kNone for an element of a list
};

struct Local {
  std::string name{};
  Index value = kNone;           // what it is first, where that is one expression
  Index loop = kNone;            // of the first two variables of `for i, x in E`: E
  bool loop_first = false;       // it is the first one
  bool assigned = false;         // later on, too
  std::uint32_t references = 0;  // where it is read
};

struct Function {
  std::vector<Index> parameters{};  // locals
  std::vector<Index> returned{};    // the first value of each `return` that has any
};

// An expression that a statement evaluates or, `written`, assigns to.
struct Step {
  Index expression = kNone;
  bool written = false;
  bool inside = false;  // of a function
  bool alone = false;   // a call that is a statement: nobody hears what it returns
};

struct Source {
  std::vector<Expression> expressions{};
  std::vector<Local> locals{};
  std::vector<Function> functions{};
  std::vector<Step> steps{};
  bool environment = false;  // it names _ENV: what is a global then is not known
};

// Nothing for what is no Lua, and for expressions deeper than kDeepestExpression. What Lua accepts it accepts.
std::optional<Source> parse_source(std::string_view text);

}  // namespace mansio::lua
