// `ito bench`: what it measures and how it says so. The numbers themselves depend on the machine.
#include <map>

#include "io/json.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

const std::vector<std::string> kQuick = {"bench", "groupnorm", "--rounds",
                                         "1",     "--seconds", "0.01"};

TEST(Bench, JsonHasTheRoofsTheWorkloadAndAWarmStartWithoutCompilation) {
  const Scratch scratch;
  const Path trace = scratch / "trace.json";
  const Outcome outcome = run_ito(with(kQuick, {"--json", "--profile", trace.string()}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto parsed = parse_json(outcome.out, "bench");  // nothing but JSON is printed
  ASSERT_TRUE(parsed.ok()) << outcome.out;
  ASSERT_TRUE(parsed->is_array());
  std::map<std::string, Json> rows;
  for (const Json& row : *parsed) rows[row.at("name")] = row;
  ASSERT_EQ(rows.size(), parsed->size()) << "two rows of one name";
  for (const char* name :
       {"roof_fma", "roof_copy", "groupnorm_16x32x32x64", "groupnorm_silu_16x32x32x64"})
    ASSERT_EQ(rows.count(name), 1u) << name;
  EXPECT_EQ(rows.size(), 4u);
  for (const auto& [name, row] : rows) {
    SCOPED_TRACE(name);
    for (const char* key : {"ms", "ms_min", "gbps", "process_ms", "host_ms", "peak_bytes",
                            "compile_cold_s", "compile_warm_s", "kernels"})
      EXPECT_GT(row.at(key).get<double>(), 0) << key;
    EXPECT_LT(row.at("host_ms").get<double>(), 5);
    EXPECT_EQ(row.at("warm_glsl_compilations"), 0);
    EXPECT_EQ(row.at("rounds"), 1);
    EXPECT_FALSE(row.at("device").get<std::string>().empty());
    EXPECT_FALSE(row.at("driver").get<std::string>().empty());
  }
  const double fma = rows["roof_fma"].at("gflops").get<double>();
  const Json& norm = rows["groupnorm_16x32x32x64"];
  EXPECT_GT(norm.at("gflops").get<double>(), 0);
  EXPECT_LT(norm.at("gflops").get<double>(), fma);
  EXPECT_NEAR(norm.at("of_roof_fma").get<double>(), norm.at("gflops").get<double>() / fma, 1e-9);
  // One read and one write of 16x32x32x64 floats, and the two parameters.
  EXPECT_NEAR(norm.at("gbps").get<double>() * norm.at("ms").get<double>() * 1e6,
              4.0 * (2 * 16 * 32 * 32 * 64 + 2 * 64), 10);

  const auto events = read_json(trace);
  ASSERT_TRUE(events.ok()) << events.error().message;
  const Json& list = events->is_array() ? *events : events->at("traceEvents");
  EXPECT_GE(list.size(), norm.at("kernels").get<size_t>());
  EXPECT_NE(outcome.err.find("in detail"), std::string::npos) << outcome.err;
}

// The multiplications and additions of PyTorch's modules of the same shape: 16.6e9.
TEST(Bench, ModelsDoTheWorkThatTheirNamesSay) {
  const Outcome outcome =
      run_ito({"bench", "models", "--filter", "fmnist_small_forward_b32", "--no-compile-times",
               "--rounds", "1", "--seconds", "0.01", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto rows = parse_json(outcome.out, "bench");
  ASSERT_TRUE(rows.ok() && rows->size() == 1) << outcome.out;
  const Json& row = (*rows)[0];
  EXPECT_EQ(row.at("name"), "fmnist_small_forward_b32");
  EXPECT_NEAR(row.at("gflops").get<double>() * row.at("ms").get<double>() * 1e6 / 16.6e9, 1, 0.05);
}

TEST(Bench, TableHasALineForEachRow) {
  const Outcome outcome = run_ito(with(kQuick, {"--filter", "groupnorm_16"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* part : {"GFLOP/s", "groupnorm_16x32x32x64", "host ms",
                           "\n0 shaders were compiled with the full cache"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find("roof_fma"), std::string::npos) << outcome.out;
}

}  // namespace
}  // namespace ito::test
