// ito likelihood on a tiny network: the numbers it prints, its table, and what it refuses.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "io/json.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

// Rows of numbers below the heading; an empty field is zero.
std::vector<std::vector<double>> read_table(const Path& path) {
  std::istringstream lines(read_file(path).value());
  std::string line, field;
  std::getline(lines, line);
  EXPECT_EQ(line, "image,label,log_density,bits_per_dim,probe_error,evaluations,rejections");
  std::vector<std::vector<double>> rows;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    rows.emplace_back();
    while (std::getline(fields, field, ','))
      rows.back().push_back(std::strtod(field.c_str(), nullptr));
  }
  return rows;
}

TEST(Likelihood, MeasuresImagesWhateverTheirBatch) {
  const Scratch scratch;
  write_tiny_data(scratch / "data.npz");
  const Outcome training = run_ito(tiny_training(scratch / "data.npz", scratch / "run", 2));
  ASSERT_EQ(training.code, 0) << training.err;
  const auto measure = [&](const std::string& num, const std::string& batch,
                           const std::string& table) {
    return run_ito({"likelihood",
                    "--model",
                    (scratch / "run").string(),
                    "--data",
                    (scratch / "data.npz").string(),
                    "--first",
                    "4",
                    "--num",
                    num,
                    "--batch",
                    batch,
                    "--probes",
                    "2",
                    "--rtol",
                    "0.01",
                    "--atol",
                    "0.01",
                    "--table",
                    (scratch / table).string(),
                    "--json"});
  };
  const Outcome three = measure("3", "2", "three.csv");
  ASSERT_EQ(three.code, 0) << three.err;
  const Json json = Json::parse(three.out);
  EXPECT_EQ(json["images"], 3);
  EXPECT_EQ(json["dimensions"], 64);
  EXPECT_EQ(json["interrupted"], false);
  const auto rows = read_table(scratch / "three.csv");
  ASSERT_EQ(rows.size(), 3u);
  double mean = 0;
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_EQ(rows[i].size(), 7u);
    EXPECT_EQ(rows[i][0], static_cast<double>(4 + i));
    EXPECT_EQ(rows[i][1], static_cast<double>((4 + i) % 3));
    // ln p of x = (b + u)/128 - 1 in nats against bits of the bytes.
    EXPECT_NEAR(rows[i][3], 7 - rows[i][2] / (64 * std::log(2.0)), 1e-5);
    EXPECT_GT(rows[i][4], 0);
    EXPECT_GE(rows[i][5], 8);
    mean += rows[i][3] / 3;
  }
  EXPECT_NEAR(json["bits_per_dim"].get<double>(), mean, 1e-5);
  // A network that has learned nothing: far from a good model, but a density.
  EXPECT_GT(mean, 1);
  EXPECT_LT(mean, 20);
  const Outcome one = measure("1", "1", "one.csv");
  ASSERT_EQ(one.code, 0) << one.err;
  const auto alone = read_table(scratch / "one.csv");
  ASSERT_EQ(alone.size(), 1u);
  // Batches of another size may be computed by other kernels, which round differently.
  EXPECT_NEAR(alone[0][3], rows[0][3], 1e-4);
}

TEST(Likelihood, WrongUsageIsNamed) {
  struct Case {
    std::vector<std::string> arguments;
    int code;
    std::string part;
  };
  const std::vector<std::string> base = {"likelihood", "--model", "nowhere", "--data", "d"};
  for (const Case& c : {Case{{"likelihood", "--data", "d"}, 2, "--model"},
                        Case{with(base, {"--probe", "sobol"}), 2, "sobol"},
                        Case{with(base, {"--probes", "0"}), 2, "--probes"},
                        Case{with(base, {"--rtol", "1e-9"}), 2, "rtol is 1e-09"},
                        Case{with(base, {"--num", "0"}), 2, "found 0"}, Case{base, 1, "nowhere"}}) {
    const Outcome outcome = run_ito(c.arguments);
    EXPECT_EQ(outcome.code, c.code) << outcome.err;
    EXPECT_NE(outcome.err.find(c.part), std::string::npos) << outcome.err;
  }
}

}  // namespace
}  // namespace ito::test
