// Straight paths between images and noise (diffusion/flow_matching.h), whose networks give the
// velocity ε - x_0.
#include "diffusion/diffusion_model.h"
#include "diffusion/processes/rows.h"
#include "graph/builder.h"

namespace ito {
namespace {

// Of a straight path's noise where it begins: at 1 nothing is left of the image, and the ratio of
// noise to signal is infinite.
constexpr double kEnd = 0.999;

// At x_t = m x_0 + std ε the straight path has x_t/(m + std), s = std/(m + std) and is told s T; of
// the velocity ε - x_0 there, ε = x/(…) + (1 - s) v.
Result<ScoreModel> flow_score(const DiffusionModel& model, bool) {
  const Sde sde;  // VP with the rates of Song et al. 2021
  const double timesteps = model.config.num_train_timesteps;
  return ScoreModel{.sde = sde,
                    .score = [sde, timesteps, network = model.network](Tensor x, Tensor t) {
                      const Tensor mean = sde.mean(t), std = sde.std(t), sum = mean + std;
                      const Tensor s = std / sum;
                      const Tensor path = x / per_image(sum, x.rank());
                      const Tensor velocity = network(path, s * timesteps);
                      const Tensor epsilon = path + per_image(1.0 - s, x.rank()) * velocity;
                      return -(epsilon / per_image(std, x.rank()));
                    }};
}

// At s = t/T: σ = s/(1 - s), x = path/(1 - s), ε = -σ score, x_0 = x - σ ε.
DiffusionModel flow_from_edm(const ScoreModel& edm, const SchedulerConfig&) {
  DiffusionModel model;
  model.config.process = ProcessKind::kFlow;
  model.config.sampler = "flow-euler";
  model.config.prediction_type = "flow_prediction";
  model.config.clip_sample = false;
  const double timesteps = model.config.num_train_timesteps;
  const double least = edm.sde.sigma_min;
  model.network = [score = edm.score, timesteps, least](Tensor path, Tensor t) {
    Graph& graph = path.graph();
    const Tensor s = minimum(t / timesteps, scalar(graph, kEnd)), rest = 1.0 - s;
    const Tensor sigma = maximum(s / rest, scalar(graph, least));
    const Tensor x = path / per_image(rest, path.rank());
    const Tensor epsilon = -(per_image(sigma, path.rank()) * score(x, sigma));
    return epsilon - (x - per_image(sigma, path.rank()) * epsilon);
  };
  return model;
}

}  // namespace

ProcessRow flow_process() {
  return {.name = {"flow", "straight paths between images and noise",
                   "Liu et al. 2022; Lipman et al. 2022", "rectified-flow"},
          .kind = ProcessKind::kFlow,
          .score = flow_score,
          .from_edm = flow_from_edm};
}

}  // namespace ito
