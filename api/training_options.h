// TrainingOptions: everything that decides what a training computes, as one table of fields that
// the command line, run.json and the comparison on resume share. Not how long or how often
// something is saved (RunOptions, api/training_run.h).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/result.h"
#include "io/json.h"
#include "nn/network_design.h"
#include "nn/train_step.h"

namespace ito {

struct InitialModel;  // api/initial_model.h

// Of --objective: the one that other options ask for.
inline constexpr const char* kImpliedObjective = "auto";
// Of --ladder: as many levels as technique 2 of NCSNv2 wants.
inline constexpr const char* kAutomaticLadder = "auto";

// Defaults: a small class-conditional U-Net that trains on 32x32 images in minutes.
struct TrainingOptions : NetworkOptions {
  std::string objective = kImpliedObjective;
  bool classifier = false;
  bool noisy = false;
  std::string size = "0";
  bool flip = false;
  bool classes = true;
  std::string schedule = "squaredcos_cap_v2";
  int timesteps = 1000;
  std::string prediction = "epsilon";
  std::string loss_weight = "none";
  std::string sde = "none";
  double sigma_min = 0.01;
  double sigma_max = 0;
  double sigma_data = 0.5;
  double p_mean = -1.2;
  double p_std = 1.2;
  double beta_min = 0.1;
  double beta_max = 20;
  std::string dsm_weight = "variance";
  std::string ladder = "0";
  bool zero_snr = false;
  std::string time_sampling = "uniform";
  double time_mean = 0;
  double time_std = 1;
  double vb_weight = 0.001;
  double huber_c = 0.1;
  std::string huber_schedule = "snr";
  std::string variance = "learned_range";
  std::string path = "linear";
  int64_t curriculum_steps = 4000;
  int levels_first = 10;
  int levels_last = 1280;
  int projections = 1;
  std::string projection = "rademacher";
  double class_dropout = 0;
  int64_t batch = 32;
  int64_t microbatch = 0;
  int64_t accumulate = 1;
  std::string precision = "fp32";
  std::string optimizer = "adamw";
  double lr = 2e-3;
  int64_t warmup = 100;
  std::string lr_decay = "constant";
  int64_t decay_steps = 0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double momentum = 0;
  double weight_decay = 0;
  double clip = 1.0;
  std::vector<double> ema = {0.999};
  std::vector<std::string> freeze = {};
  int gan_steps = 0;
  int64_t latent = 64;
  double r1 = 0.05;
  std::vector<int> discriminator_channels = {32, 64, 64};
  uint64_t seed = 0;

  bool operator==(const TrainingOptions&) const = default;
};

// Calls visit(key, field, help) for every field; the key is also the command line's --key, whose
// help begins with the rows that look at it, where not all do, and goes on with the names that
// there are, where it is a choice by name.
template <typename Options, typename Visit>
void visit_fields(Options& o, Visit&& visit) {
  visit("objective", o.objective,
        "what is minimised; auto: what the other options ask for, else simple");
  visit("classifier", o.classifier, "train an image classifier instead of a diffusion model");
  visit("noisy", o.noisy,
        "with --classifier: one for images with the noise of --schedule, to guide samplers with");
  visit_network_options(o, visit);
  visit("size", o.size,
        "side, or WIDTHxHEIGHT, to which images are padded with -1; 0: the next multiple of "
        "2^levels");
  visit("flip", o.flip, "show every other image mirrored, drawn anew each time");
  visit("classes", o.classes, "class embeddings from the data set's labels");
  visit("schedule", o.schedule, "noise schedule");
  visit("timesteps", o.timesteps, "timesteps of the noise schedule");
  visit("prediction", o.prediction, "what the network predicts");
  visit("loss-weight", o.loss_weight, "weight of each timestep");
  visit("sde", o.sde, "process that the model is trained on; all but none are for score models");
  visit("sigma-min", o.sigma_min, "smallest noise level; left out with edm and consistency: 0.002");
  visit("sigma-max", o.sigma_max,
        "largest noise level; 0: the largest distance found between two training images "
        "(ve), 80 (the others)");
  visit("sigma-data", o.sigma_data,
        "deviation of the data for EDM's preconditioning of the network (with ve: of ncsnpp); 0, "
        "only there: none, as diffusers has it");
  visit("p-mean", o.p_mean, "mean of ln(sigma) in training");
  visit("p-std", o.p_std, "deviation of ln(sigma) in training");
  visit("beta-min", o.beta_min, "noise rate at time 0");
  visit("beta-max", o.beta_max, "noise rate at time 1");
  visit("dsm-weight", o.dsm_weight, "weight of the score's squared error at time t");
  visit("ladder", o.ladder,
        "train on this many noise levels in geometric progression; auto: as many as let "
        "neighbours overlap by half; 0: on all in between");
  visit("zero-snr", o.zero_snr,
        "rescale the schedule so that the last timestep holds no signal; not with epsilon");
  visit("time-sampling", o.time_sampling,
        "how timesteps of a chain, or times of a path, are drawn");
  visit("time-mean", o.time_mean, "mean of the logits of logit-normal times");
  visit("time-std", o.time_std, "their deviation");
  visit("vb-weight", o.vb_weight, "weight of the variational bound");
  visit("huber-c", o.huber_c,
        "size of an error from which on it counts as its absolute value, where it is least");
  visit("huber-schedule", o.huber_schedule, "fall of that size from 1 at the least noise");
  visit("variance", o.variance, "variance of the reverse steps");
  visit("path", o.path, "path between data and noise");
  visit("curriculum-steps", o.curriculum_steps,
        "steps of the whole training, over which the noise levels are refined");
  visit("levels-first", o.levels_first, "pairs of noise levels at the start");
  visit("levels-last", o.levels_last, "pairs of noise levels at the end");
  visit("projections", o.projections, "projections per image");
  visit("projection", o.projection, "what the slices look along");
  visit("class-dropout", o.class_dropout,
        "share of labels that are left out, for classifier-free guidance; the class table then has "
        "one row more, the last, for no class");
  visit("batch", o.batch, "images per batch");
  visit("microbatch", o.microbatch,
        "images of a batch that are computed at a time, whose gradients are then summed in a fixed "
        "order; 0: the whole batch, or among several ranks an eighth of it");
  visit("accumulate", o.accumulate, "batches whose mean gradient makes one step");
  visit("precision", o.precision,
        "what matrix products and convolutions multiply in; weights, sums and all else are fp32");
  visit("optimizer", o.optimizer, "how weights follow gradients");
  visit("lr", o.lr, "learning rate");
  visit("warmup", o.warmup, "steps over which the learning rate rises linearly");
  visit("lr-decay", o.lr_decay, "fall of the learning rate after the warm-up");
  visit("decay-steps", o.decay_steps,
        "step at which the fall ends (linear, cosine; 0: the run's --steps) or begins "
        "(inverse-sqrt; 0: --warmup)");
  visit("beta1", o.beta1, "Adam's decay of the first moment");
  visit("beta2", o.beta2, "Adam's decay of the second moment");
  visit("eps", o.eps, "Adam's epsilon");
  visit("momentum", o.momentum, "momentum of sgd");
  visit("weight-decay", o.weight_decay, "weight decay");
  visit("clip", o.clip, "largest L2 norm of the gradient; 0: no clipping");
  visit("ema", o.ema,
        "decay d of the weight average, min(d, (1+k)/(10+k)) at step k, or of several, of which "
        "the first is the model's and the others are kept beside it; 0: no average");
  visit("freeze", o.freeze,
        "patterns of tensor names (down_blocks.*, conv_in*) that stay as they are");
  visit("gan-steps", o.gan_steps,
        "train a denoising diffusion GAN of this many large steps (2 to 8 in the paper); 0: a "
        "diffusion model");
  visit("latent", o.latent, "length of the latent vector");
  visit("r1", o.r1, "weight of the penalty on the discriminator's slope");
  visit("discriminator-channels", o.discriminator_channels,
        "channels of each level of the discriminator, outermost first");
  visit("seed", o.seed, "seed of weights, noise and order of images");
}

// Ranges and names; the error names the option. What depends on the data is checked with it.
Status check_training_options(const TrainingOptions& options);

Json to_json(const TrainingOptions& options);
// Errors: kCorrupt naming `where` and the key. Absent keys keep their defaults.
Result<TrainingOptions> training_options_from_json(const Json& json, const std::string& where);

// --microbatch where several ranks train and it is left out: what lets up to eight of them, as far
// as `batch` has factors of two, have equal parts. Of the batch alone, so that the weights do not
// depend on how many there are.
int64_t microbatch_of_ranks(int64_t batch);

// The options of a run that goes on: those stored, but for the fall of the learning rate, the
// precision and the microbatch, which may be given anew. Error kInvalidArgument naming option, the
// run's value and the one asked for, where another key in `given` asks for something else.
Result<TrainingOptions> resumed_options(const TrainingOptions& stored, const TrainingOptions& asked,
                                        const std::set<std::string>& given, const std::string& run);

// Of --ladder: levels of noise, 0 for all in between, nothing for "auto". Errors: another text, one
// level, more than 65536.
Result<std::optional<int>> ladder_of(const TrainingOptions& options);
// What "auto" is for images of this many numbers (NCSNv2, technique 2). Errors: more levels than
// that.
Result<int> automatic_ladder(const SchedulerConfig& scheduler, int64_t dimensions);

// The parts of a training that the options describe.
Result<TrainStepOptions> step_options(const TrainingOptions& options);
// `initial`: the model that the training starts from, whose scheduler is kept where the process is
// the same, with what the options say in it. Of a VE process with sigma_max 0, sigma_max is 0: it
// has to be measured on the data. With
// --ladder auto num_train_timesteps is left alone: it depends on sigma_max and the size of the
// images.
SchedulerConfig scheduler_config(const TrainingOptions& options,
                                 const InitialModel* initial = nullptr);
// Of --size: height and width, 0 where it is 0. Errors: another text, more than 16384, sides that
// the network does not take.
Result<std::array<int, 2>> size_of(const TrainingOptions& options);
// Height and width of the training images made of h x w ones.
std::array<int, 2> padded_size(const TrainingOptions& options, int h, int w);

}  // namespace ito
