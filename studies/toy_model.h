// ToyModel: a small score or energy network for a toy data set, with the objective it learns by:
// what is trained, and how its score is asked for afterwards. Not the training loop
// (studies/toy.h).
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/registry.h"
#include "diffusion/score.h"
#include "diffusion/score_matching.h"
#include "diffusion/toy_data.h"
#include "nn/mlp.h"
#include "nn/train_step.h"

namespace ito {

class ToyModel;

// What a loss is made of.
struct ToyDraw {
  Tensor x0;                // [n, 2]
  Tensor key, image, step;  // of random numbers
  Tensor shown;             // f32 [n]: ToyModel::shown_time
  const ToyModel& model;
  const std::function<Tensor(Tensor x, Tensor t)>& score;

  Tensor noise() const;
};

// An objective for toy data, by name: a row of toy_objective_rows().
struct ToyObjective {
  Name name;
  // Whether the network is told the noise level and so knows a whole family of densities; else it
  // knows one: the data's, or the data's smoothed by one σ.
  bool conditional;
  bool ladder;    // of ten σ, that annealed Langevin dynamics goes down
  bool smoothed;  // knows the data smoothed by the width of their finest feature
  Sde (*sde)(const ToyData& data);
  Tensor (*loss)(const ToyDraw& draw);

  // Training steps after which the losses have settled: more for a whole family of noise levels.
  int64_t default_steps() const { return conditional ? 5000 : 2500; }
};
std::span<const ToyObjective> toy_objective_rows();
Result<const ToyObjective*> toy_objective(const std::string& name);

struct ToyOptions {
  std::string data = "two_moons";
  std::string objective = "ve";
  bool energy = false;  // a network f with the score ∇f, instead of the score itself
  int64_t steps = 5000;
  int64_t batch = 512;
  int64_t hidden = 128;  // width of the network's three hidden layers
  double learning_rate = 3e-3;
  uint32_t seed = 0;
};

class ToyModel {
 public:
  // Errors: names that do not exist.
  static Result<ToyModel> create(const ToyOptions& options);

  const ToyData& data() const { return data_; }
  const ParameterSet& parameters() const { return network_.set(); }
  bool has_ladder() const { return objective_->ladder; }
  bool is_energy() const { return energy_; }
  // Whether the network is told the noise level.
  bool is_conditional() const { return objective_->conditional; }

  // The process whose densities the network knows. Without noise levels: EDM's, of which the
  // network knows only the time shown_time().
  const Sde& sde() const { return sde_; }
  // The time at which the score is looked at: a noise level a little above the data's finest
  // feature, the σ of denoising score matching, or 0.
  double shown_time() const { return shown_time_; }
  double shown_sigma() const { return shown_time_ > 0 ? sde_.std(shown_time_) : 0; }

  // The score at x [n, 2] and times t f32 [n] of sde().
  ScoreFunction score(const Scope& parameters) const;
  // ln p_t up to a constant. CHECK: is_energy().
  EnergyFunction energy(const Scope& parameters) const;
  // The data's own score at those times. CHECK: data().is_mixture().
  ScoreFunction truth() const;

  // Times of the ladder's levels, the noisiest first.
  static std::vector<double> ladder_times();

  // Points of the data set at time t [n] of sde(), drawn for "key" [2], images 0 to n - 1 and step.
  Tensor points(Tensor key, int64_t n, Tensor step, Tensor t) const;

  Program train_step() const;

 private:
  ToyModel() = default;
  Tensor output(const Scope& parameters, Tensor x, Tensor t, Tensor in_scale) const;
  Tensor loss(Graph& graph, const Scope& parameters, Tensor counter) const;

  ToyData data_;
  const ToyObjective* objective_ = nullptr;
  bool energy_ = false;
  int64_t batch_ = 0;
  Network network_;
  TrainStepOptions train_;
  Sde sde_;
  double shown_time_ = 0;
};

// External input of every program of a toy model that draws: u32 [2].
inline constexpr Port<uint32_t> kToyKey{"key"};

}  // namespace ito
