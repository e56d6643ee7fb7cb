// What objectives of image models share: the network that the options describe, the network as a
// loss sees it, and losses on held-out images with PyTorch's draws. Internal to this folder.
#pragma once

#include <functional>
#include <vector>

#include "api/objectives.h"
#include "diffusion/denoiser.h"
#include "diffusion/torch_rng.h"

namespace ito {

// What an objective needs of the network besides what the options say.
struct NetworkWishes {
  int output_multiple = 1;  // channels of the output per channel of the sample
};
// The network of the options (or that of the model that the training starts from), with a row of
// the class table for images without a label where --class-dropout asks for it. Errors: a network
// that is impossible, or not on images of this size.
Result<Network> image_network(const TrainingInput& input, const NetworkWishes& wishes = {});

// Of an objective that trains `network` on random draws.
BatchPorts image_ports(const TrainingInput& input);

// The network as a loss sees it: told the batch's labels, some of them left out if the options say
// so.
using TrainedDenoiser =
    std::function<Denoiser(const Scope& parameters, const Batch& batch, const Randomness& random)>;
TrainedDenoiser trained_denoiser(const TrainingInput& input, const Network& network);

// A loss on held-out images: per batch of n, what `times` draws and then noise = randn(n, c, h, w),
// from one CPU generator of PyTorch's seeded 7, so that the number can be compared with a PyTorch
// run.
struct HeldOutLoss {
  DType time_type = DType::kF32;
  std::function<std::vector<double>(TorchGenerator& generator, size_t n)> times;
  // A mean over the batch, []. time: [n] of time_type.
  std::function<Tensor(const Denoiser& network, Tensor x0, Tensor time, Tensor noise)> loss;
};
// The mean over drawn_images' (at most 1,024, in whole batches of 128, or one batch of all where
// there are fewer), called "validation".
Validation held_out(HeldOutLoss loss);

// t = randint(0, T, (n,)).
std::function<std::vector<double>(TorchGenerator&, size_t)> uniform_timesteps(int timesteps);

}  // namespace ito
