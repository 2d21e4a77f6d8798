// A script that is for something else than its instance is told of when the configuration is looked at, and does not
// start.
#include <stdexcept>
#include <string>
#include <vector>

#include "plugins/lua/tests/scripted.hpp"

namespace mansio::lua::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// What `mansio check` says of a script as the instance users of that kind.
std::string problem_as(const std::string &kind, const std::string &text) {
  const ScriptFile file{text};
  return FakeHost::check(mansio_plugin_entry_1(), file.options(), {{"kind", kind}, {"instance", "users"}});
}

struct Kind {
  std::string kind, provided, object;
};
const std::vector<Kind> kKinds{
    {"lookup", "lookup", "{lookup = function() end}"}, {"transport", "transport", "{deliver = function() end}"},
    {"auth", "auth", "{check = function() end}"},      {"rate", "rate", "{lease = function() end}"},
    {"filter", "filter", "{rcpt = function() end}"},   {"policy", "filter", "{rcpt = function() end}"}};

std::string provide(const Kind &kind, const std::string &name) {
  return "mansio.provide('" + kind.provided + "', '" + name + "', " + kind.object + ")\n";
}

TEST(LuaPurpose, IsSeenWhereWhatIsProvidedHasAnotherName) {
  for (const auto &kind : kKinds) {
    const auto said = problem_as(kind.kind, "\n" + provide(kind, "usres"));
    EXPECT_THAT(said, HasSubstr("which cannot be used: ")) << kind.kind;
    EXPECT_THAT(said, HasSubstr(".lua:2: it provides the " + kind.provided +
                                " \"usres\", and the configuration asks for \"users\"; did you mean \"users\"?"));
    EXPECT_EQ(problem_as(kind.kind, provide(kind, "usres") + provide(kind, "users")), "");
  }
}

TEST(LuaPurpose, IsSeenWhereNothingNearIsProvided) {
  for (const auto &kind : kKinds) {
    const auto one = problem_as(kind.kind, provide(kind, "others"));
    EXPECT_THAT(one, HasSubstr(".lua:1: it provides the " + kind.provided +
                               " \"others\", and the configuration asks for \"users\"\n"));
    EXPECT_THAT(problem_as(kind.kind, provide(kind, "b") + provide(kind, "a")),
                HasSubstr("used: it provides the " + kind.provided + " \"a\", \"b\", and the configuration asks for"));
    if (kind.provided == "filter") continue;
    EXPECT_THAT(problem_as(kind.kind, "mansio.on('rcpt', function() end)"),
                HasSubstr("used: it provides no " + kind.kind + ", expected mansio.provide(\"" + kind.kind +
                          "\", \"users\", ...)"));
  }
}

TEST(LuaPurpose, IsSeenWhereNoHandlerIsForIt) {
  const std::string of_queue = "mansio.on('delivered', function() end)",
                    of_session = "mansio.on('rcpt', function() end)";
  for (const std::string kind : {"filter", "policy"}) {
    EXPECT_THAT(problem_as(kind, of_queue), HasSubstr("it has no handler of what a " + kind + " is asked"));
    EXPECT_EQ(problem_as(kind, of_session), "");
    EXPECT_EQ(problem_as(kind, "mansio.on('route', function() end)"), "");
  }
  EXPECT_THAT(problem_as("event", of_session), HasSubstr("it has no handler of what became of messages"));
  EXPECT_EQ(problem_as("event", of_queue), "");
}

// As `mansio lua check` does: one script may be several.
TEST(LuaPurpose, IsNotJudgedWhereNobodySaysWhatItIsFor) {
  for (const auto &kind : kKinds) EXPECT_EQ(problem_as("", provide(kind, "usres")), "");
}

TEST(LuaPurpose, KeepsAnInstanceFromStarting) {
  const ScriptFile table{"mansio.provide('lookup', 'usres', {lookup = function() return '1' end})"};
  FakeHost misnamed{mansio_plugin_entry_1(), table.options(), {{"kind", "lookup"}, {"instance", "users"}}};
  EXPECT_THROW(misnamed.lookup("a", "users"), std::logic_error);  // it is no lookup
  EXPECT_THAT(misnamed.log, HasSubstr("it provides the lookup \"usres\""));
  FakeHost good{mansio_plugin_entry_1(), table.options(), {{"kind", "lookup"}, {"instance", "usres"}}};
  EXPECT_EQ(good.lookup("a", "usres").status, MANSIO_OK);
  EXPECT_THAT(good.log, IsEmpty());

  const ScriptFile transport{"mansio.provide('transport', 'hok', {deliver = function() return mansio.sent() end})"};
  FakeHost other{mansio_plugin_entry_1(), transport.options(), {{"kind", "transport"}, {"instance", "hook"}}};
  EXPECT_THROW(other.run(mansio::testing::FakeMail{}), std::logic_error);
  EXPECT_THAT(other.log, HasSubstr("did you mean \"hook\"?"));
}

}  // namespace
}  // namespace mansio::lua::testing
