// A job of many images cut into shards: what each has, that killed and restarted ones end with the
// bytes of one undisturbed run, and what is refused. Images come from the test, without a device;
// tests/apps/farm_run_test.cpp has the program.
#include <map>

#include "api/sample_farm.h"
#include "api/sample_merge.h"
#include "io/png.h"
#include "io/tar.h"
#include "tests/apps/run_ito.h"

namespace ito::test {
namespace {

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Shards, HaveEveryImageOnce) {
  for (const size_t images : {1u, 7u, 64u, 1000u, 1001u})
    for (const size_t per_block : {1u, 3u, 10u, 5000u})
      for (const size_t count : {1u, 2u, 7u, 64u}) {
        const SampleBlocks blocks{.images = images, .per_block = per_block};
        size_t next = 0, least = images, most = 0;
        for (size_t k = 0; k < count; ++k) {
          const Shard shard{.index = k, .count = count};
          const Span span = blocks.images_of(shard), range = blocks.blocks_of(shard);
          EXPECT_EQ(span.first, next);
          next = span.last;
          least = std::min(least, range.size());
          most = std::max(most, range.size());
          for (size_t block = range.first; block < range.last; ++block)
            for (size_t i = blocks.images_of(block).first; i < blocks.images_of(block).last; ++i)
              EXPECT_EQ(blocks.block_of(i), block);
        }
        EXPECT_EQ(next, images);
        EXPECT_LE(most - least, 1u);
      }
}

TEST(Shards, AreReadAsKOfN) {
  EXPECT_EQ(parse_shard("3/64").value(), (Shard{3, 64}));
  EXPECT_EQ(parse_shard("0/1").value(), (Shard{0, 1}));
  for (const char* text : {"", "3", "/", "3/", "/4", "-1/4", "1/-4", "1/0", "a/4", "1/4/2", "1.5/4",
                           "0/99999999999999999999"})
    EXPECT_FALSE(parse_shard(text).ok()) << text;
  EXPECT_TRUE(says(parse_shard("64/64").error().message, "expected 0/64 to 63/64"));
  EXPECT_EQ(shard_of_manifest("manifest-3-of-64.jsonl"), (Shard{3, 64}));
  for (const char* name : {"manifest.jsonl", "manifest-03-of-64.jsonl", "manifest-64-of-64.jsonl"})
    EXPECT_FALSE(shard_of_manifest(name).has_value()) << name;
}

TEST(OrderedWork, FinishesInOrderAndStopsAtTheFirstError) {
  std::vector<int> finished;
  std::atomic<int> prepared = 0;
  OrderedWork work(3, 5);
  for (int i = 0; i < 100; ++i) {
    const Status status = work.push({.prepare = [&]() -> Status {
                                       ++prepared;
                                       return {};
                                     },
                                     .finish = [&, i]() -> Status {
                                       finished.push_back(i);
                                       return {};
                                     }});
    EXPECT_TRUE(status.ok());
    EXPECT_LE(prepared.load(), i + 1);
  }
  EXPECT_TRUE(work.wait().ok());
  EXPECT_EQ(prepared.load(), 100);
  ASSERT_EQ(finished.size(), 100u);
  EXPECT_TRUE(std::is_sorted(finished.begin(), finished.end()));

  const auto none = []() -> Status { return {}; };
  EXPECT_TRUE(work.push({.prepare = none,
                         .finish = []() -> Status {
                           return Error{ErrorKind::kIo, "the disk is full"};
                         }})
                  .ok());
  EXPECT_EQ(work.wait().error().message, "the disk is full");
  EXPECT_EQ(work.push({.prepare = none, .finish = none}).error().message, "the disk is full");
}

constexpr int64_t kSide = 4;

// All files of a folder by name.
std::map<std::string, std::string> contents(const Path& folder) {
  std::map<std::string, std::string> all;
  const std::vector<std::string> names = list_folder(folder).value();
  for (const std::string& name : names) all[name] = read_file(folder / name).value();
  return all;
}

const SampleStoreRow* form_called(const std::string& name) {
  return row_called(sample_store_rows(), name, "--form").value();
}

// Images of a kind of their own for every seed.
std::vector<float> drawn(const std::vector<SampleRequest>& requests) {
  std::vector<float> images;
  for (const SampleRequest& request : requests)
    for (int64_t p = 0; p < kSide * kSide; ++p)
      images.push_back(static_cast<float>((request.seed * 7 + request.label + 3 * p) % 17) / 8 - 1);
  return images;
}

class Farm : public ::testing::TestWithParam<const char*> {
 protected:
  static constexpr size_t kImages = 53, kShards = 4, kPerBlock = 5;

  FarmOptions options(const std::string& out, Shard shard) const {
    return {.out = scratch_ / out,
            .shard = shard,
            .form = form_called(GetParam()),
            .per_block = kPerBlock,
            .threads = 3,
            .queue = 8,
            .patience = std::chrono::milliseconds(0)};
  }
  static SampleIdentity identity() {
    return {.settings = {{"sampler", "ddim"}}, .model = "0123", .labelled = true};
  }
  static std::vector<SampleRequest> requests() {
    std::vector<SampleRequest> all;
    for (uint32_t seed = 0; seed < kImages; ++seed)
      all.push_back({.seed = seed, .label = seed % 3});
    return all;
  }
  Result<std::unique_ptr<SampleFarm>> open(const std::string& out, Shard shard) const {
    return SampleFarm::open(options(out, shard), identity(), requests());
  }
  // Draws at most `batches` batches of 3; whether the shard is at its end.
  bool draw(const std::string& out, Shard shard, size_t batches = 1000) const {
    auto farm = open(out, shard);
    EXPECT_TRUE(farm.ok()) << farm.error().message;
    if (!farm.ok()) return true;
    bool more = true;
    for (size_t i = 0; i < batches && more; ++i) {
      const auto next = (*farm)->next(3);
      EXPECT_TRUE(next.ok());
      more = !next->empty();
      const Status added =
          more ? (*farm)->add(drawn(*next), {static_cast<int64_t>(next->size()), kSide, kSide, 1})
               : Status{};
      EXPECT_TRUE(added.ok()) << added.error().message;
    }
    EXPECT_TRUE((*farm)->finish().ok());
    return !more;
  }
  void draw_all(const std::string& out) const {
    for (size_t k = 0; k < kShards; ++k) EXPECT_TRUE(draw(out, {k, kShards}));
  }
  std::string refusal(const std::string& out, Shard shard) const {
    const auto farm = open(out, shard);
    return farm.ok() ? "" : farm.error().message;
  }
  std::string merge_refusal(const std::string& out) const {
    const auto merged = merge_samples(scratch_ / out);
    return merged.ok() ? "" : merged.error().message;
  }
  bool archives() const { return form_called(GetParam())->archives; }

  Scratch scratch_;
};

// The archives do not even depend on how many shards there were.
TEST_P(Farm, ShardsTogetherAreOneRun) {
  draw_all("four");
  EXPECT_TRUE(draw("one", {0, 1}));
  const auto merged = merge_samples(scratch_ / "four");
  ASSERT_TRUE(merged.ok()) << merged.error().message;
  EXPECT_EQ(merged->images, kImages);
  ASSERT_TRUE(merge_samples(scratch_ / "one").ok());
  auto four = contents(scratch_ / "four"), one = contents(scratch_ / "one");
  for (size_t k = 0; k < kShards; ++k) four.erase(manifest_name({k, kShards}));
  one.erase(manifest_name({0, 1}));
  EXPECT_EQ(four, one);
}

// Left at every point between two batches, and entered again.
TEST_P(Farm, GoesOnWhereItWasLeft) {
  draw_all("whole");
  for (size_t k = 0; k < kShards; ++k)
    while (!draw("left", {k, kShards}, 1 + k)) {
    }
  EXPECT_EQ(contents(scratch_ / "left"), contents(scratch_ / "whole"));
}

// A killed process leaves the manifest cut anywhere, and behind it files of which it knows nothing.
TEST_P(Farm, GoesOnFromAnyLineOfTheBlockUnderWay) {
  const Shard shard{1, kShards};
  EXPECT_TRUE(draw("whole", shard));
  const auto whole = contents(scratch_ / "whole");
  for (size_t images = 0; images < kPerBlock; ++images)
    for (const size_t lost : {0u, 1u, 17u, 400u}) {
      const std::string out = fmt::format("cut-{}-{}", images, lost);
      // One block and some images of the next.
      auto farm = open(out, shard);
      ASSERT_TRUE(farm.ok());
      const std::vector<SampleRequest> next = (*farm)->next(kPerBlock + images).value();
      ASSERT_TRUE(
          (*farm)->add(drawn(next), {static_cast<int64_t>(next.size()), kSide, kSide, 1}).ok());
      ASSERT_TRUE((*farm)->finish().ok());
      farm->reset();
      const Path manifest = scratch_ / out / manifest_name(shard);
      const std::string text = read_file(manifest).value();
      const size_t block = text.find("{\"block\"");
      const size_t least = text.find('\n', block) + 1;
      ASSERT_TRUE(
          write_file_atomic(manifest, text.substr(0, std::max(least, text.size() - lost))).ok());
      EXPECT_TRUE(draw(out, shard));
      EXPECT_EQ(contents(scratch_ / out), whole) << out;
    }
}

// Killed after the last file had its name, and before the manifest could say so.
TEST_P(Farm, ABlockThatIsDoneButForItsLineIsTakenAsItIs) {
  const Shard shard{2, kShards};
  EXPECT_TRUE(draw("whole", shard));
  const auto whole = contents(scratch_ / "whole");
  const Path manifest = scratch_ / "whole" / manifest_name(shard);
  const std::string text = read_file(manifest).value();
  ASSERT_TRUE(write_file_atomic(manifest, text.substr(0, text.rfind("{\"block\""))).ok());
  EXPECT_TRUE(draw("whole", shard));
  EXPECT_EQ(contents(scratch_ / "whole"), whole);
}

TEST_P(Farm, WhatIsNotThisJobIsRefused) {
  const Shard shard{0, kShards};
  EXPECT_FALSE(draw("out", shard, 1));
  EXPECT_TRUE(says(refusal("out", {0, 3}), "manifest-0-of-4.jsonl, of a job cut in 4"));
  SampleIdentity other = identity();
  other.model = "4567";
  const auto model = SampleFarm::open(options("out", shard), other, requests());
  EXPECT_TRUE(says(model.error().message, "of another model or other settings"));
  std::vector<SampleRequest> seeds = requests();
  seeds.front().seed = 1000;
  const auto asked = SampleFarm::open(options("out", shard), identity(), seeds);
  EXPECT_TRUE(says(asked.error().message, "of other seeds or classes"));
  seeds.front().seed = 1;
  seeds.front().label = 1;
  const auto twice = SampleFarm::open(options("new", shard), identity(), seeds);
  EXPECT_TRUE(says(twice.error().message, "seed 1 of class 1 is asked for twice"));
  EXPECT_FALSE(folder_exists(scratch_ / "new"));
  {
    const auto first = open("out", shard);
    ASSERT_TRUE(first.ok());
    EXPECT_TRUE(says(refusal("out", shard), "another process draws shard 0/4"));
  }
  // A file of somebody else under a name that the shard needs.
  const std::string name = archives() ? fmt::format("00001.{}", GetParam()) : "000007.png";
  ASSERT_TRUE(make_folders(scratch_ / "foreign").ok());
  ASSERT_TRUE(write_file_atomic(scratch_ / "foreign" / name, "a diary").ok());
  EXPECT_TRUE(says(refusal("foreign", shard), name + " is there already"));
  EXPECT_EQ(read_file(scratch_ / "foreign" / name).value(), "a diary");
}

// What its manifest does not say any more, a shard finds by content or makes anew; and what the
// message of a merge advises, works.
TEST_P(Farm, ADamagedOrLostManifestIsMendedByRunningTheShard) {
  const Shard shard{3, kShards};
  draw_all("out");
  ASSERT_EQ(merge_refusal("out"), "");
  const auto whole = contents(scratch_ / "out");
  const Path manifest = scratch_ / "out" / manifest_name(shard);
  const std::string text = read_file(manifest).value();
  const size_t third = text.find('\n', text.find('\n') + 1) + 1;
  const size_t fourth = text.find('\n', third) + 1;
  std::string led = text;  // a name that leads elsewhere
  led.replace(led.find("\"name\":\""), 8, "\"name\":\"../");
  for (const std::string& damaged : std::vector<std::string>{
           text.substr(0, third) + "{\n" + text.substr(third),  // no JSON
           text.substr(0, third) + text.substr(fourth),         // a line less
           led, "{\n" + text, "\xff\xfe\n", std::string(), text.substr(0, text.size() / 2)}) {
    ASSERT_TRUE(write_file_atomic(manifest, damaged).ok());
    EXPECT_TRUE(says(merge_refusal("out"), "run")) << merge_refusal("out");
    EXPECT_TRUE(says(merge_refusal("out"), "shard 3/4")) << merge_refusal("out");
    EXPECT_TRUE(draw("out", shard));
    EXPECT_EQ(merge_refusal("out"), "");
    EXPECT_EQ(contents(scratch_ / "out"), whole);
  }
  ASSERT_TRUE(remove_tree(manifest).ok());
  EXPECT_TRUE(says(merge_refusal("out"), "shard 3/4 has not begun, or its manifest is lost; run it"));
  EXPECT_TRUE(draw("out", shard));
  EXPECT_EQ(merge_refusal("out"), "");
  EXPECT_EQ(contents(scratch_ / "out"), whole);
  // Whose content names its key is not drawn again.
  if (std::string_view(GetParam()) == "npz") return;
  ASSERT_TRUE(remove_tree(manifest).ok());
  auto farm = open("out", shard);
  ASSERT_TRUE(farm.ok()) << farm.error().message;
  EXPECT_TRUE((*farm)->next(3).value().empty());
  EXPECT_TRUE((*farm)->finish().ok());
  farm->reset();
  EXPECT_EQ(contents(scratch_ / "out"), whole);
}

// An archive of the same seeds by another model is not this job's, whatever it is called.
TEST_P(Farm, AnotherModelsFilesAreNotReplaced) {
  if (!archives()) return;  // pictures of another key are made anew, as without shards
  const Shard shard{0, kShards};
  SampleIdentity other = identity();
  other.model = "4567";
  {
    auto farm = SampleFarm::open(options("out", shard), other, requests());
    ASSERT_TRUE(farm.ok());
    for (auto next = (*farm)->next(3); !next->empty(); next = (*farm)->next(3)) {
      std::vector<float> images = drawn(*next);
      for (float& value : images) value = -value;
      ASSERT_TRUE((*farm)->add(images, {static_cast<int64_t>(next->size()), kSide, kSide, 1}).ok());
    }
    ASSERT_TRUE((*farm)->finish().ok());
  }
  ASSERT_TRUE(remove_tree(scratch_ / "out" / manifest_name(shard)).ok());
  const std::string name = fmt::format("00000.{}", GetParam());
  const std::string before = read_file(scratch_ / "out" / name).value();
  auto farm = open("out", shard);
  Status status;
  if (farm.ok()) {  // only what is drawn tells NPZ archives apart
    for (auto next = (*farm)->next(3); status.ok() && !next->empty(); next = (*farm)->next(3))
      status = (*farm)->add(drawn(*next), {static_cast<int64_t>(next->size()), kSide, kSide, 1});
    if (status.ok()) status = (*farm)->finish();
  } else {
    status = farm.error();
  }
  ASSERT_FALSE(status.ok());
  EXPECT_TRUE(says(status.error().message, name + " is there already")) << status.error().message;
  EXPECT_TRUE(says(status.error().message, "move it away"));
  EXPECT_EQ(read_file(scratch_ / "out" / name).value(), before);
  // And as the message says:
  if (farm.ok()) farm->reset();
  for (const auto& [file, bytes] : contents(scratch_ / "out"))
    if (file.ends_with(GetParam())) {
      ASSERT_TRUE(remove_tree(scratch_ / "out" / file).ok());
    }
  EXPECT_TRUE(draw("out", shard));
}

// Also where blocks of pictures are the shards', the key and the manifest of all are the job's.
TEST_P(Farm, NothingSaysHowAJobWasDivided) {
  const auto draw_in = [&](const std::string& out, size_t count) {
    for (size_t k = 0; k < count; ++k) {
      FarmOptions chosen = options(out, {k, count});
      if (!archives()) chosen.per_block = kBlockOfPictures;
      auto farm = SampleFarm::open(chosen, identity(), requests());
      ASSERT_TRUE(farm.ok()) << farm.error().message;
      for (auto next = (*farm)->next(7); !next->empty(); next = (*farm)->next(7))
        ASSERT_TRUE(
            (*farm)->add(drawn(*next), {static_cast<int64_t>(next->size()), kSide, kSide, 1}).ok());
      ASSERT_TRUE((*farm)->finish().ok());
    }
    ASSERT_EQ(merge_refusal(out), "");
  };
  draw_in("one", 1);
  const std::string one = read_file(scratch_ / "one" / kMergedManifest).value();
  for (const size_t count : {2u, 4u, 10u}) {
    const std::string out = fmt::format("in-{}", count);
    draw_in(out, count);
    EXPECT_EQ(read_file(scratch_ / out / kMergedManifest).value(), one) << count;
  }
  const auto all = read_manifest(scratch_ / "one" / kMergedManifest, {});
  ASSERT_TRUE(all.ok()) << all.error().message;
  EXPECT_EQ((*all)->images, kImages);
  EXPECT_EQ((*all)->blocks, (*all)->header.blocks.count());
}

TEST_P(Farm, MergeNamesAFileThatIsOfNoShard) {
  draw_all("out");
  const std::string name = archives() ? fmt::format("00099.{}", GetParam()) : "009999.png";
  ASSERT_TRUE(write_file_atomic(scratch_ / "out" / name, "stray").ok());
  EXPECT_TRUE(says(merge_refusal("out"), name + " is of no shard of this job; move it away"));
  ASSERT_TRUE(remove_tree(scratch_ / "out" / name).ok());
  EXPECT_EQ(merge_refusal("out"), "");
}

TEST_P(Farm, MergeRefusesWhatIsNotWhole) {
  ASSERT_TRUE(make_folders(scratch_ / "out").ok());
  EXPECT_TRUE(says(merge_refusal("out"), "holds no manifest"));
  for (size_t k = 0; k + 1 < kShards; ++k) EXPECT_TRUE(draw("out", {k, kShards}));
  EXPECT_TRUE(says(merge_refusal("out"), "manifest-3-of-4.jsonl is missing"));
  EXPECT_FALSE(draw("out", {3, kShards}, 2));
  EXPECT_TRUE(says(merge_refusal("out"), "shard 3/4 has 6 of "));
  EXPECT_TRUE(draw("out", {3, kShards}));
  EXPECT_EQ(merge_refusal("out"), "");

  // One byte of a file is another; the file is gone; and then made again as the message says.
  const std::string name = archives() ? fmt::format("00004.{}", GetParam()) : "000020.png";
  const std::string whole = read_file(scratch_ / "out" / name).value();
  std::string damaged = whole;
  damaged[damaged.size() / 2] ^= 1;
  const auto before = contents(scratch_ / "out");
  ASSERT_TRUE(write_file_atomic(scratch_ / "out" / name, damaged).ok());
  EXPECT_TRUE(says(merge_refusal("out"), name + ": "));
  EXPECT_TRUE(says(merge_refusal("out"), "run shard 1/4 again"));
  ASSERT_TRUE(remove_tree(scratch_ / "out" / name).ok());
  EXPECT_TRUE(says(merge_refusal("out"), name));
  if (!archives()) {
    ASSERT_TRUE(remove_tree(scratch_ / "out" / manifest_name({1, kShards})).ok());
  }
  EXPECT_TRUE(draw("out", {1, kShards}));
  EXPECT_EQ(merge_refusal("out"), "");
  EXPECT_EQ(contents(scratch_ / "out"), before);

  // A shard of another job: one model was trained further.
  const Path manifest = scratch_ / "out" / manifest_name({2, kShards});
  std::string text = read_file(manifest).value();
  text.replace(text.find("\"key\":\"") + 7, 4, "beef");
  ASSERT_TRUE(write_file_atomic(manifest, text).ok());
  EXPECT_TRUE(says(merge_refusal("out"), "manifest-2-of-4.jsonl is of another job"));
}

// A changed line of the manifest: the image's own hash is looked at, not only the file's.
TEST_P(Farm, MergeLooksAtEveryImage) {
  draw_all("out");
  const Path manifest = scratch_ / "out" / manifest_name({0, kShards});
  std::string text = read_file(manifest).value();
  const size_t at = text.find("\"sha256\":\"") + 10;
  text[at] = text[at] == '0' ? '1' : '0';
  ASSERT_TRUE(write_file_atomic(manifest, text).ok());
  EXPECT_TRUE(says(merge_refusal("out"), "image 0 (seed 0) is not what the manifest says"));
}

TEST_P(Farm, ProgressCountsAllShards) {
  EXPECT_TRUE(draw("out", {1, kShards}));
  EXPECT_FALSE(draw("out", {2, kShards}, 1));
  auto farm = open("out", {0, kShards});
  ASSERT_TRUE(farm.ok());
  ASSERT_TRUE((*farm)->next(3).ok());  // asked for, not drawn
  const FarmProgress progress = (*farm)->progress();
  const SampleBlocks blocks = farm_blocks(options("out", {0, kShards}), kImages);
  EXPECT_EQ(progress.done, 0u);
  EXPECT_EQ(progress.images, blocks.images_of(Shard{0, kShards}).size());
  EXPECT_EQ(progress.all_done, blocks.images_of(Shard{1, kShards}).size() + 3);
  EXPECT_EQ(progress.all_images, kImages);
}

INSTANTIATE_TEST_SUITE_P(Forms, Farm, ::testing::Values("png", "tar", "npz"));

// Too few files for the shards are a mistake of the call.
TEST(FarmOptions, EveryShardHasAFile) {
  FarmOptions options{.out = "out", .shard = {0, 4}, .form = form_called("tar"), .per_block = 1000};
  EXPECT_TRUE(says(check_farm(options, 2000).error().message, "--images-per-file 500 or fewer"));
  EXPECT_TRUE(check_farm(options, 3001).ok());
  options.form = form_called("png");
  EXPECT_TRUE(check_farm(options, 5).ok());
}

// What is in a tar is what a folder would hold, and what WebDataset expects beside it.
TEST(FarmForms, ATarHoldsTheFoldersPictures) {
  const Scratch scratch;
  const SampleIdentity identity{
      .settings = {{"sampler", "ddim"}}, .model = "0123", .labelled = true};
  const std::vector<SampleRequest> requests = {{.seed = 4, .label = 1}, {.seed = 5, .label = 2}};
  for (const char* form : {"png", "tar", "npz"}) {
    auto farm =
        SampleFarm::open({.out = scratch / form, .form = form_called(form)}, identity, requests);
    ASSERT_TRUE(farm.ok()) << farm.error().message;
    ASSERT_EQ((*farm)->next(2).value().size(), 2u);
    ASSERT_TRUE((*farm)->add(drawn(requests), {2, kSide, kSide, 1}).ok());
    ASSERT_TRUE((*farm)->finish().ok());
  }
  const std::string tar = read_file(scratch / "tar" / "00000.tar").value();
  const auto entries = parse_tar(tar, "00000.tar");
  ASSERT_TRUE(entries.ok()) << entries.error().message;
  ASSERT_EQ(entries->size(), 6u);
  EXPECT_EQ((*entries)[3].name, "000005.png");
  EXPECT_EQ((*entries)[3].content, read_file(scratch / "png" / "000005.png").value());
  EXPECT_EQ((*entries)[4].name, "000005.cls");
  EXPECT_EQ((*entries)[4].content, "2");
  EXPECT_EQ((*entries)[5].name, "000005.json");
  EXPECT_EQ(parse_json((*entries)[5].content, "").value(),
            read_png_settings(scratch / "png" / "000005.png").value());

  const TensorFile npz = read_npz(scratch / "npz" / "00000.npz").value();
  EXPECT_EQ(npz.tensors.at("arr_0").type, HostType::kU8);
  EXPECT_EQ(npz.tensors.at("arr_0").shape, (Shape{2, kSide, kSide, 1}));
  EXPECT_EQ(npz.tensors.at("arr_0").bytes[0], to_byte(drawn(requests)[0]));
  EXPECT_EQ(to_uint32(npz.tensors.at("seeds"), "").value(), (std::vector<uint32_t>{4, 5}));
  EXPECT_EQ(to_uint32(npz.tensors.at("classes"), "").value(), (std::vector<uint32_t>{1, 2}));
}

}  // namespace
}  // namespace ito::test
