// Golden family unet, the cases of autoencoders.
#pragma once

#include "api/model.h"
#include "runtime/vk/device.h"
#include "tests/golden_runner/case.h"
#include "tests/golden_runner/compare.h"

namespace ito::golden {

// Both halves: x to moments, mean, std and a sample; a latent to its picture.
Result<Outcome> run_autoencoder(vk::Device& device, const Case& golden, const Component& model);

}  // namespace ito::golden
