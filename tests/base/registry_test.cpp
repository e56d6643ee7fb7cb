#include "base/registry.h"

#include <gtest/gtest.h>

namespace ito {
namespace {

struct Row {
  Name name;
  int value;
};
constexpr Row kRows[] = {
    {{"karras", "spacing", "paper", "edm k-karras"}, 1},
    {{"beta", "spacing", "paper", ""}, 2},
    {{"lu", "spacing", "paper", ""}, 3},
};
constexpr std::span<const Row> kAll = kRows;

TEST(Registry, RowsAreFoundByNameAndAlias) {
  EXPECT_EQ(find_row(kAll, "beta")->value, 2);
  EXPECT_EQ(find_row(kAll, "edm")->value, 1);
  EXPECT_EQ(find_row(kAll, "k-karras")->value, 1);
  for (const char* none : {"", "k", "karras ", "edm k-karras", "Beta"})
    EXPECT_EQ(find_row(kAll, none), nullptr) << none;
}

TEST(Registry, AnUnknownNameIsAnsweredWithAllNames) {
  EXPECT_EQ(row_called(kAll, "eta", "--sigmas").error().message,
            "--sigmas is \"eta\", expected karras, beta or lu");
  EXPECT_EQ(row_called(kAll, "lu", "--sigmas").value()->value, 3);
}

}  // namespace
}  // namespace ito
