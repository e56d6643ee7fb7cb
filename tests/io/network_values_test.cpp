// Networks without a class of their own in files: a row's name and plain values.
#include <gtest/gtest.h>

#include "base/config_values.h"
#include "io/network_file.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;
using test::TempFolder;

ConfigValues values() {
  return {{{"patch", int64_t{2}},
           {"scale", 1.0},
           {"classes", true},
           {"act_fn", std::string("silu")},
           {"widths", std::vector<int64_t>{8, -16}},
           {"none", std::vector<int64_t>{}}}};
}

TEST(NetworkValues, ComeBackFromAFolder) {
  const TempFolder folder;
  NetworkFile file;
  file.network = "of_tomorrow";
  file.config = values();
  file.extra["noise_schedule"] = {{"beta_start", 0.1}};
  file.weights.tensors.emplace("w", tensor_from_floats({2}, std::vector<float>{1, 2}));
  ASSERT_TRUE(write_network(folder.path(), file).ok());
  const Json json = *read_json(folder.path() / "config.json");
  EXPECT_EQ(json["_class_name"], "ItoNetwork");
  EXPECT_EQ(json["network"], "of_tomorrow");
  EXPECT_TRUE(is_network_of_ito(json));
  const auto read = read_network(folder.path());
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->network, "of_tomorrow");
  EXPECT_EQ(std::any_cast<ConfigValues>(read->config), values());
  EXPECT_EQ(read->extra, file.extra);
  EXPECT_EQ(read->weights.tensors.size(), 1u);
}

TEST(NetworkValues, WrongFilesAreRefusedByKey) {
  const auto read = [](const char* text) {
    return network_from_json(*parse_json(text, "test"), "f");
  };
  EXPECT_TRUE(fails(read(R"({"_class_name": "ItoNetwork", "config": {}})"), ErrorKind::kCorrupt,
                    "key 'network' is missing"));
  EXPECT_TRUE(fails(read(R"({"_class_name": "ItoNetwork", "network": "x"})"), ErrorKind::kCorrupt,
                    "key 'config' is missing"));
  EXPECT_TRUE(fails(read(R"({"_class_name": "ItoNetwork", "network": "x", "config": 3})"),
                    ErrorKind::kCorrupt, "key 'config': expected an object"));
  for (const char* value : {"null", "{}", "[1.5]", "[\"a\"]", "18446744073709551615"})
    EXPECT_TRUE(fails(
        read(fmt::format(
                 R"({{"_class_name": "ItoNetwork", "network": "x", "config": {{"a": {}}}}})", value)
                 .c_str()),
        ErrorKind::kCorrupt, "key 'a': expected a number, a text"))
        << value;
}

}  // namespace
}  // namespace ito
