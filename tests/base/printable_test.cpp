#include "base/printable.h"

#include <gtest/gtest.h>

namespace ito {
namespace {

// As a tensor of a stranger's file may be called: clears the screen, renames the window.
TEST(Printable, ATerminalIsNotToldWhatToDoByAFile) {
  EXPECT_EQ(printable("w\x1b[2J\x1b]0;owned\a"), "w\\x1b[2J\\x1b]0;owned\\x07");
  EXPECT_EQ(printable("a\rb\bc\x7f"), "a\\x0db\\x08c\\x7f");
  EXPECT_EQ(printable("csi \xc2\x9b"
                      "2J"),
            "csi \\xc2\\x9b2J");
}

TEST(Printable, TextStaysAsItIs) {
  const std::string text = "Gr\u00f6\u00dfe \u732b \U0001f600\n\ttwo lines";
  EXPECT_EQ(printable(text), text);
  EXPECT_EQ(printable(""), "");
  EXPECT_EQ(printable("\xc2"), "\xc2");
}

}  // namespace
}  // namespace ito
