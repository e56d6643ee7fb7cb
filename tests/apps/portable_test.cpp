// The program on whatever Vulkan device there is: the current lavapipe, and other implementations
// (label `portability`).
#include "io/image.h"
#include "io/json.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

TEST(PortableProgram, ListsADeviceThatItCanUse) {
  const Outcome outcome = run_ito({"devices", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json list = parse_json(outcome.out, "devices").value();
  ASSERT_FALSE(list.empty());
  EXPECT_EQ(list[0].at("usable"), true) << outcome.out;
  const Json& caps = list[0].at("capabilities");
  EXPECT_GE(caps.at("subgroup_size"), 1) << outcome.out;
  EXPECT_EQ(caps.at("cooperative_matrix"), !caps.at("matrix_shapes").empty()) << outcome.out;
}

TEST(PortableProgram, SamplesATinyModelTheSameTwice) {
  const Scratch scratch;
  write_tiny_model(scratch / "model");
  for (const char* name : {"a.png", "b.png"}) {
    const Outcome outcome =
        run_ito({"sample", "--model", (scratch / "model").string(), "--steps", "3", "--seeds",
                 "0-1", "--batch", "2", "--out", (scratch / name).string()});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  const auto image = read_image(scratch / "a.png");
  ASSERT_TRUE(image.ok()) << image.error().message;
  EXPECT_GE(image->w, 16);
  EXPECT_EQ(read_file(scratch / "a.png").value(), read_file(scratch / "b.png").value());
}

}  // namespace
}  // namespace ito::test
