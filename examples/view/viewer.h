// Viewer: the panels of ito-view and what their sliders do. Vulkan and windows are Screen's, Ito is
// Session's.
#pragma once

#include <string>
#include <vector>

#include "run_folder.h"
#include "screen.h"
#include "script.h"
#include "session.h"

namespace view {

class Viewer {
 public:
  Viewer(const Options& options, const Gpu& gpu, std::mutex& queue);
  ~Viewer();

  // One frame; false when the window was closed or the actions say so.
  bool frame();
  // Whether a comparison failed.
  bool failed() const { return failed_; }

 private:
  void settings_panel();
  void image_panel();
  void run_panel();
  void follow_run();
  bool act();  // the next action, if it can be done; false: quit
  bool set_by(const Action& action);
  void compare(const std::string& path);
  void shot(const std::string& path);
  void load_grid(const std::string& path);
  void show(const Cell& cell, float x, float y, float scale);

  const Options options_;
  const Gpu& gpu_;
  std::mutex& queue_;
  Screen screen_;
  Session session_;
  RunFolder run_;
  Settings settings_, asked_;
  Request request_, begun_;
  bool keep_going_ = false;
  int budget_us_, look_ = 0;
  bool looking_ = false;  // at a step of one's own choice, not at the newest
  size_t next_action_ = 0;
  int frames_left_ = -1, weights_seen_ = 0, weights_wanted_ = -1;
  bool failed_ = false;
  std::vector<Shown> shown_;
  GpuImage grid_ = {};
  std::string grid_path_;
};

}  // namespace view
