// What stands between a network and a picture and cannot be used ends a command that makes
// pictures, and is said by those that look at the network alone.
#include <fmt/format.h>

#include "io/zip.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

TEST(ModelParts, WithoutWhichThereAreNoPicturesEndTheCommandsThatMakeThem) {
  Scratch scratch;
  write_tiny_model(scratch / "model");
  write_tiny_data(scratch / "data.npz");
  const Path index = scratch / "model/model_index.json";
  Json json = read_json(index).value();
  json["vqvae"] = {"diffusers", "VQModel"};
  ASSERT_TRUE(write_file_atomic(index, dump_json(json)).ok());
  const std::string data = (scratch / "data.npz").string(), out = (scratch / "out").string();
  for (const std::string part : {"", "/unet"}) {
    const std::string model = (scratch / "model").string() + part;
    const std::vector<std::vector<std::string>> calls = {
        {"sample", "--model", model, "--seeds", "0", "--steps", "2", "--out", out},
        {"train", "--init", model, "--data", data, "--steps", "1", "--out", out},
        {"likelihood", "--model", model, "--data", data},
        {"likelihood", "--bound", "--model", model, "--data", data}};
    for (const std::vector<std::string>& call : calls) {
      const Outcome outcome = run_ito(call);
      EXPECT_NE(outcome.code, 0) << call[0];
      EXPECT_NE(outcome.err.find("vqvae (VQModel)"), std::string::npos) << outcome.err;
      EXPECT_FALSE(folder_exists(out)) << call[0];
    }
    const Outcome shown = run_ito({"inspect", model});
    EXPECT_EQ(shown.code, 0) << shown.err;
    EXPECT_NE(shown.err.find("vqvae (VQModel)"), std::string::npos) << shown.err;
  }
}

TEST(ModelParts, TensorsOfForeignTypesMatterWhereTheyAreUsed) {
  Scratch scratch;
  write_tiny_model(scratch / "model");
  const Path path = scratch / "model/unet/diffusion_pytorch_model.safetensors";
  const std::string bytes = read_file(path).value();
  uint64_t size = 0;
  std::memcpy(&size, bytes.data(), 8);
  const auto with_header = [&](const Json& header, const std::string& more) {
    const std::string text = header.dump();
    uint64_t length = text.size();
    std::string all(reinterpret_cast<const char*>(&length), 8);
    return all + text + bytes.substr(8 + size) + more;
  };
  const Json header = parse_json(bytes.substr(8, size), "header").value();
  const uint64_t end = bytes.size() - 8 - size;
  Json unused = header;
  unused["extra.scale"] = {{"dtype", "F8_E4M3"}, {"shape", {4}}, {"data_offsets", {end, end + 4}}};
  ASSERT_TRUE(write_file_atomic(path, with_header(unused, "abcd")).ok());
  const auto model = load_model(scratch / "model");
  ASSERT_TRUE(model.ok()) << model.error().message;
  ASSERT_EQ(model->notes.size(), 1u);
  EXPECT_NE(model->notes[0].find("extra.scale (F8_E4M3)"), std::string::npos) << model->notes[0];
  Json used = header;
  used["conv_in.bias"]["dtype"] = "F8_E5M2";
  ASSERT_TRUE(write_file_atomic(path, with_header(used, "")).ok());
  const auto refused = load_model(scratch / "model");
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("conv_in.bias is of type F8_E5M2"), std::string::npos)
      << refused.error().message;
}

// The same of a checkpoint of PyTorch: what nobody wants may be of any type.
TEST(ModelParts, CheckpointsOfForeignTypesLoadWhereTheNetworkIsWhole) {
  Scratch scratch;
  write_tiny_model(scratch / "model");
  const Path safetensors = scratch / "model/unet/diffusion_pytorch_model.safetensors";
  const TensorFile weights = read_safetensors(safetensors).value();
  std::filesystem::remove(safetensors);
  for (const bool wanted : {false, true}) {
    // A state dictionary in the opcodes that are lines of text.
    std::string pickle = "(d";
    std::vector<ZipPart> parts = {{"m/data.pkl", "", ""}};
    int key = 0;
    const auto add = [&](const std::string& name, const Shape& shape, bool foreign) {
      std::string strides;
      int64_t numel = shape.numel(), rest = numel;
      std::string extents;
      for (const int64_t extent : shape.dims()) {
        rest /= extent;
        extents += fmt::format("I{}\n", extent);
        strides += fmt::format("I{}\n", rest);
      }
      pickle += fmt::format(
          "V{}\nctorch._utils\n_rebuild_tensor_{}\n((Vstorage\nctorch{}Storage\nV{}\nVcpu\nI{}\ntQ"
          "I0\n({}t({}tI00\nNtR",
          name, foreign ? "v3" : "v2", foreign ? ".storage\nUntyped" : "\nFloat", key++, numel,
          extents, strides);
      if (foreign) pickle.insert(pickle.size() - 2, "ctorch\nfloat8_e5m2\n");
      pickle += "s";
    };
    static const std::string kBytes(4096, '\0');
    for (const auto& [name, tensor] : weights.tensors) {
      const bool foreign = wanted && name == "conv_in.bias";
      const std::string_view bytes(reinterpret_cast<const char*>(tensor.bytes.data()),
                                   tensor.bytes.size());
      parts.push_back(
          {fmt::format("m/data/{}", key), "", foreign ? bytes.substr(0, bytes.size() / 4) : bytes});
      add(name, tensor.shape, foreign);
    }
    parts.push_back({fmt::format("m/data/{}", key), "", std::string_view(kBytes).substr(0, 6)});
    add("extra.scale", {2, 3}, true);
    parts[0].head = pickle + ".";
    ASSERT_TRUE(write_zip(scratch / "model/unet/diffusion_pytorch_model.bin", parts).ok());
    const auto model = load_model(scratch / "model");
    if (!wanted) {
      ASSERT_TRUE(model.ok()) << model.error().message;
      ASSERT_EQ(model->notes.size(), 1u);
      EXPECT_NE(model->notes[0].find("extra.scale (torch.float8_e5m2)"), std::string::npos)
          << model->notes[0];
      continue;
    }
    ASSERT_FALSE(model.ok());
    EXPECT_NE(model.error().message.find("conv_in.bias is of type torch.float8_e5m2"),
              std::string::npos)
        << model.error().message;
  }
}

}  // namespace
}  // namespace ito::test
