#include "diffusion_item.h"

#include <QQuickWindow>
#include <QSGRendererInterface>
#include <QSGSimpleTextureNode>
#include <chrono>
#include <cstring>

struct Sampling {
  const Gpu* gpu;
  ito::Job* job;
  ItoBudget budget;
  uint32_t width, height;
  GpuImage texture;
  GpuBuffer copy;  // of the texture, to look at
  bool begun = false, done = false;
};

namespace {

// What the item shows before anything is finished.
void clear(const Sampling& s, VkCommandBuffer commands) {
  const VkClearColorValue grey = {{0.3f, 0.3f, 0.33f, 1}};
  const VkImageSubresourceRange all = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
  gpu_barrier(commands, s.texture.image, VK_IMAGE_LAYOUT_UNDEFINED,
              VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT, 0,
              VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
  vkCmdClearColorImage(commands, s.texture.image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, &grey, 1,
                       &all);
  gpu_barrier(commands, s.texture.image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
              VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT,
              VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT,
              VK_ACCESS_SHADER_READ_BIT);
}

// The image into the texture, and a copy of it for picture().
void take_image(const Sampling& s, VkCommandBuffer commands) {
  auto target = ito::make<ItoImageTarget>();
  target.image = s.texture.image;
  target.layout_before = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
  target.stages_before = VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT;
  target.layout_after = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
  target.stages_after = VK_PIPELINE_STAGE_TRANSFER_BIT;
  target.access_after = VK_ACCESS_TRANSFER_READ_BIT;
  if (const ito::Status taken = s.job->record_image(commands, target); !taken)
    fail(taken.error().message.c_str());
  VkBufferImageCopy region = {};
  region.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
  region.imageExtent = {s.width, s.height, 1};
  vkCmdCopyImageToBuffer(commands, s.texture.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                         s.copy.buffer, 1, &region);
  VkMemoryBarrier barrier = {};
  barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  barrier.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
  barrier.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
  vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                       &barrier, 0, nullptr, 0, nullptr);
  gpu_barrier(commands, s.texture.image, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
              VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT, 0,
              VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT);
}

}  // namespace

DiffusionItem::DiffusionItem(QQuickItem* parent) : QQuickItem(parent) { setFlag(ItemHasContents); }

// The scene graph and the device are done with it: main.cpp destroys the window first and waits.
DiffusionItem::~DiffusionItem() {
  if (!sampling_) return;
  check(vkDeviceWaitIdle(sampling_->gpu->device), "vkDeviceWaitIdle");
  gpu_destroy_image(sampling_->gpu, &sampling_->texture);
  gpu_destroy_buffer(sampling_->gpu, &sampling_->copy);
}

void DiffusionItem::sample(const Gpu* gpu, ito::Job* job, uint32_t budget_us) {
  const ito::Result<ItoJobProperties> properties = job->properties();
  if (!properties) fail(properties.error().message.c_str());
  sampling_ = std::make_unique<Sampling>();
  Sampling& s = *sampling_;
  s.gpu = gpu;
  s.job = job;
  s.budget = ito::budget(std::chrono::microseconds(budget_us));
  s.width = properties->width;
  s.height = properties->height;
  s.texture = gpu_image(gpu, VK_FORMAT_R8G8B8A8_UNORM, s.width, s.height,
                        VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT |
                            VK_IMAGE_USAGE_TRANSFER_DST_BIT,
                        VK_IMAGE_ASPECT_COLOR_BIT);
  s.copy = gpu_buffer(gpu, VkDeviceSize{s.width} * s.height * 4, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
  // On the render thread, when Qt's command buffer records and no render pass is open.
  connect(window(), &QQuickWindow::beforeRendering, this, &DiffusionItem::record,
          Qt::DirectConnection);
}

void DiffusionItem::show_picture(const QImage& picture) {
  own_ = picture;
  finished_ = true;
  progress_ = 1;
}

QImage DiffusionItem::picture() const {
  const Sampling& s = *sampling_;
  return QImage(static_cast<const uchar*>(s.copy.data), static_cast<int>(s.width),
                static_cast<int>(s.height), QImage::Format_RGBA8888)
      .copy();
}

void DiffusionItem::record() {
  Sampling& s = *sampling_;
  if (s.done) return;
  QQuickWindow* host = window();
  host->beginExternalCommands();
  void* resource =
      host->rendererInterface()->getResource(host, QSGRendererInterface::CommandListResource);
  VkCommandBuffer commands = *static_cast<VkCommandBuffer*>(resource);
  if (!s.begun) clear(s, commands);
  s.begun = true;
  const ito::Result<ItoProgress> slice = s.job->record_slice(commands, s.budget);
  if (!slice) fail(slice.error().message.c_str());
  if (slice->recorded) {
    take_image(s, commands);
    s.done = true;
  }
  host->endExternalCommands();
  QMetaObject::invokeMethod(
      this,
      [this, step = slice->step, steps = slice->steps, done = s.done] {
        take_progress(static_cast<qreal>(step) / steps, done);
      },
      Qt::QueuedConnection);
}

void DiffusionItem::take_progress(qreal progress, bool finished) {
  progress_ = progress;
  finished_ = finished;
  Q_EMIT progressChanged();
}

QSGNode* DiffusionItem::updatePaintNode(QSGNode* old, UpdatePaintNodeData*) {
  auto* node = static_cast<QSGSimpleTextureNode*>(old);
  if (node == nullptr) {
    QSGTexture* texture = nullptr;
    if (sampling_) {
      const QSize size(static_cast<int>(sampling_->width), static_cast<int>(sampling_->height));
      texture = QNativeInterface::QSGVulkanTexture::fromNative(
          sampling_->texture.image, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, window(), size);
    } else if (!own_.isNull()) {
      texture = window()->createTextureFromImage(own_.convertToFormat(QImage::Format_RGBX8888));
    }
    if (texture == nullptr) return nullptr;
    node = new QSGSimpleTextureNode;
    node->setTexture(texture);
    node->setOwnsTexture(true);
    node->setFiltering(QSGTexture::Nearest);
  }
  node->setRect(boundingRect());
  return node;
}
