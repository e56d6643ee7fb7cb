// Bad input is said before a device is opened: it needs none, and on a machine without one the
// message would name the wrong cause.
#include "api/model.h"
#include "io/png.h"
#include "tests/apps/run_ito.h"
#include "tests/apps/tiny_model.h"

namespace ito::test {
namespace {

TEST(InputsFirst, AreReadBeforeADeviceIsOpened) {
  const Scratch scratch;
  write_tiny_model(scratch / "model");
  write_tiny_data(scratch / "data.npz");
  const std::string model = (scratch / "model").string(), data = (scratch / "data.npz").string();
  const std::string out = (scratch / "out.png").string();
  const auto put = [&](const char* name, const std::string& bytes) {
    EXPECT_TRUE(write_file_atomic(scratch / name, bytes).ok());
    return (scratch / name).string();
  };
  const std::string empty = put("empty.png", ""), diary = put("diary.npz", "a diary");
  const std::string damaged = (scratch / "damaged").string();
  write_tiny_model(damaged);
  put("damaged/unet/diffusion_pytorch_model.safetensors", std::string(300, '\xff'));
  const std::string nothing = put("nothing.safetensors", "");
  const std::string grey = (scratch / "grey.png").string();
  ASSERT_TRUE(write_png(grey, Image{8, 8, 1, std::vector<uint8_t>(64, 9)}).ok());
  const std::vector<std::string> sample = {"sample", "--model", model, "--num", "1", "--out", out};
  const std::vector<std::string> likelihood = {"likelihood", "--model", model, "--data", empty};
  const std::vector<std::string> evaluate = {
      "evaluate", "--model",    "tiny=" + model, "--sampler", "ddim --steps 2",           "--num",
      "4",        "--features", model,           "--out",     (scratch / "t.md").string()};
  struct Case {
    std::vector<std::string> arguments;
    std::string says;
  };
  // Pictures without classes to test on, beside others with them.
  for (const char* name : {"kaggle/train/a/1.png", "kaggle/train/b/2.png", "kaggle/test/3.png"}) {
    ASSERT_TRUE(make_folders((scratch / name).parent_path()).ok());
    ASSERT_TRUE(write_png(scratch / name, Image{8, 8, 1, std::vector<uint8_t>(64, 9)}).ok());
  }
  for (const Case& c : {
           Case{{"train", "--data", (scratch / "kaggle").string(), "--out",
                 (scratch / "run").string(), "--validate", "1"},
                "have no classes, of which the network is told"},
           Case{{"train", "--data", empty, "--out", (scratch / "run").string()}, "empty.png"},
           // A damaged file is no wrong usage, though --init is looked at with the options.
           Case{{"train", "--data", data, "--init", damaged, "--out", (scratch / "run").string()},
                "diffusion_pytorch_model.safetensors"},
           Case{with(sample, {"--class", "dgo"}), "class dgo"},
           Case{with(sample, {"--class", "7"}), "class 7"},
           Case{with(sample, {"--init-image", empty, "--sampler", "ddim"}), "empty.png"},
           Case{with(sample, {"--latents", nothing, "--sampler", "ddim"}), "nothing.safetensors"},
           Case{with(sample, {"--inpaint", empty, "--mask", grey}), "empty.png"},
           Case{with(sample, {"--inpaint", grey, "--mask", empty}), "empty.png"},
           Case{with(sample, {"--colorize", empty}), "empty.png"},
           Case{with(sample, {"--inverse", "blur:3", "--observation", empty}), "empty.png"},
           Case{with(sample, {"--guidance-classifier", data}), "data.npz"},
           Case{with(sample, {"--classifier", data}), "data.npz"},
           Case{with(sample, {"--context", nothing}), "--context"},
           Case{{"sample", "--model", model, "--num", "1", "--out", diary},
                "was not written by ito sample"},
           Case{{"sample", "--model", diary, "--num", "1", "--out", out}, "diary.npz"},
           Case{likelihood, "empty.png"},
           Case{with(likelihood, {"--bound"}), "empty.png"},
           Case{{"likelihood", "--model", model, "--data", data, "--first", "48"}, "--first is 48"},
           Case{{"likelihood", "--model", model, "--data", data, "--bound", "--first", "48"},
                "--first is 48"},
           Case{{"likelihood", "--model", model, "--line", empty, grey}, "empty.png"},
           Case{with(evaluate, {"--data", empty}), "empty.png"},
           Case{with(evaluate, {"--data", data, "--model", "other=" + diary}), "diary.npz"},
           Case{with(evaluate, {"--data", data, "--classifier", diary}), "diary.npz"},
           Case{{"interpolate", "--model", model, "--a", empty, "--b", grey, "--out", out},
                "empty.png"},
           Case{{"interpolate", "--model", model, "--a", grey, "--b", empty, "--out", out},
                "empty.png"},
           Case{{"forward", "--model", model, "--in", nothing, "--out", out + ".safetensors"},
                "nothing.safetensors"},
           Case{{"inspect", diary, "--plan", "sample"}, "diary.npz"},
           Case{{"inspect", diary, "--plan", "forward"}, "diary.npz"},
       }) {
    const Outcome outcome = run_ito(Start{
        .arguments = c.arguments,
        .launcher = false,
        .environment = {{"VK_DRIVER_FILES", "/nonexistent"}, {"VK_ICD_FILENAMES", "/nonexistent"}},
        .when = {}});
    EXPECT_EQ(outcome.code, 1) << outcome.err;
    EXPECT_NE(outcome.err.find(c.says), std::string::npos) << c.says << ": " << outcome.err;
    EXPECT_EQ(outcome.err.find("Vulkan"), std::string::npos) << c.says << ": " << outcome.err;
    EXPECT_EQ(outcome.err.find(" on llvmpipe"), std::string::npos) << c.says;
  }
}

TEST(InputsFirst, ClassesThatAreNoneAreAnsweredWithWhatIsExpected) {
  for (const char* text : {"-1", "", "3-", "2-1"}) {
    const Outcome outcome =
        run_ito({"sample", "--model", "nowhere", "--out", "out", "--class", text});
    EXPECT_EQ(outcome.code, 2) << text;
    EXPECT_NE(outcome.err.find("expected classes by name or number, sneaker or 3"),
              std::string::npos)
        << text << ": " << outcome.err;
  }
}

}  // namespace
}  // namespace ito::test
