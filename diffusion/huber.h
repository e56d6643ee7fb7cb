// The pseudo-Huber error of a denoiser: squared where it is small, growing like its absolute value
// where it is large, so that few wrong images do not rule the training (Charbonnier et al. 1994;
// for diffusion Song & Dhariwal 2023, and with a width that falls with the noise Khrapov et al.
// 2024). An error for denoising_loss (diffusion/loss.h). Not the distance of consistency training,
// which is of whole images (diffusion/consistency.h).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "diffusion/loss.h"
#include "diffusion/schedule.h"

namespace ito {

// 2c (√(d² + c²) - c): d² for |d| ≪ c, 2c |d| for |d| ≫ c. c broadcasts to d and is more than 0.
Tensor pseudo_huber(Tensor d, Tensor c);

// c of every timestep of the schedule by the name of how it falls from 1, without noise, to
// `least`, or is `least` everywhere: with the timestep's share of all T, least^(t/T)
// ("exponential"), or with the noise, (1 - least)/(1 + σ)² + least, σ = √((1-ᾱ)/ᾱ) ("snr");
// "constant". (Khrapov et al. 2024, section 3, in the form of diffusers' training scripts.) Errors:
// no such name; least not a positive number.
Result<std::vector<double>> huber_widths(const std::string& name, double least,
                                         const NoiseSchedule& schedule);

// The pseudo-Huber error with the width of each image's timestep, one of `widths` [T].
DenoisingError huber_error(std::vector<double> widths);

}  // namespace ito
