#include "api/training_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>

#include "api/initial_model.h"
#include "api/objectives.h"
#include "api/training_rows.h"
#include "base/error.h"
#include "diffusion/loss.h"
#include "diffusion/noise_ladder.h"
#include "diffusion/parameterization.h"
#include "diffusion/schedule.h"
#include "diffusion/score_model.h"
#include "nn/energy.h"
#include "nn/networks.h"

namespace ito {

namespace {

constexpr int kMaxLadder = 65536;  // a limit of random_index
constexpr int kMaxSize = 16384;
// Keys that may change while a run goes on: one that goes on for longer may fall for longer, and
// weights and the optimiser's state are the same for every precision and whatever is computed at
// once.
constexpr const char* kMayChange[] = {"lr-decay", "decay-steps", "precision", "microbatch"};

// Options of score models; those of the discrete chain must then be left alone.
Status check_score_options(const TrainingOptions& o) {
  const TrainingOptions defaults;
  ITO_ASSIGN(const TrainedProcessRow* process, trained_process(o));
  const bool score = process->score(), edm = process->preconditioned;
  if (edm && o.dsm_weight != defaults.dsm_weight)
    return invalid_argument("--sde edm does not take --dsm-weight");
  if (!std::isfinite(o.p_mean) || !(o.p_std >= 0) || !std::isfinite(o.p_std))
    return invalid_argument("--p-mean is {} and --p-std {}, expected numbers, the latter 0 or more",
                            o.p_mean, o.p_std);
  if (score && o.classifier) return invalid_argument("--classifier and --sde exclude each other");
  ITO_TRY(trained_network(o));
  ITO_ASSIGN(const ScoreWeightRow* weight,
             row_called(score_weight_rows(), o.dsm_weight, "--dsm-weight"));
  ITO_ASSIGN(const std::optional<int> levels, ladder_of(o));
  const bool ladder = levels != 0;
  if (ladder && !process->ladder) return invalid_argument("--ladder needs --sde ve");
  if (ladder && !weight->ladder)
    return invalid_argument("--ladder needs --dsm-weight variance, found {}", o.dsm_weight);
  if (!(o.sigma_data >= 0) || !std::isfinite(o.sigma_data))
    return invalid_argument("--sigma-data is {}, expected 0 or more", o.sigma_data);
  if (!score) return {};
  if (o.prediction != defaults.prediction || o.loss_weight != defaults.loss_weight ||
      o.schedule != defaults.schedule)
    return invalid_argument(
        "--schedule, --prediction and --loss-weight are of the discrete chain; leave them out with "
        "--sde {}",
        o.sde);
  if (o.timesteps < 2)
    return invalid_argument("--timesteps is {}, expected at least 2 with --sde", o.timesteps);
  SchedulerConfig scheduler = scheduler_config(o);
  if (process->sigma_from_data && o.sigma_max == 0)
    scheduler.sigma_max = std::numeric_limits<double>::max();
  ITO_TRY(scheduler_sde(scheduler));
  return {};
}

Status check_gan_options(const TrainingOptions& o) {
  constexpr int kMostSteps = 1000;
  const TrainingOptions defaults;
  if (o.gan_steps < 0 || o.gan_steps > kMostSteps)
    return invalid_argument("--gan-steps is {}, expected 0 to {}", o.gan_steps, kMostSteps);
  if (!(o.r1 >= 0) || !std::isfinite(o.r1))
    return invalid_argument("--r1 is {}, expected 0 or more", o.r1);
  if (o.gan_steps == 0) return {};
  if (o.classifier || o.sde != defaults.sde)
    return invalid_argument("--gan-steps excludes --classifier and --sde");
  if (o.prediction != defaults.prediction || o.loss_weight != defaults.loss_weight ||
      o.schedule != defaults.schedule || o.timesteps != defaults.timesteps)
    return invalid_argument(
        "--schedule, --timesteps, --prediction and --loss-weight are of diffusion models; leave "
        "them out with --gan-steps");
  return {};
}

Status check_averages(const std::vector<double>& decays) {
  if (decays.empty() || decays.size() > 8)
    return invalid_argument("--ema has {} decays, expected 1 to 8", decays.size());
  if (decays == std::vector<double>{0}) return {};
  for (size_t i = 0; i < decays.size(); ++i) {
    if (!(decays[i] > 0 && decays[i] < 1))
      return invalid_argument("--ema has {}, expected numbers between 0 and 1, or 0 alone",
                              decays[i]);
    if (std::find(decays.begin(), decays.begin() + static_cast<ptrdiff_t>(i), decays[i]) !=
        decays.begin() + static_cast<ptrdiff_t>(i))
      return invalid_argument("--ema has {} twice", decays[i]);
  }
  return {};
}

// Ranges of what single objectives take.
Status check_new_options(const TrainingOptions& o) {
  if (!(o.class_dropout >= 0 && o.class_dropout < 1))
    return invalid_argument("--class-dropout is {}, expected a share of at least 0 and less than 1",
                            o.class_dropout);
  if (o.class_dropout > 0 && !o.classes) return invalid_argument("--class-dropout needs --classes");
  if (!(o.vb_weight >= 0) || !std::isfinite(o.vb_weight))
    return invalid_argument("--vb-weight is {}, expected 0 or more", o.vb_weight);
  if (!std::isfinite(o.time_mean) || !std::isfinite(o.time_std) || o.time_std < 0)
    return invalid_argument(
        "--time-mean is {} and --time-std {}, expected numbers, the latter 0 or more", o.time_mean,
        o.time_std);
  if (o.projections < 1 || o.projections > 1024)
    return invalid_argument("--projections is {}, expected 1 to 1024", o.projections);
  ITO_ASSIGN(const Prediction prediction, prediction_from_name(o.prediction));
  if (o.zero_snr && needs_signal(prediction))
    return invalid_argument(
        "--zero-snr leaves no signal at the last timestep, where epsilon says nothing of the "
        "image: expected --prediction v_prediction or sample");
  if (o.energy == kNoEnergy) return {};
  ITO_TRY(row_called(energy_rows(), o.energy, "--energy"));
  if (o.prediction != TrainingOptions().prediction)
    return invalid_argument("--energy {} is a prediction of epsilon, found {}", o.energy,
                            o.prediction);
  return {};
}

// Of an unknown network, which is refused elsewhere, any.
ImageSides image_sides(const TrainingOptions& options) {
  const NetworkDesign* design = find_row(network_designs(), options.network);
  return design == nullptr ? ImageSides() : design->sides(options);
}

}  // namespace

Status check_training_options(const TrainingOptions& given) {
  ITO_ASSIGN(const ObjectiveRow* row, objective_of(given));
  const TrainingOptions o = with_preset(*row, given);
  const auto at_least = [](const char* name, int64_t value, int64_t least) -> Status {
    if (value < least)
      return invalid_argument("--{} is {}, expected at least {}", name, value, least);
    return {};
  };
  // Beyond these a step would never end, or numbers would overflow before memory runs out.
  const auto at_most = [](const char* name, int64_t value, int64_t most) -> Status {
    if (value > most) return invalid_argument("--{} is {}, expected at most {}", name, value, most);
    return {};
  };
  ITO_TRY(at_least("batch", o.batch, 1));
  ITO_TRY(at_least("microbatch", o.microbatch, 0));
  ITO_TRY(at_least("accumulate", o.accumulate, 1));
  ITO_TRY(at_least("layers-per-block", o.layers_per_block, 1));
  ITO_TRY(at_least("norm-groups", o.norm_groups, 1));
  ITO_TRY(at_least("timesteps", o.timesteps, 1));
  ITO_TRY(at_least("warmup", o.warmup, 0));
  ITO_TRY(at_least("decay-steps", o.decay_steps, 0));
  if (o.noisy && !o.classifier) return invalid_argument("--noisy needs --classifier");
  if (!(o.dropout >= 0 && o.dropout < 1))
    return invalid_argument("--dropout is {}, expected a share of at least 0 and less than 1",
                            o.dropout);
  ITO_TRY(at_most("batch", o.batch, 65536));
  ITO_TRY(at_most("accumulate", o.accumulate, 65536));
  if (o.microbatch > 0 && o.batch % o.microbatch != 0)
    return invalid_argument("--microbatch is {}, expected a divisor of --batch, which is {}",
                            o.microbatch, o.batch);
  if (o.microbatch > 0 && o.accumulate > 1)
    return invalid_argument(
        "--microbatch has no meaning with --accumulate {}: a --batch of {} is as large a step",
        o.accumulate, o.batch * o.accumulate);
  ITO_TRY(at_most("layers-per-block", o.layers_per_block, 64));
  ITO_TRY(at_most("timesteps", o.timesteps, 1'000'000));
  ITO_ASSIGN(const NetworkDesign* network, row_called(network_designs(), o.network, "--network"));
  if (network->check != nullptr) ITO_TRY(network->check(o));
  ITO_TRY(size_of(o));
  if (!(o.lr > 0) || !std::isfinite(o.lr))
    return invalid_argument("--lr is {}, expected a positive number", o.lr);
  if (!(o.clip >= 0)) return invalid_argument("--clip is {}, expected 0 or more", o.clip);
  ITO_TRY(check_averages(o.ema));
  ITO_ASSIGN(const DecayRow* decay, row_called(decay_rows(), o.lr_decay, "--lr-decay"));
  if (decay->falls && o.decay_steps != 0 && o.decay_steps <= o.warmup)
    return invalid_argument("--lr-decay {} needs --decay-steps above --warmup ({}), found {}",
                            o.lr_decay, o.warmup, o.decay_steps);
  ITO_TRY(loss_weight_from_name(o.loss_weight));
  ITO_TRY(prediction_from_name(o.prediction));
  ITO_TRY(check_score_options(o));
  ITO_TRY(check_gan_options(o));
  ITO_TRY(check_new_options(o));
  ITO_TRY(check_objective_options(given));
  const SchedulerConfig scheduler = scheduler_config(o);
  if (const auto schedule = process_row(scheduler.process).schedule)
    ITO_TRY(schedule(scheduler, Arithmetic::kFloat32AsDiffusers));
  ITO_ASSIGN(const TrainStepOptions step, step_options(o));
  return check_optimizer(step.optimizer);
}

Json to_json(const TrainingOptions& options) {
  Json json = Json::object();
  visit_fields(options,
               [&](const char* key, const auto& field, const char*) { json[key] = field; });
  return json;
}

Result<TrainingOptions> training_options_from_json(const Json& stored, const std::string& where) {
  Json json = stored;
  // Runs begun before there was "auto", or WIDTHxHEIGHT, have a number.
  if (json.is_object() && json.contains("ladder") && json["ladder"].is_number_integer())
    json["ladder"] = json["ladder"].dump();
  if (json.is_object() && json.contains("size") && json["size"].is_number_integer())
    json["size"] = json["size"].dump();
  // Runs begun before there could be several.
  if (json.is_object() && json.contains("ema-decay") && json["ema-decay"].is_number())
    json["ema"] = Json::array({json["ema-decay"]});
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  TrainingOptions options;
  Status status;
  visit_fields(options, [&](const char* key, auto& field, const char*) {
    if (status.ok()) status = object.read(key, &field);
  });
  ITO_TRY(status);
  return options;
}

int64_t microbatch_of_ranks(int64_t batch) { return batch / std::gcd(batch, int64_t{8}); }

Result<TrainingOptions> resumed_options(const TrainingOptions& stored, const TrainingOptions& asked,
                                        const std::set<std::string>& given,
                                        const std::string& run) {
  Json had = to_json(stored);
  const Json wants = to_json(asked);
  for (const std::string& key : given) {
    if (!had.contains(key)) continue;
    if (std::find(std::begin(kMayChange), std::end(kMayChange), key) != std::end(kMayChange))
      had[key] = wants[key];
    if (had[key] != wants[key])
      return invalid_argument(
          "--{} {} contradicts the run in {}, which has {}; leave the option out to go on with "
          "that "
          "run, or use another --out, or --fresh to start over",
          key, dump_json_line(wants[key]), run, dump_json_line(had[key]));
  }
  return training_options_from_json(had, run);
}

Result<TrainStepOptions> step_options(const TrainingOptions& options) {
  TrainStepOptions step;
  Optimizer& optimizer = step.optimizer;
  ITO_ASSIGN(const OptimizerRow* row,
             row_called(optimizer_rows(), options.optimizer, "--optimizer"));
  optimizer.kind = row->kind;
  LearningRate& rate = optimizer.learning_rate;
  rate.base = options.lr;
  rate.warmup_steps = options.warmup;
  ITO_ASSIGN(const DecayRow* decay, row_called(decay_rows(), options.lr_decay, "--lr-decay"));
  rate.decay = decay->decay;
  // A run puts its own length where a fall has no end yet (api/run_data.h); any will do till then.
  // One that has none begins with the warm-up's.
  rate.total_steps = options.decay_steps > 0 ? options.decay_steps
                     : decay->falls          ? options.warmup + 1
                                             : std::max<int64_t>(1, options.warmup);
  optimizer.beta1 = options.beta1;
  optimizer.beta2 = options.beta2;
  optimizer.eps = options.eps;
  optimizer.momentum = options.momentum;
  optimizer.weight_decay = options.weight_decay;
  optimizer.max_grad_norm = options.clip;
  optimizer.average.decay = options.ema[0];
  optimizer.average.kind = options.ema[0] > 0 ? Average::Kind::kWarmup : Average::Kind::kNone;
  optimizer.further_decays.assign(options.ema.begin() + 1, options.ema.end());
  step.accumulation = options.accumulate;
  if (options.microbatch > 0) step.microbatches = options.batch / options.microbatch;
  step.own_microbatches = step.microbatches;
  ITO_ASSIGN(const PrecisionRow* precision,
             row_called(precision_rows(), options.precision, "--precision"));
  step.precision = precision->precision;
  return step;
}

Result<std::optional<int>> ladder_of(const TrainingOptions& options) {
  const std::string& text = options.ladder;
  if (text == kAutomaticLadder) return std::optional<int>();
  int levels = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, levels);
  const bool possible = levels == 0 || (levels >= 2 && levels <= kMaxLadder);
  if (read.ec != std::errc() || read.ptr != end || !possible)
    return invalid_argument("--ladder is \"{}\", expected auto, 0 or 2 to {} noise levels", text,
                            kMaxLadder);
  return std::optional<int>(levels);
}

Result<int> automatic_ladder(const SchedulerConfig& scheduler, int64_t dimensions) {
  const int levels = ladder_levels(scheduler.sigma_max, scheduler.sigma_min, dimensions);
  if (levels <= kMaxLadder) return levels;
  return invalid_argument("--ladder auto makes {} noise levels, at most {} are possible", levels,
                          kMaxLadder);
}

SchedulerConfig scheduler_config(const TrainingOptions& options, const InitialModel* initial) {
  SchedulerConfig config;
  const auto levels = ladder_of(options);
  const bool ladder = levels.ok() && *levels != 0;
  const auto process = trained_process(options);
  if (!process.ok()) return config;
  const TrainedProcessRow& row = **process;
  config.process = row.process;
  config.sampler = row.sampler;
  config.sampling_eps = row.sampling_eps;
  config = kept_scheduler(initial, config);
  config.num_train_timesteps = ladder ? levels->value_or(options.timesteps) : options.timesteps;
  config.ladder = ladder && row.ladder;
  row.describe(options, config);
  return config;
}

Result<std::array<int, 2>> size_of(const TrainingOptions& options) {
  const std::string& text = options.size;
  const Error wrong = invalid_argument(
      "--size is \"{}\", expected a side or WIDTHxHEIGHT of 0 to {}, such as 32 or 48x32", text,
      kMaxSize);
  const size_t cross = text.find('x');
  const auto side = [&](size_t begin, size_t end) {
    int value = 0;
    const auto read = std::from_chars(text.data() + begin, text.data() + end, value);
    const bool whole = read.ec == std::errc() && read.ptr == text.data() + end;
    return whole && value >= 0 && value <= kMaxSize ? value : -1;
  };
  const int w = side(0, std::min(cross, text.size()));
  const int h = cross == std::string::npos ? w : side(cross + 1, text.size());
  if (w < 0 || h < 0 || (cross != std::string::npos && (w == 0 || h == 0))) return wrong;
  const ImageSides sides = image_sides(options);
  if (w % sides.multiple != 0 || h % sides.multiple != 0)
    return invalid_argument("--size is {}, expected {} of {} for {}", text,
                            cross == std::string::npos ? "a multiple" : "multiples", sides.multiple,
                            sides.why);
  return std::array<int, 2>{h, w};
}

std::array<int, 2> padded_size(const TrainingOptions& options, int h, int w) {
  const auto size = size_of(options);
  if (size.ok() && (*size)[0] > 0) return *size;
  const int multiple = image_sides(options).padded;
  const int side = (std::max(h, w) + multiple - 1) / multiple * multiple;
  return {side, side};
}

}  // namespace ito
