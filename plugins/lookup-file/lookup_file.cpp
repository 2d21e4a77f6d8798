// lookup-file: tables in files and in the configuration itself. Options and behaviour: README.md.
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/lookup-common/reply.hpp"
#include "plugins/lookup-common/table.hpp"
#include "plugins/lookup-file/file_table.hpp"

namespace mansio::lookup {
namespace {

using plugin::BadConfig;

TableType parse_type(const std::string &text) {
  if (text == "texthash") return TableType::Text;
  if (text == "cidr") return TableType::Cidr;
  if (text == "regexp") return TableType::Regexp;
  if (text == "pcre") return TableType::Pcre;
  throw BadConfig{"type", "is \"" + text + "\", expected \"texthash\", \"cidr\", \"regexp\" or \"pcre\""};
}

std::unique_ptr<const MemoryTable> parse_inline(TableType type, const std::string &text, bool fold_case) {
  auto parsed = parse_table(type, text, fold_case);
  if (parsed.table) return std::move(parsed.table);
  const auto &first = parsed.problems.front();
  throw BadConfig{"inline", "has a line " + std::to_string(first.line) + " that " + first.text};
}

// Of path and inline, which one.
bool is_inline(const plugin::Config &config) {
  const bool path = !config.option("path").empty(), text = !config.option("inline").empty();
  if (path == text)
    throw BadConfig{path ? "both path and inline are given, expected one of them"
                         : "neither path nor inline is given, expected one of them"};
  return text;
}

class LookupFile {
 public:
  // On the loop: a lookup is one stat(2) and memory.
  static constexpr plugin::Info info{"lookup-file", "1.0"};
  static constexpr mansio_option options[] = {
      {"type", MANSIO_OPT_TEXT, 0, "texthash",
       "Syntax: texthash (key and value), cidr, regexp or pcre, each as in Postfix's table of that name."},
      {"path", MANSIO_OPT_PATH, 0, nullptr, "File with the table."},
      {"inline", MANSIO_OPT_TEXT, 0, nullptr, "The table itself, in the same syntax, instead of `path`."},
      {kFoldCase.name, kFoldCase.type, kFoldCase.flags, kFoldCase.fallback,
       "Of texthash: keys that differ in the case of ASCII letters are one."},
      {}};

  explicit LookupFile(plugin::Host host) : host_(host) {
    const auto type = parse_type(host.option("type"));
    const auto fold_case = host.flag("fold_case");
    if (is_inline(host))
      inline_ = parse_inline(type, host.option("inline"), fold_case);
    else
      file_.emplace(
          FileTable::Settings{type, fold_case, host.option("path")}, [this](const std::string &t) { host_.info(t); },
          [this](const std::string &t) { host_.error(t); });
  }

  static void check(const plugin::Config &config) {
    const auto type = parse_type(config.option("type"));
    const auto fold_case = config.flag("fold_case");
    if (is_inline(config)) {
      parse_inline(type, config.option("inline"), fold_case);
      return;
    }
    const auto path = config.option("path");
    const auto file = read_table_file(path);
    if (!file && errno == ENOENT) throw BadConfig{"path", "names " + path + ", which is not there"};
    if (!file) return;  // whether it can be read is for the process that will
    const auto parsed = parse_table(type, file->text, fold_case);
    if (!parsed.table) throw BadConfig{"path", problem_text(path, parsed.problems)};
  }

  plugin::Reply lookup(std::string_view, std::string_view key) {
    return reply(inline_ ? inline_->lookup(key) : file_->lookup(key));
  }

 private:
  plugin::Host host_;
  std::unique_ptr<const MemoryTable> inline_;
  std::optional<FileTable> file_;
};

}  // namespace
}  // namespace mansio::lookup

MANSIO_LOOKUP_PLUGIN(mansio::lookup::LookupFile)
