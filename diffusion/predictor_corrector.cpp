#include "diffusion/predictor_corrector.h"

#include <cmath>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/reverse_sde.h"
#include "diffusion/sde_discrete.h"
#include "graph/builder.h"

namespace ito {
namespace {

// Columns of the table.
struct PredictorCorrectorTable {
  enum Column : size_t { kTime, kOnX, kOnScore, kNoise, kCorrector, kCorrectorNoise };
};

// The predictor's move at one step: x' = on_x x + on_score s + noise z.
using Move = ReverseStep;

Move predictor_move(const Sde& sde, Predictor predictor, const Interval& interval, int steps) {
  switch (predictor) {
    case Predictor::kNone:
      return {};
    case Predictor::kEulerMaruyama: {
      const double dt = interval.next - interval.t;  // below 0
      const ReverseDrift<double> drift = reverse_drift(sde, interval.t);
      return {.on_x = 1 + drift.on_x * dt,
              .on_score = drift.on_score * dt,
              .noise = sde.diffusion(interval.t) * std::sqrt(-dt)};
    }
    case Predictor::kReverseDiffusion:
    case Predictor::kReverseDiffusionOde: {
      const DiscreteStep forward = forward_step(sde, interval, steps);
      const bool ode = predictor == Predictor::kReverseDiffusionOde;
      return {.on_x = 1 - forward.on_x,
              .on_score = forward.noise * forward.noise * (ode ? 0.5 : 1),
              .noise = ode ? 0 : forward.noise};
    }
    case Predictor::kAncestral:
      return reverse_chain_step(sde, interval, steps);
  }
  CHECK(false, "unknown predictor");
}

// What ε is but for the norms: 2 α snr² (Langevin) or 2 α (snr std)² (ALD).
double corrector_size(const Sde& sde, const PredictorCorrectorOptions& options, double t) {
  if (options.corrector == Corrector::kNone) return 0;
  const double alpha = chain_alpha(sde, t, options.steps);
  const double scale = options.snr * (options.corrector == Corrector::kAld ? sde.std(t) : 1.0);
  return 2 * alpha * scale * scale;
}

// |x_i| of every image, f32 [n].
Tensor norms(Tensor x) {
  const int64_t n = x.dim(0);
  return sqrt(sum(square(reshape(x, {n, x.shape().numel() / n})), {1}));
}

// ε of every image, to broadcast against x.
Tensor langevin_size(Tensor size, Tensor score, Tensor noise, NormOver over) {
  Tensor z = norms(noise), s = norms(score);
  if (over == NormOver::kBatch) {
    const Shape& shape = z.shape();
    z = broadcast_to(mean(z, {0}, true), shape);
    s = broadcast_to(mean(s, {0}, true), shape);
  }
  return per_image(size * square(z / s), score.rank());
}

int corrector_moves(const PredictorCorrectorOptions& options) {
  return options.corrector == Corrector::kNone ? 0 : options.corrector_steps;
}

MethodResult build_step(const MethodStep& in, const ScoreFunction& score,
                        const PredictorCorrectorOptions& options) {
  using enum PredictorCorrectorTable::Column;
  const Tensor t = in.for_images(kTime);
  MethodResult result{.x = in.x, .watched = {}, .states = {}, .outputs = {}};
  Tensor mean = in.x;
  size_t draw = 0;
  const int moves = corrector_moves(options);
  for (int i = 0; i < moves; ++i) {
    if (i > 0) result.x = in.agree(result.x, i);
    const Tensor s = score(result.x, t), z = in.noise[draw++];
    const Tensor size = options.corrector == Corrector::kLangevin
                            ? langevin_size(in.row[kCorrector], s, z, options.norm_over)
                            : in.row[kCorrector];
    mean = result.x + size * s;
    const bool last = i + 1 == moves;
    const Tensor noise = sqrt(size * 2.0) * z;
    result.x = in.settle(result.x, mean + (last ? noise * in.row[kCorrectorNoise] : noise),
                         last ? size * square(in.row[kCorrectorNoise]) : size);
    result.watched.push_back(s);
  }
  result.outputs.emplace_back("corrected", result.x);
  if (options.predictor != Predictor::kNone) {
    if (moves > 0) result.x = in.agree(result.x, moves);
    const Tensor s = score(result.x, t);
    mean = in.row[kOnX] * result.x + in.row[kOnScore] * s;
    result.x = mean;
    if (options.predictor != Predictor::kReverseDiffusionOde)
      result.x = mean + in.row[kNoise] * in.noise[draw];
    result.watched.push_back(s);
  }
  result.outputs.emplace_back("mean", mean);
  return result;
}

Status check(const Sde& sde, const PredictorCorrectorOptions& options) {
  ITO_TRY(check_sde(sde));
  if (options.predictor == Predictor::kNone && options.corrector == Corrector::kNone)
    return invalid_argument("predictor and corrector are both none, expected at least one");
  if (options.steps < 2) return invalid_argument("{} steps, expected at least 2", options.steps);
  if (options.end_time != 0 && !(options.end_time > 0 && options.end_time < sde.end()))
    return invalid_argument("end_time is {}, expected a time between 0 and {}", options.end_time,
                            sde.end());
  if (options.predictor == Predictor::kAncestral) ITO_TRY(check_ancestral(sde));
  ITO_TRY(check_chain(sde, options.steps));
  if (options.corrector == Corrector::kNone) return {};
  if (options.corrector_steps < 1)
    return invalid_argument("corrector_steps is {}, expected at least 1", options.corrector_steps);
  if (!(options.snr > 0) || !std::isfinite(options.snr))
    return invalid_argument("snr is {}, expected a positive number", options.snr);
  return {};
}

}  // namespace

Result<Method> predictor_corrector(const Sde& sde, ScoreFunction score,
                                   const PredictorCorrectorOptions& options) {
  ITO_TRY(check(sde, options));
  ITO_ASSIGN(const std::vector<Interval> times,
             reverse_intervals(sde, options.steps, options.end_time, options.rho));
  Method chain;
  chain.name = sde_name(sde.kind) + " " + predictor_name(options.predictor) + " with corrector " +
               corrector_name(options.corrector);
  chain.steps = options.steps;
  chain.columns = {"time", "on_x", "on_score", "noise", "corrector", "corrector_noise"};
  for (const Interval& interval : times) {
    Move move = predictor_move(sde, options.predictor, interval, options.steps);
    const bool last = chain.table.size() / chain.columns.size() + 1 == times.size();
    double corrector_noise = 1;
    if (last && options.denoise) {
      move.noise = 0;
      if (options.predictor == Predictor::kNone) corrector_noise = 0;
    }
    for (double value : {interval.t, move.on_x, move.on_score, move.noise,
                         corrector_size(sde, options, interval.t), corrector_noise})
      chain.table.push_back(value);
  }
  const bool noisy_predictor =
      options.predictor != Predictor::kNone && options.predictor != Predictor::kReverseDiffusionOde;
  const int moves = corrector_moves(options);
  chain.draws = moves + (noisy_predictor ? 1 : 0);
  chain.moves = moves + (options.predictor != Predictor::kNone ? 1 : 0);
  chain.build = [score = std::move(score), options](const MethodStep& in) {
    return build_step(in, score, options);
  };
  return chain;
}

namespace {

constexpr PredictorRow kPredictors[] = {
    {{"none", "the corrector alone", "Song et al. 2021, table 1", ""}, Predictor::kNone},
    {{"em", "Euler-Maruyama", "Song et al. 2021, eq. 6", "euler_maruyama euler-maruyama"},
     Predictor::kEulerMaruyama},
    {{"reverse-diffusion", "the forward chain reversed", "Song et al. 2021, eq. 46",
      "reverse_diffusion"},
     Predictor::kReverseDiffusion},
    {{"reverse-diffusion-ode", "the same along the probability flow", "Song et al. 2021, eq. 13",
      "reverse_diffusion_ode"},
     Predictor::kReverseDiffusionOde},
    {{"ancestral", "ancestral sampling", "Song et al. 2021, eq. 4, 47", ""}, Predictor::kAncestral},
};

constexpr CorrectorRow kCorrectors[] = {
    {{"none", "the predictor alone", "Song et al. 2021, table 1", ""}, Corrector::kNone},
    {{"langevin", "steps by the norms of noise and score", "Song et al. 2021, algorithms 4, 5", ""},
     Corrector::kLangevin},
    {{"ald", "annealed Langevin dynamics' own steps", "Song & Ermon 2019", ""}, Corrector::kAld},
};

}  // namespace

std::span<const PredictorRow> predictor_rows() { return kPredictors; }
std::span<const CorrectorRow> corrector_rows() { return kCorrectors; }

std::string predictor_name(Predictor predictor) {
  for (const PredictorRow& row : kPredictors)
    if (row.predictor == predictor) return std::string(row.name.name);
  CHECK(false, "unknown predictor");
}

Result<Predictor> predictor_from_name(const std::string& name) {
  ITO_ASSIGN(const PredictorRow* row, row_called(predictor_rows(), name, "--predictor"));
  return row->predictor;
}

std::string corrector_name(Corrector corrector) {
  for (const CorrectorRow& row : kCorrectors)
    if (row.corrector == corrector) return std::string(row.name.name);
  CHECK(false, "unknown corrector");
}

Result<Corrector> corrector_from_name(const std::string& name) {
  ITO_ASSIGN(const CorrectorRow* row, row_called(corrector_rows(), name, "--corrector"));
  return row->corrector;
}

}  // namespace ito
