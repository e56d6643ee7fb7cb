// Packs in a library with a compiler: what they save, and what is refused. Without a compiler:
// tests/packed/.
#include "io/json.h"
#include "tests/apps/tiny_model.h"
#include "tests/packed/packed_host.h"

namespace ito::test {
namespace {

class Pack : public ::testing::Test {
 protected:
  void SetUp() override { write_tiny_model(scratch_ / "model"); }
  std::string model() const { return (scratch_ / "model").string(); }
  Path made(const std::vector<std::string>& more, const std::string& name = "a.itopack") {
    const Outcome outcome = run_pack(model(), scratch_ / name, more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return scratch_ / name;
  }

  Scratch scratch_;
};

TEST_F(Pack, ImagesAreTheSameBytesAndNothingIsCompiled) {
  const Path pack = made({"--job", kPackedJob});
  PackedHost without(model());
  const std::vector<float> wanted = without.draw();
  ASSERT_FALSE(wanted.empty());
  EXPECT_GT(without.statistics().shaders_compiled, 10u);
  EXPECT_EQ(without.statistics().shaders_packed, 0u);

  PackedHost from_file(model());
  from_file.add_pack(pack);
  EXPECT_EQ(from_file.draw(), wanted);
  EXPECT_EQ(from_file.statistics().shaders_compiled, 0u);
  EXPECT_EQ(from_file.statistics().shaders_packed, without.statistics().shaders_compiled);

  // At an odd address, and gone before the job is made; behind a pack that has none of its kernels.
  const Path other = made({"--job", "evaluate batch=3"}, "b.itopack");
  std::string bytes = " " + read_file(pack).value();
  PackedHost from_memory(model());
  from_memory.add_pack(other);
  from_memory.add_pack(bytes.data() + 1, bytes.size() - 1);
  ASSERT_EQ(from_memory.open(), ITO_OK) << from_memory.ito.last_error();
  bytes.assign(bytes.size(), 'x');
  ASSERT_EQ(from_memory.make_job(), ITO_OK) << from_memory.ito.last_error();
  EXPECT_EQ(from_memory.statistics().shaders_compiled, 0u);
}

TEST_F(Pack, WhatItLacksIsCompiledAndItsOtherFormsAreNotTaken) {
  const std::vector<float> wanted = PackedHost(model()).draw();
  for (const Path& pack : {made({"--job", "sample sampler=ddim steps=2 batch=2"}),
                           made({"--form", "gpu", "--job", kPackedJob}, "b.itopack")}) {
    PackedHost host(model());
    host.add_pack(pack);
    EXPECT_EQ(host.draw(), wanted) << pack;
    EXPECT_GT(host.statistics().shaders_compiled, 0u) << pack;
  }
}

TEST_F(Pack, TheCommandSaysWhatItWrote) {
  const Outcome outcome = run_pack(model(), scratch_ / "a.itopack",
                                   {"--job", kPackedJob, "--job", "evaluate", "--form",
                                    "gpu-matrix", "--form", "gpu", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = parse_json(outcome.out, "ito pack").value();
  EXPECT_EQ(json.at("jobs").size(), 2u);
  ASSERT_EQ(json.at("forms").size(), 2u);
  EXPECT_EQ(json.at("forms")[0].at("form"), "gpu-matrix");
  EXPECT_GT(json.at("kernels"), 10);
  EXPECT_EQ(json.at("bytes"), std::filesystem::file_size(scratch_ / "a.itopack"));
}

TEST_F(Pack, WrongUsageIsNamed) {
  const struct {
    std::vector<std::string> more;
    int code;
    const char* says;
  } cases[] = {
      {{"--form", "gpux"}, 2, "--form is \"gpux\", expected device, gpu, gpu-half or gpu-matrix"},
      {{"--form", "gpu", "--job", "train"}, 2, "kind of the job is \"train\", expected sample or"},
      {{"--form", "gpu", "--job", "sample stops=3"},
       2,
       "no field \"stops\", expected one of sampler"},
      {{"--form", "gpu", "--job", "sample steps=x"}, 2, "steps is \"x\", expected a number"},
      {{"--form", "gpu", "--job", "sample steps"}, 2, "\"steps\" is no field"},
      {{"--form", "gpu", "--job", "sample sampler=dim"}, 1, "no sampler \"dim\""},
      {{"--form", "gpu", "--job", "sample precision=fp8"}, 2, "expected fp32 or fp16"},
      {{"--form", "gpu", "--job", "sample precision=fp16"}, 1, "gpu"},
  };
  for (const auto& c : cases) {
    const Outcome outcome = run_pack(model(), scratch_ / "a.itopack", c.more);
    EXPECT_EQ(outcome.code, c.code) << c.says;
    EXPECT_NE(outcome.err.find(c.says), std::string::npos) << c.says << "\n" << outcome.err;
    EXPECT_FALSE(file_exists(scratch_ / "a.itopack"));
  }
  const Outcome ending = run_pack(model(), scratch_ / "a.pack", {});
  EXPECT_EQ(ending.code, 2);
  EXPECT_NE(ending.err.find("FILE.itopack"), std::string::npos) << ending.err;
  ASSERT_TRUE(write_file_atomic(scratch_ / "mine.itopack", "hello").ok());
  const Outcome foreign = run_pack(model(), scratch_ / "mine.itopack", {"--form", "gpu"});
  EXPECT_EQ(foreign.code, 1);
  EXPECT_NE(foreign.err.find("not written by ito pack"), std::string::npos) << foreign.err;
}

TEST_F(Pack, WhatIsNoPackIsRefusedByTheContext) {
  const auto refused = [&](ItoResult wanted, const char* says, auto give) {
    PackedHost host(model());
    give(host);
    EXPECT_EQ(host.open(), wanted) << says;
    EXPECT_EQ(host.context, nullptr);
    EXPECT_NE(std::string(host.ito.last_error()).find(says), std::string::npos)
        << host.ito.last_error();
  };
  const Path pack = made({"--form", "gpu", "--job", "evaluate"});
  std::string bytes = read_file(pack).value();
  refused(ITO_ERROR_INVALID_ARGUMENT, "either path or data", [](PackedHost& h) { h.add_info(); });
  refused(ITO_ERROR_INVALID_ARGUMENT, "either path or data", [&](PackedHost& h) {
    h.add_pack(pack);
    ItoPackInfo& both = h.add_info();
    both.path = "a";
    both.data = "b";
  });
  refused(ITO_ERROR_NOT_FOUND, "none.itopack",
          [&](PackedHost& h) { h.add_pack(scratch_ / "none.itopack"); });
  refused(ITO_ERROR_CORRUPT, "is no pack", [&](PackedHost& h) { h.add_pack("hello", 5); });
  refused(ITO_ERROR_CORRUPT, "are there",
          [&](PackedHost& h) { h.add_pack(bytes.data(), bytes.size() - 4); });
  refused(ITO_ERROR_INVALID_ARGUMENT, "ITO_INIT",
          [&](PackedHost& h) { h.add_info().type = ITO_STRUCTURE_TYPE_BUDGET; });
  refused(ITO_ERROR_INVALID_ARGUMENT, "more than 64", [&](PackedHost& h) {
    ItoPackInfo& ring = h.add_info();
    ring.data = bytes.data();
    ring.bytes = bytes.size();
    ring.next = &ring;
  });
  bytes[bytes.size() - 1] ^= 1;
  refused(ITO_ERROR_CORRUPT, "damaged",
          [&](PackedHost& h) { h.add_pack(bytes.data(), bytes.size()); });
}

}  // namespace
}  // namespace ito::test
