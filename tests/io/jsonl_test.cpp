#include "io/jsonl.h"

#include <cmath>

#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::bytes_of;
using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;

TEST(Jsonl, RowsAreInTheFileAtOnce) {
  TempFolder folder;
  JsonlWriter writer = *JsonlWriter::open(folder / "m.jsonl", std::nullopt);
  ASSERT_TRUE(succeeds(writer.append({{"step", 1}, {"loss", 0.5}})));
  EXPECT_EQ(bytes_of(folder / "m.jsonl"), "{\"loss\":0.5,\"step\":1}\n");
  ASSERT_TRUE(succeeds(writer.append({{"step", 2}, {"loss", std::nan("")}})));
  std::vector<Json> rows = *read_jsonl(folder / "m.jsonl");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1]["loss"], nullptr);
}

TEST(Jsonl, ResumingDropsTornAndLaterRows) {
  TempFolder folder;
  put(folder / "m.jsonl",
      "{\"step\":1}\n{\"event\":\"start\"}\n{\"step\":2}\ngarbage\n{\"step\":3}\n{\"step\":2,\"v\":"
      "1}\n{\"st");
  {
    JsonlWriter writer = *JsonlWriter::open(folder / "m.jsonl", 2);
    ASSERT_TRUE(succeeds(writer.append({{"step", 3}})));
  }
  EXPECT_EQ(
      bytes_of(folder / "m.jsonl"),
      "{\"step\":1}\n{\"event\":\"start\"}\n{\"step\":2}\n{\"step\":2,\"v\":1}\n{\"step\":3}\n");
}

TEST(Jsonl, AFreshRunStartsEmpty) {
  TempFolder folder;
  put(folder / "m.jsonl", "{\"step\":1}\n");
  ASSERT_TRUE(succeeds(JsonlWriter::open(folder / "m.jsonl", std::nullopt)));
  EXPECT_EQ(bytes_of(folder / "m.jsonl"), "");
}

TEST(Jsonl, BadPlacesAndLinesAreNamed) {
  TempFolder folder;
  EXPECT_TRUE(fails(JsonlWriter::open(folder / "no" / "m.jsonl", 0), ErrorKind::kIo, "no/m.jsonl"));
  put(folder / "m.jsonl", "{}\n[]\n");
  EXPECT_TRUE(fails(read_jsonl(folder / "m.jsonl"), ErrorKind::kCorrupt, "m.jsonl:2"));
  // /dev/full accepts the open and refuses every write.
  JsonlWriter full = *JsonlWriter::open("/dev/full", 0);
  EXPECT_TRUE(fails(full.append({{"a", 1}}), ErrorKind::kIo, "/dev/full", "No space left"));
}

}  // namespace
}  // namespace ito
