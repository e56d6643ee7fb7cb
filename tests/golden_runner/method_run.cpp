#include "tests/golden_runner/method_run.h"

#include "base/error.h"
#include "graph/compile.h"
#include "runtime/executor.h"

namespace ito::golden {

Result<Trajectory> follow_chain(vk::Device& device, const Method& chain, const Array& x,
                                const std::vector<RecordedNoise>& noises) {
  if (noises.size() != static_cast<size_t>(chain.draws))
    return corrupt("{} draws of noise, expected {}", noises.size(), chain.draws);
  const MethodOptions options{.shape = x.shape, .noise_input = true, .outputs = true};
  ITO_ASSIGN(Plan plan, compile(method_program(chain, options), device.caps()));
  ITO_ASSIGN(const auto executor,
             Executor::create(device, std::move(plan), ExecutorOptions{.canary = true}));
  ITO_TRY(executor->write(sampling_ports::kX, std::vector<float>(x.data.begin(), x.data.end())));

  const std::string prefix = method_ports::kOutput.prefix;
  std::vector<std::string> watched = {sampling_ports::kX.name};
  for (const External& external : executor->plan().externals)
    if (external.name.starts_with(prefix)) watched.push_back(external.name);
  std::vector<int64_t> dims = x.shape.dims();
  dims.insert(dims.begin(), chain.steps);
  Trajectory trajectory;
  for (int replay = 0; replay < chain.steps; ++replay) {
    for (size_t draw = 0; draw < noises.size(); ++draw) {
      const Array step =
          row(noises[draw].noise, noises[draw].row_of_replay[static_cast<size_t>(replay)]);
      if (step.shape != x.shape)
        return corrupt("noise has shape {}, expected {}", step.shape.to_string(),
                       x.shape.to_string());
      ITO_TRY(executor->enqueue_write(method_ports::kNoise[static_cast<int>(draw)],
                                      std::vector<float>(step.data.begin(), step.data.end())));
    }
    ITO_TRY(executor->run());
    for (const std::string& name : watched) {
      ITO_ASSIGN(const auto values, executor->read<float>(name));
      Array& all = trajectory[name.starts_with(prefix) ? name.substr(prefix.size()) : name];
      all.shape = Shape(dims);
      all.data.insert(all.data.end(), values.begin(), values.end());
    }
  }
  ITO_ASSIGN(const auto divergence, executor->read(sampling_ports::kDivergence));
  ITO_TRY(check_divergence(divergence, chain.name));
  return trajectory;
}

}  // namespace ito::golden
