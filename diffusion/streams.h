// The last word of every random counter: which use of randomness it is, so that no two uses share
// numbers. Every use of random_normal and its kin by this room is listed here. From 2^31 on they
// are those of layers (nn/dropout.h).
#pragma once

#include <cstdint>

namespace ito {

inline constexpr uint32_t kStreamInitialNoise = 0;  // x_T; step word 0
inline constexpr uint32_t kStreamStepNoise = 1;  // noise of a sampling step; step word: its index
inline constexpr uint32_t kStreamTrainTimestep = 2;    // t of a training example; step word: the
inline constexpr uint32_t kStreamTrainNoise = 3;       //   training step
inline constexpr uint32_t kStreamForwardNoise = 4;     // noising a given image (image to image)
inline constexpr uint32_t kStreamKnownLatents = 5;     // latents of a picture to be filled in
inline constexpr uint32_t kStreamInitialLatents = 6;   // latents of a picture to begin at
inline constexpr uint32_t kStreamTrainLatent = 40;     // denoising diffusion GAN (ddgan.h): latent,
inline constexpr uint32_t kStreamTrainForward = 41;    //   noise of the step to x_t and
inline constexpr uint32_t kStreamTrainPosterior = 42;  //   of the generated x_{t-1} in training;
inline constexpr uint32_t kStreamStepLatent = 43;      //   latent of a sampling step
inline constexpr uint32_t kStreamClassDropout = 50;    // which labels are left out; step word: the
                                                       //   training step
// The variational bound (bound_program.h): timestep within a stratum, and the noise there; step
// word: the stratum.
inline constexpr uint32_t kStreamBoundTimestep = 51;
inline constexpr uint32_t kStreamBoundNoise = 52;
inline constexpr uint32_t kStreamConstraintNoise =
    32;  // noising an observation (constraint.h);
         //   step word: step × Method::moves + the move

inline constexpr uint32_t kStreamMethodNoise = 10;  // methods (method.h: SDE, Langevin, EDM); step
                                                    //   word: step × Method::draws + the draw
inline constexpr uint32_t kStreamMethodUniform = 11;  // a chain's accept or reject; step word: step
// Vectors of sliced score matching; step word: the training step.
inline constexpr uint32_t kStreamProjection = 16;
// Points of a toy data set: where on its shape, and how far from it; step word: the training step.
inline constexpr uint32_t kStreamToyShape = 17;
inline constexpr uint32_t kStreamToySpread = 18;

inline constexpr uint32_t kStreamProbe = 20;  // v of a trace estimate; step word: its index
inline constexpr uint32_t kStreamDequantisation = 21;  // u of an 8-bit image; step word 0

}  // namespace ito
