// SASL mechanisms towards servers: which there are, which of them the operator's options leave, and which of those a
// server gets. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mansio::smtp {

struct Mechanism {
  const char *name;
  bool client_first;  // a first response may go with AUTH
  bool plaintext;     // whoever reads along has the password
  bool mutual;        // the server proves that it knows the password, too
};
// The strongest first. None is anonymous, and none protects what follows: that is what TLS is for.
inline constexpr Mechanism kMechanisms[] = {{"SCRAM-SHA-256", true, false, true},
                                            {"SCRAM-SHA-1", true, false, true},
                                            {"CRAM-MD5", false, false, false},
                                            {"PLAIN", true, true, false},
                                            {"LOGIN", false, true, false}};
using Mechanisms = std::vector<const Mechanism *>;

// Postfix's security options of these names.
struct SecurityOptions {
  bool noplaintext = false, mutual_auth = false;
};

// Of a filter: PLAIN, !PLAIN, or "static:" and anything, which fits all. The first entry that fits counts; what none
// fits is left out. Without entries nothing is.
bool is_filter_entry(std::string_view text);
bool passes_filter(const std::vector<std::string> &filter, std::string_view mechanism);

Mechanisms allowed_mechanisms(const std::vector<std::string> &filter, const SecurityOptions &options);
// Null: the server offers none of them.
const Mechanism *strongest(const Mechanisms &allowed, const std::vector<std::string> &offered);

}  // namespace mansio::smtp
