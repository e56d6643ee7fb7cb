// `ito train --objective`: every objective trains for seconds, its loss falls, and its folder says
// what it is; the options that choose one, and those that are refused.
#include "api/objectives.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "api/model.h"
#include "api/task.h"
#include "diffusion/flow_matching.h"
#include "diffusion/schedule.h"
#include "io/jsonl.h"
#include "statistics/mean.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/training_options.h"

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
  const char* objective;
  std::vector<std::string> options;
  const char* scheduler;             // what scheduler_config.json says it is; null: none is there
  std::vector<std::string> sampler;  // one that draws from it; empty: none here
  int steps = 60;
  const char* judged = "validation loss";  // null: it knows no validation
  bool falls = true;                       // a GAN's loss says nothing
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
                                    "--objective",
                                    c.objective,
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
                                    "1"};
  if (c.judged != nullptr) words.insert(words.end(), {"--validate", std::to_string(c.steps)});
  words.insert(words.end(), c.options.begin(), c.options.end());
  const Outcome trained = run_ito({words});
  ASSERT_EQ(trained.code, 0) << trained.err;
  std::vector<Json> rows = read_jsonl(out / "metrics.jsonl").value();
  std::erase_if(rows, [](const Json& row) { return !row.contains("loss"); });
  ASSERT_EQ(rows.size(), static_cast<size_t>(c.steps));
  for (const Json& row : rows) ASSERT_TRUE(std::isfinite(row.at("loss").get<double>()));
  const size_t quarter = rows.size() / 4;
  if (c.falls) {
    EXPECT_LT(mean_loss(rows, rows.size() - quarter, rows.size()), mean_loss(rows, 0, quarter));
  }
  if (c.judged != nullptr) {
    EXPECT_NE(trained.err.find(c.judged), std::string::npos) << trained.err;
  }
  if (c.scheduler == nullptr) return;
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

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"simple", "simple", {}, "DDPMScheduler", kDdim},
      {"importance",
       "simple",
       {"--timesteps", "8", "--time-sampling", "importance"},
       "DDPMScheduler",
       {"ddim", "--steps", "4"},
       100},
      {"zero_snr",
       "simple",
       {"--zero-snr", "--prediction", "v_prediction", "--class-dropout", "0.2"},
       "DDPMScheduler",
       kDdim},
      {"huber", "huber", {"--huber-c", "0.05"}, "DDPMScheduler", kDdim},
      {"hybrid",
       "hybrid",
       {"--vb-weight", "0.01", "--timesteps", "50"},
       "DDPMScheduler",
       {"ddpm", "--steps", "5"}},
      {"vlb",
       "vlb",
       {"--variance", "fixed_large", "--timesteps", "20"},
       "DDPMScheduler",
       {"ddpm", "--steps", "5"},
       100},
      {"flow",
       "flow",
       {"--time-sampling", "logit-normal"},
       "FlowMatchEulerDiscreteScheduler",
       {"flow-euler", "--steps", "5"}},
      {"trigonometric", "flow", {"--path", "trigonometric"}, "DDIMScheduler", kDdim},
      {"consistency",
       "consistency",
       {"--curriculum-steps", "1000000", "--levels-last", "20"},
       "CMStochasticIterativeScheduler",
       {"consistency", "--steps", "2"},
       100},
      {"dsm", "dsm", {"--sde", "vp"}, "ScoreSdeVpScheduler", kEm},
      {"edm", "edm", {}, "EDMEulerScheduler", {"edm", "--steps", "3"}},
      {"gan",
       "gan",
       {"--gan-steps", "2", "--discriminator-channels", "8", "--latent", "4"},
       "DDPMScheduler",
       {"gan"},
       10,
       nullptr,
       false},
      {"classifier", "classifier", {}, nullptr, {}, 60, "accuracy"},
      {"noisy_classifier", "noisy-classifier", {}, nullptr, {}, 60, "accuracy"}};
  return kCases;
}

INSTANTIATE_TEST_SUITE_P(Rows, Objectives, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return std::string(info.param.name); });

// Objectives that match scores without noise, and energies. Most take gradients of gradients of a
// network: 120 steps each of the least one on pictures of 4x4, a tenth of the time that compiling
// their kernels takes. That gradients are right is shown by differences
// (second_order_gradient_test.cpp).
const std::vector<Case>& second_order_cases() {
  static const std::vector<Case> kCases = {
      {"ism", "ism", {"--sde", "vp"}, "ScoreSdeVpScheduler", kEm},
      {"ssm", "ssm", {"--sde", "vp"}, "ScoreSdeVpScheduler", kEm},
      {"ssm_vr",
       "ssm-vr",
       {"--sde", "ve", "--sigma-max", "8", "--projections", "2"},
       "ScoreSdeVeScheduler",
       kEm},
      {"fd_ssm", "fd-ssm", {"--sde", "vp"}, "ScoreSdeVpScheduler", kEm},
      {"energy_norm", "simple", {"--energy", "norm"}, "DDPMScheduler", kDdim},
      {"energy_head", "simple", {"--energy", "head"}, "DDPMScheduler", kDdim},
      {"energy_inner", "dsm", {"--sde", "vp", "--energy", "inner"}, "ScoreSdeVpScheduler", kEm}};
  return kCases;
}

class SecondOrderObjectives : public ::testing::TestWithParam<Case> {};

void write_least_data(const Path& path) {
  constexpr int kCount = 256, kSide = 4;
  std::vector<uint8_t> pixels;
  for (int i = 0; i < kCount * kSide * kSide; ++i)
    pixels.push_back((i % kSide < kSide / 2) == (i / (kSide * kSide) % 2 == 0) ? 255 : 0);
  TensorFile file;
  file.tensors.emplace("images", tensor_from_bytes({kCount, kSide, kSide}, pixels));
  ASSERT_TRUE(write_npz(path, file).ok());
}

MeanAndError losses_of(const std::vector<Json>& rows, size_t from, size_t to) {
  std::vector<double> losses;
  for (size_t i = from; i < to; ++i) losses.push_back(rows[i].at("loss").get<double>());
  return mean_and_error(losses);
}

// The loss of the last quarter of the steps is below that of the first by more than it scatters.
// And what is validated on the same draws, the denoising loss of a score or the error of ε, is
// below that of a network that says zero, E z²/2 or E z². For the objectives that match scores
// without noise that is another formula than the one that is minimised: a gradient without one of
// its two terms leaves the score at zero or lets it grow.
TEST_P(SecondOrderObjectives, LossFallsAndTheModelSamples) {
  const Case& c = GetParam();
  constexpr size_t kSteps = 120, kQuarter = kSteps / 4;
  const Scratch scratch;
  write_least_data(scratch / "data.npz");
  const Path out = scratch / "run";
  std::vector<std::string> words = {"train",
                                    "--objective",
                                    c.objective,
                                    "--data",
                                    (scratch / "data.npz").string(),
                                    "--out",
                                    out.string(),
                                    "--steps",
                                    std::to_string(kSteps),
                                    "--channels",
                                    "4",
                                    "--norm-groups",
                                    "2",
                                    "--size",
                                    "4",
                                    "--batch",
                                    "16",
                                    "--lr",
                                    "1e-2",
                                    "--warmup",
                                    "1",
                                    "--ema",
                                    "0.9",
                                    "--validate",
                                    std::to_string(kSteps),
                                    "--log-every",
                                    "1"};
  words.insert(words.end(), c.options.begin(), c.options.end());
  const Outcome trained = run_ito({words});
  ASSERT_EQ(trained.code, 0) << trained.err;
  std::vector<Json> rows = read_jsonl(out / "metrics.jsonl").value();
  const Json judged = *std::find_if(rows.rbegin(), rows.rend(),
                                    [](const Json& row) { return row.contains("validation"); });
  std::erase_if(rows, [](const Json& row) { return !row.contains("loss"); });
  ASSERT_EQ(rows.size(), kSteps);
  for (const Json& row : rows) {
    EXPECT_TRUE(std::isfinite(row.at("loss").get<double>()));
    EXPECT_GT(row.at("grad_norm").get<double>(), 0);
  }
  const MeanAndError first = losses_of(rows, 0, kQuarter);
  const MeanAndError last = losses_of(rows, kSteps - kQuarter, kSteps);
  EXPECT_GT(first.mean - last.mean, 3 * std::hypot(first.standard_error, last.standard_error));
  // Found: 0.19 to 0.37 of scores and 0.11 of an energy's, where zero has 0.5; 0.10 and 0.16 of ε.
  const double zero = std::string(c.objective) == "simple" ? 1 : 0.5;
  EXPECT_LT(judged.at("validation").get<double>(), 0.9 * zero);
  const Json scheduler = read_json(out / "scheduler/scheduler_config.json").value();
  EXPECT_EQ(scheduler.at("_class_name"), c.scheduler);
  std::vector<std::string> sample = {
      "sample",   "--model", out.string(), "--num", "2", "--out", (out / "x.npz").string(),
      "--sampler"};
  sample.insert(sample.end(), c.sampler.begin(), c.sampler.end());
  const Outcome sampled = run_ito({sample});
  EXPECT_EQ(sampled.code, 0) << sampled.err;
}

INSTANTIATE_TEST_SUITE_P(Rows, SecondOrderObjectives, ::testing::ValuesIn(second_order_cases()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ObjectiveRows, EveryOneIsTrainedByACaseAbove) {
  std::set<std::string_view> trained;
  for (const auto* table : {&cases(), &second_order_cases()})
    for (const Case& c : *table) trained.insert(c.objective);
  for (const ObjectiveRow& row : objective_rows())
    EXPECT_TRUE(trained.contains(row.name.name)) << row.name.name << " is trained by no case";
}

ImageDataset shapes() {
  ImageDataset data;
  data.h = data.w = 8;
  data.c = 1;
  data.labels = std::vector<int32_t>{9};
  return data;
}

// The options of before choose the rows that they chose.
TEST(ObjectiveRows, OptionsImplyTheirObjective) {
  const auto implied = [](const Json& keys) {
    return std::string(objective_of(training_options(keys)).value()->name.name);
  };
  EXPECT_EQ(implied({}), "simple");
  EXPECT_EQ(implied({{"classifier", true}}), "classifier");
  EXPECT_EQ(implied({{"classifier", true}, {"noisy", true}}), "noisy-classifier");
  EXPECT_EQ(implied({{"sde", "vp"}}), "dsm");
  EXPECT_EQ(implied({{"sde", "edm"}}), "edm");
  EXPECT_EQ(implied({{"gan-steps", 4}}), "gan");
}

// A name says all that its options would have said.
TEST(ObjectiveRows, EveryNameMakesATask) {
  for (const ObjectiveRow& row : objective_rows()) {
    TrainingOptions options = training_options({{"objective", row.name.name}, {"size", "8"}});
    options.channels = {8};
    if (row.processes != "none") options.sigma_max = 8;
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
  const auto error = [](const Json& keys) {
    const Status status = check_training_options(training_options(keys));
    return status.ok() ? std::string() : status.error().message;
  };
  EXPECT_EQ(error({{"objective", "simple"}, {"vb-weight", 0.5}}),
            "--vb-weight is of --objective hybrid; leave it out with simple");
  EXPECT_NE(
      error({{"objective", "flow"}, {"sde", "ve"}}).find("--objective flow goes with --sde none"),
      std::string::npos);
  EXPECT_NE(error({{"objective", "ddqn"}}).find("--objective is \"ddqn\", expected"),
            std::string::npos);
  EXPECT_NE(error({{"zero-snr", true}}).find("--zero-snr"), std::string::npos);
  EXPECT_EQ(error({{"sde", "ve"}, {"network", "ncsnpp"}, {"energy", "norm"}}),
            "--energy is of --network ddpm; leave it out with ncsnpp");
  EXPECT_NE(error({{"energy", "kinetic"}}).find("--energy is \"kinetic\", expected norm"),
            std::string::npos);
  EXPECT_NE(error({{"gan-steps", 4}, {"network", "ncsnpp"}}).find("--network"), std::string::npos);
  EXPECT_EQ(error({{"sde", "edm"}, {"network", "ncsnpp"}}),
            "--network ncsnpp needs --sde ve, vp, subvp, found edm");
  const TrainingOptions exact =
      training_options({{"objective", "ism"}, {"size", "32"}, {"channels", Json::array({8})}});
  EXPECT_NE(make_task(exact, shapes()).error().message.find("such as ssm"), std::string::npos);
}

TEST(ObjectiveRows, NetworksAreWhatTheObjectiveNeeds) {
  const auto network = [](const Json& keys) {
    TrainingOptions options = training_options(keys);
    options.channels = {8};
    options.size = "8";
    return make_task(options, shapes()).value().network;
  };
  EXPECT_EQ(network({{"objective", "hybrid"}}).signature().out_channels, 2);
  EXPECT_EQ(network({{"objective", "vlb"}, {"variance", "fixed_small"}}).signature().out_channels,
            1);
  EXPECT_EQ(network({}).signature().classes.classes(), 10);
  EXPECT_EQ(network({{"class-dropout", 0.1}}).signature().classes.classes(), 11);
}

TEST(ObjectiveRows, SchedulersAreThoseOfWhatWasTrained) {
  const auto scheduler = [](const Json& keys) {
    TrainingOptions options = training_options(keys);
    options.channels = {8};
    options.size = "8";
    return make_task(options, shapes()).value().objective.scheduler;
  };
  EXPECT_EQ(scheduler({{"objective", "hybrid"}}).variance_type, "learned_range");
  const SchedulerConfig flow = scheduler({{"objective", "flow"}});
  EXPECT_EQ(flow.process, ProcessKind::kFlow);
  EXPECT_EQ(flow.prediction_type, "flow_prediction");
  // The chain of the trigonometric path has the path's own levels.
  const SchedulerConfig chain = scheduler({{"objective", "flow"}, {"path", "trigonometric"}});
  const NoiseSchedule schedule = make_schedule(chain).value();
  for (const int i : {0, 400, 999})
    EXPECT_NEAR(std::sqrt(schedule.alpha_bar(i)),
                flow_point(FlowPath::kTrigonometric, (i + 0.5) / 1000).a, 1e-4);
  EXPECT_EQ(scheduler({{"objective", "consistency"}}).process, ProcessKind::kConsistency);
  const SchedulerConfig zero = scheduler({{"prediction", "v_prediction"}, {"zero-snr", true}});
  EXPECT_TRUE(zero.rescale_betas_zero_snr);
  EXPECT_EQ(zero.timestep_spacing, "trailing");
}

}  // namespace
}  // namespace ito::test
