// Unit tests of @NAME@ on the SDK's fake host: no Mansio is needed.
#include <cstdio>
#include <mansio/testing/fake_host.hpp>

using mansio::testing::FakeAuthStep;
using mansio::testing::FakeHost;

static int failures = 0;

static void expect(bool fine, const char *what) {
  if (fine) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

static FakeAuthStep plain(const std::string &user, const std::string &password) {
  FakeAuthStep step;
  step.response = std::string(1, '\0') + user + std::string(1, '\0') + password;
  return step;
}

int main() {
  FakeHost host{mansio_plugin_entry_1(), {{"user", "alice"}, {"password", "secret"}}};
  expect(host.mechanisms(true).empty(), "nothing is offered in clear");
  expect(host.mechanisms(false) == "PLAIN", "PLAIN is offered under TLS");
  const auto known = host.authenticate(plain("alice", "secret"));
  expect(known.status == MANSIO_OK && known.values == std::vector<std::string>{"alice"}, "the user is let in");
  expect(host.authenticate(plain("alice", "secre")).status == MANSIO_FAIL, "not with another password");
  expect(host.authenticate(plain("bob", "secret")).status == MANSIO_FAIL, "others are not");
  auto for_bob = plain("alice", "secret");
  for_bob.response->insert(0, "bob");
  expect(host.authenticate(for_bob).status == MANSIO_FAIL, "nobody acts for another");
  const auto asked = host.authenticate(FakeAuthStep{});
  expect(asked.status == MANSIO_SKIP, "without a first response it asks for one");
  expect(host.faults.empty(), "the rules are kept");
  std::printf("%s\n", failures == 0 ? "all tests passed" : "some tests failed");
  return failures == 0 ? 0 : 1;
}
