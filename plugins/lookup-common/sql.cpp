#include "plugins/lookup-common/sql.hpp"

#include <utility>

#include "mansio/config.hpp"

namespace mansio::lookup {
namespace {

bool word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' ||
         static_cast<unsigned char>(c) >= 0x80;
}

plugin::BadConfig bad(const std::string &why) { return {"query", why}; }

struct Literal {
  std::string text;  // between the quotes, '' undone
  std::size_t end;   // past the closing quote
  bool backslash;
};
Literal literal_at(std::string_view query, std::size_t at) {
  Literal l{{}, at + 1, false};
  for (; l.end < query.size(); ++l.end) {
    if (query[l.end] == '\'') {
      if (l.end + 1 == query.size() || query[l.end + 1] != '\'') return ++l.end, l;
      ++l.end;
    }
    l.backslash = l.backslash || query[l.end] == '\\';
    l.text += query[l.end];
  }
  throw bad("has a ' that is not closed");
}

}  // namespace

SqlQuery::SqlQuery(std::string_view query, Placeholder style) {
  if (query.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw bad("is empty, expected SQL such as \"SELECT goto FROM alias WHERE address = '%s'\"");
  for (std::size_t i = 0; i < query.size();) {
    if (query[i] == '\'') {
      const auto literal = literal_at(query, i);
      const Template content{"query", literal.text};
      if (!content.has_expansions()) {
        // As it stands, but for %%.
        std::string raw{query.substr(i, literal.end - i)};
        for (auto at = raw.find("%%"); at != std::string::npos; at = raw.find("%%", at + 1)) raw.erase(at, 1);
        text_ += raw;
      } else {
        // With a prefix (E'', X'', _utf8'') or a backslash the text between the quotes is not what the literal means.
        if (literal.backslash || (i > 0 && word(query[i - 1])))
          throw bad("has the expansion of '" + literal.text +
                    "' in a literal with a prefix or a backslash, expected a plain one such as '%s'");
        parameters_.push_back(content);
        text_ += style == Placeholder::Question ? "?" : "$" + std::to_string(parameters_.size());
      }
      i = literal.end;
    } else if (query[i] == '%') {
      if (i + 1 < query.size() && query[i + 1] != '%')
        throw bad("has \"%" + std::string(1, query[i + 1]) +
                  "\" outside of single quotes, expected expansions within them, as in '%s' (and %% for a per cent "
                  "sign)");
      text_ += '%';
      i += 2;
    } else if (query.substr(i, 2) == "--" || query.substr(i, 2) == "/*" || query[i] == ';') {
      throw bad("has \"" + std::string{query.substr(i, query[i] == ';' ? 1 : 2)} +
                "\" in it, expected one statement without comments");
    } else if (query[i] == '"' || query[i] == '`') {
      const auto close = query.find(query[i], i + 1);
      if (close == std::string_view::npos) throw bad(std::string{"has a "} + query[i] + " that is not closed");
      const auto name = query.substr(i, close + 1 - i);
      if (name.find('%') != std::string_view::npos)
        throw bad("has \"%\" within " + std::string{name} + ", expected expansions within single quotes, as in '%s'");
      text_ += name;
      i = close + 1;
    } else if (query[i] == '?' && style == Placeholder::Question) {
      throw bad("has a ? outside of quotes, expected expansions such as '%s'");
    } else if (query[i] == '$' && style == Placeholder::Dollar) {
      throw bad("has a $ outside of quotes, expected expansions such as '%s'");
    } else {
      text_ += query[i++];
    }
  }
}

std::optional<std::vector<std::string>> SqlQuery::bind(std::string_view key) const {
  std::vector<std::string> values;
  values.reserve(parameters_.size());
  for (const auto &parameter : parameters_) {
    auto value = parameter.expand(key, key);
    if (!value) return std::nullopt;
    values.push_back(std::move(*value));
  }
  return values;
}

}  // namespace mansio::lookup
