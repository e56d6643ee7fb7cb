// `ito train --objective`: every objective trains for seconds, its loss falls, and its folder says
// what it is; the options that choose one, and those that are refused.
#include "api/objectives.h"

#include <gtest/gtest.h>

#include <cmath>

#include "api/model.h"
#include "api/task.h"
#include "diffusion/flow_matching.h"
#include "diffusion/schedule.h"
#include "io/jsonl.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

// Bright and dark halves that the class says: something to learn within a hundred steps.
void write_halves(const Path& path) {
  constexpr int kCount = 64, kSide = 8;
  std::vector<uint8_t> pixels, labels;
  for (int i = 0; i < kCount; ++i) {
    labels.push_back(static_cast<uint8_t>(i % 2));
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x)
        pixels.push_back(static_cast<uint8_t>((x < kSide / 2) == (i % 2 == 0) ? 255 : 0));
  }
  TensorFile file;
  file.tensors.emplace("images", tensor_from_bytes({kCount, kSide, kSide}, pixels));
  file.tensors.emplace("labels", tensor_from_bytes({kCount}, labels));
  ASSERT_TRUE(write_npz(path, file).ok());
}

struct Case {
  const char* name;
  std::vector<std::string> options;
  const char* scheduler;             // what scheduler_config.json says it is
  std::vector<std::string> sampler;  // one that draws from it; empty: none here
  int steps = 60;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Objectives : public ::testing::TestWithParam<Case> {};

double mean_loss(const std::vector<Json>& rows, size_t from, size_t to) {
  double sum = 0;
  for (size_t i = from; i < to; ++i) sum += rows[i].at("loss").get<double>();
  return sum / static_cast<double>(to - from);
}

TEST_P(Objectives, LossFallsAndTheFolderSaysWhatItIs) {
  const Case& c = GetParam();
  const Scratch scratch;
  write_halves(scratch / "data.npz");
  const Path out = scratch / "run";
  std::vector<std::string> words = {"train",
                                    "--data",
                                    (scratch / "data.npz").string(),
                                    "--out",
                                    out.string(),
                                    "--steps",
                                    std::to_string(c.steps),
                                    "--channels",
                                    "8",
                                    "--size",
                                    "8",
                                    "--norm-groups",
                                    "4",
                                    "--batch",
                                    "16",
                                    "--warmup",
                                    "5",
                                    "--lr",
                                    "5e-3",
                                    "--log-every",
                                    "1",
                                    "--validate",
                                    std::to_string(c.steps)};
  words.insert(words.end(), c.options.begin(), c.options.end());
  const Outcome trained = run_ito({words});
  ASSERT_EQ(trained.code, 0) << trained.err;
  std::vector<Json> rows = read_jsonl(out / "metrics.jsonl").value();
  std::erase_if(rows, [](const Json& row) { return !row.contains("loss"); });
  ASSERT_EQ(rows.size(), static_cast<size_t>(c.steps));
  for (const Json& row : rows) ASSERT_TRUE(std::isfinite(row.at("loss").get<double>()));
  const size_t quarter = rows.size() / 4;
  EXPECT_LT(mean_loss(rows, rows.size() - quarter, rows.size()), mean_loss(rows, 0, quarter));
  EXPECT_NE(trained.err.find("validation loss"), std::string::npos) << trained.err;
  const Json scheduler = read_json(out / "scheduler/scheduler_config.json").value();
  EXPECT_EQ(scheduler.at("_class_name"), c.scheduler);
  if (c.sampler.empty()) return;
  std::vector<std::string> sample = {
      "sample",   "--model", out.string(), "--num", "2", "--out", (out / "grid.png").string(),
      "--sampler"};
  sample.insert(sample.end(), c.sampler.begin(), c.sampler.end());
  const Outcome sampled = run_ito({sample});
  EXPECT_EQ(sampled.code, 0) << sampled.err;
}

const std::vector<std::string> kDdim = {"ddim", "--steps", "5"}, kEm = {"em", "--steps", "25"};

// Sliced and implicit score matching and energies are left to the tests of their mathematics and to
// EveryNameMakesATask: kernels of second derivatives of a U-Net take minutes to compile.
INSTANTIATE_TEST_SUITE_P(
    Rows, Objectives,
    ::testing::Values(
        Case{"simple", {"--objective", "simple"}, "DDPMScheduler", kDdim},
        Case{"importance",
             {"--timesteps", "8", "--time-sampling", "importance"},
             "DDPMScheduler",
             {"ddim", "--steps", "4"},
             100},
        Case{"zero_snr",
             {"--zero-snr", "--prediction", "v_prediction", "--class-dropout", "0.2"},
             "DDPMScheduler",
             kDdim},
        Case{"hybrid",
             {"--objective", "hybrid", "--vb-weight", "0.01", "--timesteps", "50"},
             "DDPMScheduler",
             {"ddpm", "--steps", "5"}},
        Case{"vlb",
             {"--objective", "vlb", "--variance", "fixed_large", "--timesteps", "20"},
             "DDPMScheduler",
             {"ddpm", "--steps", "5"},
             100},
        Case{"flow",
             {"--objective", "flow", "--time-sampling", "logit-normal"},
             "FlowMatchEulerDiscreteScheduler",
             {"flow-euler", "--steps", "5"}},
        Case{"trigonometric",
             {"--objective", "flow", "--path", "trigonometric"},
             "DDIMScheduler",
             kDdim},
        Case{"consistency",
             {"--objective", "consistency", "--curriculum-steps", "1000000", "--levels-last", "20"},
             "CMStochasticIterativeScheduler",
             {"consistency", "--steps", "2"},
             100},
        Case{"dsm", {"--objective", "dsm", "--sde", "vp"}, "ScoreSdeVpScheduler", kEm}),
    [](const auto& info) { return std::string(info.param.name); });

ImageDataset shapes() {
  ImageDataset data;
  data.h = data.w = 8;
  data.c = 1;
  data.labels = std::vector<int32_t>{9};
  return data;
}

// The options of before choose the rows that they chose.
TEST(ObjectiveRows, OptionsImplyTheirObjective) {
  const auto implied = [](const TrainingOptions& options) {
    return std::string(objective_of(options).value()->name.name);
  };
  EXPECT_EQ(implied({}), "simple");
  EXPECT_EQ(implied({.classifier = true}), "classifier");
  EXPECT_EQ(implied({.classifier = true, .noisy = true}), "noisy-classifier");
  EXPECT_EQ(implied({.sde = "vp"}), "dsm");
  EXPECT_EQ(implied({.sde = "edm"}), "edm");
  EXPECT_EQ(implied({.gan_steps = 4}), "gan");
}

// A name says all that its options would have said.
TEST(ObjectiveRows, EveryNameMakesATask) {
  for (const ObjectiveRow& row : objective_rows()) {
    TrainingOptions options{.objective = std::string(row.name.name), .channels = {8}, .size = "8"};
    options.sigma_max = 8;
    if (row.name.name.starts_with("ssm")) options.projections = 2;
    if (row.defaults != nullptr) row.defaults(options, {"channels"});
    const Status status = check_training_options(options);
    ASSERT_TRUE(status.ok()) << row.name.name << ": " << status.error().message;
    const auto task = make_task(options, shapes());
    ASSERT_TRUE(task.ok()) << row.name.name << ": " << task.error().message;
    EXPECT_EQ(task->objective.name, row.name.name);
    // The step's graph can be built, whatever it asks of the network.
    const Program step = train_step_program(task->network.set(), task->loss, task->step);
    EXPECT_GE(step.outputs.size(), 3u);
    EXPECT_EQ(task->objective.validation.make == nullptr,
              !task->objective.validation.why_not.empty());
    EXPECT_EQ(task->objective.pictures.sampler.empty(), !row.samples) << row.name.name;
  }
}

TEST(ObjectiveRows, OptionsOfOthersAreRefusedByName) {
  const auto error = [](const TrainingOptions& options) {
    const Status status = check_training_options(options);
    return status.ok() ? std::string() : status.error().message;
  };
  EXPECT_EQ(error({.objective = "simple", .vb_weight = 0.5}),
            "--vb-weight is of --objective hybrid; leave it out with simple");
  EXPECT_NE(error({.objective = "flow", .sde = "ve"}).find("--objective flow goes with --sde none"),
            std::string::npos);
  EXPECT_NE(error({.objective = "ddqn"}).find("--objective is \"ddqn\", expected"),
            std::string::npos);
  EXPECT_NE(error({.zero_snr = true}).find("--zero-snr"), std::string::npos);
  EXPECT_NE(error({.sde = "ve", .network = "ncsnpp", .energy = "norm"}).find("--energy"),
            std::string::npos);
  EXPECT_NE(error({.energy = "kinetic"}).find("--energy is \"kinetic\", expected norm"),
            std::string::npos);
  EXPECT_NE(make_task({.objective = "ism", .channels = {8}, .size = "32"}, shapes())
                .error()
                .message.find("expected ssm"),
            std::string::npos);
}

TEST(ObjectiveRows, NetworksAreWhatTheObjectiveNeeds) {
  const auto network = [](TrainingOptions options) {
    options.channels = {8};
    options.size = "8";
    return make_task(options, shapes()).value().network;
  };
  EXPECT_EQ(network({.objective = "hybrid"}).signature().out_channels, 2);
  EXPECT_EQ(network({.objective = "vlb", .variance = "fixed_small"}).signature().out_channels, 1);
  EXPECT_EQ(network({}).signature().classes.classes(), 10);
  EXPECT_EQ(network({.class_dropout = 0.1}).signature().classes.classes(), 11);
}

TEST(ObjectiveRows, SchedulersAreThoseOfWhatWasTrained) {
  const auto scheduler = [](TrainingOptions options) {
    options.channels = {8};
    options.size = "8";
    return make_task(options, shapes()).value().objective.scheduler;
  };
  EXPECT_EQ(scheduler({.objective = "hybrid"}).variance_type, "learned_range");
  const SchedulerConfig flow = scheduler({.objective = "flow"});
  EXPECT_EQ(flow.process, ProcessKind::kFlow);
  EXPECT_EQ(flow.prediction_type, "flow_prediction");
  // The chain of the trigonometric path has the path's own levels.
  const SchedulerConfig chain = scheduler({.objective = "flow", .path = "trigonometric"});
  const NoiseSchedule schedule = make_schedule(chain).value();
  for (const int i : {0, 400, 999})
    EXPECT_NEAR(std::sqrt(schedule.alpha_bar(i)),
                flow_point(FlowPath::kTrigonometric, (i + 0.5) / 1000).a, 1e-4);
  EXPECT_EQ(scheduler({.objective = "consistency"}).process, ProcessKind::kConsistency);
  const SchedulerConfig zero = scheduler({.prediction = "v_prediction", .zero_snr = true});
  EXPECT_TRUE(zero.rescale_betas_zero_snr);
  EXPECT_EQ(zero.timestep_spacing, "trailing");
}

}  // namespace
}  // namespace ito::test
