// Which rows of a model's class table the table of other classes begins with.
#include <optional>

#include "io/class_names.h"

namespace ito {
namespace {

using Rows = std::vector<std::optional<uint32_t>>;
constexpr std::nullopt_t kNew = std::nullopt;

ClassNames named(const std::vector<std::string>& names) {
  return {.names = names, .images = std::vector<int64_t>(names.size(), 1)};
}

TEST(ClassRows, FollowTheNames) {
  const ClassNames abc = named({"a", "b", "c"});
  const auto same = class_rows(abc, 3, abc, 3);
  ASSERT_TRUE(same);
  EXPECT_EQ(same->from, (Rows{0, 1, 2}));
  EXPECT_EQ(same->note, "");
  const auto shifted = class_rows(abc, 3, named({"b", "c", "d"}), 3);
  ASSERT_TRUE(shifted);
  EXPECT_EQ(shifted->from, (Rows{1, 2, kNew}));
  EXPECT_EQ(shifted->note, "by the classes' names; drawn anew: d");
  const auto permuted = class_rows(abc, 3, named({"C", "a", "b"}), 3);
  ASSERT_TRUE(permuted);
  EXPECT_EQ(permuted->from, (Rows{2, 0, 1}));
  EXPECT_EQ(permuted->note, "by the classes' names");
  const auto others = class_rows(named({"tea", "coffee"}), 2, named({"cat", "dog"}), 2);
  ASSERT_TRUE(others);
  EXPECT_EQ(others->from, (Rows{kNew, kNew}));
  EXPECT_EQ(others->note, "by the classes' names; drawn anew: cat, dog");
}

TEST(ClassRows, ForNoneAreBehindTheClasses) {
  const ClassNames abc = named({"a", "b", "c"});
  EXPECT_EQ(class_rows(abc, 4, abc, 3)->from, (Rows{0, 1, 2}));
  EXPECT_EQ(class_rows(abc, 4, abc, 4)->from, (Rows{0, 1, 2, 3}));
  EXPECT_EQ(class_rows(abc, 4, named({"c"}), 2)->from, (Rows{2, 3}));
  const auto added = class_rows(abc, 3, abc, 4);
  EXPECT_EQ(added->from, (Rows{0, 1, 2, kNew}));
  EXPECT_EQ(added->note, "by the classes' names; drawn anew: the row for none");
}

TEST(ClassRows, WithoutNamesAreTheSameNumbersIfThereAreAsMany) {
  const ClassNames abc = named({"a", "b", "c"}), numbers = named({"0", "1", "2"});
  for (const auto& [names, classes] :
       {std::pair{std::optional<ClassNames>(), abc}, std::pair{std::optional(numbers), abc},
        std::pair{std::optional(abc), numbers}, std::pair{std::optional<ClassNames>(), numbers}}) {
    const auto rows = class_rows(names, 3, classes, 3);
    ASSERT_TRUE(rows);
    EXPECT_EQ(rows->from, (Rows{0, 1, 2}));
    EXPECT_EQ(rows->note.substr(0, 10), "by number,");
  }
  EXPECT_EQ(class_rows(numbers, 4, abc, 3)->from, (Rows{0, 1, 2}));
  EXPECT_EQ(class_rows(std::nullopt, 3, abc, 4)->note,
            "by number, as its classes have no names; the row for none is drawn anew");
  EXPECT_FALSE(class_rows(std::nullopt, 10, abc, 3));
  EXPECT_FALSE(class_rows(named({"0", "1", "2", "3"}), 4, abc, 3));
}

}  // namespace
}  // namespace ito
