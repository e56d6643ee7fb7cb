// `ito train --init`: training that starts from a model: what is kept of it, what may be changed,
// what is refused; and --freeze, --ema of several lengths, --epochs, --max-hours, other decays.
#include <gtest/gtest.h>

#include "api/initial_model.h"
#include "api/objectives.h"
#include "api/task.h"
#include "api/training_rows.h"
#include "io/diffusers.h"
#include "io/jsonl.h"
#include "io/network_file.h"
#include "io/safetensors.h"
#include "io/scheduler_config.h"
#include "nn/networks.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"
#include "tests/apps/training_options.h"
#include "tests/support/folders.h"

namespace ito::test {
namespace {

const Path kWeights = "unet/diffusion_pytorch_model.safetensors";

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A folder such as diffusers' ddpm-cifar10-32, narrow: four levels, attention at the second,
// colour, no classes, keys that Ito does not know.
void write_cifar_model(const Path& folder) {
  UNet2DConfig config;
  config.sample_size = std::array<int, 2>{32, 32};
  config.block_out_channels = {8, 16, 16, 16};
  config.down_block_types = {"DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"};
  config.up_block_types = {"UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"};
  config.layers_per_block = 1;
  config.downsample_padding = 0;
  config.flip_sin_to_cos = false;
  config.freq_shift = 1;
  config.norm_eps = 1e-6;
  config.norm_num_groups = 4;
  config.attention_head_dim.reset();
  config.extra["decay"] = "0.9999";
  SchedulerConfig scheduler;
  scheduler.variance_type = "fixed_large";
  scheduler.extra["tensor_format"] = "\"pt\"";
  const Network network = unet2d_network(config).value();
  Model model;
  model.network = network;
  model.weights = initial_parameters(network.set(), 3);
  model.scheduler = scheduler;
  model.index["_note"] = "made here";
  const Status status = save_model(folder, model);
  ASSERT_TRUE(status.ok()) << status.error().message;
}

// 24 colour images of 8x8, without labels.
void write_colour_data(const Path& path) {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < 24 * 8 * 8 * 3; ++i) pixels.push_back(static_cast<uint8_t>(i * 37 % 251));
  TensorFile file;
  file.tensors.emplace("images", tensor_from_bytes({24, 8, 8, 3}, pixels));
  const Status status = write_npz(path, file);
  ASSERT_TRUE(status.ok()) << status.error().message;
}

// What trainings ask of a set of 8x8 grey images of three classes.
ImageDataset three_classes() {
  ImageDataset data;
  data.h = data.w = 8;
  data.c = 1;
  data.labels = std::vector<int32_t>{2};
  return data;
}

Json config_of(const Network& network) {
  return network_config_json(network.row(), network.config());
}

class FineTuning : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    write_tiny_data(data());
    write_tiny_model(tiny());
  }
  static void TearDownTestSuite() { delete scratch_; }

  static Path data() { return *scratch_ / "data.npz"; }  // three classes of grey 8x8
  static Path tiny() { return *scratch_ / "tiny"; }      // a model of such
  static Path path(const std::string& name) { return *scratch_ / name; }

  static std::vector<std::string> training(const Path& model, const Path& out, int steps) {
    return {"train",
            "--init",
            model.string(),
            "--data",
            data().string(),
            "--out",
            out.string(),
            "--steps",
            std::to_string(steps),
            "--batch",
            "2",
            "--warmup",
            "0",
            "--checkpoint-every",
            "100",
            "--log-every",
            "1"};
  }

  inline static Scratch* scratch_ = nullptr;
};

TEST_F(FineTuning, FrozenTensorsAndUnknownKeysAreKeptToTheLastBit) {
  write_cifar_model(path("cifar"));
  write_colour_data(path("colour.npz"));
  const Path out = path("cifar-run");
  const Outcome outcome =
      run_ito({"train", "--init", path("cifar").string(), "--data", path("colour.npz").string(),
               "--out", out.string(), "--steps", "2", "--batch", "2", "--weight-decay", "0.1",
               "--freeze", "down_blocks.*,conv_in*,time_embedding.*", "--ema", "0.7,0.3"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(says(outcome.err, "starting from")) << outcome.err;
  const TensorFile before = read_safetensors(path("cifar") / kWeights).value();
  for (const Path& name : {kWeights, Path("unet/diffusion_pytorch_model.ema-0.3.safetensors")}) {
    const TensorFile after = read_safetensors(out / name).value();
    ASSERT_EQ(after.tensors.size(), before.tensors.size());
    size_t moved = 0;
    for (const auto& [tensor, value] : before.tensors) {
      const bool frozen = tensor.starts_with("down_blocks.") || tensor.starts_with("conv_in") ||
                          tensor.starts_with("time_embedding.");
      const bool same = after.tensors.at(tensor).bytes == value.bytes;
      EXPECT_TRUE(same || !frozen) << name << ": " << tensor;
      moved += same ? 0u : 1u;
    }
    EXPECT_GT(moved, 20u);
  }
  // Every key of the model's files, those that Ito does not know included.
  for (const char* file :
       {"unet/config.json", "scheduler/scheduler_config.json", "model_index.json"}) {
    const Json had = read_json(path("cifar") / file).value();
    EXPECT_EQ(read_json(out / file).value(), had) << file;
  }
}

TEST_F(FineTuning, LoadingAndSavingLeavesTensorsAndKeysAlone) {
  write_cifar_model(path("cifar-source"));
  const Model model = load_model(path("cifar-source")).value();
  ASSERT_TRUE(save_model(path("cifar-again"), model).ok());
  for (const char* file :
       {"unet/config.json", "scheduler/scheduler_config.json", "model_index.json"})
    EXPECT_EQ(read_json(path("cifar-again") / file).value(),
              read_json(path("cifar-source") / file).value());
  EXPECT_EQ(read_file(path("cifar-again") / kWeights).value(),
            read_file(path("cifar-source") / kWeights).value());
}

TEST_F(FineTuning, TheShippedModelGoesOnWhereItIs) {
  const Path model = Path(source_folder()) / "models/fashion-mnist";
  ASSERT_TRUE(file_exists(model / kWeights)) << model << " is part of the repository";
  const Path out = path("shipped-run");
  const Outcome outcome = run_ito(with(training(model, out, 1), {"--json"}));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  // Three classes in place of ten; a table of another size is said, to programs, too.
  EXPECT_TRUE(says(outcome.err, "class_embedding.weight is drawn anew")) << outcome.err;
  const std::string notes = parse_json(outcome.out, "summary").value().at("notes").dump();
  EXPECT_TRUE(says(notes, "class_embedding.weight is drawn anew")) << notes;
  EXPECT_TRUE(says(notes, "starting from ")) << notes;
  const Json config = read_json(out / "unet/config.json").value();
  EXPECT_EQ(config.at("num_class_embeds"), 3);
  EXPECT_EQ(config.at("block_out_channels"), (std::vector<int>{16, 32, 64}));
  EXPECT_EQ(config.at("sample_size"), 32);
  EXPECT_EQ(read_scheduler_config(out).value(), read_scheduler_config(model).value());
}

TEST_F(FineTuning, ContradictionsAreRefusedInOneSentence) {
  const auto refusal = [&](const std::vector<std::string>& more) {
    const Outcome outcome = run_ito(with(training(tiny(), path("refused"), 1), more));
    EXPECT_EQ(outcome.code, 2) << outcome.err;
    EXPECT_FALSE(folder_exists(path("refused")));
    return outcome.err;
  };
  EXPECT_TRUE(says(refusal({"--channels", "16"}), "--channels [16] contradicts"));
  EXPECT_TRUE(
      says(refusal({"--network", "ncsnpp", "--sde", "ve"}), "--network ncsnpp contradicts"));
  EXPECT_TRUE(says(refusal({"--classifier"}), "does not train the network of"));
  EXPECT_TRUE(says(refusal({"--epochs", "2"}), "--epochs"));
  // What only the images or the tensors show.
  const auto failure = [&](std::vector<std::string> more) {
    const Outcome outcome = run_ito(with(training(tiny(), path("failed"), 1), std::move(more)));
    EXPECT_EQ(outcome.code, 1) << outcome.err;
    return outcome.err;
  };
  const std::string frozen = failure({"--freeze", "down_block.*"});
  EXPECT_TRUE(says(frozen, "--freeze down_block.* matches no tensor; near it are down_blocks.*"))
      << frozen;
  EXPECT_TRUE(says(failure({"--freeze", "*"}), "leaves no tensor to train"));
  EXPECT_TRUE(says(failure({"--objective", "hybrid"}), "wants 2 output channels"));
}

TEST_F(FineTuning, AModelWithoutASchedulerIsNotGuessedAt) {
  const Path bare = path("bare");
  std::filesystem::copy(tiny() / "unet", bare, std::filesystem::copy_options::recursive);
  const Outcome outcome = run_ito(training(bare, path("bare-run"), 1));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(says(outcome.err, "has no scheduler")) << outcome.err;
  const Outcome told = run_ito(with(training(bare, path("bare-run"), 1), {"--schedule", "linear"}));
  EXPECT_EQ(told.code, 0) << told.err;
}

// Options that say otherwise: another process, and the model's network on it.
TEST_F(FineTuning, AnotherProcessIsTakenWhereItIsAskedFor) {
  const InitialModel initial = open_initial_model(tiny().string()).value();
  const TrainingOptions asked = training_options({{"sde", "vp"}});
  const TrainingOptions options = options_of_model(initial, asked, {"sde"}).value();
  EXPECT_EQ(options.sde, "vp");
  EXPECT_EQ(options.channels, (std::vector<int>{8}));
  const SchedulerConfig scheduler = scheduler_config(options, &initial);
  EXPECT_EQ(scheduler.process, ProcessKind::kVp);
}

TEST_F(FineTuning, EveryProcessComesBackAsItself) {
  const std::vector<std::pair<ProcessKind, std::string>> processes = {
      {ProcessKind::kDiscrete, "simple"},
      {ProcessKind::kVe, "dsm"},
      {ProcessKind::kVp, "dsm"},
      {ProcessKind::kSubVp, "dsm"},
      {ProcessKind::kEdm, "edm"},
      {ProcessKind::kFlow, "flow"},
      {ProcessKind::kConsistency, "consistency"}};
  for (const auto& [process, objective] : processes) {
    Json keys = {{"objective", objective},
                 {"size", "8"},
                 {"channels", Json::array({8})},
                 {"norm-groups", 4}};
    for (const TrainedProcessRow& row : trained_process_rows()) {
      if (row.process != process) continue;
      keys["sde"] = row.name.name;
      if (row.options.find("sigma-max") != std::string_view::npos) keys["sigma-max"] = 8;
    }
    const TrainingOptions made = training_options(keys);
    const ImageDataset data = three_classes();
    const auto task = make_task(made, data);
    ASSERT_TRUE(task.ok()) << objective << ": " << task.error().message;
    const Path folder = path("model-" + std::to_string(static_cast<int>(process)));
    ASSERT_TRUE(save_model(folder, task->network, task->objective.scheduler,
                           initial_parameters(task->network.set(), 1))
                    .ok());
    const InitialModel initial = open_initial_model(folder.string()).value();
    const auto options = options_of_model(initial, TrainingOptions{}, {});
    ASSERT_TRUE(options.ok()) << objective << ": " << options.error().message;
    const auto again = make_task(*options, data, &initial);
    ASSERT_TRUE(again.ok()) << objective << ": " << again.error().message;
    EXPECT_EQ(again->objective.name, objective);
    EXPECT_EQ(again->objective.scheduler, initial.model.scheduler) << objective;
    EXPECT_EQ(again->initial_weights, initial.model.weights) << objective;
    // And as run.json has it.
    const auto kept = initial_model_from_json(initial_model_json(initial), "run.json");
    ASSERT_TRUE(kept.ok()) << kept.error().message;
    EXPECT_EQ(kept->model.scheduler, initial.model.scheduler);
    EXPECT_EQ(config_of(kept->model.network), config_of(initial.model.network));
  }
}

// What --network makes, a folder keeps, and a training that starts from it takes for what it is:
// whatever the network.
TEST_F(FineTuning, EveryNetworkComesBackAsItself) {
  ASSERT_GE(network_designs().size(), 3u);
  for (const NetworkDesign& design : network_designs()) {
    SCOPED_TRACE(design.name.name);
    const std::string_view sde = design.processes.substr(0, design.processes.find(' '));
    TrainingOptions made = training_options({{"size", "8"}, {"sde", sde}});
    if (sde == "ve") made.sigma_max = 8;  // not looked for in the pixels
    made.network = design.name.name;
    ASSERT_TRUE(set_defaults(made, {}).ok());
    const Status possible = check_training_options(made);
    ASSERT_TRUE(possible.ok()) << possible.error().message;
    const ImageDataset data = three_classes();
    const auto task = make_task(made, data);
    ASSERT_TRUE(task.ok()) << task.error().message;
    EXPECT_EQ(task->network.row(), design.network);
    EXPECT_EQ(task->network.signature().classes.classes(), 3);
    const Path folder = path("model-" + std::string(design.name.name));
    ASSERT_TRUE(save_model(folder, task->network, task->objective.scheduler,
                           initial_parameters(task->network.set(), 1))
                    .ok());
    const InitialModel initial = open_initial_model(folder.string()).value();
    EXPECT_EQ(config_of(initial.model.network), config_of(task->network));
    const auto options = options_of_model(initial, TrainingOptions{}, {});
    ASSERT_TRUE(options.ok()) << options.error().message;
    EXPECT_EQ(static_cast<const NetworkOptions&>(*options),
              static_cast<const NetworkOptions&>(made));
    const auto again = make_task(*options, data, &initial);
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(config_of(again->network), config_of(task->network));
    EXPECT_EQ(again->initial_weights, initial.model.weights);
    // With another number of classes only what depends on it is new.
    ImageDataset more = data;
    more.labels->push_back(6);
    const auto wider = make_task(*options, more, &initial);
    ASSERT_TRUE(wider.ok()) << wider.error().message;
    EXPECT_EQ(wider->network.signature().classes.classes(), 7);
    EXPECT_FALSE(wider->objective.notes.empty());
  }
}

// A row of the class table is its class's, wherever the class stands now.
TEST_F(FineTuning, RowsOfClassesFollowTheirNames) {
  InitialModel initial = open_initial_model(tiny().string()).value();
  EXPECT_FALSE(initial.classes.has_value());
  initial.classes = ClassNames{.names = {"a", "b", "c"}, .images = {1, 1, 1}};
  const TrainingOptions options = options_of_model(initial, TrainingOptions{}, {}).value();
  ImageDataset data = three_classes();
  data.names = {"b", "c", "d"};
  const auto task = make_task(options, data, &initial);
  ASSERT_TRUE(task.ok()) << task.error().message;
  const auto row = [](const Network& network, const std::vector<float>& weights, int64_t k) {
    const Parameter& table = *network.set().find("class_embedding.weight");
    const int64_t width = table.numel() / table.spec.foreign_shape[0];
    const auto begin = weights.begin() + table.offset + k * width;
    return std::vector<float>(begin, begin + width);
  };
  const auto had = [&](int64_t k) { return row(initial.model.network, initial.model.weights, k); };
  const auto has = [&](int64_t k) { return row(task->network, task->initial_weights, k); };
  EXPECT_EQ(has(0), had(1));
  EXPECT_EQ(has(1), had(2));
  for (int64_t k = 0; k < 3; ++k) EXPECT_NE(has(2), had(k)) << k;
  const std::string notes = Json(task->objective.notes).dump();
  EXPECT_TRUE(says(notes, "by the classes' names; drawn anew: d")) << notes;
  // The row for none of a guided model is left out where nothing asks for one.
  data.names = {"a", "b"};
  const auto fewer = make_task(options, data, &initial);
  ASSERT_TRUE(fewer.ok()) << fewer.error().message;
  EXPECT_EQ(row(fewer->network, fewer->initial_weights, 1), had(1));
}

TEST_F(FineTuning, ColourForAGreyModelIsAnsweredWithAWayOut) {
  const InitialModel initial = open_initial_model(tiny().string()).value();
  const TrainingOptions options = options_of_model(initial, TrainingOptions{}, {}).value();
  ImageDataset data = three_classes();
  data.c = 3;
  const auto task = make_task(options, data, &initial);
  ASSERT_FALSE(task.ok());
  EXPECT_TRUE(says(task.error().message, "no option makes coloured images grey"))
      << task.error().message;
  EXPECT_TRUE(says(task.error().message, "leave --init out")) << task.error().message;
}

// In two calls, the model gone in between, as in one.
TEST_F(FineTuning, ResumesBitForBitWithoutTheModel) {
  const Path model = path("passing");
  write_tiny_model(model);
  const std::vector<std::string> more = {"--ema",    "0.9,0.5",   "--freeze",
                                         "conv_in*", "--dropout", "0.25"};
  const Outcome whole = run_ito(with(training(model, path("whole"), 6), more));
  ASSERT_EQ(whole.code, 0) << whole.err;
  ASSERT_EQ(run_ito(with(training(model, path("parts"), 3), more)).code, 0);
  ASSERT_TRUE(remove_tree(model).ok());
  const Outcome second =
      run_ito({"train", "--data", data().string(), "--out", path("parts").string(), "--steps", "6",
               "--checkpoint-every", "100", "--log-every", "1"});
  ASSERT_EQ(second.code, 0) << second.err;
  for (const char* name : {"unet/diffusion_pytorch_model.safetensors",
                           "unet/diffusion_pytorch_model.ema-0.5.safetensors",
                           "checkpoint-6/state.safetensors", "unet/config.json"})
    EXPECT_EQ(read_file(path("whole") / name).value(), read_file(path("parts") / name).value())
        << name;
  const Outcome other =
      run_ito({"train", "--data", data().string(), "--out", path("parts").string(), "--steps", "9",
               "--init", tiny().string()});
  EXPECT_EQ(other.code, 2);
  EXPECT_TRUE(says(other.err, "contradicts the run in")) << other.err;
}

TEST_F(FineTuning, SamplesAreDrawnFromTheAverageThatIsAskedFor) {
  const Path run = path("averages");
  ASSERT_EQ(run_ito(with(training(tiny(), run, 4), {"--ema", "0.2,0.95", "--lr", "0.05"})).code, 0);
  const auto sample = [&](const std::string& name, const std::vector<std::string>& more) {
    const Outcome outcome = run_ito(with({"sample", "--model", run.string(), "--steps", "2",
                                          "--num", "2", "--out", path(name).string()},
                                         more));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const TensorFile file = read_safetensors(path(name)).value();
    return file.tensors.at("images").bytes;
  };
  const auto plain = sample("plain.safetensors", {});
  EXPECT_EQ(sample("first.safetensors", {"--ema", "0.2"}), plain);
  EXPECT_NE(sample("second.safetensors", {"--ema", "0.95"}), plain);
  const Outcome missing = run_ito({"sample", "--model", run.string(), "--ema", "0.5", "--out",
                                   path("none.safetensors").string()});
  EXPECT_EQ(missing.code, 1);
  EXPECT_TRUE(says(missing.err, "has no average of decay 0.5; those that it has are 0.2, 0.95"))
      << missing.err;
}

TEST_F(FineTuning, LengthsOfARun) {
  // 48 images, batches of 2 accumulated twice: twelve steps an epoch.
  const Path epochs = path("epochs");
  const Outcome half = run_ito(with(least_training(data(), epochs, 1, 100), {"--accumulate", "2"}));
  ASSERT_EQ(half.code, 0) << half.err;
  std::vector<std::string> arguments = {"train",         "--data",   data().string(), "--out",
                                        epochs.string(), "--epochs", "0.5",           "--json"};
  const Outcome outcome = run_ito(arguments);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(parse_json(outcome.out, "summary").value().at("step"), 6);
  // However short the time, a call makes a step, saves it and ends.
  const Path hours = path("hours");
  std::vector<std::string> short_call =
      with(least_training(data(), hours, 3, 100), {"--max-hours", "1e-9", "--json"});
  for (int call = 1; call <= 3; ++call) {
    const Outcome ended = run_ito(short_call);
    ASSERT_EQ(ended.code, 0) << ended.err;
    const Json summary = parse_json(ended.out, "summary").value();
    EXPECT_EQ(summary.at("step"), call);
    EXPECT_EQ(summary.at("stopped"), call < 3);
  }
}

// A fall without a given end ends with the run, and a run that goes on may stretch it.
TEST_F(FineTuning, TheFallOfTheLearningRateFollowsTheRun) {
  const Path run = path("fall");
  const std::vector<std::string> cosine = {"--decay", "cosine", "--warmup", "1"};
  ASSERT_EQ(run_ito(with(least_training(data(), run, 4, 100), cosine)).code, 0);
  EXPECT_EQ(read_json(run / "run.json").value().at("options").at("decay-steps"), 4);
  const Outcome over = run_ito(with(least_training(data(), run, 6, 100), cosine));
  ASSERT_EQ(over.code, 0) << over.err;
  EXPECT_TRUE(says(over.err, "ends its fall at step 4")) << over.err;
  const Outcome stretched =
      run_ito(with(least_training(data(), run, 8, 100), {"--decay-steps", "8"}));
  ASSERT_EQ(stretched.code, 0) << stretched.err;
  EXPECT_TRUE(says(stretched.err, "--decay-steps 8 from here on")) << stretched.err;
  EXPECT_EQ(read_json(run / "run.json").value().at("options").at("decay-steps"), 8);
  std::vector<Json> rows = read_jsonl(run / "metrics.jsonl").value();
  ASSERT_EQ(rows.size(), 8u);
  EXPECT_NEAR(rows[5].at("lr").get<double>(), 0, 1e-9);  // half of cos(pi) + 1 on the device
  EXPECT_GT(rows[6].at("lr").get<double>(), 1e-5);
}

}  // namespace
}  // namespace ito::test
