// The families of golden cases, one file each. Every case runs on the device: compile and Executor,
// never the interpreter. An error is a failed case; what this version does not do is a skip.
#pragma once

#include <string>

#include "base/config.h"
#include "runtime/vk/device.h"
#include "tests/golden_runner/case.h"
#include "tests/golden_runner/compare.h"

namespace ito::golden {

// ops/NAME: one operation, its value and its gradients.
Result<Outcome> run_op(vk::Device& device, const Case& golden);
// second_order/NAME: score-matching losses of a small net, with gradients of gradients.
Result<Outcome> run_second_order(vk::Device& device, const Case& golden);
// rng/NAME: Philox on the device, PyTorch's CPU generator on the host.
Result<Outcome> run_rng(vk::Device& device, const Case& golden);
// unet/NAME/io: a network's value and gradients. The name is that of the folder's io file.
Result<Outcome> run_unet(vk::Device& device, const Case& golden);
// unet/NAME/train_*: a few optimiser steps.
Result<Outcome> run_training(vk::Device& device, const Case& golden);
// schedulers/NAME: timesteps, tables, a replayed trajectory and one with the model on the device.
Result<Outcome> run_scheduler(vk::Device& device, const Case& golden);
// schedulers/score_sde_*: predictor and corrector of score models, for run_scheduler.
Result<Outcome> run_score_scheduler(vk::Device& device, const Case& golden,
                                    const SchedulerConfig& config);
// sde/NAME: marginals of the SDEs; other kinds go to the four below.
Result<Outcome> run_sde(vk::Device& device, const Case& golden);
// sde/*_dsm: continuous denoising score matching.
Result<Outcome> run_dsm(vk::Device& device, const Case& golden);
// sde/*_traj_*: predictor-corrector samplers, step by step.
Result<Outcome> run_sde_trajectory(vk::Device& device, const Case& golden);
// sde/edm_*: preconditioning and Euler and Heun samplers.
Result<Outcome> run_edm(vk::Device& device, const Case& golden);
// sde/*_pfode_*: end points and likelihoods of the probability-flow ODE.
Result<Outcome> run_pfode(vk::Device& device, const Case& golden);
// vlb/NAME: the variational bound, the hybrid loss, importance-sampled timesteps.
Result<Outcome> run_vlb(vk::Device& device, const Case& golden);
// analytic/closed_form: what is known of Gaussian data in closed form.
Result<Outcome> run_analytic(vk::Device& device, const Case& golden);

}  // namespace ito::golden
