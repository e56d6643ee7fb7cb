// RunFolder: the folder of an `ito train` that may be going on: when a newer checkpoint's weights
// are there, its losses, its newest grid of samples. Not for: starting or stopping it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace view {

struct Picture {
  uint32_t width = 0, height = 0;
  std::vector<uint8_t> rgba;
};
// Empty where the file cannot be read.
Picture read_png(const std::string& path);

class RunFolder {
 public:
  // Also of a folder that is no run, which then never changes.
  explicit RunFolder(std::filesystem::path folder);
  bool is_run() const { return is_run_; }

  // Looks at the files, at most once a second.
  void poll();
  // Whether there are weights newer than those of the last call.
  bool take_new_weights();
  bool has_weights() const { return weights_ != Time::min(); }

  int64_t step() const { return step_; }  // of the newest line of metrics.jsonl
  const std::vector<float>& losses() const { return losses_; }
  const std::string& grid() const { return grid_; }  // path of the newest samples-N.png, or empty

 private:
  using Time = std::filesystem::file_time_type;
  void read_metrics();
  void find_grid();

  std::filesystem::path folder_;
  bool is_run_;
  double next_poll_ = 0;
  Time weights_ = Time::min(), taken_ = Time::min(), metrics_ = Time::min();
  int64_t step_ = 0;
  std::vector<float> losses_;
  std::string grid_;
};

}  // namespace view
