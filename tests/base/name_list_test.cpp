// Lists of names in rows and in sentences.
#include "base/name_list.h"

#include <gtest/gtest.h>

namespace ito {
namespace {

using Names = std::vector<std::string_view>;

TEST(NameList, SpacesSeparate) {
  EXPECT_EQ(names_in("ve vp subvp"), (Names{"ve", "vp", "subvp"}));
  EXPECT_EQ(names_in(" ve  vp "), (Names{"ve", "vp"}));
  EXPECT_EQ(names_in(""), Names{});
}

TEST(NameList, OnlyWholeNamesAreListed) {
  EXPECT_TRUE(lists("ssm ssm-vr", "ssm-vr"));
  EXPECT_TRUE(lists("ssm-vr ssm", "ssm"));
  EXPECT_FALSE(lists("ssm-vr", "ssm"));
  EXPECT_FALSE(lists("ssm-vr", ""));
}

TEST(NameList, AreJoinedInASentence) {
  EXPECT_EQ(joined(names_in("ve vp subvp")), "ve, vp, subvp");
  EXPECT_EQ(joined(std::vector<std::string>{"", "a"}, "/"), "/a");
  EXPECT_EQ(joined(Names{}), "");
}

}  // namespace
}  // namespace ito
