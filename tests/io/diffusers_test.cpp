#include "io/diffusers.h"

#include "io/safetensors.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::bytes_of;
using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;

// google/ddpm-cifar10-32 as published with diffusers 0.0.4, on a smaller scale.
constexpr const char* kOldConfig = R"({
  "_class_name": "UNet2DModel", "_diffusers_version": "0.0.4", "act_fn": "silu",
  "attention_head_dim": null, "block_out_channels": [8, 16], "center_input_sample": false,
  "down_block_types": ["UNetResDownBlock2D", "UNetResAttnDownBlock2D"], "downsample_padding": 0,
  "flip_sin_to_cos": false, "freq_shift": 1, "in_channels": 3, "layers_per_block": 2,
  "mid_block_scale_factor": 1, "norm_eps": 1e-06, "norm_num_groups": 4, "out_channels": 3,
  "sample_size": 32, "time_embedding_type": "positional",
  "up_block_types": ["UNetResAttnUpBlock2D", "UNetResUpBlock2D"]})";

Json json_of(std::string_view text) { return *parse_json(text, "test"); }

TEST(UNetConfig, DefaultsAreDiffusersDefaults) {
  UNet2DConfig config = *parse_unet_config(json_of("{}"), "c");
  EXPECT_EQ(config, UNet2DConfig{});
  Json json = unet_config_json(config);
  EXPECT_EQ(json["block_out_channels"], Json({224, 448, 672, 896}));
  EXPECT_EQ(json["attention_head_dim"], 8);
  EXPECT_EQ(json["norm_num_groups"], 32);
  EXPECT_EQ(json["sample_size"], nullptr);
  EXPECT_EQ(json["mid_block_type"], "UNetMidBlock2D");
  EXPECT_EQ(network_config_json("unet2d", config)["_class_name"], "UNet2DModel");
}

TEST(UNetConfig, OldReleasesAreRead) {
  UNet2DConfig config = *parse_unet_config(json_of(kOldConfig), "c");
  EXPECT_EQ(config.down_block_types, (std::vector<std::string>{"DownBlock2D", "AttnDownBlock2D"}));
  EXPECT_EQ(config.up_block_types, (std::vector<std::string>{"AttnUpBlock2D", "UpBlock2D"}));
  EXPECT_FALSE(config.attention_head_dim.has_value());
  EXPECT_FALSE(config.flip_sin_to_cos);
  EXPECT_EQ(config.freq_shift, 1.0f);
  EXPECT_EQ(config.downsample_padding, 0);
  EXPECT_EQ(*config.sample_size, (std::array<int, 2>{32, 32}));
  EXPECT_TRUE(config.add_attention);  // absent: the default
}

TEST(UNetConfig, UnknownKeysAndAllValuesRoundTrip) {
  Json json = json_of(R"({
    "_class_name": "UNet2DModel", "_diffusers_version": "0.40.0.dev0", "act_fn": "gelu",
    "add_attention": false, "attention_head_dim": 4, "attn_norm_num_groups": 2,
    "block_out_channels": [8, 16], "center_input_sample": true, "class_embed_type": "timestep",
    "down_block_types": ["ResnetDownsampleBlock2D", "AttnDownBlock2D"], "downsample_padding": 0,
    "downsample_type": "resnet", "dropout": 0.1, "flip_sin_to_cos": false, "freq_shift": 1,
    "in_channels": 1, "layers_per_block": 3, "mid_block_scale_factor": 1.4142135623730951,
    "mid_block_type": null, "norm_eps": 1e-06, "norm_num_groups": 4, "num_class_embeds": 11,
    "num_train_timesteps": 100, "out_channels": 2, "resnet_time_scale_shift": "scale_shift",
    "sample_size": [16, 24], "time_embedding_dim": 64, "time_embedding_type": "learned",
    "up_block_types": ["AttnUpBlock2D", "ResnetUpsampleBlock2D"], "upsample_type": "resnet",
    "future_key": {"a": [1, null]}})");
  const NetworkFile file = network_from_json(json, "c").value();
  EXPECT_EQ(network_config_json(file.network, file.config), json);
  const UNet2DConfig config = std::any_cast<UNet2DConfig>(file.config);
  EXPECT_EQ(*config.sample_size, (std::array<int, 2>{16, 24}));
  EXPECT_EQ(config.class_embed_type, "timestep");
  EXPECT_EQ(config.extra.at("future_key"), R"({"a":[1,null]})");
}

TEST(UNetConfig, BadValuesNameFileKeyAndValue) {
  struct Case {
    const char* key;
    const char* value;
    ErrorKind kind;
    std::vector<const char*> parts;
  };
  const ErrorKind kBad = ErrorKind::kCorrupt, kNo = ErrorKind::kUnsupported;
  const Case cases[] = {
      {"down_block_types", R"(["DownBlock2D", "CrossAttnDownBlock2D"])", kNo, {"\"CrossAttnDown"}},
      {"up_block_types", R"(["KUpBlock2D", "UpBlock2D"])", kNo, {"\"KUpBlock2D\"", "AttnSkipUp"}},
      {"mid_block_type", R"("UnCLIPMid")", kNo, {"\"UnCLIPMid\""}},
      {"act_fn", R"("quick_gelu")", kNo, {"\"quick_gelu\"", "silu"}},
      {"class_embed_type", R"("projection")", kNo, {"\"projection\""}},
      {"time_embedding_type", R"("adm")", kNo, {"\"adm\""}},
      {"time_embedding_type", R"("learned")", kBad, {"num_train_timesteps"}},
      {"resnet_time_scale_shift", R"("spatial")", kNo, {"\"spatial\""}},
      {"downsample_type", R"("fir")", kNo, {"\"fir\""}},
      {"_class_name", R"("UNetMidModel")", kNo, {"\"UNetMidModel\"", "UNet2DModel"}},
      {"_class_name", "7", kBad, {"found 7"}},
      {"layers_per_block", R"("2")", kBad, {"an integer", "\"2\""}},
      {"layers_per_block", "0", kBad, {"found 0"}},
      {"in_channels", "-3", kBad, {"found -3"}},
      {"in_channels", "null", kBad, {"an integer", "null"}},
      {"block_out_channels", "[8]", kBad, {"down_block_types", "1 entries", "found 2"}},
      {"block_out_channels", "[8, 18]", kBad, {"18", "norm_num_groups", "4 groups"}},
      {"block_out_channels", "[8, 4000000000]", kBad, {"a list of integers"}},
      {"up_block_types", R"(["UpBlock2D"])", kBad, {"found 2 and 1"}},
      {"sample_size", "[1, 2, 3]", kBad, {"[height, width]"}},
      {"sample_size", "0", kBad, {"found 0"}},
      {"norm_num_groups", "null", kBad, {"expected a number", "found null"}},
      {"norm_num_groups", "0", kBad, {"found 0"}},
      {"attention_head_dim", "17", kBad, {"at most the 16 channels", "found 17"}},
      {"dropout", "1.5", kBad, {"found 1.5"}},
      {"downsample_padding", "3", kBad, {"found 3"}},
  };
  for (const Case& c : cases) {
    Json json = json_of(kOldConfig);
    json[c.key] = json_of(c.value);
    const Result<NetworkFile> config = network_from_json(json, "unet/config.json");
    EXPECT_TRUE(fails(config, c.kind, "unet/config.json", c.key)) << c.value;
    for (const char* part : c.parts) EXPECT_TRUE(fails(config, c.kind, part)) << c.key;
  }
}

TEST(UNetConfig, SkipBlocksMayLeaveGroupsOpen) {
  Json json = json_of(kOldConfig);
  json["norm_num_groups"] = nullptr;
  json["block_out_channels"] = {32, 32};  // the attention has 32 groups whatever the config says
  json["down_block_types"] = {"SkipDownBlock2D", "AttnSkipDownBlock2D"};
  json["up_block_types"] = {"AttnSkipUpBlock2D", "SkipUpBlock2D"};
  json["time_embedding_type"] = "fourier";
  EXPECT_TRUE(succeeds(parse_unet_config(json, "c")));
}

TEST(SchedulerConfig, DefaultsAreDiffusersDefaults) {
  SchedulerConfig config =
      *parse_scheduler_config(json_of(R"({"_class_name": "DDPMScheduler"})"), "s");
  EXPECT_EQ(config, SchedulerConfig{});
  Json ddpm = scheduler_config_json(config);
  EXPECT_EQ(ddpm["beta_end"], 0.02);
  EXPECT_EQ(ddpm["timestep_spacing"], "leading");
  EXPECT_EQ(ddpm["variance_type"], "fixed_small");
  EXPECT_EQ(ddpm["trained_betas"], nullptr);
  EXPECT_FALSE(ddpm.contains("set_alpha_to_one"));
  config.sampler = "ddim";
  Json ddim = scheduler_config_json(config);
  EXPECT_EQ(ddim["set_alpha_to_one"], true);
  EXPECT_FALSE(ddim.contains("variance_type"));
}

TEST(SchedulerConfig, RoundTripsItsOwnAndForeignKeys) {
  Json ddim = json_of(R"({"_class_name": "DDIMScheduler", "_diffusers_version": "0.40.0.dev0",
    "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
    "trained_betas": null, "clip_sample": false, "clip_sample_range": 2.0,
    "dynamic_thresholding_ratio": 0.9, "num_train_timesteps": 1000,
    "prediction_type": "v_prediction", "rescale_betas_zero_snr": true, "sample_max_value": 1.5,
    "set_alpha_to_one": false, "steps_offset": 1, "thresholding": true,
    "timestep_spacing": "trailing", "skip_prk_steps": true, "variance_type": "kept"})");
  SchedulerConfig config;
  // variance_type is not DDIM's own, but a wrong value would be a wrong file all the same.
  EXPECT_TRUE(fails(parse_scheduler_config(ddim, "s"), ErrorKind::kUnsupported, "variance_type"));
  ddim["variance_type"] = "fixed_large";
  config = *parse_scheduler_config(ddim, "s");
  EXPECT_EQ(scheduler_config_json(config), ddim);
  EXPECT_EQ(config.steps_offset, 1);
  EXPECT_FALSE(config.set_alpha_to_one);

  Json pndm = json_of(R"({"_class_name": "PNDMScheduler", "_diffusers_version": "0.2.0",
    "beta_start": 0.001, "set_alpha_to_one": false, "thresholding": "other meaning",
    "skip_prk_steps": true})");
  config = *parse_scheduler_config(pndm, "s");
  EXPECT_EQ(config.beta_start, 0.001);
  EXPECT_EQ(config.sampler, "pndm");
  EXPECT_TRUE(config.skip_prk_steps);
  const Json written = scheduler_config_json(config);
  for (const auto& [key, value] : pndm.items()) EXPECT_EQ(written.at(key), value) << key;
}

TEST(SchedulerConfig, UnknownClassesAreRefusedByName) {
  for (const char* name : {"KarrasVeScheduler", "VQDiffusionScheduler", "MineScheduler"})
    EXPECT_TRUE(fails(parse_scheduler_config(Json{{"_class_name", name}}, "s"),
                      ErrorKind::kUnsupported, name));
}

// diffusers' from_config: what the file says, under the other class's rules.
TEST(SchedulerConfig, BecomesAnotherSamplersConfig) {
  const SchedulerConfig pndm = *parse_scheduler_config(
      json_of(R"({"_class_name": "PNDMScheduler", "beta_schedule": "scaled_linear",
                  "clip_sample": false, "steps_offset": 1})"),
      "s");
  const SchedulerConfig ddim = as_sampler(pndm, "ddim").value();
  EXPECT_EQ(ddim.sampler, "ddim");
  EXPECT_EQ(ddim.beta_schedule, "scaled_linear");
  EXPECT_FALSE(ddim.clip_sample);
  EXPECT_EQ(ddim.steps_offset, 1);
  EXPECT_FALSE(ddim.set_alpha_to_one);
  EXPECT_EQ(scheduler_class_name(ddim), "DDIMScheduler");
  // A sampler that is no class's: the process's own class keeps what it owns.
  EXPECT_EQ(as_sampler(ddim, "ode").value().beta_schedule, "scaled_linear");
}

TEST(SchedulerConfig, PythonsInfinityIsRead) {
  const TempFolder folder;
  const Path path = folder / "scheduler_config.json";
  ASSERT_TRUE(write_file_atomic(path, R"({"_class_name": "DPMSolverMultistepScheduler",
    "lambda_min_clipped": -Infinity, "note": "Infinity"})")
                  .ok());
  const SchedulerConfig config = read_scheduler_file(path).value();
  EXPECT_TRUE(std::isinf(config.lambda_min_clipped) && config.lambda_min_clipped < 0);
  EXPECT_EQ(config.extra.at("note"), "\"Infinity\"");
}

TEST(SchedulerConfig, ScoreModelsHaveDiffusersDefaultsAndKeysOfTheirOwn) {
  const SchedulerConfig ve =
      *parse_scheduler_config(json_of(R"({"_class_name": "ScoreSdeVeScheduler"})"), "s");
  EXPECT_EQ(ve.num_train_timesteps, 2000);
  EXPECT_EQ(ve.sigma_max, 1348);
  EXPECT_EQ(ve.sampling_eps, 1e-5);
  const SchedulerConfig vp =
      *parse_scheduler_config(json_of(R"({"_class_name": "ScoreSdeVpScheduler"})"), "s");
  EXPECT_EQ(vp.beta_max, 20);
  EXPECT_EQ(vp.sampling_eps, 1e-3);
  Json written = scheduler_config_json(ve);
  EXPECT_EQ(written["snr"], 0.15);
  EXPECT_FALSE(written.contains("beta_start"));
  EXPECT_FALSE(written.contains("beta_max"));
  // A ladder is marked, and only where there is one.
  EXPECT_FALSE(written.contains("ladder"));
  SchedulerConfig ladder = ve;
  ladder.ladder = true;
  const SchedulerConfig edm = *parse_scheduler_config(
      json_of(R"({"_class_name": "EDMEulerScheduler", "sigma_schedule": "karras"})"), "s");
  EXPECT_EQ(edm.sigma_min, 0.002);
  EXPECT_EQ(edm.sigma_max, 80);
  EXPECT_EQ(edm.num_train_timesteps, 1000);
  written = scheduler_config_json(edm);
  EXPECT_EQ(written["rho"], 7);
  EXPECT_EQ(written["sigma_data"], 0.5);
  EXPECT_EQ(written["sigma_schedule"], "karras");
  EXPECT_FALSE(written.contains("sampling_eps"));
  for (const SchedulerConfig& config : {ve, vp, ladder, edm}) {
    Json json = scheduler_config_json(config);
    json.erase("_diffusers_version");
    EXPECT_EQ(parse_scheduler_config(json, "s").value(), config);
  }
}

TEST(SchedulerConfig, ImpossibleNoiseLevelsAreRefused) {
  for (const char* bad :
       {R"({"_class_name": "ScoreSdeVeScheduler", "sigma_min": 2, "sigma_max": 1})",
        R"({"_class_name": "ScoreSdeVeScheduler", "sigma_min": 0})",
        R"({"_class_name": "EDMEulerScheduler", "sigma_min": 90})",
        R"({"_class_name": "ScoreSdeVeScheduler", "sigma_min": 1, "sigma_max": 1})"})
    EXPECT_TRUE(fails(parse_scheduler_config(json_of(bad), "s"), ErrorKind::kCorrupt, "sigma_min"))
        << bad;
  EXPECT_TRUE(
      fails(parse_scheduler_config(
                json_of(R"({"_class_name": "ScoreSdeVpScheduler", "beta_max": 0.01})"), "s"),
            ErrorKind::kCorrupt, "beta_max"));
}

TEST(SchedulerConfig, TheOldPredictionSwitchIsRead) {
  const Json old = json_of(R"({"_class_name": "DDPMScheduler", "predict_epsilon": false})");
  EXPECT_EQ(parse_scheduler_config(old, "s")->prediction_type, "sample");
}

// What the betas are is never made up: the class is what the file or the pipeline says it is.
TEST(SchedulerConfig, AClassThatIsNotNamedIsThePipelinesOrSaid) {
  for (const char* text : {"{}", R"({"num_train_timesteps": 1000, "trained_betas": null})"})
    EXPECT_TRUE(fails(parse_scheduler_config(json_of(text), "s.json"), ErrorKind::kCorrupt,
                      "s.json: key '_class_name' is missing"))
        << text;
  std::vector<std::string> notes;
  const auto betas = parse_scheduler_config(json_of(R"({"beta_end": 0.01})"), "s.json",
                                            {.named = {}, .notes = &notes});
  ASSERT_TRUE(succeeds(betas));
  EXPECT_EQ(betas->beta_end, 0.01);
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_EQ(notes[0], "s.json: key '_class_name' is missing; it is read as a DDPMScheduler");
  const TempFolder folder;
  put(folder / "model_index.json", R"({"scheduler": ["diffusers", "DDIMScheduler"],
                                       "unet": ["diffusers", "UNet2DModel"]})");
  put(folder / "scheduler" / "scheduler_config.json", "{}");
  put(folder / "unet" / "config.json", "{}");
  for (const char* part : {"", "unet"}) {
    notes.clear();
    const auto named = read_scheduler_config(folder / part, &notes);
    ASSERT_TRUE(succeeds(named));
    EXPECT_EQ((*named)->sampler, "ddim");
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_NE(notes[0].find("DDIMScheduler, which model_index.json names"), std::string::npos);
  }
  const NetworkFile unet = read_network(folder / "unet", /*with_weights=*/false).value();
  ASSERT_EQ(unet.notes.size(), 1u);
  EXPECT_NE(unet.notes[0].find("UNet2DModel, which model_index.json names"), std::string::npos);
  ASSERT_TRUE(succeeds(remove_tree(folder / "model_index.json")));
  EXPECT_TRUE(fails(read_scheduler_config(folder.path()), ErrorKind::kCorrupt,
                    "scheduler_config.json: key '_class_name' is missing"));
  const NetworkFile bare = read_network(folder / "unet", /*with_weights=*/false).value();
  ASSERT_EQ(bare.notes.size(), 1u);
  EXPECT_NE(bare.notes[0].find("it is read as a UNet2DModel"), std::string::npos);
}

TEST(SchedulerConfig, BadValuesNameFileKeyAndValue) {
  auto parse = [](const char* text) {
    Json json = json_of(text);
    json["_class_name"] = "DDPMScheduler";
    return parse_scheduler_config(json, "s.json");
  };
  EXPECT_TRUE(fails(parse(R"({"beta_schedule": "square"})"), ErrorKind::kUnsupported,
                    "s.json: key 'beta_schedule'", "\"square\"", "squaredcos_cap_v2"));
  EXPECT_TRUE(fails(parse(R"({"num_train_timesteps": 0})"), ErrorKind::kCorrupt, "found 0"));
  EXPECT_TRUE(fails(parse(R"({"num_train_timesteps": 3, "trained_betas": [0.1, 0.2]})"),
                    ErrorKind::kCorrupt, "'trained_betas' has 2 entries"));
  EXPECT_TRUE(fails(parse(R"({"beta_end": "big"})"), ErrorKind::kCorrupt, "a number", "\"big\""));
  EXPECT_TRUE(fails(parse(R"({"prediction_type": "flow"})"), ErrorKind::kUnsupported, "\"flow\""));
}

UNet2DConfig unet_of(const DiffusersModel& model) {
  return std::any_cast<UNet2DConfig>(model.denoiser.config);
}

TEST(Diffusers, PipelineRoundTrips) {
  TempFolder folder;
  DiffusersModel model;
  model.denoiser.network = "unet2d";
  model.denoiser.config = *parse_unet_config(json_of(kOldConfig), "c");
  model.scheduler = SchedulerConfig{};
  model.scheduler->sampler = "ddim";
  model.denoiser.weights.tensors["conv_in.weight"] =
      tensor_from_floats({2, 1, 1, 1}, std::vector<float>{1.5f, -2.0f});
  ASSERT_TRUE(succeeds(write_diffusers(folder / "out", model)));
  DiffusersModel read = *read_diffusers(folder / "out");
  EXPECT_EQ(unet_of(read), unet_of(model));
  EXPECT_EQ(read.scheduler->extra.size(), 1u);  // _diffusers_version
  read.scheduler->extra.clear();
  EXPECT_EQ(read.scheduler, model.scheduler);
  EXPECT_EQ(read.denoiser.weights.tensors, model.denoiser.weights.tensors);
  EXPECT_EQ(read.denoiser.weights.metadata.at("format"), "pt");
  EXPECT_EQ(*read_json(folder / "out" / "model_index.json"), json_of(R"({
    "_class_name": "DDIMPipeline", "_diffusers_version": "0.40.0",
    "scheduler": ["diffusers", "DDIMScheduler"], "unet": ["diffusers", "UNet2DModel"]})"));

  // The unet folder is a model folder too, whose scheduler lies beside it, or nowhere.
  const DiffusersModel part = *read_diffusers(folder / "out" / "unet");
  EXPECT_EQ(unet_of(part), unet_of(model));
  EXPECT_EQ(part.scheduler->sampler, "ddim");
  std::filesystem::copy(folder / "out" / "unet", folder / "alone");
  EXPECT_FALSE(read_diffusers(folder / "alone")->scheduler.has_value());
}

TEST(Diffusers, FlatFoldersOfTheFirstReleasesAreRead) {
  TempFolder folder;
  put(folder / "config.json", kOldConfig);
  put(folder / "scheduler_config.json", R"({"_class_name": "DDPMScheduler", "beta_end": 0.01})");
  put(folder / "model_index.json", R"({"unet": ["diffusers", "UNet2DModel"]})");
  TensorFile weights;
  weights.tensors["mid_block.attentions.0.query.weight"] = tensor_from_floats({1, 1}, {3});
  ASSERT_TRUE(
      succeeds(write_safetensors(folder / "diffusion_pytorch_model.fp16.safetensors", weights)));
  DiffusersModel model = *read_diffusers(folder.path());
  EXPECT_EQ(model.scheduler->beta_end, 0.01);
  EXPECT_EQ(model.denoiser.weights.tensors.count("mid_block.attentions.0.to_q.weight"), 1u);
}

TEST(Diffusers, LegacyAttentionKeysAreRenamedAndFlattened) {
  EXPECT_EQ(modern_parameter_name("down_blocks.1.attentions.0.query.weight"),
            "down_blocks.1.attentions.0.to_q.weight");
  EXPECT_EQ(modern_parameter_name("mid_block.attentions.0.key.bias"),
            "mid_block.attentions.0.to_k.bias");
  EXPECT_EQ(modern_parameter_name("up_blocks.0.attentions.2.value.weight"),
            "up_blocks.0.attentions.2.to_v.weight");
  EXPECT_EQ(modern_parameter_name("mid_block.attentions.0.proj_attn.weight"),
            "mid_block.attentions.0.to_out.0.weight");
  for (const char* name : {"mid_block.attentions.0.group_norm.weight", "time_embedding.key.weight",
                           "mid_block.attentions.0.to_out.0.bias", "key.weight"})
    EXPECT_EQ(modern_parameter_name(name), name);

  TensorFile file;
  file.tensors["a.attentions.0.query.weight"] = tensor_from_floats({2, 2, 1, 1}, {1, 2, 3, 4});
  file.tensors["a.attentions.0.key.weight"] = tensor_from_floats({2, 2}, {5, 6, 7, 8});
  file.tensors["a.attentions.0.proj_attn.bias"] = tensor_from_floats({2}, {9, 10});
  file.tensors["conv_shortcut.weight"] = tensor_from_floats({1, 1, 1, 1}, {11});
  ASSERT_TRUE(succeeds(modernize_parameters(file, "w")));
  EXPECT_EQ(file.tensors.at("a.attentions.0.to_q.weight"),
            tensor_from_floats({2, 2}, {1, 2, 3, 4}));
  EXPECT_EQ(file.tensors.at("a.attentions.0.to_k.weight"),
            tensor_from_floats({2, 2}, {5, 6, 7, 8}));
  EXPECT_EQ(file.tensors.at("a.attentions.0.to_out.0.bias"), tensor_from_floats({2}, {9, 10}));
  EXPECT_EQ(file.tensors.at("conv_shortcut.weight").shape.rank(), 4);

  file.tensors["a.attentions.0.query.weight"] = tensor_from_floats({1}, {0});
  EXPECT_TRUE(fails(modernize_parameters(file, "w"), ErrorKind::kCorrupt, "a.attentions.0.to_q",
                    "old and its new name"));
}

TEST(Diffusers, MissingAndForeignPartsAreNamed) {
  TempFolder folder;
  EXPECT_TRUE(fails(read_diffusers(folder / "none"), ErrorKind::kNotFound, "none"));
  EXPECT_TRUE(fails(read_diffusers(folder.path()), ErrorKind::kNotFound, "unet/config.json"));
  put(folder / "unet" / "config.json", kOldConfig);
  EXPECT_TRUE(fails(read_diffusers(folder.path()), ErrorKind::kNotFound,
                    "diffusion_pytorch_model.safetensors is missing"));
  put(folder / "unet" / "diffusion_pytorch_model.bin", "pickle");
  EXPECT_TRUE(fails(read_diffusers(folder.path()), ErrorKind::kCorrupt, "model.bin"));
  put(folder / "unet" / "diffusion_pytorch_model.safetensors.index.json", "{}");
  EXPECT_TRUE(fails(read_diffusers(folder.path()), ErrorKind::kCorrupt, "weight_map"));
  put(folder / "unet" / "diffusion_pytorch_model.safetensors", "short");
  EXPECT_TRUE(fails(read_diffusers(folder.path()), ErrorKind::kCorrupt, "the text \"short\""));
  put(folder / "model_index.json", R"({"unet": ["diffusers", "UNetMotionModel"]})");
  EXPECT_TRUE(fails(read_diffusers(folder.path()), ErrorKind::kUnsupported, "model_index.json",
                    "UNetMotionModel"));
}

}  // namespace
}  // namespace ito
