// `ito evaluate` guides as `ito sample` does, with the same checks, and its rows say how.
#include <string>
#include <vector>

#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

class EvaluatedGuidance : public ::testing::Test {
 protected:
  void SetUp() override {
    write_tiny_data(scratch_ / "data.npz");
    train("judge", {"--classifier"});
    train("noisy", {"--classifier", "--noisy"});
    train("guided", {"--timesteps", "20", "--class-dropout", "0.5"});
    train("plain", {"--timesteps", "20"});
  }
  std::string path(const char* name) const { return (scratch_ / name).string(); }
  void train(const char* out, const std::vector<std::string>& more) {
    const Outcome outcome =
        run_ito(with({"train", "--data", path("data.npz"), "--out", path(out), "--steps", "4",
                      "--batch", "12", "--channels", "8,16", "--norm-groups", "4", "--size", "8"},
                     more));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  Outcome evaluate(const char* model, const std::vector<std::string>& samplers) const {
    std::vector<std::string> arguments = {"evaluate",       "--model",     "m=" + path(model),
                                          "--classifier",   path("judge"), "--data",
                                          path("data.npz"), "--num",       "12",
                                          "--out",          path("t.md"),  "--json"};
    for (const std::string& sampler : samplers) arguments = with(arguments, {"--sampler", sampler});
    return run_ito(arguments);
  }
  Json rows(const char* model, const std::vector<std::string>& samplers) const {
    const Outcome outcome = evaluate(model, samplers);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    Json rows = outcome.code == 0 ? Json::parse(outcome.out) : Json::array();
    EXPECT_EQ(rows.size(), samplers.size() + 1);
    return rows;
  }
  Scratch scratch_;
};

TEST_F(EvaluatedGuidance, IsThatOfTheSamplersText) {
  const std::vector<std::string> samplers = {
      "ddim --steps 4", "ddim --steps 4 --guidance-scale 1", "ddim --steps 4 --guidance-scale 30",
      "ddim --steps 4 --guidance-scale 30 --guidance-rescale 0.9",
      "ddim --steps 4 --guidance-scale 30 --null-class 0"};
  const Json found = rows("guided", samplers);
  const auto distance = [&](size_t row) { return found[row]["frechet"].get<double>(); };
  for (size_t i = 0; i < samplers.size(); ++i) EXPECT_EQ(found[i + 1]["sampler"], samplers[i]);
  EXPECT_NEAR(distance(2), distance(1), 1e-3 * distance(1));  // a scale of 1 is none
  for (size_t i = 3; i < 6; ++i)
    for (size_t j = 1; j < i; ++j)
      if (j != 2) {
        EXPECT_NE(distance(i), distance(j)) << samplers[i - 1] << ", " << samplers[j - 1];
      }
  EXPECT_EQ(found[3]["key"]["settings"]["guidance_scale"], 30);
  const std::string table = read_file(scratch_ / "t.md").value();
  EXPECT_NE(table.find("| m | ddim --steps 4 --guidance-scale 30 |"), std::string::npos) << table;
  EXPECT_EQ(rows("guided", samplers), found);  // their keys know them again, seconds included
}

TEST_F(EvaluatedGuidance, ByAClassifierIsThatOfTheSamplersText) {
  const std::string noisy = "ddim --steps 4 --guidance-classifier " + path("noisy");
  const Json found = rows("plain", {"ddim --steps 4", noisy + " --guidance-scale 0", noisy,
                                    noisy + " --guidance-scale 30"});
  const auto distance = [&](size_t row) { return found[row]["frechet"].get<double>(); };
  EXPECT_NEAR(distance(2), distance(1), 1e-3 * distance(1));
  EXPECT_NE(distance(3), distance(1));
  EXPECT_NE(distance(4), distance(3));
}

TEST_F(EvaluatedGuidance, WithoutAClassForNoneIsARowWithTheReason) {
  const std::string text = "ddim --steps 4 --guidance-scale 3";
  const Json found =
      rows("plain", {text, "ddim --steps 4", text + " --null-class 1", text + " --null-class 7"});
  EXPECT_NE(found[1].value("refused", "").find("--null-class N says which"), std::string::npos)
      << found[1].dump();
  EXPECT_TRUE(found[2].contains("frechet")) << found[2].dump();
  EXPECT_TRUE(found[3].contains("frechet")) << found[3].dump();
  EXPECT_NE(found[4].value("refused", "").find("classes 0 to 2"), std::string::npos)
      << found[4].dump();
}

TEST_F(EvaluatedGuidance, ThatContradictsItselfIsWrongUsage) {
  struct Case {
    const char *sampler, *says;
  };
  for (const Case& c : {Case{"ddim --guidance-rescale 0.5", "--guidance-rescale needs"},
                        Case{"ddim --null-class 1", "--null-class needs"},
                        Case{"ddim --guidance-scale 2 --null-class 1 --guidance-classifier x",
                             "not of --guidance-classifier"},
                        Case{"ddim --guidance-scale much", "--guidance-scale"}}) {
    const Outcome outcome = evaluate("guided", {c.sampler});
    EXPECT_EQ(outcome.code, 2) << c.sampler;
    EXPECT_NE(outcome.err.find(c.says), std::string::npos) << c.sampler << ": " << outcome.err;
  }
}

}  // namespace
}  // namespace ito::test
