// Checkpoints that PyTorch wrote (tests/data/torch/make.py), against the same tensors as
// safetensors.
#include "io/torch_file.h"

#include "io/pickle.h"
#include "io/safetensors.h"
#include "io/weights.h"
#include "io/zip.h"
#include "tests/io/temp_folder.h"
#include "tests/support/folders.h"

namespace ito {
namespace {

using test::bytes_of;
using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;

Path data(const std::string& name) {
  return Path(test::source_folder()) / "tests/data/torch" / name;
}

bool nothing(std::string_view) { return false; }

TEST(TorchFile, TensorsAreTheWritersToTheLastBit) {
  for (const auto& [file, expected] : {std::pair{"state.bin", "state.safetensors"},
                                       {"legacy.pt", "state.safetensors"},
                                       {"nested.ckpt", "nested.safetensors"},
                                       {"module.pt", "module.safetensors"}}) {
    const auto found = read_torch_file(data(file));
    ASSERT_TRUE(succeeds(found)) << file;
    const auto want = read_safetensors(data(expected));
    ASSERT_TRUE(succeeds(want));
    EXPECT_EQ(found->tensors.size(), want->tensors.size()) << file;
    for (const auto& [name, tensor] : want->tensors) {
      ASSERT_TRUE(found->tensors.contains(name)) << file << " " << name;
      EXPECT_TRUE(found->tensors.at(name) == tensor) << file << " " << name;
    }
  }
}

TEST(TorchFile, WhatCallsSomethingIsRefusedByItsName) {
  // Linux' os.system is posix.system.
  EXPECT_TRUE(fails(read_torch_file(data("runs.bin")), ErrorKind::kUnsupported, "runs.bin",
                    "posix.system", "could run code"));
  EXPECT_TRUE(fails(read_torch_file(data("whole_module.bin")), ErrorKind::kUnsupported,
                    "torch.nn.modules.linear.Linear"));
}

TEST(TorchFile, DamageIsFound) {
  const std::string bytes = bytes_of(data("state.bin"));
  for (size_t length = 0; length < bytes.size(); length += 7)
    EXPECT_FALSE(parse_torch_file(bytes.substr(0, length), "cut").ok()) << length;
  // Every byte of the tensors is under a checksum.
  const TensorFile whole = parse_torch_file(bytes, "whole").value();
  int accepted = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x10);
    const auto read = parse_torch_file(flipped, "flipped");
    if (!read.ok()) continue;
    ++accepted;
    EXPECT_TRUE(*read == whole) << "byte " << i;
  }
  EXPECT_LT(accepted, static_cast<int>(bytes.size()));
  EXPECT_TRUE(fails(parse_torch_file("\x89PNG\r\n\x1a\n", "a.bin"), ErrorKind::kCorrupt,
                    "it is a PNG picture"));
}

// Pickles by hand, in the opcodes that are lines of text.
std::string global(const std::string& name) {
  const size_t dot = name.rfind('.');
  return "c" + name.substr(0, dot) + "\n" + name.substr(dot + 1) + "\n";
}
std::string storage(const std::string& type, const std::string& key, int numel) {
  return "(Vstorage\n" + global(type) + "V" + key + "\nVcpu\nI" + std::to_string(numel) + "\ntQ";
}
// Of two numbers in a row; `type` where the tensor says its own, `metadata` what it says besides.
std::string tensor(const std::string& maker, const std::string& from, const std::string& type = "",
                   const std::string& metadata = "") {
  return global("torch._utils." + maker) + "(" + from + "I0\n(I2\nt(I1\ntI00\n" +
         global("collections.OrderedDict") + ")R" + (type.empty() ? "" : global(type)) + metadata +
         "tR";
}
std::string dictionary(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string text = "(d";
  for (const auto& [name, value] : entries) text += "V" + name + "\n" + value + "s";
  return text + ".";
}

const std::vector<std::pair<std::string, std::string>>& entries_of_many_types() {
  static const std::vector<std::pair<std::string, std::string>> entries = {
      {"w", tensor("_rebuild_tensor_v2", storage("torch.FloatStorage", "0", 2))},
      {"scale", tensor("_rebuild_tensor_v3", storage("torch.storage.UntypedStorage", "1", 2),
                       "torch.float8_e4m3fn")},
      {"count", tensor("_rebuild_tensor_v3", storage("torch.storage.UntypedStorage", "2", 4),
                       "torch.uint16")},
      {"phase", tensor("_rebuild_tensor_v2", storage("torch.ComplexFloatStorage", "3", 2))},
      {"p", global("torch._utils._rebuild_parameter") + "(" +
                tensor("_rebuild_tensor_v3", storage("torch.storage.UntypedStorage", "1", 2),
                       "torch.float8_e5m2") +
                "I01\n" + global("collections.OrderedDict") + ")RtR"},
      {"q", global("torch._utils._rebuild_qtensor") + "(" + storage("torch.QInt8Storage", "4", 2) +
                "I0\n(I2\nt(I1\nt(" + global("torch.per_tensor_affine") + "F0.5\nI0\ntI00\n" +
                global("collections.OrderedDict") + ")RtR"}};
  return entries;
}

void expect_the_known_ones(const Result<TensorFile>& file) {
  ASSERT_TRUE(succeeds(file));
  EXPECT_EQ(file->tensors.size(), 2u);
  EXPECT_EQ(to_floats(file->tensors.at("w")), (std::vector<float>{1, 2}));
  EXPECT_EQ(file->tensors.at("count").type, HostType::kU16);
  EXPECT_EQ(to_int64(file->tensors.at("count"), "count").value(), (std::vector<int64_t>{7, 65535}));
  EXPECT_EQ(file->unread,
            (std::map<std::string, std::string>{{"p", "torch.float8_e5m2"},
                                                {"phase", "torch.ComplexFloatStorage"},
                                                {"q", "quantised"},
                                                {"scale", "torch.float8_e4m3fn"}}));
}

TEST(TorchFile, TensorsOfTypesThatAreNotReadAreNamedAndLeftOut) {
  TempFolder folder;
  const float numbers[] = {1, 2};
  const std::string_view floats(reinterpret_cast<const char*>(numbers), 8);
  const std::string words = test::unhex("0700ffff"), bytes(16, '\1');
  const std::string pickle = dictionary(entries_of_many_types());
  const std::string_view all = bytes;
  ASSERT_TRUE(succeeds(write_zip(folder / "a.bin", {{"a/data.pkl", pickle, ""},
                                                    {"a/data/0", "", floats},
                                                    {"a/data/1", "", all.substr(0, 2)},
                                                    {"a/data/2", "", words},
                                                    {"a/data/3", "", all},
                                                    {"a/data/4", "", all.substr(0, 2)}})));
  expect_the_known_ones(read_tensors(folder / "a.bin"));
  // As before 1.6: the storages lie behind the pickles, and each must be passed over.
  std::string old = bytes_of(data("legacy.pt")).substr(0, 15);
  old += "I1001\n.(d." + pickle + "(lV3\naV0\naV2\naV4\naV1\na.";
  const auto append = [&](uint64_t numel, std::string_view part) {
    old.append(reinterpret_cast<const char*>(&numel), 8);
    old += part;
  };
  append(2, all);
  append(2, floats);
  append(4, words);
  append(2, all.substr(0, 2));
  append(2, all.substr(0, 2));
  put(folder / "b.pt", old);
  expect_the_known_ones(read_tensors(folder / "b.pt"));
  // One that calls something is no element type.
  put(folder / "c.pt", bytes_of(data("legacy.pt")).substr(0, 15) + "I1001\n.(d." +
                           dictionary({{"w", global("torch.float8.run")}}) + "(l.");
  EXPECT_TRUE(fails(read_tensors(folder / "c.pt"), ErrorKind::kUnsupported, "torch.float8.run"));
}

// PyTorch 2 and later keep views that are negated or conjugated as their numbers and a bit.
TEST(TorchFile, BitsThatAreStillToBeAppliedAreNotPassedOver) {
  TempFolder folder;
  const float numbers[] = {1, 2};
  const std::string_view floats(reinterpret_cast<const char*>(numbers), 8);
  const std::string from = storage("torch.FloatStorage", "0", 2);
  const std::string bare = storage("torch.storage.UntypedStorage", "0", 8);
  const std::string neg = "(dVneg\nI01\ns", none = "(dVneg\nI00\ns";
  const std::string pickle =
      dictionary({{"plain", tensor("_rebuild_tensor_v2", from, "", "N")},
                  {"same", tensor("_rebuild_tensor_v2", from, "", none)},
                  {"negated", tensor("_rebuild_tensor_v2", from, "", neg)},
                  {"typed", tensor("_rebuild_tensor_v3", bare, "torch.float32", neg)},
                  {"frozen", global("builtins.frozenset") + "((lI1\natR"}});
  ASSERT_TRUE(succeeds(
      write_zip(folder / "a.bin", {{"a/data.pkl", pickle, ""}, {"a/data/0", "", floats}})));
  const auto file = read_torch_file(folder / "a.bin");
  ASSERT_TRUE(succeeds(file));
  EXPECT_EQ(file->tensors.size(), 2u);
  EXPECT_EQ(to_floats(file->tensors.at("same")), (std::vector<float>{1, 2}));
  EXPECT_EQ(file->unread, (std::map<std::string, std::string>{
                              {"negated", "with \"neg\" still to be applied to it"},
                              {"typed", "with \"neg\" still to be applied to it"}}));
}

TEST(TorchFile, OneDictionaryUnderTwoNamesIsReadUnderBoth) {
  TempFolder folder;
  const float numbers[] = {1, 2};
  const std::string_view floats(reinterpret_cast<const char*>(numbers), 8);
  const std::string inner =
      "(dVw\n" + tensor("_rebuild_tensor_v2", storage("torch.FloatStorage", "0", 2)) + "s";
  const auto write = [&](const std::string& pickle) {
    return write_zip(folder / "a.bin", {{"a/data.pkl", pickle, ""}, {"a/data/0", "", floats}});
  };
  ASSERT_TRUE(succeeds(write("(dVmodel\n" + inner + "p7\nsVema\ng7\ns.")));
  const auto file = read_torch_file(folder / "a.bin");
  ASSERT_TRUE(succeeds(file));
  EXPECT_TRUE(file->tensors.contains("model.w"));
  EXPECT_TRUE(file->tensors.contains("ema.w"));
  // Each of 40 holds the next one twice.
  std::string nested = inner + "p0\n0";
  for (int k = 0; k < 40; ++k) nested += fmt::format("(dVa\ng{}\nsVb\ng{}\nsp{}\n0", k, k, k + 1);
  ASSERT_TRUE(succeeds(write(nested + "g40\n.")));
  EXPECT_TRUE(fails(read_torch_file(folder / "a.bin"), ErrorKind::kCorrupt, "again and again"));
}

// Names of one storage take no memory of their own while it is mapped.
TEST(TorchFile, OneStorageMayHaveSeveralNames) {
  TempFolder folder;
  const std::string bytes(size_t{1} << 16, '\1');
  std::string one = tensor("_rebuild_tensor_v2", storage("torch.FloatStorage", "0", 1 << 14));
  const std::string two = "(I2\nt(I1\nt";
  one.replace(one.find(two), two.size(), "(I16384\nt(I1\nt");
  std::vector<std::pair<std::string, std::string>> entries;
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) entries.emplace_back(name, one);
  ASSERT_TRUE(succeeds(write_zip(
      folder / "a.bin", {{"a/data.pkl", dictionary(entries), ""}, {"a/data/0", "", bytes}})));
  const auto file = read_torch_file(folder / "a.bin");
  ASSERT_TRUE(succeeds(file));
  EXPECT_EQ(file->tensors.size(), 6u);
  EXPECT_EQ(file->tensors.at("f").bytes.size(), bytes.size());
}

TEST(Pickle, EveryProtocolReadsTheSame) {
  for (int protocol = 0; protocol <= 5; ++protocol) {
    const std::string bytes = bytes_of(data("plain" + std::to_string(protocol) + ".pkl"));
    const auto pickle = parse_pickle(
        bytes, "pickle", [](std::string_view name) { return name == "_codecs.encode"; }, 1 << 20);
    ASSERT_TRUE(succeeds(pickle)) << protocol;
    EXPECT_EQ(pickle->size(), bytes.size());
    const PickleValue& root = pickle->root();
    ASSERT_EQ(root.kind, PickleValue::Kind::kDict);
    ASSERT_EQ(root.items.size(), 10u);
    const auto value = [&](size_t i) { return (*pickle)[root.items[2 * i + 1]]; };
    EXPECT_EQ((*pickle)[root.items[0]].text, "text");
    EXPECT_EQ(value(0).text, "ü");
    const PickleValue list = value(1);
    ASSERT_EQ(list.items.size(), 6u);
    EXPECT_EQ((*pickle)[list.items[1]].integer, -2);
    EXPECT_EQ((*pickle)[list.items[2]].integer, int64_t{1} << 40);
    EXPECT_EQ((*pickle)[list.items[3]].number, 0.25);
    EXPECT_EQ((*pickle)[list.items[4]].kind, PickleValue::Kind::kNone);
    EXPECT_EQ((*pickle)[list.items[5]].kind, PickleValue::Kind::kBool);
    EXPECT_EQ(value(2).items.size(), 3u);
    if (protocol >= 3) {
      EXPECT_EQ(value(3).text, std::string("\0\xff", 2));
    }
    EXPECT_EQ(value(4).integer, -(int64_t{1} << 33));
  }
}

TEST(Pickle, NamesThatAreNotKnownAreRefused) {
  EXPECT_TRUE(fails(parse_pickle("cos\nsystem\n(S'true'\ntR.", "evil", nothing, 4096),
                    ErrorKind::kUnsupported, "evil", "os.system"));
  EXPECT_TRUE(
      fails(parse_pickle("\x80\x02", "short", nothing, 4096), ErrorKind::kCorrupt, "short"));
  EXPECT_TRUE(fails(parse_pickle("t.", "marks", nothing, 4096), ErrorKind::kCorrupt));
  EXPECT_TRUE(
      fails(parse_pickle("h\x05.", "memo", nothing, 4096), ErrorKind::kCorrupt, "remembered"));
}

TEST(Weights, FilesAreTakenForWhatTheyHold) {
  TempFolder folder;
  const std::string torch = bytes_of(data("module.pt"));
  put(folder / "model.safetensors", torch);  // a checkpoint under another ending
  const auto found = read_tensors(folder / "model.safetensors");
  ASSERT_TRUE(succeeds(found));
  EXPECT_TRUE(found->tensors.contains("bias"));
  put(folder / "lfs.safetensors",
      "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9");
  EXPECT_TRUE(fails(read_tensors(folder / "lfs.safetensors"), ErrorKind::kCorrupt,
                    "a Git LFS pointer", "not downloaded"));
  put(folder / "page.bin", "\n<!DOCTYPE html>\n<html>");
  EXPECT_TRUE(fails(read_tensors(folder / "page.bin"), ErrorKind::kCorrupt, "an HTML page"));
  put(folder / "empty.bin", "");
  EXPECT_TRUE(fails(read_tensors(folder / "empty.bin"), ErrorKind::kCorrupt, "an empty file"));
}

TEST(Weights, PlainBeforeVariantsBeforePickles) {
  TempFolder folder;
  const auto chosen = [&](std::string_view variant = {}) {
    const auto choice = find_weights(folder.path(), "w", variant);
    return choice.ok() ? choice->path.filename().string() : choice.error().message;
  };
  EXPECT_NE(chosen().find("w.safetensors is missing"), std::string::npos);
  put(folder / "w.fp16.bin", "");
  EXPECT_EQ(chosen(), "w.fp16.bin");
  put(folder / "w.fp16.safetensors", "");
  EXPECT_EQ(chosen(), "w.fp16.safetensors");
  put(folder / "w.non_ema.safetensors", "");
  EXPECT_NE(chosen().find("fp16, non_ema"), std::string::npos) << chosen();
  EXPECT_EQ(chosen("non_ema"), "w.non_ema.safetensors");
  EXPECT_NE(chosen("ema").find("there are fp16, non_ema"), std::string::npos);
  put(folder / "w.bin", "");
  EXPECT_EQ(chosen(), "w.bin");
  put(folder / "w.safetensors.index.json", "");
  put(folder / "w-00001-of-00002.safetensors", "");
  EXPECT_EQ(chosen(), "w.safetensors.index.json");
  put(folder / "w.safetensors.index.bf16.json", "");
  EXPECT_EQ(chosen("bf16"), "w.safetensors.index.bf16.json");
  put(folder / "w.safetensors", "");
  EXPECT_EQ(chosen(), "w.safetensors");
}

TEST(Weights, ShardsAreJoinedAndCheckedAgainstTheirIndex) {
  TempFolder folder;
  TensorFile one, two;
  one.tensors["a"] = tensor_from_floats({2}, {1, 2});
  two.tensors["b"] = tensor_from_floats({1}, {3});
  ASSERT_TRUE(write_safetensors(folder / "w-1.safetensors", one).ok());
  ASSERT_TRUE(write_safetensors(folder / "w-2.safetensors", two).ok());
  const Path index = folder / "w.safetensors.index.json";
  const auto read = [&](const std::string& map) {
    put(index, R"({"metadata":{"total_size":12},"weight_map":)" + map + "}");
    return read_weights(find_weights(folder.path(), "w").value());
  };
  const auto all = read(R"({"a":"w-1.safetensors","b":"w-2.safetensors"})");
  ASSERT_TRUE(succeeds(all));
  EXPECT_EQ(all->tensors.size(), 2u);
  EXPECT_TRUE(all->tensors.at("b") == two.tensors.at("b"));
  EXPECT_TRUE(fails(read(R"({"a":"w-1.safetensors","c":"w-2.safetensors"})"), ErrorKind::kCorrupt,
                    "w-2.safetensors", "tensor c"));
  EXPECT_TRUE(fails(read(R"({"a":"../w-1.safetensors"})"), ErrorKind::kCorrupt, "tensor a"));
  EXPECT_TRUE(fails(read(R"({"a":"w-3.safetensors"})"), ErrorKind::kNotFound, "w-3.safetensors"));
  EXPECT_TRUE(fails(read("[]"), ErrorKind::kCorrupt, "weight_map"));
}

}  // namespace
}  // namespace ito
