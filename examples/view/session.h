// Session: what ito-view asks of Ito. Models are read and jobs compiled on a thread of its own,
// sampling is recorded into the frames' command buffers; each step's image goes into a cell of an
// atlas, so that the way from noise to image can be gone back and forth. Not for: drawing.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <ito/ito.hpp>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "gpu.h"

namespace view {

// A change of these makes another job.
struct Settings {
  std::string sampler;
  int steps = 20;
  float guidance = 0;
  bool operator==(const Settings&) const = default;
};

// A change of these begins another image.
struct Request {
  int seed = 0, class_index = 0;
  bool operator==(const Request&) const = default;
};

struct Cell {
  VkImage image;
  int x, y;  // of its upper left pixel
};

class Session {
 public:
  static constexpr int kRecent = 10;  // finished images that are kept
  static constexpr int kMostSteps = 200;

  // Turns on in `gpu` what Ito likes to have, before the device is made.
  static void want(Gpu& gpu);
  // `queue` is held around each use of the queue, here and by the caller. `cache`: for compiled
  // shaders, or empty.
  Session(const Gpu& gpu, std::mutex& queue, const std::string& cache);
  ~Session();
  Session(const Session&) = delete;

  // Reads the model and makes a job, while the old one goes on; of several calls the newest counts.
  void open(const std::string& folder, const Settings& settings, bool read_again = false);
  bool opening() const;
  // Takes a finished open() over, before the frame's commands; begins `request`. Whether it did.
  bool update(const Request& request);
  // Why the last open() or call failed; empty where it did not.
  const std::string& error() const { return error_; }

  void begin(const Request& request);
  // Records a slice, and what became of it into the atlas.
  void record(VkCommandBuffer commands, uint32_t budget_us);

  bool ready() const { return bool{current_.job}; }
  bool finished() const { return finished_; }
  int step() const { return static_cast<int>(progress_.step); }
  int steps() const { return static_cast<int>(properties().steps); }
  const ItoJobProperties& properties() const { return current_.properties; }
  const ItoModelProperties& model() const { return current_.model_properties; }
  const std::vector<std::string>& class_names() const { return current_.class_names; }
  const char* device_name() const { return gpu_.properties.deviceName; }

  // The newest image not after `step`; nothing before the first.
  std::optional<Cell> image_at(int step) const;
  // Finished images, the newest first.
  std::vector<Cell> recent() const;
  // RGBA of a cell. Waits.
  std::vector<uint8_t> pixels(const Cell& cell) const;

 private:
  struct Opened {
    ito::Job job;
    ItoModelProperties model_properties;
    ItoJobProperties properties;
    std::vector<std::string> class_names;
    std::string error;
  };
  struct Order {
    std::string folder;
    Settings settings;
    bool read_again = false;
  };
  void work();
  Opened make(const Order& order);
  void record_into(VkCommandBuffer commands, const Cell& cell, bool preview);
  Cell cell(int step) const;
  void make_images();
  void drop_images();
  void wait() const;

  const Gpu& gpu_;
  std::mutex& queue_;
  const ItoApi ito_;
  ito::Context context_;
  Opened current_;
  ItoProgress progress_;
  bool finished_ = false;
  std::string error_;
  GpuImage atlas_ = {}, recent_ = {};
  std::vector<bool> drawn_;  // cells of the atlas
  int recent_count_ = 0;     // since the images were made
  VkCommandPool pool_ = VK_NULL_HANDLE;

  mutable std::mutex orders_;
  std::condition_variable changed_;
  std::optional<Order> order_;
  std::optional<Opened> done_;
  bool working_ = false, stop_ = false;
  ito::Model model_;  // the worker's, and of which folder it is
  std::string model_folder_;
  std::thread worker_;
};

}  // namespace view
