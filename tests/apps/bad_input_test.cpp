// Damaged, lying and absurd input to the real program: one sentence that names the thing, the right
// exit code, and nothing half-written. Files in detail are tested in tests/io.
#include <algorithm>

#include "io/compress.h"
#include "io/json.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

// One line of standard error that begins "ito: ", which names `part`; no sign of a crash.
void expect_refused(const Outcome& outcome, int code, const std::string& part) {
  EXPECT_EQ(outcome.code, code) << outcome.err;
  EXPECT_NE(outcome.err.find(part), std::string::npos) << "no '" << part << "' in: " << outcome.err;
  std::istringstream lines(outcome.err);
  int errors = 0;
  for (std::string line; std::getline(lines, line);) errors += line.starts_with("ito: ");
  EXPECT_EQ(errors, 1) << outcome.err;
  for (const char* crash : {"internal error", "terminate", "Sanitizer"})
    EXPECT_EQ(outcome.err.find(crash), std::string::npos) << outcome.err;
}

void overwrite(const Path& path, const std::string& bytes) {
  const Status status = write_file_atomic(path, bytes);
  ASSERT_TRUE(status.ok()) << status.error().message;
}

// Where the header of a .safetensors file says the largest end of a tensor's data.
size_t last_offset(const std::string& file) {
  size_t where = 0;
  uint64_t largest = 0;
  const std::string key = "data_offsets\":[";
  for (size_t at = 0; (at = file.find(key, at)) != std::string::npos; ++at) {
    const size_t end = file.find(',', at + key.size()) + 1;
    const uint64_t value = std::stoull(file.substr(end, 20));
    if (value > largest) {
      largest = value;
      where = end;
    }
  }
  return where;
}

std::string with_first_digit_nine(std::string text, size_t at) {
  EXPECT_NE(text[at], '9');
  text[at] = '9';
  return text;
}

class BadModel : public ::testing::Test {
 protected:
  void SetUp() override { write_tiny_model(model()); }

  Path model() const { return scratch_ / "model"; }
  Path weights() const { return model() / "unet" / "diffusion_pytorch_model.safetensors"; }
  Path config() const { return model() / "unet" / "config.json"; }

  void expect_sample_refused(const std::string& part) {
    const Path out = scratch_ / "out.png";
    expect_refused(run_ito({"sample", "--model", model().string(), "--steps", "2", "--num", "1",
                            "--out", out.string()}),
                   1, part);
    EXPECT_FALSE(file_exists(out));
  }

  // Changes one key of the U-Net's configuration.
  void expect_config_refused(const char* key, const Json& value, const std::string& part) {
    Json json = read_json(config()).value();
    const Json good = json;
    json[key] = value;
    overwrite(config(), dump_json(json));
    SCOPED_TRACE(key);
    expect_sample_refused(part);
    overwrite(config(), dump_json(good));
  }

  void expect_weights_refused(const std::function<void(TensorFile&)>& change,
                              const std::string& part) {
    const TensorFile good = read_safetensors(weights()).value();
    TensorFile bad = good;
    change(bad);
    ASSERT_TRUE(write_safetensors(weights(), bad).ok());
    expect_sample_refused(part);
    ASSERT_TRUE(write_safetensors(weights(), good).ok());
  }

  Scratch scratch_;
};

TEST_F(BadModel, MissingTruncatedOrLyingWeightsAreRefused) {
  const std::string good = read_file(weights()).value();
  overwrite(weights(), good.substr(0, good.size() / 2));
  expect_sample_refused(weights().string());
  overwrite(weights(), good.substr(0, 5));
  expect_sample_refused(weights().string());
  // A header that claims to be longer than any file.
  std::string lies = good;
  lies[7] = '\x7f';
  overwrite(weights(), lies);
  expect_sample_refused(weights().string());
  // The last tensor ends beyond the file, and the first one begins later than the file's data.
  overwrite(weights(), with_first_digit_nine(good, last_offset(good)));
  expect_sample_refused("lie outside");
  const size_t begin = good.find("data_offsets\":[");
  ASSERT_NE(begin, std::string::npos);
  overwrite(weights(), with_first_digit_nine(good, begin + 15));
  expect_sample_refused(weights().string());
  ASSERT_TRUE(remove_tree(weights()).ok());
  expect_sample_refused("diffusion_pytorch_model.safetensors is missing");
}

TEST_F(BadModel, WrongTensorsAreRefusedByName) {
  const std::string name = "conv_in.weight";
  expect_weights_refused([&](TensorFile& file) { file.tensors.erase(name); }, name);
  expect_weights_refused(
      [&](TensorFile& file) {
        file.tensors.at(name).shape = Shape{3, 3, 1, 8};
      },
      name);
  // As many bytes, but integers.
  expect_weights_refused([&](TensorFile& file) { file.tensors.at(name).type = HostType::kI32; },
                         name);
}

TEST_F(BadModel, AConfigurationThatIsNoNetworkIsRefusedByKey) {
  expect_config_refused("down_block_types", {"MagicDownBlock2D"}, "MagicDownBlock2D");
  expect_config_refused("act_fn", "sinus", "act_fn");
  expect_config_refused("layers_per_block", 2'000'000'000, "layers_per_block");
  expect_config_refused("block_out_channels", {2'000'000'000}, "block_out_channels");
  expect_config_refused("num_class_embeds", -1, "num_class_embeds");
  expect_config_refused("in_channels", "many", "in_channels");
  overwrite(config(), "{\"in_channels\": ");
  expect_sample_refused(config().string());
}

// A folder of MNIST's four files, with changes.
class BadData : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_folders(data()).ok());
    images_ = std::string("\0\0\10\3\0\0\0\14\0\0\0\10\0\0\0\10", 16) + std::string(12 * 64, 'x');
    labels_ = std::string("\0\0\10\1\0\0\0\14", 8) + std::string(12, '\1');
  }

  Path data() const { return scratch_ / "data"; }

  void expect_train_refused(const std::string& images_name, const std::string& images,
                            const std::string& labels, const std::string& part) {
    ASSERT_TRUE(remove_tree(data()).ok());
    ASSERT_TRUE(make_folders(data()).ok());
    overwrite(data() / images_name, images);
    overwrite(data() / "train-labels-idx1-ubyte", labels);
    const Path run = scratch_ / "run";
    SCOPED_TRACE(part);
    expect_refused(run_ito(tiny_training(data(), run, 1)), 1, part);
    EXPECT_FALSE(folder_exists(run));
  }

  Scratch scratch_;
  std::string images_, labels_;
};

TEST_F(BadData, CorruptFilesAndLabelsThatDoNotFitAreRefused) {
  const std::string plain = "train-images-idx3-ubyte", packed = plain + ".gz";
  // A gzip file of the twelve bytes "hello world\n", cut, damaged, and whole but no IDX file.
  const std::string gzip(
      "\x1f\x8b\x08\0\0\0\0\0\x02\xff\xcb\x48\xcd\xc9\xc9\x57\x28\xcf\x2f\xca\x49\xe1\x02\0\x2d\x3b"
      "\x08"
      "\xaf\x0c\0\0\0",
      32);
  expect_train_refused(packed, gzip.substr(0, 20), labels_, packed);
  std::string damaged = gzip;
  damaged[14] = static_cast<char>(damaged[14] ^ 0x10);
  expect_train_refused(packed, damaged, labels_, packed);
  expect_train_refused(packed, gzip, labels_, "000008NN");
  expect_train_refused(plain, images_.substr(0, 700), labels_, "truncated");
  std::string huge = images_;
  huge[4] = huge[8] = '\x7f';
  expect_train_refused(plain, huge, labels_, "do not fit");
  expect_train_refused(plain, images_, labels_.substr(0, 19), "train-labels-idx1-ubyte");
  const std::string fewer = std::string("\0\0\10\1\0\0\0\13", 8) + std::string(11, '\1');
  expect_train_refused(plain, images_, fewer, "11 labels");
}

TEST(BadRequest, AbsurdSizesAreOneClearErrorAndLeaveNothing) {
  const Scratch scratch;
  write_tiny_data(scratch / "data.npz");
  const std::string run = (scratch / "run").string();
  struct Case {
    std::vector<std::string> options;
    int code;
    std::string part;
  };
  const std::vector<Case> cases = {
      {{"--batch", "99999999999999999999"}, 2, "--batch"},
      {{"--steps", "99999999999999999999"}, 2, "--steps"},
      {{"--accumulate", "9223372036854775807"}, 2, "--accumulate"},
      {{"--size", "1073741824"}, 2, "--size"},
      {{"--layers-per-block", "1000000"}, 2, "--layers-per-block"},
      {{"--timesteps", "2000000000"}, 2, "--timesteps"},
      {{"--channels", "8,16,99999999"}, 2, "--channels"},
      // Each number for itself is possible.
      {{"--batch", "65536", "--size", "1024"}, 1, "smaller batch"},
      {{"--channels", "65536,65536"}, 1, "one piece of device memory"},
      {{"--batch", "60", "--size", "256", "--layers-per-block", "8", "--channels", "64,8,8"},
       1,
       "device memory are needed"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.options[0] + " " + c.options[1]);
    std::vector<std::string> arguments = {"train", "--data",     (scratch / "data.npz").string(),
                                          "--out", run,          "--steps",
                                          "1",     "--channels", "8"};
    for (size_t i = 0; i < c.options.size(); i += 2) {
      const auto given = std::find(arguments.begin(), arguments.end(), c.options[i]);
      if (given != arguments.end()) {
        *(given + 1) = c.options[i + 1];
      } else {
        arguments = with(arguments, {c.options[i], c.options[i + 1]});
      }
    }
    expect_refused(run_ito(arguments), c.code, c.part);
    EXPECT_FALSE(folder_exists(run));
  }
}

TEST(BadRequest, WithoutADeviceNoCommandWritesAnything) {
  const Scratch scratch;
  write_tiny_model(scratch / "model");
  write_tiny_data(scratch / "data.npz");
  const std::string model = (scratch / "model").string();
  const Path run = scratch / "run", image = scratch / "x.png", out = scratch / "out.safetensors";
  const Path in = scratch / "in.safetensors";
  TensorFile inputs;
  inputs.tensors.emplace("sample", tensor_from_floats({1, 1, 8, 8}, std::vector<float>(64)));
  inputs.tensors.emplace("timestep", tensor_from_int64({1}, {10}));
  inputs.tensors.emplace("class_labels", tensor_from_int64({1}, {0}));
  ASSERT_TRUE(write_safetensors(in, inputs).ok());
  const auto without_device = [](const std::vector<std::string>& command) {
    Start start{.arguments = command, .launcher = false, .environment = {}, .when = {}};
    start.environment = {{"VK_DRIVER_FILES", "/nonexistent.json"},
                         {"VK_ICD_FILENAMES", "/nonexistent.json"}};
    return run_ito(start);
  };
  const std::vector<std::vector<std::string>> commands = {
      tiny_training(scratch / "data.npz", run, 1),
      {"sample", "--model", model, "--out", image.string()},
      {"forward", "--model", model, "--in", in.string(), "--out", out.string()}};
  for (const auto& command : commands) {
    SCOPED_TRACE(command[0]);
    expect_refused(without_device(command), 1, "Vulkan");
    expect_refused(run_ito(with(command, {"--device", "no such card"})), 1, "no such card");
  }
  EXPECT_FALSE(folder_exists(run));
  EXPECT_FALSE(file_exists(image));
  EXPECT_FALSE(file_exists(out));
  const Outcome devices = without_device({"devices"});
  expect_refused(devices, 1, "Vulkan");
  EXPECT_EQ(devices.out, "");
}

}  // namespace
}  // namespace ito::test
