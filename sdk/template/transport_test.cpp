// Unit tests of @NAME@ on the SDK's fake host: no Mansio is needed.
#include <cstdio>
#include <mansio/testing/fake_host.hpp>

using mansio::testing::FakeHost;

static int failures = 0;

static void expect(bool fine, const char *what) {
  if (fine) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

int main() {
  FakeHost host{mansio_plugin_entry_1(), {{"say", "x"}}};
  mansio::testing::FakeMail mail;
  mail.sender = "a@example.com";
  mail.recipients = {{"b@example.com", "", "", 0}, {"c@example.com", "", "", 0}};
  mail.content = "Subject: test\r\n\r\nHello.\r\n";
  const auto result = host.run(mail);
  expect(result.recipients.size() == 2, "every recipient has a result");
  expect(result.recipients.at(0).status == MANSIO_OK, "the first is sent");
  expect(result.recipients.at(1).text == "x", "the reply is as configured");
  expect(host.faults.empty(), "the rules are kept");
  std::printf("%s\n", failures == 0 ? "all tests passed" : "some tests failed");
  return failures == 0 ? 0 : 1;
}
