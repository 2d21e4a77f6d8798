#include "kernel/mail/edits.hpp"

#include <algorithm>
#include <utility>

#include "kernel/mail/headers.hpp"
#include "kernel/mail/utf8.hpp"

namespace mansio {
namespace {

constexpr std::size_t kLongestLine = 998;  // RFC 5322 section 2.1.1, without the line end
constexpr std::size_t kLongestName = 100;

// The value begins with the blank that its writer likes, or with the usual one.
std::string field(const Edit &edit) {
  const bool spaced = edit.value.starts_with(' ') || edit.value.starts_with('\t');
  return edit.name + (spaced ? ":" : ": ") + edit.value + "\r\n";
}

class Fields {
 public:
  explicit Fields(std::string_view section) {
    while (const auto field = next_field(section)) all_.emplace_back(field->raw);
    rest_ = section;
  }

  void apply(const Edit &edit) {
    switch (edit.kind) {
      case EditKind::AddHeader:
        all_.push_back(field(edit));
        return;
      case EditKind::InsertHeader:
        all_.insert(all_.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(edit.number, all_.size())),
                    field(edit));
        return;
      case EditKind::ChangeHeader:
        if (const auto at = find(edit); at != all_.end())
          *at = field(edit);
        else
          all_.push_back(field(edit));
        return;
      case EditKind::DeleteHeader:
        if (const auto at = find(edit); at != all_.end()) all_.erase(at);
        return;
      default:
        return;
    }
  }

  std::string text() const {
    std::string out;
    for (const auto &field : all_) out += field;
    return out + rest_;
  }

 private:
  std::vector<std::string>::iterator find(const Edit &edit) {
    auto left = edit.number;
    return std::find_if(all_.begin(), all_.end(), [&](const std::string &raw) {
      return equals_nocase(std::string_view{raw}.substr(0, field_name_length(raw)), edit.name) && left-- == 1;
    });
  }

  std::vector<std::string> all_;
  std::string rest_;
};

}  // namespace

bool is_header_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > 32 && c < 127 && c != ':'; });
}

std::optional<std::string> canonical_header_value(std::string_view name, std::string_view value) {
  std::string out;
  std::size_t line = name.size() + 2;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const bool crlf = value[i] == '\r' && i + 1 < value.size() && value[i + 1] == '\n';
    if (crlf || value[i] == '\n') {
      if (crlf) ++i;
      if (i + 1 == value.size() || (value[i + 1] != ' ' && value[i + 1] != '\t')) return std::nullopt;
      out += "\r\n";
      line = 0;
      continue;
    }
    if (value[i] == '\0' || ++line > kLongestLine) return std::nullopt;
    out += value[i] == '\r' ? ' ' : value[i];
  }
  // A line of blanks alone would end the section for some readers.
  for (std::size_t at = out.find("\r\n"); at != out.npos; at = out.find("\r\n", at + 2)) {
    const auto text = out.find_first_not_of(" \t", at + 2);
    if (text == out.npos || out[text] == '\r') return std::nullopt;
  }
  return out;
}

bool edits_header(EditKind kind) { return kind <= EditKind::DeleteHeader; }

std::vector<EditList> edits_by_version(const std::vector<Edit> &edits) {
  struct Version {
    EditList edits;
    bool own_body = false;
  };
  std::vector<Version> versions(1);
  for (const auto &edit : edits) {
    if (edit.kind == EditKind::Version) {
      if (edit.number != versions.size()) continue;  // it has begun
      auto begins_with = versions.front().edits;
      versions.push_back({std::move(begins_with)});
      continue;
    }
    const bool of_body = edit.kind == EditKind::ReplaceBody;
    if ((!edits_header(edit.kind) && !of_body) || edit.version >= versions.size()) continue;
    auto &version = versions[edit.version];
    if (of_body && !std::exchange(version.own_body, true))
      std::erase_if(version.edits, [](const Edit *e) { return e->kind == EditKind::ReplaceBody; });
    version.edits.push_back(&edit);
  }
  std::vector<EditList> lists;
  lists.reserve(versions.size());
  for (auto &version : versions) lists.push_back(std::move(version.edits));
  return lists;
}

std::string edited_headers(std::string_view section, const EditList &edits) {
  Fields fields{section};
  for (const auto *edit : edits) fields.apply(*edit);
  return fields.text();
}

}  // namespace mansio
