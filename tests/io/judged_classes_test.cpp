// Classes of a classifier and of a model are the same where they are called the same.
#include "io/class_names.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;
using test::succeeds;

ClassNames called(std::vector<std::string> names, std::vector<int64_t> images = {}) {
  if (images.empty()) images.assign(names.size(), 5);
  return {std::move(names), std::move(images)};
}

TEST(JudgedClasses, AreMatchedByName) {
  const ClassNames model = called({"boot", "sneaker"}), judge = called({"bag", "Boot", "sneaker"});
  const auto judged = judged_classes(model, 2, judge, 3, "judge");
  ASSERT_TRUE(succeeds(judged));
  EXPECT_EQ(judged->numbers, (std::vector<uint32_t>{1, 2}));
  EXPECT_TRUE(judged->moved);
  EXPECT_EQ(judged->note, "");
  const auto same = judged_classes(model, 2, model, 2, "judge");
  EXPECT_FALSE(same->moved);
  // One that the classifier lacks is missed where the model was trained on it.
  EXPECT_TRUE(fails(judged_classes(judge, 3, model, 2, "judge"), ErrorKind::kInvalidArgument,
                    "judge does not know the model's class bag", "boot, sneaker"));
  EXPECT_TRUE(succeeds(judged_classes(called({"bag", "boot"}, {0, 9}), 2, model, 2, "judge")));
}

TEST(JudgedClasses, AreTakenByNumberWhereOneHasNoNames) {
  const ClassNames named = called({"bag", "boot"}), numbered = called({"0", "1"});
  for (const auto& [model, judge] :
       {std::pair<std::optional<ClassNames>, std::optional<ClassNames>>{named, std::nullopt},
        {std::nullopt, named},
        {named, numbered},
        {numbered, named}}) {
    const auto judged = judged_classes(model, 2, judge, 2, "judge");
    ASSERT_TRUE(succeeds(judged));
    EXPECT_EQ(judged->numbers, (std::vector<uint32_t>{0, 1}));
    EXPECT_NE(judged->note.find("by number"), std::string::npos);
  }
  EXPECT_EQ(judged_classes(std::nullopt, 2, numbered, 2, "judge")->note, "");
}

}  // namespace
}  // namespace ito
