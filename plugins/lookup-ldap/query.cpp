#include "plugins/lookup-ldap/query.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "plugins/common/ascii.hpp"

namespace mansio::lookup {
namespace {

bool has(const std::vector<std::string> &names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string &n) { return ascii::lower(n) == ascii::lower(name); });
}

// An attribute's values.
class Values {
 public:
  Values(LDAP *ld, LDAPMessage *entry, const std::string &attribute)
      : values_(::ldap_get_values_len(ld, entry, attribute.c_str())) {}
  ~Values() {
    if (values_) ::ldap_value_free_len(values_);
  }
  Values(const Values &) = delete;
  Values &operator=(const Values &) = delete;
  int size() const { return ::ldap_count_values_len(values_); }
  std::string_view operator[](int i) const { return {values_[i]->bv_val, values_[i]->bv_len}; }

 private:
  berval **values_;
};

}  // namespace

std::vector<std::string> LdapQuery::all_attributes() const {
  std::vector<std::string> all;
  for (const auto *list : {&settings_.result_attributes, &settings_.leaf_attributes, &settings_.terminal_attributes,
                           &settings_.special_attributes})
    all.insert(all.end(), list->begin(), list->end());
  return all;
}

LdapQuery::State LdapQuery::fail(const std::string &why) {
  why_ = why;
  return State::Failed;
}

std::optional<Answer> LdapQuery::run(const std::string &base, bool base_from_key, const std::string &filter,
                                     std::string &why) && {
  base_must_exist_ = !base_from_key;
  switch (search({base, settings_.scope, filter, all_attributes()}, 0)) {
    case State::Broken:
      why = why_;
      return std::nullopt;
    case State::Failed:
      return Answer::try_later(why_);
    case State::Good:
    case State::Enough:
      break;
  }
  return std::move(values_).answer();
}

LdapQuery::State LdapQuery::search(const LdapSearch &search, std::int64_t depth) {
  if (depth > settings_.recursion_limit)
    return fail("references are nested deeper than " + std::to_string(settings_.recursion_limit) +
                " (recursion_limit)");
  const auto result = connection_.search(search);
  if (result.code == LDAP_NO_SUCH_OBJECT) {
    if (depth == 0 && base_must_exist_) return fail(connection_.explain(result.code) + " (search_base)");
    return State::Good;  // a reference to an entry that is gone
  }
  if (result.code == LDAP_SIZELIMIT_EXCEEDED) return fail(connection_.explain(result.code) + " (size_limit)");
  if (result.code != LDAP_SUCCESS) {
    const auto state = fail(connection_.explain(result.code));
    return LdapConnection::broken(result.code) ? State::Broken : state;
  }
  auto *ld = connection_.raw();
  for (auto *e = ::ldap_first_entry(ld, result.messages.get()); e; e = ::ldap_next_entry(ld, e))
    if (const auto state = entry(e, search.attributes, depth); state != State::Good) return state;
  return State::Good;
}

LdapQuery::State LdapQuery::entry(LDAPMessage *entry, const std::vector<std::string> &wanted, std::int64_t depth) {
  auto *ld = connection_.raw();
  const auto any = [&](const std::vector<std::string> &attributes) {
    return std::any_of(attributes.begin(), attributes.end(), [&](const std::string &a) {
      return has(wanted, a) && Values{ld, entry, a}.size() > 0;
    });
  };
  if (any(settings_.terminal_attributes)) return add(entry, settings_.terminal_attributes, wanted);
  if (const auto state = add(entry, settings_.result_attributes, wanted); state != State::Good) return state;
  if (!any(settings_.special_attributes)) return add(entry, settings_.leaf_attributes, wanted);
  for (const auto &attribute : settings_.special_attributes) {
    if (!has(wanted, attribute)) continue;
    const Values references{ld, entry, attribute};
    for (int i = 0; i < references.size(); ++i)
      if (const auto state = follow(std::string{references[i]}, depth + 1); state != State::Good) return state;
  }
  return State::Good;
}

LdapQuery::State LdapQuery::add(LDAPMessage *entry, const std::vector<std::string> &attributes,
                                const std::vector<std::string> &wanted) {
  for (const auto &attribute : attributes) {
    if (!has(wanted, attribute)) continue;
    const Values found{connection_.raw(), entry, attribute};
    for (int i = 0; i < found.size(); ++i)
      if (!values_.add(found[i])) return State::Enough;
  }
  return State::Good;
}

LdapQuery::State LdapQuery::follow(const std::string &reference, std::int64_t depth) {
  if (!followed_.insert(ascii::lower(reference)).second) return State::Good;
  if (!::ldap_is_ldap_url(reference.c_str()))
    return search({reference, LDAP_SCOPE_BASE, "(objectClass=*)", all_attributes()}, depth);
  LDAPURLDesc *raw = nullptr;
  if (::ldap_url_parse(reference.c_str(), &raw) != LDAP_URL_SUCCESS)
    return fail("\"" + reference + "\" is no LDAP URL");
  const std::unique_ptr<LDAPURLDesc, void (*)(LDAPURLDesc *)> url{raw, ::ldap_free_urldesc};
  LdapSearch s{url->lud_dn ? url->lud_dn : "", url->lud_scope == LDAP_SCOPE_DEFAULT ? LDAP_SCOPE_BASE : url->lud_scope,
               url->lud_filter ? url->lud_filter : "(objectClass=*)", all_attributes()};
  if (url->lud_attrs) {
    std::vector<std::string> named;
    for (char **a = url->lud_attrs; *a; ++a) named.emplace_back(*a);
    std::erase_if(s.attributes, [&](const std::string &a) { return !has(named, a); });
    // None of the table's: without any the server would send all of the entry.
    if (s.attributes.empty()) return State::Good;
  }
  return search(s, depth);
}

}  // namespace mansio::lookup
