// Configurations as values by key: the way into a struct and back, and what is said of wrong ones.
#include "base/config_values.h"

#include <gtest/gtest.h>

namespace ito {
namespace {

struct PatchConfig {
  int64_t patch = 2;
  double scale = 1.5;
  bool classes = true;
  std::string act_fn = "silu";
  std::vector<int64_t> widths = {8, 16};
  bool operator==(const PatchConfig&) const = default;
};

template <typename Fields, typename Visit>
void visit_values(Fields& c, Visit&& visit) {
  visit("patch", c.patch);
  visit("scale", c.scale);
  visit("classes", c.classes);
  visit("act_fn", c.act_fn);
  visit("widths", c.widths);
}

std::string error_of(const ConfigValues& values) {
  const auto config = from_config_values<PatchConfig>(values);
  return config.ok() ? "" : config.error().message;
}

TEST(ConfigValues, AStructComesBack) {
  const PatchConfig config{
      .patch = 4, .scale = 0.25, .classes = false, .act_fn = "gelu", .widths = {}};
  const ConfigValues values = to_config_values(config);
  EXPECT_EQ(values.values.size(), 5u);
  EXPECT_EQ(values.values.at("patch"), ConfigValue(int64_t{4}));
  EXPECT_EQ(from_config_values<PatchConfig>(values).value(), config);
}

TEST(ConfigValues, AnIntegerIsANumberToo) {
  ConfigValues values = to_config_values(PatchConfig());
  values.values["scale"] = int64_t{3};
  EXPECT_EQ(from_config_values<PatchConfig>(values)->scale, 3.0);
  values.values["patch"] = 3.0;
  EXPECT_EQ(error_of(values), "key 'patch': expected an integer, found a number");
}

TEST(ConfigValues, MissingAndUnknownKeysAreNamed) {
  ConfigValues values = to_config_values(PatchConfig());
  values.values["pathc"] = int64_t{3};
  EXPECT_EQ(error_of(values), "key 'pathc': the network has no such value");
  values.values.erase("patch");
  EXPECT_EQ(error_of(values), "key 'patch' is missing");
}

}  // namespace
}  // namespace ito
