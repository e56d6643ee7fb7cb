#include "run_folder.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <optional>

#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#include <stb_image.h>

namespace fs = std::filesystem;

namespace view {
namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The number behind `"name":` in a line of JSON.
std::optional<double> number_of(const std::string& line, const std::string& name) {
  const size_t at = line.find('"' + name + "\":");
  if (at == std::string::npos) return std::nullopt;
  const char* begin = line.c_str() + at + name.size() + 3;
  char* end = nullptr;
  const double value = std::strtod(begin, &end);
  if (end == begin) return std::nullopt;
  return value;
}

fs::file_time_type time_of(const fs::path& path) {
  std::error_code error;
  const fs::file_time_type time = fs::last_write_time(path, error);
  return error ? fs::file_time_type::min() : time;
}

}  // namespace

Picture read_png(const std::string& path) {
  int width = 0, height = 0, channels = 0;
  uint8_t* pixels = stbi_load(path.c_str(), &width, &height, &channels, 4);
  if (pixels == nullptr) return {};
  Picture picture = {static_cast<uint32_t>(width), static_cast<uint32_t>(height), {}};
  picture.rgba.assign(pixels, pixels + size_t{picture.width} * picture.height * 4);
  stbi_image_free(pixels);
  return picture;
}

RunFolder::RunFolder(fs::path folder)
    : folder_(std::move(folder)), is_run_(fs::exists(folder_ / "run.json")) {
  poll();
}

void RunFolder::poll() {
  if (seconds() < next_poll_) return;
  next_poll_ = seconds() + 1;
  // Written behind the weights; the second where diffusers does not have the network.
  weights_ = std::max(time_of(folder_ / "model_index.json"), time_of(folder_ / "config.json"));
  if (!is_run_) return;
  read_metrics();
  find_grid();
}

bool RunFolder::take_new_weights() {
  if (weights_ == taken_) return false;
  taken_ = weights_;
  return true;
}

void RunFolder::read_metrics() {
  const fs::path path = folder_ / "metrics.jsonl";
  const Time time = time_of(path);
  if (time == metrics_) return;
  metrics_ = time;
  losses_.clear();
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto step = number_of(line, "step");
    const auto loss = number_of(line, "loss");
    if (!step || !loss) continue;
    step_ = static_cast<int64_t>(*step);
    losses_.push_back(static_cast<float>(*loss));
  }
}

void RunFolder::find_grid() {
  std::error_code error;
  int64_t newest = -1;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("samples-") || !name.ends_with(".png")) continue;
    int64_t step = 0;
    const char* begin = name.data() + 8;
    const auto [end, bad] = std::from_chars(begin, name.data() + name.size() - 4, step);
    if (bad != std::errc() || end != name.data() + name.size() - 4 || step <= newest) continue;
    newest = step;
    grid_ = entry.path().string();
  }
}

}  // namespace view
