// A host of the C API that gives packs of `ito pack` to contexts on devices of Ito's own, and the
// images that come of it. Not the tests.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <list>
#include <string>
#include <vector>

#include "include/ito/ito.h"
#include "tests/apps/run_ito.h"

namespace ito::test {

// A context, a model and an image of two steps, each as far as it came.
class PackedHost {
 public:
  explicit PackedHost(std::string folder) : folder_(std::move(folder)) {
    EXPECT_EQ(ito_get_api(ITO_API_VERSION, sizeof ito, &ito), ITO_OK);
    ITO_INIT(sample, SAMPLE_INFO);
    sample.sampler = "ddim";
    sample.steps = 2;
    sample.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  }
  ~PackedHost() { close(); }
  PackedHost(const PackedHost&) = delete;
  PackedHost& operator=(const PackedHost&) = delete;

  void add_pack(const Path& path) {
    paths_.push_back(path.string());
    add_info().path = paths_.back().c_str();
  }
  void add_pack(const void* data, uint64_t bytes) {
    ItoPackInfo& info = add_info();
    info.data = data;
    info.bytes = bytes;
  }
  ItoPackInfo& add_info() {
    ItoPackInfo& info = infos_.emplace_back();
    ITO_INIT(info, PACK_INFO);
    if (infos_.size() > 1) std::prev(infos_.end(), 2)->next = &info;
    return info;
  }

  ItoResult open() {
    close();
    ItoContextInfo info;
    ITO_INIT(info, CONTEXT_INFO);
    if (!infos_.empty()) info.next = &infos_.front();
    return ito.create_context(&info, &context);
  }
  ItoResult make_job() {
    if (model == nullptr) {
      ItoModelInfo info;
      ITO_INIT(info, MODEL_INFO);
      info.folder = folder_.c_str();
      const ItoResult loaded = ito.load_model(context, &info, &model);
      if (loaded != ITO_OK) return loaded;
    }
    return ito.create_sample_job(model, &sample, &job);
  }
  // Of a whole host; empty where something failed, which the test then says.
  std::vector<float> draw() {
    std::vector<float> image;
    EXPECT_EQ(open(), ITO_OK) << ito.last_error();
    if (context == nullptr) return image;
    EXPECT_EQ(make_job(), ITO_OK) << ito.last_error();
    if (job == nullptr) return image;
    const ItoImageRequest request = {7, 2};
    EXPECT_EQ(ito.restart(job, &request, 1), ITO_OK) << ito.last_error();
    ItoBudget budget;
    ITO_INIT(budget, BUDGET);
    ItoProgress progress;
    ITO_INIT(progress, PROGRESS);
    while (progress.recorded == VK_FALSE) {
      const ItoResult result = ito.submit_slice(job, &budget, &progress);
      EXPECT_GE(result, ITO_OK) << ito.last_error();
      if (result < ITO_OK) return image;
    }
    ItoJobProperties properties;
    ITO_INIT(properties, JOB_PROPERTIES);
    EXPECT_EQ(ito.get_job_properties(job, &properties), ITO_OK);
    image.resize(properties.image_floats);
    EXPECT_EQ(ito.read_images(job, image.data(), image.size() * sizeof(float)), ITO_OK)
        << ito.last_error();
    return image;
  }
  ItoStatistics statistics() const {
    ItoStatistics values;
    ITO_INIT(values, STATISTICS);
    EXPECT_EQ(ito.get_statistics(context, &values), ITO_OK);
    return values;
  }
  void close() {
    ito.destroy_job(job);
    ito.destroy_model(model);
    ito.destroy_context(context);
    job = nullptr;
    model = nullptr;
    context = nullptr;
  }

  ItoApi ito;
  ItoSampleInfo sample;
  ItoContext context = nullptr;
  ItoModel model = nullptr;
  ItoJob job = nullptr;

 private:
  std::string folder_;
  std::list<ItoPackInfo> infos_;
  std::list<std::string> paths_;
};

inline constexpr const char* kPackedJob = "sample sampler=ddim steps=2 pixel_format=rgba8";

// `ito pack`, with these arguments behind model and output.
inline Outcome run_pack(const std::string& model, const Path& out,
                        const std::vector<std::string>& more) {
  return run_ito(with({"pack", model, "--out", out.string()}, more));
}

}  // namespace ito::test
