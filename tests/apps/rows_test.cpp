// The documentation's tables are the registry's rows.
#include <fstream>
#include <sstream>

#include "io/json.h"
#include "tests/apps/run_ito.h"
#include "tests/support/folders.h"

namespace ito::test {
namespace {

TEST(Rows, TheDocumentationHoldsTheTablesThatTheProgramPrints) {
  const Outcome printed = run_ito({"inspect", "--list", "all"});
  ASSERT_EQ(printed.code, 0) << printed.err;
  std::ifstream file(std::string(source_folder()) + "/docs/rows.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_NE(text.str().find(printed.out), std::string::npos)
      << "docs/rows.md is not what `ito inspect --list all` prints; write it anew";
}

TEST(Rows, AreListedAsJsonToo) {
  const Outcome printed = run_ito({"inspect", "--list", "samplers", "--json"});
  ASSERT_EQ(printed.code, 0) << printed.err;
  const Json json = parse_json(printed.out, "rows").value();
  bool found = false;
  for (const Json& row : json.at("samplers")) {
    found = found || row.at("name") == "unipc";
    EXPECT_FALSE(row.at("help").get<std::string>().empty());
    EXPECT_FALSE(row.at("source").get<std::string>().empty());
  }
  EXPECT_TRUE(found);
  EXPECT_EQ(run_ito({"inspect", "--list", "colours"}).code, 2);
}

}  // namespace
}  // namespace ito::test
