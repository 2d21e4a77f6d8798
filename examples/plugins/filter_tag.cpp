// filter-tag: marks mail from outside. A message that comes from a client that is not in mynetworks gets a word before
// its subject and a header field that says why; one that claims to have been marked already loses that claim. What
// looks like a virus to it (a pattern of bytes) is held for an operator.
#include <mansio/filter.hpp>

namespace {

using namespace mansio::plugin;

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; };
    return lower(x) == lower(y);
  });
}

class FilterTag {
 public:
  static constexpr Info info{"filter-tag", "1.0"};
  static constexpr mansio_option options[] = {
      {"tag", MANSIO_OPT_TEXT, 0, "[EXTERNAL]", "Put before the subject."},
      {"header", MANSIO_OPT_TEXT, 0, "X-External", "Name of the header field that is added."},
      {"hold_pattern", MANSIO_OPT_TEXT, 0, "", "A message that holds these bytes is put on hold."},
      {},
  };

  explicit FilterTag(Host host)
      : tag_(host.option("tag")), header_(host.option("header")), pattern_(host.option("hold_pattern")) {
    check(host);
  }

  static void check(const Config &config) {
    const auto header = config.option("header");
    if (header.empty() || header.find_first_of(": \t") != header.npos)
      throw BadConfig{"header", "is \"" + header + "\", expected the name of a header field"};
  }

  // The whole message is here: it can be read, and what is changed counts with accept().
  Reply end_of_message(Stage &stage) {
    const auto content = stage.content();
    if (!content) return defer({4, 3, 0}, "the message cannot be read");
    if (!pattern_.empty() && content->find(pattern_) != content->npos) stage.hold("it holds " + pattern_);
    // Fields that pretend to be ours, the last one first, for the numbers of the others stay.
    for (auto n = count(*content, header_); n > 0; --n) stage.delete_header(header_, n);
    if (stage.macro("client_trusted") == "true") return accept();
    const auto subject = value(*content, "Subject");
    if (subject.find(tag_) == subject.npos) stage.change_header("Subject", 1, tag_ + (subject.empty() ? "" : subject));
    stage.add_header(header_, "from " + std::string{stage.macro("client_address")});
    return accept();
  }

 private:
  // Calls f(name, value) for each header field, the value as it stands there.
  template <class F>
  static void each_field(std::string_view content, F f) {
    while (!content.empty() && !content.starts_with("\r\n")) {
      auto end = content.find("\r\n");
      if (end == content.npos) return;
      while (end + 2 < content.size() && (content[end + 2] == ' ' || content[end + 2] == '\t'))
        end = content.find("\r\n", end + 2);
      const auto field = content.substr(0, end);
      const auto colon = field.find(':');
      if (colon == field.npos) return;
      f(field.substr(0, colon), field.substr(colon + 1));
      content.remove_prefix(std::min(end + 2, content.size()));
    }
  }
  static std::uint32_t count(std::string_view content, std::string_view name) {
    std::uint32_t n = 0;
    each_field(content, [&](std::string_view field, std::string_view) { n += same(field, name); });
    return n;
  }
  static std::string value(std::string_view content, std::string_view name) {
    std::string found;
    each_field(content, [&](std::string_view field, std::string_view text) {
      if (found.empty() && same(field, name)) found = text;
    });
    return found;
  }

  std::string tag_, header_, pattern_;
};

}  // namespace

MANSIO_FILTER_PLUGIN(FilterTag)
