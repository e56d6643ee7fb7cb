#include "diffusion/sampling.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/name_list.h"
#include "diffusion/choices.h"
#include "diffusion/predictor_corrector.h"

namespace ito {
namespace {

const ScoreSamplerEntry* score_sampler(std::string_view name) {
  return find_row(score_sampler_rows(), name);
}
const SolverEntry* solver_entry(std::string_view name) { return find_row(solver_rows(), name); }

// What the σ spacings switch on.
struct SpacingRow {
  Name name;
  bool SchedulerConfig::*field;  // null: none of them
};
constexpr SpacingRow kSigmaSpacings[] = {
    {{"uniform", "evenly in timesteps", "", ""}, nullptr},
    {{"karras", "σ^(1/7) evenly", "Karras et al. 2022, eq. 5", ""},
     &SchedulerConfig::use_karras_sigmas},
    {{"exponential", "ln σ evenly", "", ""}, &SchedulerConfig::use_exponential_sigmas},
    {{"beta", "quantiles of Beta(0.6, 0.6)", "Lee et al. 2024", ""},
     &SchedulerConfig::use_beta_sigmas},
    {{"lu", "log-SNR evenly", "Lu et al. 2022", ""}, &SchedulerConfig::use_lu_lambdas},
};

std::vector<Name> solver_type_choices() {
  std::vector<Name> names = dpm_step_choices();
  for (const Name& name : unipc_step_choices()) names.push_back(name);
  return names;
}

// What the other choices by name may be; what they mean is a scheduler configuration's.
struct Choices {
  std::string_view key;
  std::vector<Name> (*names)();
};
constexpr Choices kChoices[] = {
    {"spacing", timestep_spacing_choices}, {"final_sigma", final_sigma_choices},
    {"variance", variance_choices},        {"algorithm", dpm_algorithm_choices},
    {"solver_type", solver_type_choices},
};

Status check_choice(std::string_view key, const std::vector<Name>& names, std::string_view value) {
  std::vector<std::string_view> expected;
  for (const Name& name : names) {
    if (name.name == value) return {};
    expected.push_back(name.name);
  }
  std::string option(key);
  std::replace(option.begin(), option.end(), '_', '-');
  return invalid_argument("--{} is \"{}\", expected one of {}", option, value, joined(expected));
}

Result<Sampling> solver_sampling(const SolverEntry& entry, const DiffusionModel& model,
                                 const SamplerOptions& options, int first_step) {
  ITO_ASSIGN(DiffusionModel view, as_process(model, entry.process));
  ITO_ASSIGN(view.config, chosen_config(view.config, options));
  ITO_ASSIGN(SolverOptions run, solver_options(options, view.config));
  run.first_step = first_step;
  ITO_ASSIGN(Solver solver, make_solver(std::string(entry.name.name), view.config, run));
  ITO_TRY(solver.take_outputs(view.output_multiple, entry.name.name));
  ITO_ASSIGN(Denoiser network, native_network(view));
  Sampling sampling;
  sampling.method = solver_method(solver, std::move(network));
  sampling.start_std = solver.init_noise_sigma;
  sampling.solver = std::move(solver);
  return sampling;
}

// --lambda-min, if it was given.
Result<std::optional<double>> least_lambda(const SamplerOptions& options) {
  const std::string& text = options.lambda_min;
  if (text.empty()) return std::optional<double>();
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return invalid_argument("--lambda-min is \"{}\", expected a number, as -3", text);
  return std::optional<double>(value);
}

}  // namespace

std::vector<Name> sigma_spacing_choices() { return names_of(kSigmaSpacings); }

std::vector<Name> sampler_rows() {
  std::vector<Name> rows;
  for (const SolverEntry& row : solver_rows()) rows.push_back(row.name);
  for (const ScoreSamplerEntry& row : score_sampler_rows()) rows.push_back(row.name);
  return rows;
}

std::vector<std::string> sampler_names() {
  std::vector<std::string> names;
  for (const Name& row : sampler_rows()) names.emplace_back(row.name);
  return names;
}

bool sampler_uses(const SamplerOptions& options, std::string_view key) {
  const ScoreSamplerEntry* score = score_sampler(options.sampler);
  const SolverEntry* solver = solver_entry(options.sampler);
  const std::string_view looked_at = score != nullptr    ? score->options
                                     : solver != nullptr ? solver->options
                                                         : std::string_view();
  return lists(looked_at, key) && sampler_without(options, key) == options.sampler;
}

std::string sampler_without(const SamplerOptions& options, std::string_view key) {
  const ScoreSamplerEntry* score = score_sampler(options.sampler);
  const SolverEntry* solver = solver_entry(options.sampler);
  MootOption* moot = score != nullptr ? score->moot : solver != nullptr ? solver->moot : nullptr;
  const std::string text = moot != nullptr ? moot(options, key) : "";
  return text.empty() ? options.sampler : text;
}

Status check_sampler_choices(const SamplerOptions& options) {
  for (const auto& [key, names] : kChoices) {
    std::string_view value;
    visit_sampler_fields(
        options, [&, wanted = key](std::string_view field, const auto& choice, const char*) {
          if constexpr (std::is_same_v<std::remove_cvref_t<decltype(choice)>, std::string>)
            if (field == wanted) value = choice;
        });
    if (!value.empty()) ITO_TRY(check_choice(key, names(), value));
  }
  ITO_TRY(timestep_list(options));
  ITO_TRY(least_lambda(options));
  if (!options.sigmas.empty())
    ITO_TRY(row_called(std::span<const SpacingRow>(kSigmaSpacings), options.sigmas, "--sigmas"));
  ITO_TRY(row_called(predictor_rows(), options.predictor, "--predictor"));
  ITO_TRY(row_called(corrector_rows(), options.corrector, "--corrector"));
  return check_annealed_form(options.ald_form);
}

std::string own_sampler(const SchedulerConfig& config, bool generator) {
  if (!generator) return config.sampler;
  for (const SolverEntry& row : solver_rows())
    if (row.generator) return std::string(row.name.name);
  CHECK(false, "no solver for generators");
}

Result<std::vector<int>> timestep_list(const SamplerOptions& options) {
  std::vector<int> timesteps;
  const char* at = options.timesteps.data();
  const char* const last = at + options.timesteps.size();
  while (at != last) {
    int timestep = 0;
    const auto [end, error] = std::from_chars(at, last, timestep);
    if (error != std::errc() || (end != last && (*end != ',' || end + 1 == last)))
      return invalid_argument("--timesteps is \"{}\", expected whole numbers and commas",
                              options.timesteps);
    timesteps.push_back(timestep);
    at = end == last ? end : end + 1;
  }
  if (!timesteps.empty() && options.steps > 0 &&
      static_cast<size_t>(options.steps) != timesteps.size())
    return invalid_argument("--timesteps has {} of them and --steps is {}; leave one out",
                            timesteps.size(), options.steps);
  return timesteps;
}

int default_steps(const SamplerOptions& options, const SchedulerConfig& config) {
  const auto timesteps = timestep_list(options);
  if (timesteps.ok() && !timesteps->empty()) return static_cast<int>(timesteps->size());
  if (const SolverEntry* row = solver_entry(options.sampler))
    return row->default_steps > 0 ? row->default_steps : config.num_train_timesteps;
  const ScoreSamplerEntry* row = score_sampler(options.sampler);
  if (row == nullptr) return 0;
  // A ladder's network knows its own levels only.
  if (config.ladder && row->own_levels) return config.num_train_timesteps;
  return row->default_steps;
}

Result<SchedulerConfig> chosen_config(const SchedulerConfig& config,
                                      const SamplerOptions& options) {
  SchedulerConfig chosen = config;
  const auto take = [](std::string& field, const std::string& choice) {
    if (!choice.empty()) field = choice;
  };
  take(chosen.timestep_spacing, options.spacing);
  take(chosen.final_sigmas_type, options.final_sigma);
  take(chosen.variance_type, options.variance);
  take(chosen.algorithm_type, options.algorithm);
  take(chosen.solver_type, options.solver_type);
  if (options.order > 0) chosen.solver_order = options.order;
  if (options.shift > 0) chosen.shift = chosen.flow_shift = options.shift;
  ITO_ASSIGN(const std::optional<double> lambda, least_lambda(options));
  if (lambda) chosen.lambda_min_clipped = *lambda;
  if (options.sigmas.empty()) return chosen;
  ITO_ASSIGN(const SpacingRow* row,
             row_called(std::span<const SpacingRow>(kSigmaSpacings), options.sigmas, "--sigmas"));
  for (const SpacingRow& other : kSigmaSpacings)
    if (other.field != nullptr) chosen.*other.field = &other == row;
  return chosen;
}

Result<SolverOptions> solver_options(const SamplerOptions& options, const SchedulerConfig& config) {
  SolverOptions run;
  ITO_ASSIGN(run.timesteps, timestep_list(options));
  run.steps = options.steps > 0 ? options.steps : default_steps(options, config);
  run.eta = options.eta;
  run.s_churn = options.churn;
  run.s_tmin = options.s_min;
  if (options.s_max > 0) run.s_tmax = options.s_max;
  run.s_noise = options.s_noise;
  if (options.order > 0) run.order = options.order;
  return run;
}

Result<Sampling> make_sampling(const DiffusionModel& model, const SamplerOptions& asked,
                               int first_step) {
  SamplerOptions options = asked;
  if (options.steps == 0) options.steps = default_steps(options, model.config);
  const SolverEntry* solver = solver_entry(options.sampler);
  if (model.generator && (solver == nullptr || !solver->generator))
    return invalid_argument("the model is a GAN's generator: expected --sampler {}, found {}",
                            own_sampler(model.config, true), options.sampler);
  if (solver != nullptr && solver->generator && !model.generator)
    return invalid_argument("--sampler {} needs a model trained with --gan-steps", options.sampler);
  if (solver != nullptr) return solver_sampling(*solver, model, options, first_step);
  const ScoreSamplerEntry* row = score_sampler(options.sampler);
  if (row == nullptr) {
    return invalid_argument("there is no sampler \"{}\"; expected one of {}", options.sampler,
                            joined(sampler_names()));
  }
  ITO_ASSIGN(const ScoreModel score, model_score(model));
  return row->make(score, model.config, options);
}

}  // namespace ito
