#include "session.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace view {
namespace {

constexpr int kColumns = 16;  // of the atlas

// What a call gives, or the end of the program.
template <class T>
T take(ito::Result<T> result) {
  if (!result) fail(result.error().message.c_str());
  return *std::move(result);
}

void begin_commands(VkCommandBuffer commands) {
  VkCommandBufferBeginInfo begin = {};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  check(vkBeginCommandBuffer(commands, &begin), "vkBeginCommandBuffer");
}

// Commands that are done when this is destroyed.
class Once {
 public:
  Once(const Gpu& gpu, std::mutex& queue, VkCommandPool pool)
      : gpu_(gpu), queue_(queue), pool_(pool) {
    VkCommandBufferAllocateInfo info = {};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    info.commandPool = pool;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    check(vkAllocateCommandBuffers(gpu.device, &info, &commands), "vkAllocateCommandBuffers");
    begin_commands(commands);
  }
  ~Once() {
    check(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
    VkSubmitInfo submit = {};
    submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    submit.commandBufferCount = 1;
    submit.pCommandBuffers = &commands;
    const std::lock_guard hold(queue_);
    check(vkQueueSubmit(gpu_.queue, 1, &submit, VK_NULL_HANDLE), "vkQueueSubmit");
    check(vkQueueWaitIdle(gpu_.queue), "vkQueueWaitIdle");
    vkFreeCommandBuffers(gpu_.device, pool_, 1, &commands);
  }
  Once(const Once&) = delete;
  VkCommandBuffer commands = VK_NULL_HANDLE;

 private:
  const Gpu& gpu_;
  std::mutex& queue_;
  VkCommandPool pool_;
};

}  // namespace

void Session::want(Gpu& gpu) {
  const ItoApi api = take(ito::load());
  const ito::Status enabled =
      ito::enable_features(api, vkGetInstanceProcAddr, gpu.instance, gpu.physical, gpu.features);
  if (!enabled) fail(enabled.error().message.c_str());
  for (const char* name : ito::optional_extensions(api))
    if (gpu_has_extension(&gpu, name)) gpu_enable_extension(&gpu, name);
}

Session::Session(const Gpu& gpu, std::mutex& queue, const std::string& cache)
    : gpu_(gpu), queue_(queue), ito_(take(ito::load())) {
  progress_ = ito::make<ItoProgress>();
  auto host = ito::make<ItoHostDevice>();
  host.get_instance_proc_addr = vkGetInstanceProcAddr;
  host.instance = gpu.instance;
  host.physical_device = gpu.physical;
  host.device = gpu.device;
  host.api_version = VK_API_VERSION_1_2;
  host.enabled_features = &gpu.features;
  host.enabled_extensions = gpu.extensions;
  host.enabled_extension_count = gpu.extension_count;
  host.queue_family = gpu.family;
  host.queue = gpu.queue;
  host.lock_queue = [](void* lock) { static_cast<std::mutex*>(lock)->lock(); };
  host.unlock_queue = [](void* lock) { static_cast<std::mutex*>(lock)->unlock(); };
  host.user = &queue;
  auto info = ito::make<ItoContextInfo>();
  info.host = &host;
  info.cache_folder = cache.empty() ? nullptr : cache.c_str();
  context_ = take(ito::Context::create(ito_, info));
  VkCommandPoolCreateInfo pool = {};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.queueFamilyIndex = gpu.family;
  check(vkCreateCommandPool(gpu.device, &pool, nullptr, &pool_), "vkCreateCommandPool");
  worker_ = std::thread([this] { work(); });
}

Session::~Session() {
  {
    const std::lock_guard hold(orders_);
    stop_ = true;
    order_.reset();
  }
  changed_.notify_one();
  worker_.join();
  wait();
  done_.reset();
  current_.job.reset();
  drop_images();
  vkDestroyCommandPool(gpu_.device, pool_, nullptr);
}

void Session::wait() const {
  const std::lock_guard hold(queue_);
  check(vkDeviceWaitIdle(gpu_.device), "vkDeviceWaitIdle");
}

// ------------------------------------------------------------------------------- the worker

void Session::open(const std::string& folder, const Settings& settings, bool read_again) {
  {
    const std::lock_guard hold(orders_);
    order_ = {folder, settings, read_again || (order_ && order_->read_again)};
  }
  changed_.notify_one();
}

bool Session::opening() const {
  const std::lock_guard hold(orders_);
  return working_ || order_ || done_;
}

void Session::work() {
  std::unique_lock hold(orders_);
  for (;;) {
    changed_.wait(hold, [this] { return stop_ || order_; });
    if (stop_) return;
    const Order order = *std::exchange(order_, std::nullopt);
    working_ = true;
    hold.unlock();
    Opened opened = make(order);
    hold.lock();
    working_ = false;
    // A job that was there nobody has seen: destroying it waits for nothing.
    done_ = std::move(opened);
  }
}

Session::Opened Session::make(const Order& order) {
  Opened result;
  if (!model_ || model_folder_ != order.folder || order.read_again) {
    auto info = ito::make<ItoModelInfo>();
    info.folder = order.folder.c_str();
    ito::Result<ito::Model> model = context_.load_model(info);
    if (!model) {
      result.error = model.error().message;
      return result;
    }
    model_ = *std::move(model);  // the old one's jobs keep it alive
    model_folder_ = order.folder;
  }
  auto info = ito::make<ItoSampleInfo>();
  info.sampler = order.settings.sampler.empty() ? nullptr : order.settings.sampler.c_str();
  info.steps = static_cast<uint32_t>(order.settings.steps);
  info.guidance_scale = order.settings.guidance;
  info.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  info.preview = VK_TRUE;
  const ito::Result<ItoModelProperties> model = model_.properties();
  ito::Result<ito::Job> job = model_.create_sample_job(info);
  if (!model || !job) {
    result.error = (model ? job.error() : model.error()).message;
    return result;
  }
  const ito::Result<ItoJobProperties> properties = job->properties();
  if (!properties) {
    result.error = properties.error().message;
    return result;
  }
  result.model_properties = *model;
  result.properties = *properties;
  result.job = *std::move(job);
  for (uint32_t i = 0; i < result.properties.classes; ++i) {
    const std::optional<std::string_view> name = model_.class_name(i);
    result.class_names.push_back(name ? std::string(*name) : "class " + std::to_string(i));
  }
  return result;
}

// ------------------------------------------------------------------------------- the frames

bool Session::update(const Request& request) {
  std::optional<Opened> opened;
  {
    const std::lock_guard hold(orders_);
    opened = std::exchange(done_, std::nullopt);
  }
  if (!opened) return false;
  error_ = opened->error;
  if (!error_.empty()) return false;
  wait();
  const auto same_size = [&] {
    return current_.job && opened->properties.width == properties().width &&
           opened->properties.height == properties().height &&
           opened->properties.steps == properties().steps;
  };
  const bool keep = same_size();
  current_ = std::move(*opened);
  if (!keep) {
    drop_images();
    make_images();
  }
  begin(request);
  return true;
}

void Session::begin(const Request& request) {
  if (!ready()) return;
  const ito::Status begun =
      current_.job.restart({{.seed = static_cast<uint32_t>(request.seed),
                             .class_index = static_cast<uint32_t>(request.class_index)}});
  error_ = begun.error().message;
  progress_ = ito::make<ItoProgress>();
  finished_ = false;
  std::fill(drawn_.begin(), drawn_.end(), false);
}

void Session::record(VkCommandBuffer commands, uint32_t budget_us) {
  if (!ready() || finished_ || !error_.empty()) return;
  const uint32_t before = progress_.step;
  const ito::Result<ItoProgress> slice =
      current_.job.record_slice(commands, ito::budget(std::chrono::microseconds(budget_us)));
  if (!slice) {
    error_ = slice.error().message;
    return;
  }
  progress_ = *slice;
  if (progress_.recorded) {
    finished_ = true;
    record_into(commands, cell(steps()), false);
    drawn_[static_cast<size_t>(steps())] = true;
    const int slot = recent_count_++ % kRecent;
    record_into(commands, {recent_.image, slot * static_cast<int>(properties().width), 0}, false);
    return;
  }
  if (progress_.step > before) {
    record_into(commands, cell(step()), true);
    drawn_[progress_.step] = true;
  }
}

// Both images are always in TRANSFER_SRC_OPTIMAL, as the screen copies from them.
void Session::record_into(VkCommandBuffer commands, const Cell& cell, bool preview) {
  auto target = ito::make<ItoImageTarget>();
  target.image = cell.image;
  target.offset = {cell.x, cell.y};
  target.layout_before = target.layout_after = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
  target.stages_before = target.stages_after = VK_PIPELINE_STAGE_TRANSFER_BIT;
  target.access_after = VK_ACCESS_TRANSFER_READ_BIT;
  const ito::Status recorded = preview ? current_.job.record_preview(commands, target)
                                       : current_.job.record_image(commands, target);
  if (!recorded) error_ = recorded.error().message;
}

// ------------------------------------------------------------------------------- the images

void Session::make_images() {
  const uint32_t cells = properties().steps + 1;
  const VkImageUsageFlags usage = VK_IMAGE_USAGE_TRANSFER_SRC_BIT |
                                  VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_SAMPLED_BIT;
  const auto image = [&](uint32_t columns, uint32_t rows) {
    return gpu_image(&gpu_, VK_FORMAT_R8G8B8A8_UNORM, columns * properties().width,
                     rows * properties().height, usage, VK_IMAGE_ASPECT_COLOR_BIT);
  };
  atlas_ = image(kColumns, (cells + kColumns - 1) / kColumns);
  recent_ = image(kRecent, 1);
  drawn_.assign(cells, false);
  recent_count_ = 0;
  const Once once(gpu_, queue_, pool_);
  for (VkImage made : {atlas_.image, recent_.image})
    gpu_barrier(once.commands, made, VK_IMAGE_LAYOUT_UNDEFINED,
                VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT, 0,
                VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
}

void Session::drop_images() {
  for (GpuImage* image : {&atlas_, &recent_}) {
    if (image->image != VK_NULL_HANDLE) gpu_destroy_image(&gpu_, image);
    *image = {};
  }
}

Cell Session::cell(int step) const {
  return {atlas_.image, step % kColumns * static_cast<int>(properties().width),
          step / kColumns * static_cast<int>(properties().height)};
}

std::optional<Cell> Session::image_at(int step) const {
  for (int s = std::min(step, static_cast<int>(drawn_.size()) - 1); s >= 0; --s)
    if (drawn_[static_cast<size_t>(s)]) return cell(s);
  return std::nullopt;
}

std::vector<Cell> Session::recent() const {
  std::vector<Cell> cells;
  for (int i = recent_count_ - 1; i >= 0 && i >= recent_count_ - kRecent; --i)
    cells.push_back({recent_.image, i % kRecent * static_cast<int>(properties().width), 0});
  return cells;
}

std::vector<uint8_t> Session::pixels(const Cell& cell) const {
  const size_t size = size_t{properties().width} * properties().height * 4;
  GpuBuffer buffer = gpu_buffer(&gpu_, size, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
  {
    const Once once(gpu_, queue_, pool_);
    VkBufferImageCopy region = {};
    region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
    region.imageOffset = {cell.x, cell.y, 0};
    region.imageExtent = {properties().width, properties().height, 1};
    vkCmdCopyImageToBuffer(once.commands, cell.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                           buffer.buffer, 1, &region);
    VkMemoryBarrier barrier = {};
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    barrier.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
    vkCmdPipelineBarrier(once.commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                         0, 1, &barrier, 0, nullptr, 0, nullptr);
  }
  const auto* data = static_cast<const uint8_t*>(buffer.data);
  std::vector<uint8_t> pixels(data, data + size);
  gpu_destroy_buffer(&gpu_, &buffer);
  return pixels;
}

}  // namespace view
