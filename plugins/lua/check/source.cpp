#include "plugins/lua/check/source.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "plugins/lua/check/lexer.hpp"

namespace mansio::lua {
namespace {

constexpr int kMostLevels = 250;  // of statements and expressions within each other; Lua has 200
constexpr int kUnaryPriority = 12;

struct Operator {
  std::string_view text;
  int left, right;
};
constexpr std::array kOperators{
    Operator{"or", 1, 1},  Operator{"and", 2, 2}, Operator{"<", 3, 3},   Operator{">", 3, 3},    Operator{"<=", 3, 3},
    Operator{">=", 3, 3},  Operator{"~=", 3, 3},  Operator{"==", 3, 3},  Operator{"|", 4, 4},    Operator{"~", 5, 5},
    Operator{"&", 6, 6},   Operator{"<<", 7, 7},  Operator{">>", 7, 7},  Operator{"..", 9, 8},   Operator{"+", 10, 10},
    Operator{"-", 10, 10}, Operator{"*", 11, 11}, Operator{"/", 11, 11}, Operator{"//", 11, 11}, Operator{"%", 11, 11},
    Operator{"^", 14, 13},
};

// By recursive descent, in the order of Lua's own. The first thing that is wrong makes all the rest the end of the
// text, so that every loop comes to its end.
class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text), token_(lexer_.next()), ahead_(lexer_.next()) {
    stop_at_wrong();
  }

  std::optional<Source> parse() {
    block();
    if (token_.kind != TokenKind::End) fail();
    if (failed_) return std::nullopt;
    return std::move(source_);
  }

 private:
  // Words.
  void stop_at_wrong() {
    if (token_.kind == TokenKind::Wrong) fail();
  }
  void fail() {
    failed_ = true;
    token_ = ahead_ = Token{};
  }
  void advance() {
    if (failed_) return;
    token_ = std::move(ahead_);
    ahead_ = lexer_.next();
    stop_at_wrong();
  }
  bool is_symbol(std::string_view text) const { return token_.is(TokenKind::Symbol, text); }
  bool is_keyword(std::string_view text) const { return token_.is(TokenKind::Keyword, text); }
  bool take_symbol(std::string_view text) {
    if (!is_symbol(text)) return false;
    advance();
    return true;
  }
  bool take_keyword(std::string_view text) {
    if (!is_keyword(text)) return false;
    advance();
    return true;
  }
  void expect_symbol(std::string_view text) {
    if (!take_symbol(text)) fail();
  }
  void expect_keyword(std::string_view text) {
    if (!take_keyword(text)) fail();
  }
  std::string expect_name() {
    if (token_.kind != TokenKind::Name) {
      fail();
      return {};
    }
    auto name = std::move(token_.text);
    if (name == "_ENV") source_.environment = true;
    advance();
    return name;
  }

  // Statements and expressions within each other.
  bool enter() {
    if (++level_ > kMostLevels) fail();
    return !failed_;
  }
  void leave() { --level_; }

  // Variables.
  Index declare(std::string name) {
    source_.locals.push_back(Local{std::move(name)});
    return static_cast<Index>(source_.locals.size() - 1);
  }
  Index find(std::string_view name) const {
    for (auto i = active_.size(); i > 0; --i)
      if (source_.locals[active_[i - 1]].name == name) return active_[i - 1];
    return kNone;
  }

  // Expressions; what is made last.
  Index make(Expression made) {
    const auto deepen = [&](Index child) {
      if (child == kNone || child >= source_.expressions.size()) return;
      const auto depth = source_.expressions[child].depth;
      made.depth = std::max<std::uint16_t>(made.depth, static_cast<std::uint16_t>(depth + 1));
    };
    deepen(made.first);
    deepen(made.second);
    for (const auto child : made.list) deepen(child);
    for (const auto child : made.keys) deepen(child);
    if (made.depth > kDeepestExpression) fail();
    source_.expressions.push_back(std::move(made));
    return static_cast<Index>(source_.expressions.size() - 1);
  }
  static Expression of(ExpressionKind kind, std::uint32_t line) {
    Expression made;
    made.kind = kind;
    made.line = line;
    return made;
  }
  void step(Index expression, bool written = false) { source_.steps.push_back({expression, written, functions_ > 0}); }

  Index variable() {
    auto made = of(ExpressionKind::Global, token_.line);
    made.text = expect_name();
    made.local = find(made.text);
    if (made.local != kNone) {
      made.kind = ExpressionKind::Local;
      ++source_.locals[made.local].references;
    }
    return make(std::move(made));
  }
  Index primary() {
    if (!is_symbol("(")) return variable();
    auto made = of(ExpressionKind::Parenthesis, token_.line);
    advance();
    made.first = expression();
    expect_symbol(")");
    return make(std::move(made));
  }
  Index field_of(Index object) {
    auto made = of(ExpressionKind::Field, token_.line);
    made.first = object;
    made.text = expect_name();
    return make(std::move(made));
  }
  Index item_of(Index object) {
    auto made = of(ExpressionKind::Item, token_.line);
    made.first = object;
    made.second = expression();
    expect_symbol("]");
    if (!failed_ && source_.expressions[made.second].kind == ExpressionKind::String) {
      made.kind = ExpressionKind::Field;
      made.text = source_.expressions[made.second].text;
      made.second = kNone;
    }
    return make(std::move(made));
  }
  bool begins_arguments() const { return is_symbol("(") || is_symbol("{") || token_.kind == TokenKind::String; }
  std::vector<Index> arguments() {
    if (is_symbol("{")) return {table()};
    if (token_.kind == TokenKind::String) return {constant(ExpressionKind::String)};
    expect_symbol("(");
    std::vector<Index> list;
    if (!is_symbol(")")) list = expressions();
    expect_symbol(")");
    return list;
  }
  Index suffixed() {
    auto made = primary();
    while (!failed_) {
      if (take_symbol(".")) {
        made = field_of(made);
      } else if (take_symbol("[")) {
        made = item_of(made);
      } else if (is_symbol(":")) {
        advance();
        auto call = of(ExpressionKind::Method, token_.line);
        call.first = made;
        call.text = expect_name();
        if (!begins_arguments()) fail();
        call.list = arguments();
        made = make(std::move(call));
      } else if (begins_arguments()) {
        auto call = of(ExpressionKind::Call, source_.expressions[made].line);
        call.first = made;
        call.list = arguments();
        made = make(std::move(call));
      } else {
        break;
      }
    }
    return made;
  }
  Index constant(ExpressionKind kind) {
    auto made = of(kind, token_.line);
    made.text = std::move(token_.text);
    advance();
    return make(std::move(made));
  }
  Index table() {
    auto made = of(ExpressionKind::Table, token_.line);
    expect_symbol("{");
    while (!failed_ && !is_symbol("}")) {
      Index key = kNone;
      if (take_symbol("[")) {
        key = expression();
        expect_symbol("]");
        expect_symbol("=");
      } else if (token_.kind == TokenKind::Name && ahead_.is(TokenKind::Symbol, "=")) {
        key = constant(ExpressionKind::String);
        advance();
      }
      made.keys.push_back(key);
      made.list.push_back(expression());
      if (!take_symbol(",") && !take_symbol(";")) break;
    }
    expect_symbol("}");
    return make(std::move(made));
  }
  Index simple() {
    if (token_.kind == TokenKind::String) return constant(ExpressionKind::String);
    if (token_.kind == TokenKind::Number) return constant(ExpressionKind::Number);
    if (is_keyword("nil")) return constant(ExpressionKind::Nil);
    if (is_keyword("true")) return constant(ExpressionKind::True);
    if (is_keyword("false")) return constant(ExpressionKind::False);
    if (is_symbol("...")) return constant(ExpressionKind::Varargs);
    if (is_symbol("{")) return table();
    if (is_keyword("function")) {
      const auto line = token_.line;
      advance();
      return body(line, false);
    }
    return suffixed();
  }
  Index expression(int limit = 0) {
    if (!enter()) return leave(), make({});
    Index left = kNone;
    if (is_keyword("not") || is_symbol("-") || is_symbol("#") || is_symbol("~")) {
      auto made = of(ExpressionKind::Unary, token_.line);
      made.text = token_.text;
      advance();
      made.first = expression(kUnaryPriority);
      left = make(std::move(made));
    } else {
      left = simple();
    }
    while (!failed_ && (token_.kind == TokenKind::Symbol || token_.kind == TokenKind::Keyword)) {
      const auto found =
          std::find_if(kOperators.begin(), kOperators.end(), [&](const auto &o) { return o.text == token_.text; });
      if (found == kOperators.end() || found->left <= limit) break;
      auto made = of(ExpressionKind::Binary, token_.line);
      made.text = token_.text;
      advance();
      made.first = left;
      made.second = expression(found->right);
      left = make(std::move(made));
    }
    leave();
    return left;
  }
  std::vector<Index> expressions() {
    std::vector<Index> list{expression()};
    while (take_symbol(",")) list.push_back(expression());
    return list;
  }

  // From its parameters on.
  Index body(std::uint32_t line, bool method) {
    const auto before = active_.size();
    ++functions_;
    auto outer = std::exchange(returned_, {});
    Function made;
    if (method) made.parameters.push_back(declare("self"));
    expect_symbol("(");
    while (!failed_ && !is_symbol(")")) {
      if (take_symbol("...")) break;
      made.parameters.push_back(declare(expect_name()));
      if (!take_symbol(",")) break;
    }
    expect_symbol(")");
    active_.insert(active_.end(), made.parameters.begin(), made.parameters.end());
    block();
    expect_keyword("end");
    --functions_;
    active_.resize(before);
    made.returned = std::exchange(returned_, std::move(outer));
    source_.functions.push_back(std::move(made));
    auto function = of(ExpressionKind::Function, line);
    function.function = static_cast<Index>(source_.functions.size() - 1);
    return make(std::move(function));
  }

  // Statements.
  void block() {
    const auto before = active_.size();
    statements();
    active_.resize(before);
  }
  bool ends_block() const {
    return token_.kind == TokenKind::End || is_keyword("end") || is_keyword("else") || is_keyword("elseif") ||
           is_keyword("until");
  }
  void statements() {
    while (!ends_block()) {
      if (take_keyword("return")) {
        if (!ends_block() && !is_symbol(";")) {
          const auto values = expressions();
          returned_.push_back(values.front());
          for (const auto value : values) step(value);
        }
        take_symbol(";");
        break;
      }
      if (enter()) statement();
      leave();
    }
  }
  void statement() {
    if (take_symbol(";") || take_keyword("break")) return;
    if (take_keyword("goto")) {
      expect_name();
    } else if (take_symbol("::")) {
      expect_name();
      expect_symbol("::");
    } else if (take_keyword("do")) {
      block();
      expect_keyword("end");
    } else if (take_keyword("while")) {
      step(expression());
      expect_keyword("do");
      block();
      expect_keyword("end");
    } else if (take_keyword("repeat")) {
      const auto before = active_.size();
      statements();
      expect_keyword("until");
      step(expression());  // it sees the block's variables
      active_.resize(before);
    } else if (take_keyword("if")) {
      branches();
    } else if (take_keyword("for")) {
      loop();
    } else if (take_keyword("function")) {
      named_function();
    } else if (take_keyword("local")) {
      if (take_keyword("function"))
        local_function();
      else
        locals();
    } else {
      call_or_assignment();
    }
  }
  void branches() {
    do {
      step(expression());
      expect_keyword("then");
      block();
    } while (take_keyword("elseif"));
    if (take_keyword("else")) block();
    expect_keyword("end");
  }
  void note_loop(const std::vector<Index> &variables, Index over) {
    auto &first = source_.locals[variables.front()];
    first.loop = over;
    first.loop_first = true;
    if (variables.size() > 1) source_.locals[variables[1]].loop = over;
  }
  void loop() {
    std::vector<Index> variables{declare(expect_name())};
    if (take_symbol("=")) {
      for (const auto value : expressions()) step(value);
    } else {
      while (take_symbol(",")) variables.push_back(declare(expect_name()));
      expect_keyword("in");
      const auto values = expressions();
      for (const auto value : values) step(value);
      if (values.size() == 1) note_loop(variables, values.front());
    }
    expect_keyword("do");
    const auto before = active_.size();
    active_.insert(active_.end(), variables.begin(), variables.end());
    block();
    active_.resize(before);
    expect_keyword("end");
  }
  void named_function() {
    const auto line = token_.line;
    auto target = variable();
    bool method = false;
    while (!method && (is_symbol(".") || is_symbol(":"))) {
      method = is_symbol(":");
      advance();
      target = field_of(target);
    }
    step(body(line, method));
    assign(target);
  }
  void local_function() {
    const auto line = token_.line;
    const auto variable = declare(expect_name());
    active_.push_back(variable);  // in its own body, too
    const auto value = body(line, false);
    source_.locals[variable].value = value;
    step(value);
  }
  void locals() {
    std::vector<Index> variables;
    do {
      variables.push_back(declare(expect_name()));
      if (take_symbol("<")) {
        expect_name();
        expect_symbol(">");
      }
    } while (take_symbol(","));
    if (take_symbol("=")) {
      const auto values = expressions();
      for (std::size_t i = 0; i < values.size(); ++i) {
        step(values[i]);
        if (i < variables.size()) source_.locals[variables[i]].value = values[i];
      }
    }
    active_.insert(active_.end(), variables.begin(), variables.end());
  }
  void call_or_assignment() {
    std::vector<Index> targets{suffixed()};
    if (failed_) return;
    const auto kind = source_.expressions[targets.front()].kind;
    if (!is_symbol("=") && !is_symbol(",")) {
      if (kind != ExpressionKind::Call && kind != ExpressionKind::Method) fail();
      step(targets.front());
      source_.steps.back().alone = true;
      return;
    }
    while (take_symbol(",")) targets.push_back(suffixed());
    expect_symbol("=");
    for (const auto value : expressions()) step(value);
    for (const auto target : targets) assign(target);
  }
  void assign(Index target) {
    if (failed_) return;
    const auto &to = source_.expressions[target];
    if (to.kind == ExpressionKind::Local) {
      auto &local = source_.locals[to.local];
      local.assigned = true;
      --local.references;
    } else if (to.kind != ExpressionKind::Global && to.kind != ExpressionKind::Field &&
               to.kind != ExpressionKind::Item) {
      fail();
      return;
    }
    step(target, true);
  }

  Lexer lexer_;
  Token token_, ahead_;
  Source source_;
  std::vector<Index> active_;    // locals that can be seen here, the latest last
  std::vector<Index> returned_;  // by the function that is read
  int level_ = 0, functions_ = 0;
  bool failed_ = false;
};

}  // namespace

std::optional<Source> parse_source(std::string_view text) { return Parser{text}.parse(); }

}  // namespace mansio::lua
