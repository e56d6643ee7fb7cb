// Diffusion transformers as diffusers' files have them.
#include "base/dit_config.h"

#include <gtest/gtest.h>

#include "io/diffusers.h"
#include "io/network_configs.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::fails;
using test::succeeds;
using test::TempFolder;

Json json_of(std::string_view text) { return *parse_json(text, "test"); }

// As DiTTransformer2DModel's files are written.
constexpr const char* kConfig = R"({"_class_name": "DiTTransformer2DModel",
  "_diffusers_version": "0.31.0", "activation_fn": "gelu-approximate", "attention_bias": true,
  "attention_head_dim": 6, "dropout": 0.0, "in_channels": 4, "norm_elementwise_affine": false,
  "norm_eps": 1e-05, "norm_num_groups": 32, "norm_type": "ada_norm_zero",
  "num_attention_heads": 2, "num_embeds_ada_norm": 1000, "num_layers": 3, "out_channels": 8,
  "patch_size": 2, "sample_size": 32, "upcast_attention": false})";

TEST(DiTConfig, KeysAreReadAndWrittenBack) {
  const Json json = json_of(kConfig);
  const DiTConfig config = parse_dit_config(json, "c").value();
  EXPECT_EQ(config.num_layers, 3);
  EXPECT_EQ(config.out_channels, 8);
  EXPECT_EQ(dit_width(config), 12);
  const Json written = dit_config_json(config);
  for (const auto& [key, value] : json.items()) {
    if (key == "_class_name") continue;  // of the folder (io/network_file.h)
    EXPECT_EQ(written[key], value) << key;
  }
  EXPECT_EQ(parse_dit_config(written, "c").value(), config);
}

// As the published DiT-XL/2 is: keys of other transformers have no meaning in this one.
TEST(DiTConfig, OfOldReleasesIsATransformer2DModelWithItsNorm) {
  Json json = json_of(kConfig);
  json["_class_name"] = "Transformer2DModel";
  json["_diffusers_version"] = "0.12.0.dev0";
  json["cross_attention_dim"] = nullptr;
  json["use_linear_projection"] = false;
  const NetworkFile file = network_from_json(json, "c").value();
  EXPECT_EQ(file.network, "dit");
  EXPECT_EQ(std::any_cast<DiTConfig>(file.config).out_channels, 8);
  EXPECT_EQ(network_config_json(file.network, file.config).at("_class_name"),
            "DiTTransformer2DModel");
  json["norm_type"] = "layer_norm";
  EXPECT_TRUE(fails(network_from_json(json, "c"), ErrorKind::kUnsupported, "norm_type"));
  json.erase("norm_type");
  EXPECT_TRUE(fails(network_from_json(json, "c"), ErrorKind::kUnsupported, "norm_type"));
}

TEST(DiTConfig, WhatIsNotImplementedIsRefusedByKey) {
  const auto refuses = [](const char* key, const char* value, ErrorKind kind) {
    Json json = json_of(kConfig);
    json[key] = json_of(value);
    EXPECT_TRUE(fails(parse_dit_config(json, "c"), kind, "c: ", key)) << key;
  };
  refuses("norm_type", R"("layer_norm")", ErrorKind::kUnsupported);
  refuses("activation_fn", R"("geglu")", ErrorKind::kUnsupported);
  refuses("num_embeds_ada_norm", "-1", ErrorKind::kCorrupt);
  refuses("attention_head_dim", "5", ErrorKind::kCorrupt);
  refuses("num_layers", "0", ErrorKind::kCorrupt);
  refuses("patch_size", R"("2")", ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace ito
