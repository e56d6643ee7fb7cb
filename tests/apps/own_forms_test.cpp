// Commands agree: `ito train` reads every form that `ito sample` writes, classes included; a name
// of a class is one wherever --class is; a picture is not replaced by another of the same seed.
#include <algorithm>

#include "io/class_names.h"
#include "io/dataset.h"
#include "io/npy.h"
#include "io/png.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class OwnForms : public ::testing::Test {
 protected:
  void SetUp() override {
    write_tiny_model(model());
    const ClassNames names{.names = {"boot", "sneaker", "bag"}, .images = {4, 4, 4}};
    ASSERT_TRUE(write_class_names(model(), names).ok());
  }
  Path model() const { return scratch_ / "model"; }
  Outcome sample(const std::string& out, const std::vector<std::string>& more) const {
    return run_ito(with(
        {"sample", "--model", model().string(), "--steps", "2", "--out", (scratch_ / out).string()},
        more));
  }

  Scratch scratch_;
};

TEST_F(OwnForms, OfSamplesAreReadWithTheirClasses) {
  const std::vector<std::string> six = {"--seeds", "0-5"};
  const std::vector<std::pair<std::string, std::vector<std::string>>> forms = {
      {"pictures", {"--preview-every", "1"}},
      {"one.npz", {}},
      {"one.safetensors", {}},
      {"shard", {"--form", "npz", "--shard", "0/1", "--images-per-file", "2"}},
  };
  std::vector<uint8_t> pixels;
  for (const auto& [out, more] : forms) {
    const Outcome outcome = sample(out, with(six, more));
    ASSERT_EQ(outcome.code, 0) << out << ": " << outcome.err;
    const auto data = open_dataset(scratch_ / out, Split::kTrain, {});
    ASSERT_TRUE(data.ok()) << out << ": " << data.error().message;
    EXPECT_EQ(data->count, 6) << out;
    ASSERT_TRUE(data->labels.has_value()) << out;
    EXPECT_EQ(*data->labels, (std::vector<int32_t>{0, 1, 2, 0, 1, 2})) << out;
    EXPECT_EQ(data->names, (std::vector<std::string>{"boot", "sneaker", "bag"})) << out;
    if (pixels.empty()) pixels = data->pixels;
    EXPECT_EQ(data->pixels, pixels) << out;
  }
}

TEST_F(OwnForms, OfSamplesTellTrainingWhatClassesAreCalled) {
  ASSERT_EQ(sample("one.npz", {"--seeds", "0-5"}).code, 0);
  // As metric tools and NumPy read it: bytes [n,h,w,c], and texts without pickles.
  const NpzFile file = NpzFile::open(scratch_ / "one.npz").value();
  EXPECT_EQ(file.read("arr_0")->type, HostType::kU8);
  EXPECT_EQ(file.read("arr_0")->shape, (Shape{6, 8, 8, 1}));
  EXPECT_EQ(file.read("classes")->shape, Shape{6});
  EXPECT_EQ(file.read_texts("class_names")->texts,
            (std::vector<std::string>{"boot", "sneaker", "bag"}));
  const std::string run = (scratch_ / "run").string();
  const Outcome trained =
      run_ito({"train", "--data", (scratch_ / "one.npz").string(), "--out", run, "--steps", "1",
               "--batch", "2", "--channels", "8,16", "--norm-groups", "4"});
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_TRUE(says(trained.err + trained.out, "sneaker 2")) << trained.err << trained.out;
  EXPECT_FALSE(says(trained.err, "not used")) << trained.err;
  const Outcome drawn = run_ito({"sample", "--model", run, "--num", "1", "--steps", "1", "--class",
                                 "sneaker", "--out", (scratch_ / "again").string()});
  EXPECT_EQ(drawn.code, 0) << drawn.err;
}

TEST_F(OwnForms, AnotherClassOfASeedGetsANameOfItsOwn) {
  ASSERT_EQ(sample("out", {"--seeds", "0", "--class", "0"}).code, 0);
  const std::string first = read_file(scratch_ / "out/000000.png").value();
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(sample("out", {"--seeds", "0", "--class", "sneaker"}).code, 0);
    EXPECT_EQ(read_file(scratch_ / "out/000000.png").value(), first);
    EXPECT_EQ(read_png_settings(scratch_ / "out/000000-1.png").value().at("class"), 1);
  }
  EXPECT_EQ(list_folder(scratch_ / "out")->size(), 2u);
}

TEST_F(OwnForms, AForeignPreviewStays) {
  ASSERT_TRUE(make_folders(scratch_ / "out").ok());
  const Path preview = scratch_ / "out/preview-0001.png";
  ASSERT_TRUE(write_file_atomic(preview, "mine").ok());
  const Outcome outcome = sample("out", {"--seeds", "0", "--preview-every", "1"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_TRUE(says(outcome.err, "preview-0001.png is there already")) << outcome.err;
  EXPECT_EQ(read_file(preview).value(), "mine");
}

TEST_F(OwnForms, OfAClassIsItsNameEverywhere) {
  ASSERT_EQ(sample("ends", {"--seeds", "0,1"}).code, 0);
  const std::string a = (scratch_ / "ends/000000.png").string(),
                    b = (scratch_ / "ends/000001.png").string();
  const auto between = [&](const std::string& label, const std::string& out) {
    return run_ito({"interpolate", "--model", model().string(), "--a", a, "--b", b, "--steps", "2",
                    "--points", "3", "--class", label, "--out", (scratch_ / out).string()});
  };
  const Outcome by_name = between("bag", "name.png"), by_number = between("2", "number.png");
  ASSERT_EQ(by_name.code, 0) << by_name.err;
  ASSERT_EQ(by_number.code, 0) << by_number.err;
  EXPECT_EQ(read_png_settings(scratch_ / "name.png").value().at("class"), 2);
  EXPECT_EQ(read_file(scratch_ / "name.png").value(), read_file(scratch_ / "number.png").value());
  const Outcome unknown = between("hat", "x.png");
  EXPECT_EQ(unknown.code, 1);
  EXPECT_TRUE(says(unknown.err, "boot, sneaker, bag")) << unknown.err;
  const std::vector<std::string> line = {"likelihood", "--model", model().string(), "--line", a, b};
  const Outcome named = run_ito(with(line, {"--class", "bag", "--json"}));
  const Outcome numbered = run_ito(with(line, {"--class", "2", "--json"}));
  ASSERT_EQ(named.code, 0) << named.err;
  EXPECT_EQ(named.out, numbered.out);
}

TEST_F(OwnForms, OfASplitIsItsRightName) {
  write_tiny_data(scratch_ / "data.npz");
  const Outcome outcome = run_ito({"likelihood", "--model", model().string(), "--data",
                                   (scratch_ / "data.npz").string(), "--num", "1", "--rtol", "0.1",
                                   "--atol", "0.1", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(parse_json(outcome.out, "out").value().at("split"), "all");
  const Outcome held = run_ito({"likelihood", "--model", model().string(), "--data",
                                (scratch_ / "data.npz").string(), "--split", "held-out"});
  EXPECT_EQ(held.code, 1);
  EXPECT_TRUE(says(held.err, "is no run of ito train")) << held.err;
}

}  // namespace
}  // namespace ito::test
