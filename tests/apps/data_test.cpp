// What people bring, from the command line: what train says of the images that it read, on which it
// validates, and what becomes of the names of their classes.
#include <algorithm>

#include "io/image.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"
#include "tests/support/numpy_files.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void put_picture(const Path& path, int c = 1, int value = 100, int h = 8, int w = 8) {
  ASSERT_TRUE(make_folders(path.parent_path()).ok());
  Image image{h, w, c, {}};
  for (int i = 0; i < h * w * c; ++i)
    image.pixels.push_back(static_cast<uint8_t>((value + i * 7) % 256));
  ASSERT_TRUE(write_png(path, image).ok());
}

std::vector<std::string> one_step(const Path& data, const Path& out,
                                  const std::vector<std::string>& more = {}, int steps = 1) {
  return with(
      {"train", "--data", data.string(), "--out", out.string(), "--steps", std::to_string(steps),
       "--channels", "8", "--norm-groups", "4", "--batch", "2", "--warmup", "0", "--json"},
      more);
}

class Data : public ::testing::Test {
 protected:
  // The summary of a training that succeeds; its messages are in err_.
  Json trained(const std::vector<std::string>& arguments) {
    const Outcome outcome = run_ito(arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    err_ = outcome.err;
    return outcome.code == 0 ? parse_json(outcome.out, "summary").value() : Json::object();
  }
  Json config(const char* run) { return read_json(scratch_ / run / "unet/config.json").value(); }
  Outcome sample(const char* run, const std::vector<std::string>& more) {
    return run_ito(with({"sample", "--model", (scratch_ / run).string(), "--steps", "2"}, more));
  }

  Scratch scratch_;
  std::string err_;
};

// Bad data need no device to be refused, and good data are described before one is opened.
TEST_F(Data, IsReadBeforeADeviceIsAskedFor) {
  ASSERT_TRUE(make_folders(scratch_ / "empty").ok());
  const std::vector<std::string> nowhere = {"--device", "no-such-device"};
  const Outcome bad = run_ito(one_step(scratch_ / "empty", scratch_ / "run", nowhere));
  EXPECT_EQ(bad.code, 1);
  EXPECT_TRUE(says(bad.err, "no pictures")) << bad.err;
  EXPECT_FALSE(says(bad.err, "no-such-device") || says(bad.err, "training (")) << bad.err;
  put_picture(scratch_ / "data" / "1.png");
  const Outcome good = run_ito(one_step(scratch_ / "data", scratch_ / "run", nowhere));
  EXPECT_EQ(good.code, 1);
  EXPECT_TRUE(says(good.err, "1 training image")) << good.err;
  EXPECT_TRUE(says(good.err, "no-such-device")) << good.err;
  EXPECT_FALSE(folder_exists(scratch_ / "run" / "checkpoint-1"));
  const Outcome order = run_ito(one_step(scratch_ / "data", scratch_ / "run"));
  ASSERT_EQ(order.code, 0) << order.err;
  EXPECT_LT(order.err.find("1 training image"), order.err.find("training ("));
}

TEST_F(Data, ColourAndClassesAreSaidAndKeptAndSampledByName) {
  const Path data = scratch_ / "data";
  put_picture(data / "boot" / "1.png");
  put_picture(data / "sneaker" / "1.png", 3);
  put_picture(data / "sneaker" / "2.png");
  ASSERT_TRUE(make_folders(data / "ghost").ok());
  ASSERT_TRUE(write_file_atomic(data / "boot" / "x.avif", "....").ok());
  const Json summary = trained(one_step(data, scratch_ / "run", {"--flip"}));
  const Json facts = summary.at("data");
  EXPECT_EQ(facts.at("images"), 3);
  EXPECT_EQ(facts.at("channels"), 3);
  EXPECT_EQ(facts.at("classes"), Json::parse(R"([{"name": "boot", "images": 1},
      {"name": "ghost", "images": 0}, {"name": "sneaker", "images": 2}])"));
  EXPECT_TRUE(says(err_, "3 training images of 8x8 (width x height), 3 channels")) << err_;
  EXPECT_TRUE(says(err_, "3 classes: boot 1, ghost 0, sneaker 2")) << err_;
  EXPECT_TRUE(says(err_, "1 (avif, which is not read)")) << err_;
  EXPECT_TRUE(says(err_, "1 of 3 classes has no images: ghost")) << err_;
  EXPECT_EQ(config("run")["in_channels"], 3);
  EXPECT_EQ(config("run")["num_class_embeds"], 3);

  // By name; without a class only those that were trained on; the one without images is refused.
  const Path out = scratch_ / "o.safetensors";
  const auto classes = [&] {
    return to_floats(read_safetensors(out).value().tensors.at("classes"));
  };
  ASSERT_EQ(sample("run", {"--class", "Sneaker", "--seeds", "0-1", "--out", out.string()}).code, 0);
  EXPECT_EQ(classes(), (std::vector<float>{2, 2}));
  ASSERT_EQ(sample("run", {"--seeds", "0-3", "--out", out.string()}).code, 0);
  EXPECT_EQ(classes(), (std::vector<float>{0, 2, 0, 2}));
  Outcome refused = sample("run", {"--class", "ghost", "--seeds", "0", "--out", out.string()});
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(says(refused.err, "without any image of class ghost")) << refused.err;
  refused = sample("run", {"--class", "sandal", "--seeds", "0", "--out", out.string()});
  EXPECT_TRUE(says(refused.err, "boot, ghost, sneaker")) << refused.err;
}

TEST_F(Data, ValidationIsOnWhatItIsCalled) {
  const Path parts = scratch_ / "parts", none = scratch_ / "none", many = scratch_ / "many.npy";
  for (const char* name : {"train/1.png", "train/2.png", "train/3.png", "val/1.png"})
    put_picture(parts / name);
  Json summary = trained(one_step(parts, scratch_ / "a", {"--validate", "1"}));
  EXPECT_TRUE(says(err_, "on 1 validation images")) << err_;
  EXPECT_EQ(summary.at("data").at("images"), 3);
  EXPECT_EQ(summary.at("validated_on").at("images"), 1);

  for (const char* name : {"a/1.png", "b/1.png"}) put_picture(none / name);
  trained(one_step(none, scratch_ / "b", {"--validate", "1"}));
  EXPECT_TRUE(says(err_, "on 2 training images")) << err_;
  EXPECT_TRUE(says(err_, "too few images")) << err_;
  EXPECT_FALSE(says(err_, "test images")) << err_;

  std::vector<uint8_t> pixels(600 * 64);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i % 251);
  ASSERT_TRUE(write_npy(many, tensor_from_bytes({600, 8, 8}, pixels)).ok());
  summary = trained(one_step(many, scratch_ / "c", {"--validate", "1"}));
  EXPECT_EQ(summary.at("data").at("images"), 344);
  EXPECT_TRUE(says(err_, "held-out images")) << err_;
  // The run goes on with the same images, whether it validates or not.
  summary = trained(one_step(many, scratch_ / "c", {}, 2));
  EXPECT_EQ(summary.at("data").at("images"), 344);
  EXPECT_EQ(trained(one_step(many, scratch_ / "d")).at("data").at("images"), 600);
  EXPECT_EQ(trained(one_step(many, scratch_ / "e", {"--holdout", "0.5"})).at("data").at("images"),
            300);
  const Outcome refused = run_ito(one_step(parts, scratch_ / "f", {"--holdout", "0.1"}));
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(says(refused.err, "leave it out")) << refused.err;
}

TEST_F(Data, TestImagesOfAnUnknownClassAreAnErrorAndOthersAreMatchedByName) {
  const Path data = scratch_ / "data";
  for (const char* name :
       {"train/a/1.png", "train/b/1.png", "train/c/1.png", "test/a/1.png", "test/c/1.png"})
    put_picture(data / name);
  trained(one_step(data, scratch_ / "run", {"--validate", "1"}));
  EXPECT_TRUE(says(err_, "2 test images of 8x8")) << err_;
  EXPECT_TRUE(says(err_, "a 1, b 0, c 1")) << err_;
  const Path table = scratch_ / "t.csv";
  const Outcome measured =
      run_ito({"likelihood", "--model", (scratch_ / "run").string(), "--data", data.string(),
               "--num", "2", "--rtol", "1e-2", "--atol", "1e-2", "--table", table.string()});
  ASSERT_EQ(measured.code, 0) << measured.err;
  const std::string rows = read_file(table).value();
  EXPECT_TRUE(says(rows, "\n0,0,")) << rows;
  EXPECT_TRUE(says(rows, "\n1,2,")) << rows;
  put_picture(data / "test" / "d" / "1.png");
  const Outcome refused = run_ito(one_step(data, scratch_ / "x", {"--validate", "1"}));
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(says(refused.err, "d is no class of the training images")) << refused.err;
}

TEST_F(Data, SizesAreMadeToFitAndNeedNotBeSquare) {
  const Path data = scratch_ / "data";
  put_picture(data / "1.png");
  put_picture(data / "2.png", 1, 100, 16, 24);
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--size", "16"}}) {
    const Outcome refused = run_ito(one_step(data, scratch_ / "x", more));
    EXPECT_EQ(refused.code, 1);
    EXPECT_TRUE(says(refused.err, "--resize")) << refused.err;
  }
  Json facts =
      trained(one_step(data, scratch_ / "a", {"--resize", "16x8", "--size", "16x8"})).at("data");
  EXPECT_EQ(facts.at("width"), 16);
  EXPECT_EQ(facts.at("height"), 8);
  EXPECT_EQ(config("a")["sample_size"], Json({8, 16}));
  const Path out = scratch_ / "o.png";
  const Outcome drawn = sample("a", {"--num", "1", "--columns", "1", "--out", out.string()});
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  const Image image = read_image(out).value();
  EXPECT_EQ(image.w - image.h, 8);  // with gaps of 2 around
  // A run goes on with the options that it has, and refuses others.
  trained(one_step(data, scratch_ / "a", {}, 2));
  const Outcome other = run_ito(with(one_step(data, scratch_ / "a"), {"--resize", "8"}));
  EXPECT_EQ(other.code, 1);
  EXPECT_TRUE(says(other.err, "contradict the run")) << other.err;
  trained(one_step(data, scratch_ / "b", {"--resize", "8", "--pad", "--background", "black"}));
  trained(one_step(data, scratch_ / "c", {"--resize", "8", "--crop", "random"}));
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"--crop", "random"},
                                                {"--pad"},
                                                {"--resize", "0"},
                                                {"--resize", "8x"},
                                                {"--size", "8x9x"},
                                                {"--resize", "8", "--crop", "left"},
                                                {"--background", "pink"},
                                                {"--labels", "guess"},
                                                {"--range", "0,2"},
                                                {"--holdout", "0.9"}}) {
    const Outcome outcome = run_ito(one_step(data, scratch_ / "x", wrong));
    EXPECT_EQ(outcome.code, 2) << wrong[0] << outcome.err;
    EXPECT_TRUE(says(outcome.err, wrong[0] == "--pad" ? "--resize" : wrong[wrong.size() - 2]))
        << outcome.err;
  }
}

// Crops are drawn whenever a picture is, alike from memory, from files and from a cache, and a run
// that goes on sees what it would have seen.
TEST_F(Data, RandomCropsGoOnBitForBitWhereverThePicturesLie) {
  const Path data = scratch_ / "data";
  for (int i = 0; i < 5; ++i)
    put_picture(data / (std::to_string(i) + ".png"), i == 3 ? 3 : 1, 20 * i, 8 + 3 * (i % 2), 14);
  const std::vector<std::string> random = {"--resize", "8", "--crop", "random", "--flip"};
  const auto run = [&](const char* name, const std::vector<std::string>& more, int steps) {
    trained(one_step(data, scratch_ / name, with(random, more), steps));
    return read_file(scratch_ / name / "unet/diffusion_pytorch_model.safetensors").value();
  };
  const std::string whole = run("memory", {}, 6);
  run("parts", {"--memory", "0"}, 2);
  EXPECT_TRUE(says(err_, "decoded anew whenever they are drawn")) << err_;
  run("parts", {"--cache", (scratch_ / "cache").string()}, 4);
  EXPECT_FALSE(says(err_, "decoded anew")) << err_;
  EXPECT_EQ(run("parts", {"--memory", "0"}, 6), whole);
  trained(one_step(data, scratch_ / "middle", {"--resize", "8", "--flip"}, 6));
  EXPECT_NE(read_file(scratch_ / "middle/unet/diffusion_pytorch_model.safetensors").value(), whole);
  // A picture that has gone ends the run with its name.
  put_picture(data / "9.png", 1, 0, 8, 14);
  const Outcome other =
      run_ito(one_step(data, scratch_ / "parts", {"--resize", "8", "--crop", "random"}, 8));
  EXPECT_EQ(other.code, 1);
  EXPECT_TRUE(says(other.err, "are not those that the run")) << other.err;
  const Outcome measured = run_ito({"likelihood", "--model", (scratch_ / "memory").string(),
                                    "--data", data.string(), "--resize", "8", "--crop", "random"});
  EXPECT_EQ(measured.code, 2);
  EXPECT_TRUE(says(measured.err, "--crop random is for training")) << measured.err;
}

TEST_F(Data, ShardsOfSamplesAreDataSets) {
  write_tiny_model(scratch_ / "model");
  for (const char* form : {"npz", "tar"}) {
    const Path out = scratch_ / form;
    ASSERT_EQ(sample("model", {"--seeds", "0-8", "--form", form, "--images-per-file", "4", "--out",
                               out.string()})
                  .code,
              0);
    const Json facts = trained(one_step(out, scratch_ / (std::string("run-") + form))).at("data");
    EXPECT_EQ(facts.at("images"), 9) << form;
    EXPECT_EQ(facts.at("classes").size(), 3u) << form;
    EXPECT_EQ(facts.at("notes"), Json::array()) << form;
  }
}

TEST_F(Data, APictureThatDoesNotFitIsToldByWidthAndHeight) {
  write_tiny_model(scratch_ / "model");
  put_picture(scratch_ / "wide.png", 1, 100, 12, 20);
  const Outcome outcome =
      sample("model", {"--num", "1", "--sampler", "ddim", "--init-image",
                       (scratch_ / "wide.png").string(), "--out", (scratch_ / "out.png").string()});
  EXPECT_NE(outcome.code, 0);
  EXPECT_TRUE(says(outcome.err, "is 20x12 (width x height), expected")) << outcome.err;
}

TEST_F(Data, FilesAndFoldersOfOthersAreLeftAlone) {
  write_tiny_model(scratch_ / "model");
  put_picture(scratch_ / "mine.png");
  const std::string mine = read_file(scratch_ / "mine.png").value();
  Outcome outcome = sample("model", {"--num", "1", "--out", (scratch_ / "mine.png").string()});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(says(outcome.err, "was not written by ito sample")) << outcome.err;
  EXPECT_EQ(read_file(scratch_ / "mine.png").value(), mine);
  write_tiny_data(scratch_ / "data.npz");
  outcome = sample("model", {"--num", "1", "--out", (scratch_ / "data.npz").string()});
  EXPECT_TRUE(says(outcome.err, "was not written by ito sample")) << outcome.err;
  // Its own, it writes again.
  for (const char* name : {"o.png", "o.npz", "o.safetensors"})
    for (int call = 0; call < 2; ++call)
      EXPECT_EQ(sample("model", {"--num", "1", "--out", (scratch_ / name).string()}).code, 0)
          << name;
  outcome = sample("model", {"--num", "1", "--out", (scratch_ / "model").string()});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(says(outcome.err, "a model's folder: it holds model_index.json")) << outcome.err;
  std::filesystem::remove(scratch_ / "model/model_index.json");
  outcome = sample("model", {"--num", "1", "--out", (scratch_ / "model").string()});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(says(outcome.err, "a model's folder: it holds scheduler")) << outcome.err;
  EXPECT_FALSE(file_exists(scratch_ / "model/000000.png"));
  // A folder in it is a place of its own.
  EXPECT_EQ(sample("model", {"--num", "1", "--out", (scratch_ / "model/new").string()}).code, 0);
  EXPECT_TRUE(file_exists(scratch_ / "model/new/000000.png"));
  // Another class of a seed has a name of its own: two calls do not meet.
  const std::string folder = (scratch_ / "folder").string();
  for (const char* label : {"0", "1"})
    ASSERT_EQ(sample("model", {"--seeds", "0", "--class", label, "--out", folder}).code, 0);
  EXPECT_TRUE(file_exists(scratch_ / "folder/000000.png"));
  EXPECT_TRUE(file_exists(scratch_ / "folder/000000-1.png"));
  for (const char* name : {"pictures/1.png", "pictures/2.png"}) put_picture(scratch_ / name);
  for (const char* out : {"pictures", "pictures/run"}) {
    outcome = run_ito(one_step(scratch_ / "pictures", scratch_ / out));
    EXPECT_EQ(outcome.code, 1);
    EXPECT_TRUE(says(outcome.err, "where the images are")) << outcome.err;
  }
  outcome = run_ito(one_step(scratch_ / "pictures", scratch_ / "run", {"--seed", "-1"}));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(says(outcome.err, "--seed: expected a whole number")) << outcome.err;
}

TEST_F(Data, WhatSampleWritesTrainReads) {
  write_tiny_model(scratch_ / "model");
  for (const char* name : {"s.npz", "s.safetensors"}) {
    const Path out = scratch_ / name;
    ASSERT_EQ(sample("model", {"--seeds", "0-3", "--out", out.string()}).code, 0);
    const Json facts = trained(one_step(out, scratch_ / (std::string("run-") + name))).at("data");
    EXPECT_EQ(facts.at("images"), 4);
    EXPECT_EQ(facts.at("width"), 8);
    EXPECT_EQ(facts.at("classes").size(), 3u);  // 0, 1, 2, 0
  }
  const TensorFile file = read_npz(scratch_ / "s.npz").value();
  const HostTensor& bytes = file.tensors.at("arr_0");
  EXPECT_EQ(bytes.type, HostType::kU8);
  EXPECT_EQ(bytes.shape, (Shape{4, 8, 8, 1}));
  const std::vector<float> values = to_floats(file.tensors.at("images"));
  for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(bytes.bytes[i], to_byte(values[i]));
}

TEST_F(Data, OutTakesTheEndingsThatItListsAndNoOthers) {
  write_tiny_model(scratch_ / "model");
  for (const char* name : {"o.jpg", "o.npy", "o.gif", "o.v2"}) {
    const Path out = scratch_ / name;
    const Outcome outcome = sample("model", {"--num", "1", "--out", out.string()});
    EXPECT_EQ(outcome.code, 2) << name;
    EXPECT_TRUE(says(outcome.err, "FILE.png, FILE.npz, FILE.safetensors or a folder"))
        << outcome.err;
    EXPECT_FALSE(folder_exists(out));
  }
  const std::string folder = (scratch_ / "o.v2").string() + "/";
  ASSERT_EQ(sample("model", {"--num", "1", "--out", folder}).code, 0);
  EXPECT_TRUE(file_exists(scratch_ / "o.v2" / "000000.png"));
}

TEST_F(Data, SeedsHaveALimitThatIsSaidAndMinusOneIsARandomOne) {
  write_tiny_model(scratch_ / "model");
  const std::string out = (scratch_ / "o.npz").string();
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"--seeds", "4294967296"},
                                                {"--seeds", "0-4294967296"},
                                                {"--seed", "4294967296", "--num", "1"},
                                                {"--seed", "4294967295", "--num", "2"},
                                                {"--seed", "-2", "--num", "1"}}) {
    const Outcome outcome = sample("model", with(wrong, {"--out", out}));
    EXPECT_EQ(outcome.code, 2) << wrong[1];
    EXPECT_TRUE(says(outcome.err, "4294967295")) << outcome.err;
  }
  const auto seed = [&] {
    const Outcome outcome = sample("model", {"--seed", "-1", "--num", "1", "--out", out, "--json"});
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    const TensorFile file = read_npz(out).value();
    const uint32_t drawn = to_uint32(file.tensors.at("seeds"), "seeds").value()[0];
    EXPECT_TRUE(says(outcome.err, "the first seed is " + std::to_string(drawn))) << outcome.err;
    EXPECT_EQ(parse_json(outcome.out, "summary").value().at("first_seed"), drawn);
    return drawn;
  };
  const uint32_t first = seed();
  EXPECT_NE(seed(), first);  // but for one call in four billion
}

TEST_F(Data, MasksMayBeTransparentAndOthersAreNamedByPixel) {
  write_tiny_model(scratch_ / "model");
  put_picture(scratch_ / "image.png");
  Image hole{8, 8, 4, std::vector<uint8_t>(8 * 8 * 4, 255)};
  for (size_t i = 0; i < 8; ++i) hole.pixels[4 * i + 3] = 0;  // the first row
  ASSERT_TRUE(write_png(scratch_ / "hole.png", hole).ok());
  Image faint{8, 8, 1, std::vector<uint8_t>(64, 255)};
  faint.pixels[8 * 2 + 5] = 1;
  ASSERT_TRUE(write_png(scratch_ / "faint.png", faint).ok());
  const Path out = scratch_ / "o.safetensors";
  const auto fill = [&](const char* mask) {
    return sample(
        "model", {"--sampler", "ddpm", "--num", "1", "--inpaint", (scratch_ / "image.png").string(),
                  "--mask", (scratch_ / mask).string(), "--out", out.string()});
  };
  ASSERT_EQ(fill("hole.png").code, 0);
  const std::vector<float> filled = to_floats(read_safetensors(out).value().tensors.at("images"));
  const Image image = read_image(scratch_ / "image.png").value();
  int changed = 0;
  for (size_t i = 0; i < 64; ++i) {
    const bool kept = filled[i] == static_cast<float>(image.pixels[i]) / 127.5f - 1.0f;
    if (i >= 8) {
      EXPECT_TRUE(kept) << i;
    }
    changed += i < 8 && !kept ? 1 : 0;
  }
  EXPECT_GT(changed, 4);
  const Outcome refused = fill("faint.png");
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(says(refused.err, "pixel 5,2 is 1, expected 0 (black, to fill) or 255"))
      << refused.err;
}

// Every option that a message of the program speaks of is one of some command.

}  // namespace
}  // namespace ito::test
