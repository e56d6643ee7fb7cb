// Data sets in the order of their classes, as folders and arrays often are: what is said of N of
// their images is said of all classes.
#include <algorithm>
#include <set>
#include <sstream>

#include "tests/apps/run_ito.h"
#include "tests/apps/zero_model.h"

namespace ito::test {
namespace {

constexpr int kPerClass = 40;

// Images of 8x8 in three classes that differ in brightness, class by class in this order.
std::vector<HostTensor> classes_in_order(const std::vector<int>& order, int shift) {
  std::vector<uint8_t> pixels, labels;
  for (const int label : order)
    for (int i = 0; i < kPerClass; ++i) {
      labels.push_back(static_cast<uint8_t>(label));
      for (int p = 0; p < 64; ++p)
        pixels.push_back(static_cast<uint8_t>(40 + 80 * label + (p * (3 + i) + shift * i) % 23));
    }
  const auto count = static_cast<int64_t>(labels.size());
  return {tensor_from_bytes({count, 8, 8}, pixels), tensor_from_bytes({count}, labels)};
}

class SortedData : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto train = classes_in_order({0, 1, 2}, 1), test = classes_in_order({2, 1, 0}, 2);
    TensorFile file;
    file.tensors = {
        {"x_train", train[0]}, {"y_train", train[1]}, {"x_test", test[0]}, {"y_test", test[1]}};
    ASSERT_TRUE(write_npz(scratch_ / "data.npz", file).ok());
  }
  std::string data() const { return (scratch_ / "data.npz").string(); }
  std::string path(const char* name) const { return (scratch_ / name).string(); }
  Scratch scratch_;
};

TEST_F(SortedData, LikelihoodsAreOfAllClassesUnlessAPlaceIsNamed) {
  ASSERT_TRUE(save_model(scratch_ / "model", zero_model()).ok());
  const auto labels = [&](const std::vector<std::string>& more) {
    const Outcome outcome = run_ito(
        with({"likelihood", "--model", path("model"), "--data", data(), "--num", "24", "--batch",
              "24", "--rtol", "0.1", "--atol", "0.1", "--table", path("table.csv")},
             more));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    std::istringstream lines(read_file(scratch_ / "table.csv").value());
    std::multiset<char> found;
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) found.insert(line[line.find(',') + 1]);
    EXPECT_EQ(found.size(), 24u);
    return std::pair(found, outcome.out);
  };
  const auto [drawn, text] = labels({});
  EXPECT_NE(text.find("24 images, drawn from 120,"), std::string::npos) << text;
  // 24 of three classes: eight each, with a standard deviation of 2.3.
  for (const char label : {'0', '1', '2'}) EXPECT_GE(drawn.count(label), 2u) << label;
  EXPECT_EQ(labels({"--first", "0"}).first.count('2'), 24u);
}

// As many training images are what no model betters: of one class against another they would lie
// nowhere near.
TEST_F(SortedData, TheFloorOfATableIsOfAllClasses) {
  ASSERT_EQ(run_ito({"train", "--classifier", "--data", data(), "--out", path("classifier"),
                     "--steps", "30", "--batch", "12", "--channels", "8,16", "--size", "8"})
                .code,
            0);
  ASSERT_TRUE(save_model(scratch_ / "model", zero_model()).ok());
  const Outcome outcome =
      run_ito({"evaluate", "--model", "zero=" + path("model"), "--sampler", "ddim --steps 1",
               "--classifier", path("classifier"), "--data", data(), "--num", "30", "--reference",
               "30", "--out", path("t.md"), "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json rows = Json::parse(outcome.out);
  EXPECT_EQ(rows[0]["model"], "training images");
  EXPECT_GE(rows[0]["precision"].get<double>(), 0.7);
  EXPECT_GE(rows[0]["recall"].get<double>(), 0.7);
  const std::string table = read_file(scratch_ / "t.md").value();
  EXPECT_NE(table.find("in 30 test images, drawn from 120;"), std::string::npos) << table;
  EXPECT_NE(table.find("torch.randperm"), std::string::npos) << table;
}

// A row of the class table that stands for no class is none to be drawn.
TEST_F(SortedData, EvaluationDrawsTrainedClassesOnly) {
  const auto train = [&](const char* out, const std::vector<std::string>& more) {
    return run_ito(with({"train", "--data", data(), "--out", path(out), "--steps", "2", "--batch",
                         "12", "--channels", "8,16", "--norm-groups", "4", "--size", "8"},
                        more))
        .code;
  };
  ASSERT_EQ(train("judge", {"--classifier"}), 0);
  ASSERT_EQ(train("guided", {"--timesteps", "20", "--class-dropout", "0.5"}), 0);
  const Outcome outcome = run_ito({"evaluate", "--model", "guided=" + path("guided"), "--sampler",
                                   "ddim --steps 2", "--classifier", path("judge"), "--data",
                                   data(), "--num", "30", "--out", path("g.md"), "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json row = Json::parse(outcome.out)[1];
  EXPECT_EQ(row["samples"], 30) << row.dump();
  EXPECT_TRUE(row.contains("recognised_percent")) << row.dump();
  EXPECT_EQ(row["recognised_by_class"].size(), 3u) << row.dump();
}

}  // namespace
}  // namespace ito::test
