// Sampled images as files: what is there is known by what it depends on, and nobody else's file is
// written over. Without a device: images come from the test.
#include "api/sample_files.h"

#include "io/png.h"
#include "io/safetensors.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

constexpr int64_t kSide = 2;

class SampledFiles : public ::testing::Test {
 protected:
  SampleFilesOptions options(const std::string& name = "out") const {
    return {.out = scratch_ / name,
            .images = {.settings = {{"sampler", "ddim"}},
                       .remarks = {{"model", "a/path"}},
                       .model = "0123",
                       .labelled = true}};
  }
  // Draws what is missing; the seeds that were.
  std::vector<uint32_t> draw(const SampleFilesOptions& options,
                             std::vector<SampleRequest> requests) {
    auto files = SampleFiles::open(options, requests);
    EXPECT_TRUE(files.ok()) << files.error().message;
    if (!files.ok()) return {};
    const auto count = static_cast<int64_t>(requests.size());
    const std::vector<float> images(static_cast<size_t>(count * kSide * kSide), 0.5f);
    EXPECT_TRUE(files->add(requests, images, {count, kSide, kSide, 1}).ok());
    EXPECT_TRUE(files->finish({1, kSide, kSide, 1}).ok());
    skipped_ = files->skipped();
    replaced_ = files->replaced();
    std::vector<uint32_t> drawn;
    for (const SampleRequest& request : requests) drawn.push_back(request.seed);
    return drawn;
  }
  std::string refusal(const SampleFilesOptions& options, std::vector<SampleRequest> requests) {
    const auto files = SampleFiles::open(options, requests);
    return files.ok() ? "" : files.error().message;
  }

  Scratch scratch_;
  size_t skipped_ = 0, replaced_ = 0;
};

using Seeds = std::vector<uint32_t>;

TEST_F(SampledFiles, AreMadeOnceForEverythingTheyDependOn) {
  const std::vector<SampleRequest> two = {{.seed = 3, .label = 1}, {.seed = 4, .label = 2}};
  EXPECT_EQ(draw(options(), two), (Seeds{3, 4}));
  EXPECT_EQ(draw(options(), two), Seeds{});
  EXPECT_EQ(skipped_, 2u);
  // A model that was moved is the same model.
  SampleFilesOptions moved = options();
  moved.images.remarks["model"] = "another/path";
  EXPECT_EQ(draw(moved, two), Seeds{});
  // One that was trained further, another method and another class are not.
  SampleFilesOptions trained = options();
  trained.images.model = "4567";
  EXPECT_EQ(draw(trained, two), (Seeds{3, 4}));
  EXPECT_EQ(replaced_, 2u);
  SampleFilesOptions method = trained;
  method.images.settings["sampler"] = "ddpm";
  EXPECT_EQ(draw(method, two), (Seeds{3, 4}));
  EXPECT_EQ(draw(method, {{.seed = 3, .label = 0}, two[1]}), (Seeds{3}));
  SampleFilesOptions all = method;
  all.all = true;
  EXPECT_EQ(draw(all, {two[1]}), (Seeds{4}));
  EXPECT_EQ(replaced_, 0u);
}

TEST_F(SampledFiles, NeverShareAName) {
  const std::vector<SampleRequest> classes = {{.seed = 1, .label = 0}, {.seed = 1, .label = 1}};
  EXPECT_EQ(draw(options(), classes), (Seeds{1, 1}));
  EXPECT_TRUE(file_exists(options().out / "000001-0.png"));
  EXPECT_TRUE(file_exists(options().out / "000001-1.png"));
  EXPECT_EQ(draw(options(), classes), Seeds{});
  EXPECT_TRUE(
      says(refusal(options(), {classes[0], classes[0]}), "seed 1 of class 0 is asked for twice"));
}

TEST_F(SampledFiles, NobodyElsesFileIsWrittenOver) {
  ASSERT_TRUE(make_folders(options().out).ok());
  const Path path = options().out / "000005.png";
  for (const std::string& bytes : {std::string("not a picture"), std::string()}) {
    ASSERT_TRUE(write_file_atomic(path, bytes).ok());
    EXPECT_TRUE(says(refusal(options(), {{.seed = 5}}), "000005.png is there already"));
    EXPECT_EQ(read_file(path).value(), bytes);
  }
  Image image{.h = 1, .w = 1, .c = 1, .pixels = {7}};
  ASSERT_TRUE(write_png(path, image).ok());
  EXPECT_TRUE(says(refusal(options(), {{.seed = 5}}), "is no whole picture of ito sample"));
  EXPECT_EQ(draw(options(), {{.seed = 6}}), Seeds{6});
}

TEST_F(SampledFiles, OneFileOfAllIsAsItsEndingSays) {
  const std::vector<SampleRequest> two = {{.seed = 3, .label = 1}, {.seed = 4, .label = 2}};
  draw(options("a.safetensors"), two);
  const TensorFile file = read_safetensors(scratch_ / "a.safetensors").value();
  EXPECT_EQ(file.tensors.at("images").shape, (Shape{2, 1, kSide, kSide}));
  EXPECT_EQ(to_uint32(file.tensors.at("seeds"), "seeds").value(), (Seeds{3, 4}));
  EXPECT_EQ(to_uint32(file.tensors.at("classes"), "classes").value(), (Seeds{1, 2}));
  draw(options("a.npz"), two);
  const TensorFile npz = read_npz(scratch_ / "a.npz").value();
  EXPECT_EQ(npz.tensors.at("arr_0").type, HostType::kU8);
  EXPECT_EQ(npz.tensors.at("arr_0").shape, (Shape{2, kSide, kSide, 1}));
  EXPECT_EQ(npz.tensors.at("arr_0").bytes[0], to_byte(0.5f));
  draw(options("a.png"), two);
  EXPECT_EQ(read_png_settings(scratch_ / "a.png").value().at("seeds"), Json({3, 4}));
  for (const char* ending : {"a.jpg", "a.npy", "a.gif", "a.tar"}) {
    const auto form = sample_form(scratch_ / ending);
    ASSERT_FALSE(form.ok()) << ending;
    EXPECT_TRUE(says(form.error().message, "FILE.png, FILE.npz, FILE.safetensors or a folder"));
  }
  EXPECT_TRUE(sample_form("run-0.5").ok());
  EXPECT_TRUE(sample_form("samples.d/").ok());
}

TEST_F(SampledFiles, AModelIsKnownByItsNumbersAndConfigurations) {
  write_tiny_model(scratch_ / "model");
  const Model model = load_model(scratch_ / "model").value();
  const std::string key = model_key(model);
  EXPECT_EQ(model_key(load_model(scratch_ / "model").value()), key);
  Model trained = model;
  trained.weights[0] += 1e-6f;
  EXPECT_NE(model_key(trained), key);
  Model scheduled = model;
  scheduled.scheduler.beta_end = 0.03;
  EXPECT_NE(model_key(scheduled), key);
}

TEST(Seeds32, TheirLimitIsSaid) {
  Scratch scratch;
  write_tiny_model(scratch / "model");
  const std::string model = (scratch / "model").string(), out = (scratch / "o.npz").string();
  for (const auto& arguments : {std::vector<std::string>{"--seeds", "4294967296"},
                                std::vector<std::string>{"--seed", "4294967296", "--num", "1"},
                                std::vector<std::string>{"--seed", "-2", "--num", "1"}}) {
    const Outcome outcome =
        run_ito(with({"sample", "--model", model, "--steps", "2", "--out", out}, arguments));
    EXPECT_EQ(outcome.code, 2);
    EXPECT_TRUE(says(outcome.err, "4294967295")) << outcome.err;
  }
  const Outcome random = run_ito(
      {"sample", "--model", model, "--steps", "2", "--out", out, "--seed", "-1", "--num", "1"});
  EXPECT_EQ(random.code, 0) << random.err;
  EXPECT_TRUE(says(random.err, "the first seed is ")) << random.err;
}

}  // namespace
}  // namespace ito::test
