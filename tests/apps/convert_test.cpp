// Models as other programs write them: below a wrapper's prefix, in shards, of a variant, with
// tensors and keys that are nobody's; and what `ito convert` makes of them.
#include "api/conversion.h"
#include "io/class_names.h"
#include "io/weights.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class ForeignModel : public ::testing::Test {
 protected:
  void SetUp() override {
    write_tiny_model(model());
    original_ = read_safetensors(weights()).value();
  }

  Path model() const { return scratch_ / "model"; }
  Path unet() const { return model() / "unet"; }
  Path weights() const { return unet() / "diffusion_pytorch_model.safetensors"; }
  void write(const TensorFile& file) const { ASSERT_TRUE(write_safetensors(weights(), file).ok()); }
  TensorFile prefixed(const std::string& prefix) const {
    TensorFile file;
    for (const auto& [name, tensor] : original_.tensors) file.tensors[prefix + name] = tensor;
    return file;
  }
  std::vector<float> loaded() const {
    const auto found = load_model(model());
    EXPECT_TRUE(found.ok()) << found.error().message;
    return found.ok() ? found->weights : std::vector<float>();
  }

  Scratch scratch_;
  TensorFile original_;
};

TEST_F(ForeignModel, AWrappersPrefixIsTakenOffAndSaidSo) {
  const std::vector<float> expected = loaded();
  for (const char* prefix : {"module.", "_orig_mod.", "ema_model.module.", "x."}) {
    write(prefixed(prefix));
    const auto found = load_model(model());
    ASSERT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(found->weights, expected) << prefix;
    ASSERT_EQ(found->notes.size(), 1u);
    EXPECT_TRUE(says(found->notes[0], "\"" + std::string(prefix) + "\"")) << found->notes[0];
  }
}

// A link to itself can be looked into by nobody, root included.
TEST_F(ForeignModel, APartThatCannotBeLookedIntoIsNotLeftOut) {
  const Path out = scratch_ / "out";
  std::filesystem::remove_all(model() / "scheduler");
  std::filesystem::create_symlink("scheduler", model() / "scheduler");
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"convert", model().string(), out.string()},
        {"inspect", model().string()},
        {"sample", "--model", model().string(), "--num", "1", "--out", out.string()}}) {
    const Outcome outcome = run_ito(arguments);
    EXPECT_EQ(outcome.code, 1) << arguments[0];
    EXPECT_TRUE(says(outcome.err, "scheduler_config.json: Too many levels")) << outcome.err;
    EXPECT_FALSE(file_exists(out) || folder_exists(out)) << arguments[0];
  }
}

TEST_F(ForeignModel, WeightsUnderOtherNamesAreNamed) {
  for (const auto& [name, advice] :
       {std::pair{"diffusion_pytorch_model-00001-of-00002.safetensors", "want their index"},
        {"flax_model.msgpack", "there are flax_model.msgpack"},
        {"model.gguf", "there are model.gguf"}}) {
    std::filesystem::remove_all(unet());
    write_tiny_model(model());
    std::filesystem::rename(weights(), unet() / name);
    const auto found = load_model(model());
    ASSERT_FALSE(found.ok()) << name;
    EXPECT_TRUE(says(found.error().message, name)) << found.error().message;
    EXPECT_TRUE(says(found.error().message, advice)) << found.error().message;
  }
}

TEST_F(ForeignModel, AFileWithoutTensorsIsNotConverted) {
  const Path in = scratch_ / "none.safetensors", out = scratch_ / "out.safetensors";
  ASSERT_TRUE(write_safetensors(in, {}).ok());
  const Outcome outcome = run_ito({"convert", in.string(), out.string()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(says(outcome.err, "holds no tensors")) << outcome.err;
  EXPECT_FALSE(file_exists(out));
}

TEST_F(ForeignModel, TwoPrefixesAreAQuestionForTheUser) {
  const std::vector<float> expected = loaded();
  TensorFile both = prefixed("model.");
  both.tensors.merge(prefixed("ema.").tensors);
  write(both);
  const auto found = load_model(model());
  ASSERT_FALSE(found.ok());
  EXPECT_TRUE(says(found.error().message, "ema., model.")) << found.error().message;
  EXPECT_TRUE(says(found.error().message, "ito convert --prefix ema.")) << found.error().message;
  const Path out = scratch_ / "ema";
  const Outcome converted =
      run_ito({"convert", model().string(), out.string(), "--prefix", "ema."});
  ASSERT_EQ(converted.code, 0) << converted.err;
  const auto kept = load_model(out);
  ASSERT_TRUE(kept.ok()) << kept.error().message;
  EXPECT_EQ(kept->weights, expected);
}

TEST_F(ForeignModel, AMissingTensorNamesTheNearest) {
  TensorFile file = original_;
  file.tensors["encoder.conv_in.weight"] = file.tensors.at("conv_in.weight");
  file.tensors.erase("conv_in.weight");
  write(file);
  const auto found = load_model(model());
  ASSERT_FALSE(found.ok());
  EXPECT_TRUE(says(found.error().message, "tensor conv_in.weight is missing"))
      << found.error().message;
  EXPECT_TRUE(says(found.error().message, "the nearest there is encoder.conv_in.weight"))
      << found.error().message;
}

TEST_F(ForeignModel, TensorsThatAreNobodysAreLeftOutWithAWord) {
  const std::vector<float> expected = loaded();
  TensorFile file = original_;
  file.tensors["num_batches_tracked"] = tensor_from_int64({}, {7});
  file.tensors["empty"] = tensor_from_floats({0, 3}, {});
  write(file);
  const auto found = load_model(model());
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(found->weights, expected);
  ASSERT_EQ(found->notes.size(), 1u);
  EXPECT_TRUE(says(found->notes[0], "2 tensors are not the network's")) << found->notes[0];
  EXPECT_TRUE(says(found->notes[0], "empty, num_batches_tracked")) << found->notes[0];
}

TEST_F(ForeignModel, ConversionKeepsTensorsAndKeysAndDropsHowTheyWereKept) {
  // Shards under a wrapper's prefix, a key that no reader knows, a part that is not run.
  TensorFile wrapped = prefixed("module."), first, second;
  for (auto& [name, tensor] : wrapped.tensors)
    (first.tensors.size() <= second.tensors.size() ? first : second).tensors[name] = tensor;
  ASSERT_TRUE(write_safetensors(unet() / "w-00001-of-00002.safetensors", first).ok());
  ASSERT_TRUE(write_safetensors(unet() / "w-00002-of-00002.safetensors", second).ok());
  Json map = Json::object();
  for (const auto& [name, tensor] : first.tensors) map[name] = "w-00001-of-00002.safetensors";
  for (const auto& [name, tensor] : second.tensors) map[name] = "w-00002-of-00002.safetensors";
  ASSERT_TRUE(write_file_atomic(unet() / "diffusion_pytorch_model.safetensors.index.json",
                                dump_json(Json{{"weight_map", map}}))
                  .ok());
  ASSERT_TRUE(remove_tree(weights()).ok());
  Json config = read_json(unet() / "config.json").value();
  config["somebodys_key"] = {1, "two"};
  ASSERT_TRUE(write_file_atomic(unet() / "config.json", dump_json(config)).ok());
  Json index = read_json(model() / "model_index.json").value();
  index["text_encoder"] = {"transformers", "CLIPTextModel"};
  ASSERT_TRUE(write_file_atomic(model() / "model_index.json", dump_json(index)).ok());
  const std::string scheduler = read_file(model() / "scheduler/scheduler_config.json").value();

  const Path out = scratch_ / "out";
  const auto done = convert_model(model(), out, {});
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(static_cast<size_t>(done->tensors), original_.tensors.size());
  ASSERT_EQ(done->notes.size(), 3u);
  const auto noted = [&](const char* text) {
    return std::any_of(done->notes.begin(), done->notes.end(),
                       [&](const std::string& note) { return says(note, text); });
  };
  EXPECT_TRUE(noted("module."));
  EXPECT_TRUE(noted("somebodys_key"));
  EXPECT_TRUE(noted("text_encoder is not converted"));
  const TensorFile file =
      read_safetensors(out / "unet/diffusion_pytorch_model.safetensors").value();
  EXPECT_TRUE(file.tensors == original_.tensors);
  EXPECT_EQ(read_json(out / "unet/config.json").value(), config);
  EXPECT_EQ(read_file(out / "scheduler/scheduler_config.json").value(), scheduler);
  EXPECT_TRUE(load_scheduled_model(out).ok());
  // What is there is not written over.
  EXPECT_FALSE(convert_model(model(), out, {}).ok());
}

// All that a run keeps beside its weights comes along: `sample --class NAME` and `--ema` go on.
TEST_F(ForeignModel, ConversionKeepsClassesAndAverages) {
  const ClassNames classes{.names = {"a", "b", "c"}, .images = {3, 0, 1}};
  ASSERT_TRUE(write_class_names(model(), classes).ok());
  const Model plain = load_model(model()).value();
  const auto halved = [&](int64_t first, std::span<float> numbers) -> Status {
    for (size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = plain.weights[static_cast<size_t>(first) + i] / 2;
    return {};
  };
  ASSERT_TRUE(save_average(model(), plain.network, halved, "0.5").ok());
  std::filesystem::copy_file(weights(), unet() / "diffusion_pytorch_model.fp16.safetensors");
  const Path out = scratch_ / "out";
  const auto done = convert_model(model(), out, {});
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(read_class_names(out).value(), classes);
  EXPECT_EQ(load_model(out).value().weights, plain.weights);
  EXPECT_EQ(load_model(out, "ema-0.5").value().weights,
            load_model(model(), "ema-0.5").value().weights);
  EXPECT_EQ(variant_of_average(out, "0.5").value(), "ema-0.5");
  for (const std::string& file : done->written) EXPECT_TRUE(file_exists(out / file)) << file;
  ASSERT_EQ(done->notes.size(), 1u);
  EXPECT_TRUE(says(done->notes[0], "the weights of fp16 are left out; --variant"))
      << done->notes[0];
}

TEST_F(ForeignModel, AFolderIsNotCalledAsAFileIs) {
  const auto refused = convert_model(model(), scratch_ / "c.pt", {});
  ASSERT_FALSE(refused.ok());
  EXPECT_TRUE(says(refused.error().message, "leave .pt out, or write")) << refused.error().message;
  EXPECT_FALSE(folder_exists(scratch_ / "c.pt"));
  for (const char* name : {"c.pt/", "model-1.5"})
    EXPECT_TRUE(convert_model(model(), scratch_ / name, {}).ok()) << name;
}

TEST_F(ForeignModel, UnknownKeysSurviveLoadingAndSaving) {
  Json config = read_json(unet() / "config.json").value();
  config["somebodys_key"] = {1, "two"};
  ASSERT_TRUE(write_file_atomic(unet() / "config.json", dump_json(config)).ok());
  const Model found = load_model(model()).value();
  const Path again = scratch_ / "again";
  ASSERT_TRUE(save_model(again, found).ok());
  EXPECT_EQ(read_json(again / "unet/config.json").value(), config);
  EXPECT_TRUE(
      read_safetensors(again / "unet/diffusion_pytorch_model.safetensors").value().tensors ==
      original_.tensors);
}

TEST_F(ForeignModel, HalfPrecisionIsAChoice) {
  const Path half = scratch_ / "half", file = scratch_ / "file.safetensors";
  const Outcome done = run_ito({"convert", model().string(), half.string(), "--dtype", "fp16"});
  ASSERT_EQ(done.code, 0) << done.err;
  const TensorFile halves =
      read_safetensors(half / "unet/diffusion_pytorch_model.safetensors").value();
  for (const auto& [name, tensor] : halves.tensors) EXPECT_EQ(tensor.type, HostType::kF16) << name;
  EXPECT_TRUE(load_model(half).ok());
  const Outcome one = run_ito({"convert", weights().string(), file.string(), "--json"});
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_TRUE(read_safetensors(file).value().tensors == original_.tensors);
  EXPECT_EQ(parse_json(one.out, "json").value().at("tensors"), original_.tensors.size());
  EXPECT_EQ(
      run_ito({"convert", model().string(), (scratch_ / "x").string(), "--dtype", "int8"}).code, 2);
}

TEST_F(ForeignModel, WhatIsNoModelIsNamed) {
  for (const auto& [name, bytes, kind] :
       {std::tuple{"a.png", "\x89PNG\r\n\x1a\n", "a PNG picture"},
        std::tuple{"a.zip", "PK\x03\x04", "a zip archive"},
        std::tuple{"a.safetensors", "version https://git-lfs.github.com/spec/v1\n",
                   "a Git LFS pointer"}}) {
    const Path path = scratch_ / name;
    ASSERT_TRUE(write_file_atomic(path, std::string(bytes)).ok());
    const Outcome sampled = run_ito({"sample", "--model", path.string(), "--out", "x"});
    EXPECT_EQ(sampled.code, 1);
    EXPECT_TRUE(says(sampled.err, "is a file, expected a model folder")) << sampled.err;
    EXPECT_TRUE(says(sampled.err, kind)) << sampled.err;
  }
}

}  // namespace
}  // namespace ito::test
