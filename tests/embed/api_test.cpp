// The C API as such: what is wrong, structures of other headers, properties, a device of Ito's own.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>

#include "tests/embed/embedded_host.h"

namespace ito::test {
namespace {

class PortableEmbeddedApi : public EmbeddedHost {};

TEST_F(PortableEmbeddedApi, WhatIsWrongIsOneSentenceAndNothingIsMade) {
  const auto expect_error = [&](ItoResult result, ItoResult wanted, const char* words) {
    EXPECT_EQ(result, wanted) << ito_.last_error();
    EXPECT_TRUE(says(ito_.last_error(), words)) << ito_.last_error();
  };
  ItoJob job = nullptr;
  ItoSampleInfo info = sample_info("ddimm", 3, 2);
  expect_error(ito_.create_sample_job(model_, &info, &job), ITO_ERROR_INVALID_ARGUMENT,
               "no sampler \"ddimm\"");
  info = sample_info("ode", 0, 2);
  expect_error(ito_.create_sample_job(model_, &info, &job), ITO_ERROR_UNSUPPORTED,
               "decides its steps");
  info = sample_info("ddim", 3, 2);
  info.guidance_scale = -1;
  expect_error(ito_.create_sample_job(model_, &info, &job), ITO_ERROR_INVALID_ARGUMENT,
               "guidance_scale is -1");
  info = sample_info("ddpm", 3, 2);
  info.eta = 0.5;
  expect_error(ito_.create_sample_job(model_, &info, &job), ITO_ERROR_INVALID_ARGUMENT,
               "eta has no meaning for sampler ddpm");
  info = sample_info("ddim", 3, 2);
  info.type = ITO_STRUCTURE_TYPE_BUDGET;
  expect_error(ito_.create_sample_job(model_, &info, &job), ITO_ERROR_INVALID_ARGUMENT, "type 8");
  EXPECT_EQ(job, nullptr);
  expect_error(ito_.create_sample_job(nullptr, &info, &job), ITO_ERROR_INVALID_ARGUMENT, "NULL");

  ItoModelInfo model;
  ITO_INIT(model, MODEL_INFO);
  model.folder = "/nowhere/at/all";
  ItoModel none = model_;
  expect_error(ito_.load_model(context_, &model, &none), ITO_ERROR_NOT_FOUND, "/nowhere/at/all");
  EXPECT_EQ(none, nullptr);

  job = make_job(sample_info("ddim", 3, 2));
  ItoBudget budget;
  ITO_INIT(budget, BUDGET);
  expect_error(ito_.submit_slice(job, &budget, nullptr), ITO_ERROR_INVALID_ARGUMENT,
               "must be begun (restart)");
  expect_error(ito_.restart(job, kRequests, 1), ITO_ERROR_INVALID_ARGUMENT, "1 requests");
  const ItoImageRequest far[] = {{1, 0}, {2, 3}};
  expect_error(ito_.restart(job, far, 2), ITO_ERROR_INVALID_ARGUMENT, "class 3 does not exist");
  ASSERT_ITO(ito_.restart(job, kRequests, 2));
  expect_error(ito_.submit_slice(job, nullptr, nullptr), ITO_ERROR_INVALID_ARGUMENT,
               "ItoBudget is NULL");
  VkCommandBuffer commands = begin_commands();
  ItoImageTarget target;
  ITO_INIT(target, IMAGE_TARGET);
  expect_error(ito_.record_image(job, commands, &target), ITO_ERROR_UNSUPPORTED,
               "without a pixel format");
  submit(commands);
  float few[3];
  expect_error(ito_.read_images(job, few, sizeof few), ITO_ERROR_INVALID_ARGUMENT,
               "size is 12 bytes, expected 512");
  // None of this has broken anything.
  record_all(job, 0, 0);
  EXPECT_EQ(images_of(job).size(), 128u);
  ito_.destroy_job(job);
}

TEST_F(PortableEmbeddedApi, OlderAndNewerStructuresAreUnderstoodOrRefused) {
  ItoSampleInfo info = sample_info("ddim", 3, 1);
  info.pixel_format = ITO_PIXEL_FORMAT_RGBA8;
  // An older header, which ended before the pixel format.
  info.size = offsetof(ItoSampleInfo, pixel_format);
  const ItoJob job = make_job(info);
  ItoJobProperties properties;
  ITO_INIT(properties, JOB_PROPERTIES);
  ASSERT_ITO(ito_.get_job_properties(job, &properties));
  EXPECT_EQ(properties.pixel_bytes, 0u);
  EXPECT_EQ(properties.image_floats, 64u);
  EXPECT_EQ(properties.steps, 3u);
  properties.size = offsetof(ItoJobProperties, steps);
  properties.steps = 77;
  ASSERT_ITO(ito_.get_job_properties(job, &properties));
  EXPECT_EQ(properties.steps, 77u) << "a field that the older structure does not have";
  ito_.destroy_job(job);
  // A newer one.
  struct {
    ItoSampleInfo known;
    uint64_t unknown;
  } newer;
  std::memset(&newer, 0, sizeof newer);
  newer.known = sample_info("ddim", 3, 1);
  newer.known.size = sizeof newer;
  const ItoJob same = make_job(newer.known);
  EXPECT_NE(same, nullptr);
  ito_.destroy_job(same);
  newer.unknown = 1;
  ItoJob refused = nullptr;
  EXPECT_EQ(ito_.create_sample_job(model_, &newer.known, &refused), ITO_ERROR_UNSUPPORTED);
  EXPECT_TRUE(says(ito_.last_error(), "newer header")) << ito_.last_error();

  ItoApi table;
  EXPECT_EQ(ito_get_api(ITO_API_VERSION + 1, sizeof table, &table), ITO_ERROR_UNSUPPORTED);
  EXPECT_EQ(ito_get_api(ITO_API_VERSION, sizeof table, nullptr), ITO_ERROR_INVALID_ARGUMENT);
  std::memset(&table, 0, sizeof table);
  EXPECT_EQ(ito_get_api(1, offsetof(ItoApi, read_pixels), &table), ITO_OK);
  EXPECT_EQ(table.read_pixels, nullptr);
  EXPECT_NE(table.read_images, nullptr);
}

TEST_F(PortableEmbeddedApi, ItsPropertiesAndThoseOfItsModel) {
  ItoContextProperties context;
  ITO_INIT(context, CONTEXT_PROPERTIES);
  ASSERT_ITO(ito_.get_context_properties(context_, &context));
  EXPECT_TRUE(context.wrapped);
  EXPECT_FALSE(context.half_precision) << "not enabled";
  EXPECT_EQ(context.queue_family, host_->family);
  EXPECT_GT(std::strlen(context.device_name), 3u);
  ItoModelProperties model;
  ITO_INIT(model, MODEL_PROPERTIES);
  ASSERT_ITO(ito_.get_model_properties(model_, &model));
  EXPECT_EQ(model.width, 8u);
  EXPECT_EQ(model.height, 8u);
  EXPECT_EQ(model.channels, 1u);
  EXPECT_EQ(model.classes, 3u);
  EXPECT_GT(model.parameters, 5000u);
  EXPECT_EQ(ito_.get_class_name(model_, 0), nullptr) << "the folder does not say";

  VkPhysicalDeviceFeatures2 features = {};
  VkPhysicalDeviceVulkan12Features v12 = {};
  features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  features.pNext = &v12;
  ASSERT_ITO(ito_.enable_features(loader_.functions().vkGetInstanceProcAddr,
                                  host_->instance->handle(), host_->physical, &features));
  EXPECT_EQ(v12.bufferDeviceAddress, VK_TRUE);
  uint32_t count = 0;
  ASSERT_NE(ito_.optional_extensions(&count), nullptr);
  EXPECT_EQ(count, 3u);
}

TEST(PortableEmbeddedAlone, AContextOnADeviceOfItsOwnNamesThoseThereAre) {
  const ItoApi ito = api();
  ItoContextInfo info;
  ITO_INIT(info, CONTEXT_INFO);
  info.device_name = "no such device";
  ItoContext context = nullptr;
  EXPECT_EQ(ito.create_context(&info, &context), ITO_ERROR_NOT_FOUND) << ito.last_error();
  EXPECT_EQ(context, nullptr);
  info.device_name = nullptr;
  ASSERT_EQ(ito.create_context(&info, &context), ITO_OK) << ito.last_error();
  ItoContextProperties properties;
  ITO_INIT(properties, CONTEXT_PROPERTIES);
  ASSERT_EQ(ito.get_context_properties(context, &properties), ITO_OK);
  EXPECT_FALSE(properties.wrapped);
  ito.destroy_context(context);
  ito.destroy_context(nullptr);
}

}  // namespace
}  // namespace ito::test
