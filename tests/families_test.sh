#!/bin/bash
# Run by ctest: families_test.sh SOURCE
# No branch on a family outside the family's own file: a family (process, sampler, objective, network,
# parameterisation, ...) is a value, and what depends on it is a function or a member of its row
# (docs/decisions/0008). This lists every comparison or case with an enumerator, with a constant or with
# a string, and every question whose configuration a network's is, in the rooms below and fails on any
# that the tables do not know: a family's type may be looked at in its own files only, and a string may
# be compared only where it names no family. In base and io, which are full of keys, chunks and magic
# numbers of files, a string counts that is the name of a row (docs/rows.md).
set -u
source=$1
least=-1  # branches that there are in own files, or the search has read nothing
rooms="api apps base diffusion io nn plots statistics studies"

# Type of the enumerators → its own files (of the header where it is defined and the source beside it).
own_files() {
  case $1 in
    Sde::Kind) echo "diffusion/sde.h diffusion/sde.cpp diffusion/sde_discrete.cpp" ;;
    Predictor|Corrector|NormOver) echo diffusion/predictor_corrector.cpp ;;
    AnnealedForm) echo diffusion/annealed_langevin.cpp ;;
    LearnedVariance) echo "diffusion/solver.h diffusion/solver.cpp" ;;
    Prediction) echo diffusion/parameterization.cpp ;;
    NoiseInput) echo diffusion/score_model.h ;;
    VarianceType) echo diffusion/posterior.cpp ;;
    DecoderCdf) echo diffusion/variational_bound.cpp ;;
    LossWeight) echo diffusion/loss.cpp ;;
    ScoreWeighting|TimeSampling|Projection) echo diffusion/score_matching.cpp ;;
    ScoreEstimator) echo diffusion/noised_score_matching.cpp ;;
    FlowPath|FlowTimes) echo diffusion/flow_matching.cpp ;;
    Divergence) echo "diffusion/likelihood.h diffusion/likelihood.cpp" ;;
    Spacing) echo "diffusion/timesteps.cpp diffusion/sigma_spacing.cpp" ;;
    Conversion|SigmaRules::Grid|SigmaRules::Final|SigmaRules::Flow) echo diffusion/sigma_spacing.cpp ;;
    ToyData::Kind) echo "diffusion/toy_data.h diffusion/toy_data.cpp" ;;
    ClassInput::Kind|TimeInput) echo "nn/network.h nn/network.cpp" ;;
    EnergyForm) echo nn/energy.cpp ;;
    Resample) echo nn/resnet.cpp ;;
    Optimizer::Kind|LearningRate::Decay|Average::Kind) echo "nn/optim.h nn/optim.cpp" ;;
    CropPlace) echo io/datasets/dataset.cpp ;;
    PixelFormat) echo "api/pixel_program.h api/pixel_program.cpp" ;;
    LabelSource) echo "io/datasets/picture_list.cpp io/datasets/picture_table.cpp" ;;
    ValueRange) echo io/datasets/array_values.cpp ;;
    RandomSource) echo api/sampling_loop.cpp ;;
    SampleForm) echo "api/sample_files.h api/sample_files.cpp" ;;
    # Configurations of networks: where the network is made of one.
    UNet2DConfig) echo "nn/unet2d.cpp nn/unet2d_training.cpp nn/ddgan.cpp" ;;
    *Config) grep -lE "_network\(const $1& " nn/*.cpp ;;
  esac
}

# Types that are no family: kinds of error, of number, of memory, of storage, of file, of what is in a
# pickle; the part of a data set, and what a file of arrays holds of it; where a row of an input lies;
# where in a header its reader is.
not_families=" Arithmetic DType HostType ErrorKind ExternalRole BufferSpace OdeStatus StateTensor::Start
  Layout Init Coefficient::Kind Affine LogLevel FileKind Compression Pickle::Kind Split DataPart
  ArrayRole NumberKind JobInput::Row In Field "

# Kind alone, inside a class: the class that the file is about.
class_of_kind() {
  case $1 in
    diffusion/sde.*) echo Sde::Kind ;;
    diffusion/toy_data.*) echo ToyData::Kind ;;
    diffusion/solver.cpp) echo Coefficient::Kind ;;
    nn/network.*) echo ClassInput::Kind ;;
    io/pickle.*|io/numpy_pickle.cpp|io/torch_file.cpp|io/datasets/cifar_pickle.cpp) echo Pickle::Kind ;;
    nn/optim.*) grep -oE '(Optimizer|Average)::Kind' <<<"$2" || echo Optimizer::Kind ;;
    *) echo Kind ;;
  esac
}

# holds LINE TEXT...: whether the line holds one of the texts. (Thousands of lines are looked at: a process for each
# question would take a minute.)
holds() {
  local line=$1 text
  shift
  for text in "$@"; do [[ $line == *"$text"* ]] && return 0; done
  return 1
}

# matches LINE PATTERN: what of the line the pattern matches, all of them, in the array `found`.
matches() {
  local rest=$1
  found=()
  while [[ $rest =~ $2 ]]; do
    found+=("${BASH_REMATCH[0]}")
    rest=${rest#*"${BASH_REMATCH[0]}"}
  done
}

# Files where strings or constants are compared that name no family, and which ones.
allowed_text() {
  local file=$1 line=$2
  case $file in
    # Options of U-Nets as config.json spells them, in the networks' own files; activations.
    nn/unet2d.cpp|nn/unet2d_blocks.cpp|nn/unet2d_condition.cpp|nn/ddgan.cpp|nn/layers.cpp|nn/mlp.cpp) return 0 ;;
    # Keys of options, to look up a range or another option; plans, workloads and columns of a report.
    apps/sampler_options.cpp) holds "$line" 'key == "' ;;
    diffusion/score_samplers.cpp) holds "$line" 'key == "snr"' ;;
    apps/inspect.cpp) holds "$line" 'extension() == ".png"' ;;
    apps/bench.cpp|apps/bench_cases.cpp) holds "$line" 'row["name"]' 'workload == "all"' 'workload == kDataWorkload' 'state_name::k' ;;
    # Endings of files, splits of data sets, "all".
    api/sample_files.cpp) holds "$line" 'ending == ".' ;;
    api/sample_identity.cpp) holds "$line" 'kSoftware] == kIto' ;;
    api/sample_manifest.cpp) holds "$line" 'version != kVersion' ;;
    api/conversion.cpp) holds "$line" 'extension() != ".' ;;
    apps/sample.cpp) holds "$line" 'seed == kRandomSeed' ;;
    api/sample_run.cpp) holds "$line" 'classes != kAllClasses' ;;
    apps/evaluate.cpp) holds "$line" 'text == kAllSamplers' 'part == "all"' ;;
    api/evaluation_run.cpp) holds "$line" 'part == "all"' ;;
    apps/interpolate.cpp|apps/report.cpp|apps/toy.cpp|apps/verify.cpp) holds "$line" 'extension() != ".' ;;
    api/measured_images.cpp) holds "$line" 'part == "all"' ;;
    apps/rows.cpp) holds "$line" 'name == "all"' ;;
    diffusion/torch_rng.cpp) holds "$line" 'used_ == kWords' ;;
    # What an option says when it is left alone.
    api/training_options.cpp) holds "$line" 'kNoEnergy' 'kAutomaticLadder' ;;
    api/objectives.cpp) holds "$line" 'kImpliedObjective' ;;
    nn/unet2d_training.cpp) holds "$line" 'kNoEnergy' 'time_embedding_type == "' ;;
    # What earlier releases of diffusers wrote, in the class's own row.
    io/scheduler_classes.cpp) holds "$line" 'c.algorithm_type == "dpmsolver"' ;;
    # What a file's name says of its part; words of a file's format: columns of a table.
    io/datasets/idx.cpp|io/datasets/summary.cpp|io/datasets/arrays.cpp) holds "$line" 'part == "' 'part != "' ;;
    io/datasets/picture_metadata.cpp) holds "$line" 'name == "label"' ;;
    *) return 1 ;;
  esac
}

# Whether one of the strings that the line compares is the name of a row.
names_a_row() {
  local word found
  matches "$1" '[=!]= *"[^"]*"|"[^"]*" *[=!]='
  for word in "${found[@]}"; do
    word=${word#*\"}; word=${word%%\"*}
    [ -n "$word" ] && [[ " $row_names " == *" $word "* ]] && return 0
  done
  return 1
}

# The own files of a type, which are asked for once.
declare -A own
is_own_file() {
  if [ -z "${own[$2]+known}" ]; then
    own[$2]=$(own_files "$2" | tr '\n' ' ')
  fi
  [[ " ${own[$2]} " == *" $1 "* ]]
}

# Types whose enumerators the line compares, and configurations that it asks for, each once, in `types`.
types_of() {
  local text name found
  local enumerator='([A-Za-z_0-9]+::)+k[A-Z][A-Za-z0-9_]*'
  types=()
  matches "$1" "(case +|[=!<>]=? +)$enumerator|$enumerator *[=!<>]="
  for text in "${found[@]}"; do
    [[ $text =~ $enumerator ]]
    name=${BASH_REMATCH[0]%::k*}
    name=${name#ito::}
    [[ " ${types[*]-} " == *" $name "* ]] || types+=("$name")
  done
  matches "$1" '(config_as|any_cast)<(const )?[A-Z][A-Za-z0-9]*Config[ &*]*>'
  for text in "${found[@]}"; do
    [[ $text =~ [A-Z][A-Za-z0-9]*Config ]]
    types+=("${BASH_REMATCH[0]}")
  done
}

# Reads lines "file:number:code" and prints those that the tables do not know; counts the others.
scan() {
  local inside=0 outside=0 file rest line type types compared='[=!]= *("|k[A-Z])|"[a-z_+-]*" *[=!]= '
  while IFS= read -r hit; do
    file=${hit%%:*}; rest=${hit#*:}; line=${rest#*:}
    line=${line%%//*}
    types_of "$line"
    for type in "${types[@]}"; do
      case $type in [a-z]*) continue ;; esac  # a namespace of names of tensors
      [ "$type" = Kind ] && type=$(class_of_kind "$file" "$line")
      [[ $not_families == *[[:space:]]"$type"[[:space:]]* ]] && continue
      if is_own_file "$file" "$type"; then
        inside=$((inside + 1))
      elif allowed_text "$file" "$line"; then
        continue
      else
        outside=$((outside + 1)); echo "$hit"
      fi
    done
    case $file in
      base/*|io/*) names_a_row "$line" || continue ;;
    esac
    if [[ $line =~ $compared ]]; then
      allowed_text "$file" "$line" || { outside=$((outside + 1)); echo "$hit"; }
    fi
  done
  echo "families: $outside branches outside their families' own files, $inside in them"
  [ "$outside" = 0 ] && [ "$inside" -gt "$least" ]
}

# The search finds what it is for.
cd "$source" || exit 1
row_names=$(sed -nE 's/^\| `([^`]+)` .*/\1/p' docs/rows.md | tr '\n' ' ')
planted='api/x.cpp:1:  if (sde.kind == Sde::Kind::kVe) return;
api/x.cpp:2:    case ProcessKind::kFlow:
io/x.cpp:3:  if (key == "IEND") return;
io/x.cpp:4:  if (config.algorithm_type == "dpmsolver++") return;
api/x.cpp:5:  if (options.sampler != "ddim") return;
api/x.cpp:6:  if (const auto* config = network.config_as<UNet2DConfig>()) return;
nn/x.cpp:7:  const auto& config = std::any_cast<const ClassifierConfig&>(network.config());'
if [ "$(scan <<<"$planted" | wc -l)" != 7 ]; then
  echo "families: the search does not find what was planted"; exit 1
fi

least=50
scan < <(grep -rnE 'config_as<|any_cast<|case +([A-Za-z_0-9]+::)*k[A-Z]|[=!]= *"|"[a-z_+-]*" *[=!]= |[=!<>]=? *([A-Za-z_0-9]+::)*k[A-Z]|([A-Za-z_0-9]+::)+k[A-Z][A-Za-z0-9_]* *[=!<>]=' $rooms \
  --include='*.h' --include='*.cpp' | grep -vE '^[^:]+:[0-9]+: *//' |
  grep -E 'config_as<|any_cast<|case +([A-Za-z_0-9]+::)*k[A-Z]|[=!]= *"|"[a-z_+-]*" *[=!]= |[=!]= *([A-Za-z_0-9]+::)*k[A-Z]|[<>]=? *([A-Za-z_0-9]+::)+k[A-Z]|([A-Za-z_0-9]+::)+k[A-Z][A-Za-z0-9_]* *[=!<>]=')
