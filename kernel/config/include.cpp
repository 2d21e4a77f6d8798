#include "kernel/config/include.hpp"

#include <algorithm>
#include <filesystem>
#include <set>

namespace mansio::config {
namespace {

constexpr std::size_t kMaxFiles = 1000;

void merge(TomlTable &into, TomlTable from, const std::string &prefix, Problems &problems) {
  for (auto &entry : from) {
    const auto found = std::find_if(into.begin(), into.end(), [&](const TomlEntry &e) { return e.key == entry.key; });
    if (found == into.end()) {
      into.push_back(std::move(entry));
      continue;
    }
    const auto key = prefix + entry.key;
    auto *table = found->value.as<TomlTable>();
    auto *list = found->value.as<TomlList>();
    const auto tables_only = [](const TomlList &l) {
      for (const auto &value : l) {
        if (!value.as<TomlTable>()) return false;
      }
      return !l.empty();
    };
    if (table && entry.value.as<TomlTable>()) {
      merge(*table, std::move(*entry.value.as<TomlTable>()), key + '.', problems);
    } else if (list && entry.value.as<TomlList>() && tables_only(*list) && tables_only(*entry.value.as<TomlList>())) {
      for (auto &value : *entry.value.as<TomlList>()) list->push_back(std::move(value));
    } else {
      problems.add(entry.place, key, "is given already at " + to_string(found->place) + ", expected in one file only");
    }
  }
}

class Loader {
 public:
  Loader(Files &files, Problems &problems) : files_(files), problems_(problems) {}

  // `from`: the place of the include, for a file that cannot be read.
  TomlTable load(const std::string &path, const TomlPlace *from) {
    if (!seen_.insert(path).second || seen_.size() > kMaxFiles) {
      problems_.add(from ? *from : TomlPlace{}, "include",
                    path + (seen_.size() > kMaxFiles ? " is one of too many" : " is included more than once"));
      return {};
    }
    const auto text = files_.read(path);
    if (!text) {
      if (from) {
        problems_.add(*from, "include", path + " " + text.error().text);
      } else {
        problems_.add({path, 0, "", text.error().text});
      }
      return {};
    }
    auto parsed = parse_toml(*text, path);
    if (const auto *error = std::get_if<TomlError>(&parsed)) {
      problems_.add({path, error->line, "", error->text});
      return {};
    }
    auto own = std::move(std::get<TomlTable>(parsed));
    TomlTable whole;
    for (auto entry = own.begin(); entry != own.end(); ++entry) {
      if (entry->key != "include") continue;
      const auto include = std::move(*entry);
      own.erase(entry);
      for (const auto &included : matches(include, path)) merge(whole, load(included, &include.place), "", problems_);
      break;
    }
    merge(whole, std::move(own), "", problems_);
    return whole;
  }

 private:
  std::vector<std::string> matches(const TomlEntry &include, const std::string &path) {
    std::vector<std::string> out;
    const auto *list = include.value.as<TomlList>();
    if (!list) {
      problems_.add(include.place, "include",
                    "is " + std::string{include.value.kind()} + ", expected a list of file patterns");
      return out;
    }
    for (const auto &value : *list) {
      const auto *pattern = value.as<std::string>();
      if (!pattern || pattern->empty() || pattern->find('\0') != pattern->npos) {
        problems_.add(value.place, "include", "expected a list of file patterns such as [\"conf.d/*.toml\"]");
        continue;
      }
      const auto full = resolve_path(*pattern, path);
      if (pattern->find_first_of("*?[") == pattern->npos) {
        out.push_back(full);  // a plain name must exist
        continue;
      }
      auto found = files_.glob(full);
      if (!found) {
        problems_.add(value.place, "include", full + " " + found.error().text);
        continue;
      }
      out.insert(out.end(), found->begin(), found->end());
    }
    return out;
  }

  Files &files_;
  Problems &problems_;
  std::set<std::string> seen_;
};

}  // namespace

std::string to_string(const TomlPlace &place) {
  return (place.file ? *place.file : std::string{"?"}) + ':' + std::to_string(place.line);
}

std::string resolve_path(const std::string &path, const std::string &file) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path full = fs::path{file}.parent_path() / path;
  if (full.is_relative()) {
    const auto absolute = fs::absolute(full, error);
    if (!error) full = absolute;
  }
  return full.lexically_normal().string();
}

TomlTable load_with_includes(const std::string &path, Files &files, Problems &problems) {
  return Loader{files, problems}.load(path, nullptr);
}

}  // namespace mansio::config
