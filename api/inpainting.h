// Networks that fill in pictures (diffusers' inpainting pipelines): beside the sample they are
// given, as further channels, where to fill and what is known. Here that becomes numbers, a
// picture's latents included. Not inpainting by networks that know nothing of it (api/control.h).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "api/encoded_picture.h"
#include "api/model.h"
#include "graph/builder.h"
#include "graph/program.h"
#include "runtime/vk/device.h"

namespace ito {

// Input of a network that fills in, f32 [n,h,w,1+c]: where to fill, then what is known.
inline constexpr Port<float> kInpainting{"inpainting"};

// Whether a network fills in: its sample, a mask and a masked sample are its input channels.
bool fills_in(const Signature& signature);
// Channels of the sample alone.
int64_t sample_channels(const Signature& signature);
// What the network is given for the sample x [n,h,w,c]: x itself, or x followed by kInpainting,
// which is added to the graph.
Tensor network_sample(const Signature& signature, Tensor x);

// What all images of a run are told, in the network's coordinates [h,w].
struct Inpainting {
  std::vector<float> fill;  // [h,w]: 1 is to be filled, 0 is known
  EncodedPicture known;     // [h,w,c]
};

// A picture [h,w,c] in [-1, 1] and where to fill it ([h,w]: 1; 0 is known) as the model's network
// is told it. As diffusers does, what is to be filled is grey (0) in the masked picture, which a
// pipeline on latents encodes, and the mask of latents has the upper left pixel of each latent.
// Errors: numbers that do not fit `shape` [h,w,c]; of the device.
Result<Inpainting> inpainting_of(vk::Device& device, const Model& model, const Shape& shape,
                                 std::span<const float> picture, std::span<const float> fill);

// The numbers of kInpainting for n images. noise: standard normal [n,h,w,c], looked at where `std`
// says something: the known latents are drawn, as diffusers draws them.
std::vector<float> inpainting_input(const Inpainting& inpainting, int64_t n,
                                    std::span<const float> noise);

// The same on a device: sets kInpainting of `shape` [n,h,w,c] from one picture and mask
// (masked_ports of diffusion/constraint.h).
Program inpainting_program(const Shape& shape, double threshold);

}  // namespace ito
