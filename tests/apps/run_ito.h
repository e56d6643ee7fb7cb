// Starts the built program as a user would and collects what it says; and makes the small inputs
// that the tests of the command line need. Not for testing api in this process.
#pragma once

#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "io/file.h"
#include "io/host_tensor.h"
#include "io/json.h"
#include "io/npy.h"

namespace ito::test {

struct Outcome {
  int code = -1;  // exit code, or minus the signal that ended it
  std::string out, err;
};

struct Start {
  std::vector<std::string> arguments;
  bool launcher = true;  // through $ITO_LAUNCHER, where that is set
  std::vector<std::pair<std::string, std::string>> environment;
  // If set: sends `signal` as soon as this is true (asked every `poll`).
  std::function<bool()> when;
  int signal = SIGKILL;
  std::chrono::microseconds poll{3000};
};

// A folder of this test, removed at its end.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "ito_apps_XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Path operator/(const std::string& name) const { return path_ / name; }

 private:
  Path path_;
};

Outcome run_ito(const Start& start);

Outcome run_ito(std::vector<std::string> arguments);

// 48 images of 8x8 in three classes, as an .npz file.
void write_tiny_data(const Path& path);

// Trains a network of one level, the least that has attention, class embeddings and an average;
// more arguments may follow.
std::vector<std::string> least_training(const Path& data, const Path& out, int steps,
                                        int checkpoint_every);

// Trains a network of about 25,000 weights; more arguments may follow.
std::vector<std::string> tiny_training(const Path& data, const Path& out, int steps);

// Makes a run go on with another learning rate, which the command line would refuse.
void set_stored_learning_rate(const Path& run, double rate);

std::vector<std::string> with(std::vector<std::string> arguments,
                              const std::vector<std::string>& more);

}  // namespace ito::test
