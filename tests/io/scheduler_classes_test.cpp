// Every scheduler class that is known is read and written without loss: over the rows of
// io/scheduler_classes.h, so that a new class is covered by being one.
#include "io/scheduler_classes.h"

#include <gtest/gtest.h>

#include <set>

#include "io/json.h"
#include "io/scheduler_config.h"

namespace ito::test {
namespace {

// The switches of which a file may turn on one.
const std::set<std::string> kOneOf = {"use_karras_sigmas", "use_exponential_sigmas",
                                      "use_beta_sigmas", "use_lu_lambdas"};

// Another value than `value` that the key may have; null stays.
Json another(const std::string& key, const Json& value) {
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number_integer()) return value.get<int>() + 1;
  if (value.is_number()) return value.get<double>() / 2;
  if (value.is_array()) return Json::array({3, 5});
  if (!value.is_string()) return value;
  for (const SchedulerKeyValues& row : scheduler_key_values()) {
    if (row.key != key) continue;
    const std::string_view last = row.values.back(), first = row.values.front();
    return std::string(value == std::string(last) ? first : last);
  }
  ADD_FAILURE() << key << " is a choice by name that scheduler_key_values() does not have";
  return value;
}

// What a file of the class says that differs from its defaults in every key that it owns.
Json changed_file(const SchedulerClass& row) {
  Json file = scheduler_config_json(class_defaults(row));
  bool switched = false;
  for (auto& [key, value] : file.items()) {
    if (key.starts_with("_")) continue;
    if (kOneOf.contains(key) && switched) continue;
    switched = switched || kOneOf.contains(key);
    value = another(key, value);
  }
  return file;
}

TEST(SchedulerClasses, EveryClassIsReadWrittenAndReadAgainWithoutLoss) {
  ASSERT_GE(scheduler_classes().size(), 25u);
  for (const SchedulerClass& row : scheduler_classes()) {
    SCOPED_TRACE(row.class_name);
    Json file = changed_file(row);
    ASSERT_EQ(file.at("_class_name"), row.class_name);
    file["_diffusers_version"] = "0.99.0";
    file["key_of_a_later_release"] = Json{{"a", {1, nullptr}}};
    const auto read = parse_scheduler_config(file, "file");
    ASSERT_TRUE(read.ok()) << read.error().message;
    // All keys but these are the class's own and have been understood.
    std::set<std::string> extra;
    for (const auto& [key, text] : read->extra) extra.insert(key);
    EXPECT_EQ(extra, (std::set<std::string>{"_diffusers_version", "key_of_a_later_release"}));
    EXPECT_FALSE(*read == class_defaults(row));
    EXPECT_EQ(read->process, row.process);
    const Json written = scheduler_config_json(*read);
    EXPECT_EQ(written, file) << dump_json(written);
    const auto again = parse_scheduler_config(written, "file");
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_TRUE(*again == *read);
  }
}

TEST(SchedulerClasses, AFileThatSaysNothingHasTheClassesDefaults) {
  for (const SchedulerClass& row : scheduler_classes()) {
    SCOPED_TRACE(row.class_name);
    const auto read = parse_scheduler_config({{"_class_name", row.class_name}}, "file");
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_TRUE(*read == class_defaults(row));
    EXPECT_EQ(scheduler_class_name(*read), row.class_name);
  }
}

TEST(SchedulerClasses, AnUnknownNameOfAnyChoiceIsRefusedWithTheKey) {
  for (const SchedulerClass& row : scheduler_classes()) {
    for (const SchedulerKeyValues& values : scheduler_key_values()) {
      if (!owns_key(row, values.key)) continue;
      SCOPED_TRACE(std::string(row.class_name) + ": " + values.key);
      const auto read = parse_scheduler_config(
          {{"_class_name", row.class_name}, {values.key, "of_tomorrow"}}, "file");
      ASSERT_FALSE(read.ok());
      EXPECT_NE(read.error().message.find(values.key), std::string::npos) << read.error().message;
    }
  }
}

}  // namespace
}  // namespace ito::test
