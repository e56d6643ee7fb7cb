#include "io/json.h"

#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;
using test::succeeds;

TEST(Json, ParseErrorsNameFileAndPlace) {
  EXPECT_TRUE(fails(parse_json("{\"a\": 1,}", "run.json"), ErrorKind::kCorrupt, "run.json",
                    "not valid JSON at byte 9"));
  EXPECT_TRUE(fails(parse_json("", "run.json"), ErrorKind::kCorrupt, "run.json"));
  EXPECT_TRUE(fails(parse_json("{\"a\": NaN}", "x"), ErrorKind::kCorrupt, "not valid JSON"));
  EXPECT_TRUE(fails(parse_json("1e999", "x"), ErrorKind::kCorrupt, "not valid JSON"));
  EXPECT_TRUE(fails(parse_json("\"\xff\"", "x"), ErrorKind::kCorrupt, "not valid JSON"));
  EXPECT_TRUE(fails(parse_json("{} {}", "x"), ErrorKind::kCorrupt, "not valid JSON"));
}

TEST(Json, ANulAnywhereIsAnError) {
  for (const char* text : {"{}", "{\"a\": 1}"}) {
    const std::string hidden = std::string(text) + '\0' + " and more";
    EXPECT_TRUE(fails(parse_json(hidden, "x.json"), ErrorKind::kCorrupt, "x.json", "NUL"));
    EXPECT_FALSE(parse_json(std::string(text) + '\0', "x.json").ok());
  }
  EXPECT_TRUE(parse_json("\"\\u0000\"", "x.json").ok());
}

TEST(Json, DuplicateKeysAreErrorsAtAnyDepth) {
  EXPECT_TRUE(fails(parse_json(R"({"a": 1, "b": {}, "a": 2})", "x"), ErrorKind::kCorrupt,
                    "key 'a' appears twice"));
  EXPECT_TRUE(fails(parse_json(R"({"o": [{"k": 1, "k": 1}]})", "x"), ErrorKind::kCorrupt,
                    "key 'k' appears twice"));
  EXPECT_TRUE(succeeds(parse_json(R"({"a": {"a": 1}, "b": {"a": 2}})", "x")));
}

TEST(Json, DeepNestingIsAnErrorNotACrash) {
  std::string deep(1 << 20, '[');
  EXPECT_TRUE(fails(parse_json(deep, "x"), ErrorKind::kCorrupt));
  std::string closed = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_TRUE(fails(parse_json(closed, "x"), ErrorKind::kCorrupt, "nested deeper than 64"));
}

TEST(Json, WhatIsMadeOfATextIsBounded) {
  std::string many = "[0";
  while (many.size() < (4 << 20)) many += ",0";
  EXPECT_TRUE(fails(parse_json(many + "]", "x"), ErrorKind::kCorrupt, "more values"));
  EXPECT_TRUE(succeeds(parse_json(many + "]", "x", 32)));
  const std::string text(9 << 20, 'a');
  EXPECT_TRUE(fails(parse_json("\"" + text + "\"", "x"), ErrorKind::kCorrupt, "longer than"));
  // A quote that is escaped ends no string.
  EXPECT_TRUE(succeeds(parse_json(R"({"a\\\"b": ["\\", 1]})", "x")));
}

TEST(Json, TypedReadsNameFileKeyExpectedAndFound) {
  Json json = *parse_json(
      R"({"i": "two", "f": 1.5, "big": 3000000000, "neg": -1, "list": [1, 2.5], "n": null})", "c");
  JsonObject object = *JsonObject::open(json, "unet/config.json");
  int i = 7;
  EXPECT_TRUE(fails(object.read("i", &i), ErrorKind::kCorrupt,
                    "unet/config.json: key 'i': expected an integer, found \"two\""));
  EXPECT_TRUE(fails(object.read("f", &i), ErrorKind::kCorrupt, "expected an integer, found 1.5"));
  EXPECT_TRUE(fails(object.read("big", &i), ErrorKind::kCorrupt, "found 3000000000"));
  const Json whole = *parse_json(R"({"a": 1000.0, "b": -3.0, "c": 3e9, "d": 1e30})", "c");
  JsonObject typed = *JsonObject::open(whole, "c");
  int a = 0, b = 0;
  EXPECT_TRUE(succeeds(typed.read("a", &a)));
  EXPECT_TRUE(succeeds(typed.read("b", &b)));
  EXPECT_EQ(a, 1000);
  EXPECT_EQ(b, -3);
  EXPECT_TRUE(fails(typed.read("c", &b), ErrorKind::kCorrupt, "expected an integer"));
  EXPECT_TRUE(fails(typed.read("d", &b), ErrorKind::kCorrupt, "expected an integer"));
  EXPECT_EQ(i, 7);
  int64_t wide = 0;
  EXPECT_TRUE(succeeds(object.read("big", &wide)));
  EXPECT_EQ(wide, 3000000000);
  uint64_t natural = 0;
  EXPECT_TRUE(fails(object.read("neg", &natural), ErrorKind::kCorrupt, "non-negative", "-1"));
  std::vector<int> list;
  EXPECT_TRUE(fails(object.read("list", &list), ErrorKind::kCorrupt, "a list of integers"));
  std::vector<double> numbers;
  EXPECT_TRUE(succeeds(object.read("list", &numbers)));
  EXPECT_EQ(numbers, (std::vector<double>{1, 2.5}));
  std::optional<int> maybe = 3;
  EXPECT_TRUE(succeeds(object.read("n", &maybe)));
  EXPECT_FALSE(maybe.has_value());
  bool flag = true;
  EXPECT_TRUE(fails(object.read("n", &flag), ErrorKind::kCorrupt, "true or false", "null"));
  EXPECT_TRUE(succeeds(object.read("absent", &i)));
  EXPECT_EQ(i, 7);
  EXPECT_TRUE(fails(object.require("missing"), ErrorKind::kCorrupt, "'missing' is missing"));
  EXPECT_TRUE(object.unknown_keys().empty());
  EXPECT_TRUE(fails(JsonObject::open(Json::array(), "x"), ErrorKind::kCorrupt, "object"));
}

TEST(Json, DumpNeverThrowsOnBrokenText) {
  EXPECT_EQ(dump_json_line(Json("a\xff")), "\"a\xef\xbf\xbd\"");
}

TEST(Json, DescriptionsAreShort) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "ü";
  EXPECT_LE(describe_json(Json(text)).size(), 60u);
  EXPECT_EQ(describe_json(Json(true)), "true");
}

}  // namespace
}  // namespace ito
