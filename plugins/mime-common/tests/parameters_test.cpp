// Values and parameters of fields, and the names of files in them.
#include "plugins/mime-common/parameters.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace mansio::mime {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

std::string name(const std::string &disposition, const std::string &type = "") {
  return file_name(parse_parameterized(disposition), parse_parameterized(type));
}

TEST(Parameters, AreReadWithCommentsQuotesAndBlanks) {
  const auto parsed = parse_parameterized(
      " Text / (a (nested) \\) one) Plain ; Charset = \"UTF-8\" (why) ; format=flowed;; x = \"a\\\"; b\" ; none ; =y; "
      "x=2");
  EXPECT_EQ(parsed.value, "text/plain");
  EXPECT_THAT(parsed.parameters, ElementsAre(Pair("charset", "UTF-8"), Pair("format", "flowed"), Pair("x", "a\"; b")));
  EXPECT_THAT(parse_parameterized("").parameters, IsEmpty());
  EXPECT_EQ(parse_parameterized("a/b; x=\"open").parameter("x"), "open");
  EXPECT_EQ(parse_parameterized("a/b; x=us-ascii (plain)").parameter("x"), "us-ascii");
  EXPECT_EQ(parse_parameterized("a/b; x=a copy(1).txt").parameter("x"), "a copy(1).txt");
  EXPECT_EQ(parse_parameterized("a/b (open; x=1").value, "a/b");
  EXPECT_EQ(parse_parameterized("a/b; boundary=\"one\r\n two\"").parameter("boundary"), "one two");
}

TEST(Parameters, ArePutTogether) {
  const auto parsed = parse_parameterized(
      "a/b; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"; "
      "gap*0=a; gap*2=c; late*1=x; n*=iso-8859-1''%e4%zz; n=plain; odd*x=1; odd*9999=2");
  EXPECT_EQ(parsed.parameter("title"), "This is even more ***fun*** isn't it!");
  EXPECT_EQ(parsed.parameter("gap"), "a");
  EXPECT_EQ(parsed.parameter("n"), "\xc3\xa4%zz");
  EXPECT_FALSE(parsed.parameters.contains("late"));
  EXPECT_FALSE(parsed.parameters.contains("odd"));
}

TEST(Parameters, ManyOfThemAreNotKept) {
  std::string field = "a/b";
  for (int i = 0; i < 5000; ++i) field += ";p" + std::to_string(i) + "=x";
  EXPECT_EQ(parse_parameterized(field).parameters.size(), 1000u);
}

TEST(ContentType, HasADefault) {
  EXPECT_EQ(content_type(std::nullopt, false).value, "text/plain");
  EXPECT_EQ(content_type(std::nullopt, true).value, "message/rfc822");
  EXPECT_EQ(content_type("nothing; name=x.exe", true).value, "text/plain");
  EXPECT_EQ(content_type("nothing; name=x.exe", true).parameter("name"), "x.exe");
  EXPECT_EQ(content_type("IMAGE/png", false).value, "image/png");
}

TEST(FileName, IsDecoded) {
  EXPECT_EQ(name("attachment; filename=report.pdf"), "report.pdf");
  EXPECT_EQ(name("attachment", "a/b; name=\"x y.exe\""), "x y.exe");
  EXPECT_EQ(name("attachment; filename=x.txt", "a/b; name=x.exe"), "x.txt");
  EXPECT_EQ(name("attachment; filename*=UTF-8''na%C3%AFve%20plan.txt; filename=other"), "na\xc3\xafve plan.txt");
  EXPECT_EQ(name("attachment; filename*0=\"vi\"; filename*1=\"rus.exe\""), "virus.exe");
  EXPECT_EQ(name("attachment; filename=\"=?UTF-8?B?dmlydXMuZXhl?=\""), "virus.exe");
  EXPECT_EQ(name("attachment; filename=\"=?iso-8859-1?Q?=E4_b?=\r\n =?iso-8859-1?Q?.exe?=\""), "\xc3\xa4 b.exe");
  EXPECT_EQ(name("attachment; filename=\"\xe4.exe\""), "\xef\xbf\xbd.exe");
  EXPECT_EQ(name("attachment; filename*=UTF-8''a%00.exe%0D%0A%20"), "a.exe");
  EXPECT_EQ(name("attachment; filename*=koi8-r''%C1.exe"), "\xef\xbf\xbd.exe");
  EXPECT_EQ(name("attachment"), "");
}

}  // namespace
}  // namespace mansio::mime
