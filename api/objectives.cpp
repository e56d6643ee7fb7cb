#include "api/objectives.h"

#include <algorithm>

#include "api/training_rows.h"
#include "base/check.h"
#include "base/error.h"
#include "base/name_list.h"
#include "nn/classifier.h"
#include "nn/ddgan.h"
#include "nn/networks.h"
#include "nn/noisy_classifier.h"

namespace ito {

Result<int> TrainingInput::side() const {
  if (height() == width()) return height();
  return invalid_argument("--size is {}x{}, but this network takes square images: give one side",
                          width(), height());
}

// One file each in api/objectives/.
ObjectiveMaker simple_objective, huber_objective, hybrid_objective, vlb_objective, flow_objective,
    consistency_objective, dsm_objective, ssm_objective, ssm_vr_objective, fd_ssm_objective,
    ism_objective, edm_objective, gan_objective, classifier_objective, noisy_classifier_objective;

namespace {

using Options = TrainingOptions;

constexpr std::string_view kNoSde = "none", kSdes = "ve vp subvp", kEdm = "edm";

// Options of every image model; of those that may be energies; of a chain of --schedule.
#define ITO_MODEL "class-dropout dropout "
#define ITO_IMAGE ITO_MODEL "energy "
#define ITO_CHAIN ITO_IMAGE "schedule timesteps prediction zero-snr time-sampling "
#define ITO_SCORE ITO_IMAGE "sde timesteps "

bool never(const Options&) { return false; }

// The row of --sde; of an unknown name, which is refused elsewhere, that of the chain.
const TrainedProcessRow& row_of_process(const Options& o) {
  const auto row = trained_process(o);
  return row.ok() ? **row : trained_process_rows().front();
}

// A name for --sde where there is none.
void to_sde(Options& o, std::string_view name) {
  if (!row_of_process(o).score()) o.sde = name;
}
void to_score(Options& o) { to_sde(o, "ve"); }

using Given = std::set<std::string>;

void classifier_defaults(Options& o, const Given& given) {
  if (given.count("channels") == 0) o.channels = {32, 64, 96, 96};
}

void edm_defaults(Options& o, const Given& given) {
  if (given.count("sigma-min") == 0) o.sigma_min = 0.002;  // Karras et al. 2022, table 1
}

void take_levels(const SchedulerConfig& scheduler, Options& o) {
  o.sigma_min = scheduler.sigma_min;
  o.sigma_max = scheduler.sigma_max;
  o.sigma_data = scheduler.sigma_data;
}

constexpr ObjectiveRow kObjectives[] = {
    {.name = {"noisy-classifier", "the class of noisy images, to guide samplers with",
              "Dhariwal & Nichol 2021, section 4", ""},
     .implied = [](const Options& o) { return o.classifier && o.noisy; },
     .implied_by = "classifier noisy",
     .processes = kNoSde,
     .options = "classifier noisy schedule timesteps prediction zero-snr",
     .preset = [](Options& o) { o.classifier = o.noisy = true; },
     .make = noisy_classifier_objective,
     .defaults = classifier_defaults,
     .samples = false,
     .network = kNoisyClassifier,
     .optional_classes = false},
    {.name = {"classifier", "the class of images", "cross-entropy", ""},
     .implied = [](const Options& o) { return o.classifier; },
     .implied_by = "classifier",
     .processes = kNoSde,
     .options = "classifier",
     .preset = [](Options& o) { o.classifier = true; },
     .make = classifier_objective,
     .defaults = classifier_defaults,
     .samples = false,
     .network = kClassifier,
     .optional_classes = false},
    {.name = {"gan", "a denoising diffusion GAN of few large steps", "Xiao, Kreis, Vahdat 2022",
              ""},
     .implied = [](const Options& o) { return o.gan_steps > 0; },
     .implied_by = "gan-steps",
     .processes = kNoSde,
     .options = "dropout gan-steps latent r1 discriminator-channels",
     .preset =
         [](Options& o) {
           if (o.gan_steps == 0) o.gan_steps = 4;  // the paper's choice for CIFAR-10
         },
     .make = gan_objective,
     .network = kDdganGenerator,
     .from_model = false},  // whose folder lacks the discriminator
    {.name = {"edm", "EDM's preconditioned loss", "Karras et al. 2022, table 1", ""},
     .implied = [](const Options& o) { return row_of_process(o).preconditioned; },
     .implied_by = "sde",
     .processes = kEdm,
     .options = ITO_MODEL "sde timesteps",
     .preset = [](Options& o) { to_sde(o, kEdm); },
     .make = edm_objective,
     .defaults = edm_defaults},
    {.name = {"dsm", "denoising score matching", "Song et al. 2021, eq. 7", ""},
     .implied = [](const Options& o) { return row_of_process(o).score(); },
     .implied_by = "sde",
     .processes = kSdes,
     .options = ITO_SCORE "dsm-weight ladder",
     .preset = to_score,
     .make = dsm_objective},
    {.name = {"simple", "squared error of the prediction", "Ho et al. 2020, eq. 14", ""},
     .implied = [](const Options&) { return true; },
     .processes = kNoSde,
     .options = ITO_CHAIN "loss-weight",
     .preset = nullptr,
     .make = simple_objective},
    {.name = {"huber", "pseudo-Huber error of the prediction, for data with wrong images",
              "Khrapov et al. 2024", ""},
     .implied = never,
     .processes = kNoSde,
     .options = ITO_MODEL "schedule timesteps prediction zero-snr time-sampling loss-weight "
                          "huber-c huber-schedule",
     .preset = nullptr,
     .make = huber_objective},
    {.name = {"hybrid", "squared error, and the bound for a learned variance",
              "Nichol & Dhariwal 2021, eq. 16", ""},
     .implied = never,
     .processes = kNoSde,
     .options = ITO_MODEL "schedule timesteps prediction zero-snr time-sampling vb-weight",
     .preset = nullptr,
     .make = hybrid_objective,
     .learned_variance = true},
    {.name = {"vlb", "the variational bound in bits/dim", "Ho et al. 2020, eq. 5", "bound"},
     .implied = never,
     .processes = kNoSde,
     .options = ITO_MODEL "schedule timesteps prediction zero-snr time-sampling variance",
     .preset = nullptr,
     .make = vlb_objective},
    {.name = {"flow", "flow matching: the velocity of a path", "Lipman et al. 2023, eq. 9", ""},
     .implied = never,
     .processes = kNoSde,
     .options = ITO_MODEL "timesteps path time-sampling time-mean time-std",
     .preset = nullptr,
     .make = flow_objective,
     .process = ProcessKind::kFlow,
     .take = [](const SchedulerConfig& s, Options& o) { o.timesteps = s.num_train_timesteps; }},
    {.name = {"consistency", "consistency training without a teacher", "Song & Dhariwal 2023", ""},
     .implied = never,
     .processes = kNoSde,
     .options = ITO_MODEL "sigma-min sigma-max sigma-data curriculum-steps levels-first "
                          "levels-last",
     .preset = nullptr,
     .make = consistency_objective,
     .defaults = edm_defaults,
     .process = ProcessKind::kConsistency,
     .take = take_levels},
    {.name = {"ssm", "sliced score matching", "Song, Garg, Shi, Ermon 2019, eq. 7", ""},
     .implied = never,
     .processes = kSdes,
     .options = ITO_SCORE "ladder projections projection",
     .preset = to_score,
     .make = ssm_objective},
    {.name = {"ssm-vr", "sliced score matching with reduced variance",
              "Song, Garg, Shi, Ermon 2019, eq. 8", "ssm_vr"},
     .implied = never,
     .processes = kSdes,
     .options = ITO_SCORE "ladder projections projection",
     .preset = to_score,
     .make = ssm_vr_objective},
    {.name = {"fd-ssm", "sliced score matching by finite differences",
              "Pang, Xu, Li, Song, Ermon, Zhu 2020, section 4", "fd_ssm"},
     .implied = never,
     .processes = kSdes,
     .options = ITO_SCORE "ladder projections projection",
     .preset = to_score,
     .make = fd_ssm_objective},
    {.name = {"ism", "implicit score matching with the exact trace", "Hyvärinen 2005, eq. 4", ""},
     .implied = never,
     .processes = kSdes,
     .options = ITO_SCORE "ladder",
     .preset = to_score,
     .make = ism_objective},
};
#undef ITO_SCORE
#undef ITO_CHAIN
#undef ITO_IMAGE
#undef ITO_MODEL

// The rows of `what` ("--objective") whose own an option is; empty: it is every row's.
template <typename Row>
std::string takers(std::span<const Row> rows, std::string_view what, std::string_view key) {
  std::vector<std::string_view> names;
  for (const Row& row : rows)
    if (lists(row.options, key)) names.push_back(row.name.name);
  return names.empty() ? "" : fmt::format("{} {}", what, joined(names));
}

}  // namespace

std::span<const ObjectiveRow> objective_rows() { return kObjectives; }

bool goes_with(const ObjectiveRow& row, std::string_view name) {
  return lists(row.processes, name);
}

Result<const ObjectiveRow*> objective_of(const TrainingOptions& options) {
  if (options.objective != kImpliedObjective)
    return row_called(objective_rows(), options.objective, "--objective");
  const auto row = std::find_if(std::begin(kObjectives), std::end(kObjectives),
                                [&](const ObjectiveRow& one) { return one.implied(options); });
  CHECK(row != std::end(kObjectives), "some objective is always implied");
  return row;
}

bool trains(const ObjectiveRow& row, const Network& network) {
  return row.network.empty() ? !training_of(network).designs.empty() : row.network == network.row();
}

Status set_defaults(TrainingOptions& options, const std::set<std::string>& given) {
  ITO_ASSIGN(const ObjectiveRow* row, objective_of(options));
  if (row->defaults != nullptr) row->defaults(options, given);
  ITO_ASSIGN(const NetworkDesign* design,
             row_called(network_designs(), options.network, "--network"));
  if (design->defaults != nullptr) design->defaults(options, given);
  return {};
}

std::set<std::string_view> objective_keys() {
  std::set<std::string_view> keys = {"objective"};
  for (const ObjectiveRow& row : kObjectives)
    for (const std::string_view key : names_in(row.implied_by)) keys.insert(key);
  return keys;
}

TrainingOptions with_preset(const ObjectiveRow& row, TrainingOptions options) {
  if (row.preset != nullptr) row.preset(options);
  return options;
}

Status check_objective_options(const TrainingOptions& given) {
  ITO_ASSIGN(const ObjectiveRow* row, objective_of(given));
  const TrainingOptions options = with_preset(*row, given);
  if (!lists(row->processes, options.sde))
    return invalid_argument("--objective {} goes with --sde {}, found {}", row->name.name,
                            row->processes, options.sde);
  ITO_ASSIGN(const NetworkDesign* design,
             row_called(network_designs(), options.network, "--network"));
  const TrainingOptions untouched;
  if (!row->network.empty() && options.network != untouched.network)
    return invalid_argument(
        "--network is not of --objective {}, which has one of its own; leave "
        "it out",
        row->name.name);
  ITO_ASSIGN(const TrainedProcessRow* process, trained_process(options));
  const Json defaults = to_json(untouched), asked = to_json(options);
  for (const auto& [key, value] : asked.items()) {
    if (value == defaults[key]) continue;
    const std::string networks = takers(network_designs(), "--network", key);
    if (!networks.empty() && !lists(design->options, key))
      return invalid_argument("--{} is of {}; leave it out with {}", key, networks,
                              design->name.name);
    // What a process looks at is an option of every objective on it.
    if (lists(row->options, key) || lists(process->options, key)) continue;
    const std::string objectives = takers(objective_rows(), "--objective", key);
    const std::string processes = takers(trained_process_rows(), "--sde", key);
    if (objectives.empty() && processes.empty()) continue;
    const bool by_process = objectives.empty();
    return invalid_argument("--{} is of {}{}{}; leave it out with {}", key, objectives,
                            objectives.empty() || processes.empty() ? "" : " and of ", processes,
                            by_process ? process->name.name : row->name.name);
  }
  return {};
}

}  // namespace ito
