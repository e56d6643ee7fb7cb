// DiffusionItem: an item of a Qt Quick scene whose picture Ito samples inside Qt's own command
// buffer, a slice a frame. Not for: making the device, which main.cpp does before there is a
// window.
#pragma once

#include <QImage>
#include <QQuickItem>
#include <ito/ito.hpp>
#include <memory>

#include "gpu.h"

struct Sampling;  // what lives on the render thread

class DiffusionItem : public QQuickItem {
  Q_OBJECT
  Q_PROPERTY(qreal progress READ progress NOTIFY progressChanged)
  Q_PROPERTY(bool finished READ finished NOTIFY progressChanged)

 public:
  explicit DiffusionItem(QQuickItem* parent = nullptr);
  ~DiffusionItem() override;

  // Before the window is shown; `job` has RGBA8 pixels and was begun. The item does not own it.
  void sample(const Gpu* gpu, ito::Job* job, uint32_t budget_us);
  // Instead: a picture that Qt uploads by itself, without Ito.
  void show_picture(const QImage& picture);
  // The sampled picture, once finished and once the device is idle.
  QImage picture() const;

  qreal progress() const { return progress_; }
  bool finished() const { return finished_; }

 Q_SIGNALS:
  void progressChanged();

 protected:
  QSGNode* updatePaintNode(QSGNode* node, UpdatePaintNodeData*) override;

 private:
  void record();  // render thread
  Q_INVOKABLE void take_progress(qreal progress, bool finished);

  std::unique_ptr<Sampling> sampling_;
  QImage own_;
  qreal progress_ = 0;
  bool finished_ = false;
};
