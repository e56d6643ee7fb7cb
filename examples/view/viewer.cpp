#include "viewer.h"

#include <imgui.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

namespace view {
namespace {

// Those that draw from noise in a fixed number of steps. Which of them a model takes, Ito says.
constexpr const char* kSamplers[] = {"ddim",
                                     "ddpm",
                                     "dpm++2m",
                                     "dpm++2s",
                                     "dpm++3m",
                                     "dpm++2m-sde",
                                     "unipc",
                                     "deis",
                                     "pndm",
                                     "euler",
                                     "heun",
                                     "kdpm2",
                                     "lms",
                                     "ipndm",
                                     "edm-euler",
                                     "edm-dpm",
                                     "euler-ancestral",
                                     "edm",
                                     "flow-euler",
                                     "flow-heun",
                                     "consistency",
                                     "gan",
                                     "em",
                                     "ancestral",
                                     "pc",
                                     "ald",
                                     "lcm"};
constexpr float kLeft = 330, kMargin = 12;

}  // namespace

Viewer::Viewer(const Options& options, const Gpu& gpu, std::mutex& queue)
    : options_(options),
      gpu_(gpu),
      queue_(queue),
      screen_(gpu, queue, static_cast<uint32_t>(options.width),
              static_cast<uint32_t>(options.height)),
      session_(gpu, queue, options.cache),
      run_(options.folder),
      settings_{options.sampler, options.steps, static_cast<float>(options.guidance)},
      request_{options.seed, options.class_index},
      budget_us_(options.budget_us) {}

Viewer::~Viewer() {
  const std::lock_guard hold(queue_);
  check(vkDeviceWaitIdle(gpu_.device), "vkDeviceWaitIdle");
  if (grid_.image != VK_NULL_HANDLE) gpu_destroy_image(&gpu_, &grid_);
}

bool Viewer::frame() {
  if (!screen_.begin()) return false;
  follow_run();
  if (session_.update(request_)) {
    begun_ = request_;
    ++weights_seen_;
    look_ = 0;
    looking_ = false;
  }
  shown_.clear();
  settings_panel();
  image_panel();
  if (run_.is_run()) run_panel();
  if (!(settings_ == asked_) && !session_.opening() && run_.has_weights()) {
    asked_ = settings_;
    session_.open(options_.folder, settings_);
  }
  if (keep_going_ && session_.finished() && request_ == begun_) ++request_.seed;
  if (!(request_ == begun_) && session_.ready()) {
    session_.begin(request_);
    begun_ = request_;
    if (!keep_going_) looking_ = false;
  }
  screen_.end(
      [this](VkCommandBuffer commands) {
        session_.record(commands, static_cast<uint32_t>(budget_us_));
      },
      shown_);
  return act();
}

void Viewer::follow_run() {
  run_.poll();
  if (run_.take_new_weights()) {
    asked_ = settings_;
    session_.open(options_.folder, settings_, true);
  }
  if (run_.grid() != grid_path_) load_grid(run_.grid());
}

// ------------------------------------------------------------------------------- panels

void Viewer::settings_panel() {
  const ImVec2 size = ImGui::GetIO().DisplaySize;
  ImGui::SetNextWindowPos({0, 0});
  ImGui::SetNextWindowSize({kLeft, size.y});
  ImGui::Begin("Sampling", nullptr,
               ImGuiWindowFlags_NoResize | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoCollapse);
  ImGui::PushItemWidth(190);
  ImGui::TextWrapped("%s", options_.folder.c_str());
  if (session_.ready())
    ImGui::TextDisabled("%ux%ux%u, %.2f million weights", session_.properties().width,
                        session_.properties().height, session_.properties().channels,
                        static_cast<double>(session_.model().parameters) * 1e-6);
  ImGui::TextDisabled("%s", session_.device_name());
  ImGui::Separator();
  if (ImGui::BeginCombo("sampler", settings_.sampler.c_str())) {
    for (const char* name : kSamplers)
      if (ImGui::Selectable(name, settings_.sampler == name)) settings_.sampler = name;
    ImGui::EndCombo();
  }
  // Dragging would compile for each number on the way; what is let go counts.
  static int steps = 0;
  static float guidance = 0;
  if (!ImGui::IsAnyItemActive()) {
    steps = settings_.steps;
    guidance = settings_.guidance;
  }
  ImGui::SliderInt("steps", &steps, 1, Session::kMostSteps, "%d", ImGuiSliderFlags_AlwaysClamp);
  if (ImGui::IsItemDeactivatedAfterEdit()) settings_.steps = steps;
  ImGui::SliderFloat("guidance", &guidance, 0, 8, guidance == 0 ? "none" : "%.1f");
  if (ImGui::IsItemDeactivatedAfterEdit()) settings_.guidance = guidance;
  ImGui::SliderInt("seed", &request_.seed, 0, 999);
  const auto& names = session_.class_names();
  if (!names.empty()) {
    request_.class_index = std::clamp(request_.class_index, 0, static_cast<int>(names.size()) - 1);
    ImGui::SliderInt("class", &request_.class_index, 0, static_cast<int>(names.size()) - 1,
                     names[static_cast<size_t>(request_.class_index)].c_str());
  }
  ImGui::Checkbox("go on with the next seed", &keep_going_);
  ImGui::Separator();
  ImGui::SliderInt("budget", &budget_us_, 500, 100000, "%d us", ImGuiSliderFlags_Logarithmic);
  ImGui::Text("%.1f ms between frames", 1000.0 / static_cast<double>(ImGui::GetIO().Framerate));
  if (session_.opening()) ImGui::TextColored({1, 0.8f, 0.3f, 1}, "reading and compiling ...");
  if (!session_.error().empty()) {
    ImGui::PushStyleColor(ImGuiCol_Text, ImVec4(1, 0.5f, 0.4f, 1));
    ImGui::TextWrapped("%s", session_.error().c_str());
    ImGui::PopStyleColor();
  }
  if (run_.is_run() && !run_.has_weights()) ImGui::TextWrapped("the run has no checkpoint yet");
  ImGui::PopItemWidth();
  ImGui::End();
}

void Viewer::show(const Cell& cell, float x, float y, float scale) {
  const VkExtent2D extent = {session_.properties().width, session_.properties().height};
  shown_.push_back({cell.image,
                    {{cell.x, cell.y}, extent},
                    x,
                    y,
                    scale * static_cast<float>(extent.width),
                    scale * static_cast<float>(extent.height)});
}

void Viewer::image_panel() {
  const ImVec2 size = ImGui::GetIO().DisplaySize;
  const float width = run_.is_run() ? (size.x - kLeft) * 0.58f : size.x - kLeft;
  ImGui::SetNextWindowPos({kLeft, 0});
  ImGui::SetNextWindowSize({width, size.y});
  ImGui::Begin("Image", nullptr,
               ImGuiWindowFlags_NoResize | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoCollapse);
  if (session_.ready()) {
    const int now = session_.finished() ? session_.steps() : session_.step();
    if (!looking_) look_ = now;
    ImGui::PushItemWidth(width - 150);
    if (ImGui::SliderInt("step", &look_, 0, session_.steps(), "%d")) looking_ = true;
    ImGui::PopItemWidth();
    ImGui::ProgressBar(static_cast<float>(now) / static_cast<float>(session_.steps()),
                       {width - 150, 4}, "");
    if (looking_ && ImGui::SmallButton("the newest")) looking_ = false;
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const auto w = static_cast<float>(session_.properties().width);
    const auto h = static_cast<float>(session_.properties().height);
    const float small =
        std::max(1.0f, std::floor((width - 2 * kMargin) / Session::kRecent / (w + 2)));
    const float room = size.y - at.y - small * h - 3 * kMargin - 20;
    const float scale = std::max(1.0f, std::floor(std::min((width - 2 * kMargin) / w, room / h)));
    if (const auto cell = session_.image_at(look_)) show(*cell, at.x + kMargin, at.y + 4, scale);
    ImGui::SetCursorScreenPos({at.x, at.y + 4 + scale * h + kMargin});
    ImGui::TextDisabled("finished, the newest first");
    const ImVec2 strip = ImGui::GetCursorScreenPos();
    float x = strip.x + kMargin;
    for (const Cell& cell : session_.recent()) {
      show(cell, x, strip.y, small);
      x += small * (w + 2);
    }
  }
  ImGui::End();
}

void Viewer::run_panel() {
  const ImVec2 size = ImGui::GetIO().DisplaySize;
  const float left = kLeft + (size.x - kLeft) * 0.58f, width = size.x - left;
  ImGui::SetNextWindowPos({left, 0});
  ImGui::SetNextWindowSize({width, size.y});
  ImGui::Begin("Training", nullptr,
               ImGuiWindowFlags_NoResize | ImGuiWindowFlags_NoMove | ImGuiWindowFlags_NoCollapse);
  const std::vector<float>& losses = run_.losses();
  if (!losses.empty()) {
    ImGui::Text("step %lld, loss %.4f", static_cast<long long>(run_.step()),
                static_cast<double>(losses.back()));
    ImGui::PlotLines("##loss", losses.data(), static_cast<int>(losses.size()), 0, nullptr, 0,
                     *std::max_element(losses.begin(), losses.end()), {width - 2 * kMargin, 120});
  }
  if (grid_.image != VK_NULL_HANDLE) {
    ImGui::TextDisabled("%s", grid_path_.substr(grid_path_.rfind('/') + 1).c_str());
    const ImVec2 at = ImGui::GetCursorScreenPos();
    const auto w = static_cast<float>(grid_.width), h = static_cast<float>(grid_.height);
    const float scale = std::min((width - 2 * kMargin) / w, (size.y - at.y - kMargin) / h);
    shown_.push_back(
        {grid_.image, {{0, 0}, {grid_.width, grid_.height}}, at.x, at.y, scale * w, scale * h});
  }
  ImGui::End();
}

void Viewer::load_grid(const std::string& path) {
  const Picture picture = read_png(path);
  if (picture.rgba.empty()) return;  // being written; it is looked for again
  grid_path_ = path;
  const std::lock_guard hold(queue_);
  check(vkDeviceWaitIdle(gpu_.device), "vkDeviceWaitIdle");
  if (grid_.image != VK_NULL_HANDLE) gpu_destroy_image(&gpu_, &grid_);
  grid_ = gpu_upload(&gpu_, picture.width, picture.height, picture.rgba.data());
}

// ------------------------------------------------------------------------------- actions

bool Viewer::set_by(const Action& action) {
  const auto integer = [&] { return static_cast<int>(number(action.name, action.value)); };
  if (action.name == "seed")
    request_.seed = integer();
  else if (action.name == "class")
    request_.class_index = integer();
  else if (action.name == "sampler")
    settings_.sampler = action.value;
  else if (action.name == "guidance")
    settings_.guidance = static_cast<float>(number(action.name, action.value));
  else if (action.name == "steps")
    settings_.steps = std::clamp(integer(), 1, Session::kMostSteps);
  else if (action.name == "look") {
    look_ = integer();
    looking_ = true;
  } else {
    return false;
  }
  return true;
}

bool Viewer::act() {
  if (next_action_ == options_.actions.size()) return true;
  const Action& action = options_.actions[next_action_];
  const bool idle = !session_.opening() && settings_ == asked_ && request_ == begun_;
  if (!session_.error().empty()) {
    std::fprintf(stderr, "ito-view: %s\n", session_.error().c_str());
    failed_ = true;
    return false;
  }
  if (action.name == "quit") return false;
  if (action.name == "frames") {
    if (frames_left_ < 0) frames_left_ = static_cast<int>(number(action.name, action.value));
    if (frames_left_-- > 0) return true;
    frames_left_ = -1;
  } else if (action.name == "wait") {
    if (!idle || !session_.finished()) return true;
  } else if (action.name == "weights") {
    if (weights_wanted_ < 0) weights_wanted_ = weights_seen_ + 1;
    if (!idle || weights_seen_ < weights_wanted_ || !session_.finished()) return true;
    weights_wanted_ = -1;
  } else if (action.name == "file") {
    if (!std::filesystem::exists(action.value)) return true;
  } else if (action.name == "compare") {
    compare(action.value);
  } else if (action.name == "shot") {
    shot(action.value);
  } else {
    set_by(action);
  }
  ++next_action_;
  return true;
}

void Viewer::compare(const std::string& path) {
  const auto cell = session_.finished() ? session_.image_at(session_.steps()) : std::nullopt;
  const Picture expected = read_png(path);
  const bool equal = cell && expected.width == session_.properties().width &&
                     expected.height == session_.properties().height &&
                     session_.pixels(*cell) == expected.rgba;
  std::printf("image %s %s\n", equal ? "equals" : "DIFFERS FROM", path.c_str());
  failed_ |= !equal;
}

void Viewer::shot(const std::string& path) {
  uint32_t width = 0, height = 0;
  const std::vector<uint8_t> pixels = screen_.read(width, height);
  if (stbi_write_png(path.c_str(), static_cast<int>(width), static_cast<int>(height), 4,
                     pixels.data(), static_cast<int>(width) * 4) != 0)
    return;
  std::fprintf(stderr, "ito-view: cannot write %s\n", path.c_str());
  failed_ = true;
}

}  // namespace view
