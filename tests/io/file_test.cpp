#include "io/file.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <new>

#include "base/error.h"
#include "io/checkpoint.h"
#include "io/safetensors.h"
#include "tests/io/temp_folder.h"

namespace ito {
namespace {

using test::bytes_of;
using test::fails;
using test::put;
using test::succeeds;
using test::TempFolder;

// Runs body in a child process and returns the text it wrote, so that a mount, a limit or a signal
// stays its own.
std::string in_child(const std::function<std::string()>& body) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  pid_t child = ::fork();
  if (child == 0) {
    std::string text = body();
    ssize_t written = ::write(ends[1], text.data(), text.size());
    ::_exit(written == static_cast<ssize_t>(text.size()) ? 0 : 1);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof(buffer))) > 0;)
    text.append(buffer, static_cast<size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? text : "child was killed";
}

std::string message_of(const Status& status) { return status.ok() ? "ok" : status.error().message; }

std::vector<std::string> names_in(const TempFolder& folder) { return *list_folder(folder.path()); }

// A private tmpfs of 64 KiB over `folder`; false where this process may not mount.
bool mount_small(const Path& folder) {
  if (::unshare(CLONE_NEWNS) != 0) return false;
  if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return ::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=64k") == 0;
}

TEST(File, AtomicWriteReplacesWholeContent) {
  TempFolder folder;
  ASSERT_TRUE(succeeds(write_file_atomic(folder / "a", "first and longer")));
  ASSERT_TRUE(succeeds(write_file_atomic(folder / "a", "second")));
  EXPECT_EQ(*read_file(folder / "a"), "second");
  EXPECT_EQ(*list_folder(folder.path()), std::vector<std::string>{"a"});
}

TEST(File, FailedProducerLeavesOldFileAndNoTemporary) {
  TempFolder folder;
  put(folder / "a", "old");
  Status status = write_file_atomic(folder / "a", [](const ByteSink& sink) -> Status {
    ITO_TRY(sink("half of the new"));
    return interrupted("stopped");
  });
  EXPECT_TRUE(fails(status, ErrorKind::kInterrupted, "stopped"));
  EXPECT_EQ(bytes_of(folder / "a"), "old");
  EXPECT_EQ(list_folder(folder.path())->size(), 1u);
}

// Memory may run out while a checkpoint is put together.
TEST(File, WhatThrowsWhileItIsWrittenLeavesOldContentAndNoTemporary) {
  TempFolder folder;
  const Path file = folder.path() / "f", whole = folder.path() / "g";
  ASSERT_TRUE(succeeds(write_file_atomic(file, "old")));
  const auto no_memory = [](const ByteSink& sink) -> Status {
    ITO_TRY(sink("half"));
    throw std::bad_alloc();
  };
  EXPECT_THROW((void)write_file_atomic(file, no_memory), std::bad_alloc);
  EXPECT_THROW((void)write_folder_atomic(whole,
                                         [](const Path& inside) -> Status {
                                           ITO_TRY(write_file_atomic(inside / "h", "half"));
                                           throw std::bad_alloc();
                                         }),
               std::bad_alloc);
  EXPECT_EQ(bytes_of(file), "old");
  EXPECT_EQ(list_folder(folder.path()).value(), std::vector<std::string>{"f"});
}

TEST(File, ErrorsNamePathAndReason) {
  TempFolder folder;
  EXPECT_TRUE(fails(read_file(folder / "none"), ErrorKind::kNotFound, "none", "No such file"));
  EXPECT_TRUE(fails(read_file(folder.path()), ErrorKind::kIo, "it is a folder"));
  EXPECT_TRUE(fails(read_file("/dev/zero"), ErrorKind::kIo, "not a regular file"));
  put(folder / "big", std::string(100, 'x'));
  EXPECT_TRUE(fails(read_file(folder / "big", 99), ErrorKind::kIo, "100 bytes, at most 99"));
  EXPECT_TRUE(fails(write_file_atomic(folder / "no" / "file", "x"), ErrorKind::kIo, "no/file",
                    "No such file or directory"));
  EXPECT_TRUE(fails(list_folder(folder / "none"), ErrorKind::kNotFound, "none"));
  EXPECT_TRUE(fails(make_folders(folder / "big"), ErrorKind::kIo, "big"));
  EXPECT_TRUE(fails(MappedFile::open(folder / "none"), ErrorKind::kNotFound, "none"));
}

TEST(File, MappedFileSeesTheBytes) {
  TempFolder folder;
  put(folder / "a", "abc");
  put(folder / "empty", "");
  EXPECT_EQ(MappedFile::open(folder / "a")->bytes(), "abc");
  EXPECT_EQ(MappedFile::open(folder / "empty")->bytes(), "");
}

TEST(File, FullDiskIsOneClearErrorAndLeavesNothingBehind) {
  TempFolder folder;
  std::string text = in_child([&]() -> std::string {
    if (!mount_small(folder.path())) return "cannot mount";
    put(folder / "model", "old");
    std::string result = message_of(write_file_atomic(folder / "model", std::string(1 << 20, 'x')));
    for (const std::string& name : names_in(folder)) result += " | " + name;
    Checkpoint checkpoint;
    checkpoint.step = 3;
    checkpoint.state.tensors["w"] = tensor_from_floats({1 << 18}, std::vector<float>(1 << 18));
    result += " | " + message_of(write_checkpoint(folder.path(), checkpoint));
    for (const std::string& name : names_in(folder)) result += " | " + name;
    return result + " | " + bytes_of(folder / "model");
  });
  if (text == "cannot mount") GTEST_SKIP() << "needs the right to mount a tmpfs";
  const std::string root = folder.path().string();
  EXPECT_EQ(text.find("cannot write " + root + "/model: No space left on device ("), 0u) << text;
  EXPECT_NE(text.find("MB free) | model | cannot write " + root +
                      "/checkpoint-3.tmp/state.safetensors: No space left on device"),
            std::string::npos)
      << text;
  EXPECT_TRUE(text.ends_with("MB free) | model | old")) << text;
}

TEST(File, ReadOnlyFolderIsOneClearError) {
  TempFolder folder;
  std::string text = in_child([&]() -> std::string {
    if (!mount_small(folder.path()) ||
        ::mount("tmpfs", folder.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0)
      return "cannot mount";
    return message_of(write_file_atomic(folder / "model", "x")) + " | " +
           message_of(make_folders(folder / "run")) + " | " +
           message_of(write_checkpoint(folder.path(), Checkpoint{}));
  });
  if (text == "cannot mount") GTEST_SKIP() << "needs the right to mount a tmpfs";
  const std::string root = folder.path().string(), reason = ": Read-only file system";
  EXPECT_EQ(text, "cannot write " + root + "/model" + reason + " | cannot create folder " + root +
                      "/run" + reason + " | cannot create folder " + root + "/checkpoint-0" +
                      reason);
}

TEST(File, FolderWithoutPermissionIsOneClearError) {
  constexpr uid_t kNobody = 65534;
  TempFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0500), 0);
  const std::string text = in_child([&]() -> std::string {
    // Root may write anywhere, so that the folder and the writer are somebody else's.
    if (::geteuid() == 0 && (::chown(folder.path().c_str(), kNobody, static_cast<gid_t>(-1)) != 0 ||
                             ::setuid(kNobody) != 0))
      return "cannot become somebody else";
    return message_of(write_file_atomic(folder / "a", "x"));
  });
  ASSERT_EQ(::chmod(folder.path().c_str(), 0700), 0);
  EXPECT_EQ(text, "cannot write " + (folder / "a").string() + ": Permission denied");
  EXPECT_TRUE(list_folder(folder.path())->empty());
}

TEST(File, FileSizeLimitIsOneClearErrorAndLeavesNothingBehind) {
  TempFolder folder;
  std::string text = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    return message_of(write_file_atomic(folder / "a", std::string(10000, 'x')));
  });
  EXPECT_EQ(text, "cannot write " + (folder / "a").string() + ": File too large");
  EXPECT_TRUE(list_folder(folder.path())->empty());
}

TEST(File, FolderAppearsWholeOrNotAtAll) {
  TempFolder folder;
  Path path = folder / "model";
  put(path.string() + ".tmp/leftover", "from a crash");
  auto fill = [](const char* content) {
    return [content](const Path& inner) -> Status {
      return write_file_atomic(inner / "weights", content);
    };
  };
  ASSERT_TRUE(succeeds(write_folder_atomic(path, fill("one"))));
  EXPECT_EQ(*list_folder(path), std::vector<std::string>{"weights"});
  ASSERT_TRUE(succeeds(write_folder_atomic(path.string() + "/", fill("two"))));
  EXPECT_EQ(bytes_of(path / "weights"), "two");
  Status failed = write_folder_atomic(path, [](const Path& inner) -> Status {
    ITO_TRY(write_file_atomic(inner / "weights", "three"));
    return io_error("the disk went away");
  });
  EXPECT_TRUE(fails(failed, ErrorKind::kIo, "the disk went away"));
  EXPECT_EQ(bytes_of(path / "weights"), "two");
  EXPECT_EQ(*list_folder(folder.path()), std::vector<std::string>{"model"});
}

TEST(File, NamesOfTemporariesAreKnownAndNoOthers) {
  EXPECT_EQ(temporary_stem("a.json.123.tmp"), "a.json");
  EXPECT_EQ(temporary_stem("b.9.tmp"), "b");
  for (const char* name : {"notes.tmp", "x.12a.tmp", "c.tmp.5", "77.tmp", ".tmp", "a.5"})
    EXPECT_FALSE(temporary_stem(name)) << name;
}

TEST(File, KilledFolderWriterLeavesOldOrNew) {
  TempFolder folder;
  Path path = folder / "model";
  ASSERT_TRUE(succeeds(write_folder_atomic(
      path, [](const Path& inner) { return write_file_atomic(inner / "weights", "0"); })));
  for (int round = 0; round < 10; ++round) {
    pid_t child = ::fork();
    if (child == 0) {
      for (int i = 1;; ++i)
        if (!write_folder_atomic(path, [i](const Path& inner) {
               return write_file_atomic(inner / "weights",
                                        std::string(1000, 'a') + std::to_string(i));
             }).ok())
          ::_exit(1);
    }
    ::usleep(static_cast<useconds_t>(3000 + 1777 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    std::string content = bytes_of(path / "weights");
    EXPECT_TRUE(content == "0" || content.size() > 1000) << content.size();
  }
}

}  // namespace
}  // namespace ito
