// policy-recipients: asks a table what to say of a recipient before the client hears that it is taken.
//
// The table's value is OK, or a reply code and a text ("550 no such user", "451 come again"). A recipient that is not
// in the table gets `otherwise`. A table that cannot answer defers, and never refuses.
#include <cctype>
#include <mansio/filter.hpp>
#include <mansio/loop.hpp>

namespace {

using namespace mansio::plugin;

// "550 no such user" as a verdict.
Reply verdict(const std::string &value) {
  if (value == "OK" || value.empty()) return accept();
  const auto text = value.size() > 4 ? value.substr(4) : std::string{};
  const auto code = static_cast<std::uint16_t>(std::atoi(value.c_str()));
  if (value[0] == '5') return reject({5, 7, 1}, text).code(code);
  return defer({4, 7, 1}, text).code(code);
}

bool is_verdict(const std::string &value) {
  return value == "OK" ||
         (value.size() >= 3 && (value[0] == '4' || value[0] == '5') &&
          std::isdigit(static_cast<unsigned char>(value[1])) && std::isdigit(static_cast<unsigned char>(value[2])) &&
          (value.size() == 3 || value[3] == ' '));
}

class PolicyRecipients {
 public:
  static constexpr Info info{"policy-recipients", "1.0"};
  static constexpr mansio_option options[] = {
      {"table", MANSIO_OPT_TEXT, MANSIO_OPT_REQUIRED, nullptr, "NAME of the [lookup.NAME] that knows recipients."},
      {"otherwise", MANSIO_OPT_TEXT, 0, "OK", "Said of a recipient that is not in the table."},
      {},
  };

  explicit PolicyRecipients(Host host)
      : host_(host), table_(host.option("table")), otherwise_(host.option("otherwise")) {
    check(host);
  }

  // Asked by `mansio check` and before each start, so that a bad value is refused with file and line.
  static void check(const Config &config) {
    const auto otherwise = config.option("otherwise");
    if (!is_verdict(otherwise))
      throw BadConfig{"otherwise", "is \"" + otherwise + "\", expected OK or a reply such as \"550 no such user\""};
  }

  // Answers when the table has.
  void rcpt(Stage stage, Token token) { answer(std::move(token), ask(std::string{stage.argument(0)})); }

 private:
  Task<Reply> ask(std::string recipient) {
    const auto found = co_await TableLookup{host_, table_, recipient};
    if (found.status() == MANSIO_NOT_FOUND) co_return verdict(otherwise_);
    if (found.status() != MANSIO_OK) co_return defer({4, 3, 0}, "recipients cannot be checked now");
    const auto &value = found.values().front();
    if (is_verdict(value)) co_return verdict(value);
    host_.error("table " + table_ + " has \"" + value + "\" for " + recipient + ", which is no verdict");
    co_return defer({4, 3, 5}, "recipients cannot be checked now");
  }

  Host host_;
  std::string table_, otherwise_;
};

}  // namespace

MANSIO_POLICY_PLUGIN(PolicyRecipients)
