#include "api/objectives/support.h"

#include <utility>

#include "api/initial_model.h"
#include "api/training_rows.h"
#include "api/validation.h"
#include "diffusion/class_dropout.h"
#include "graph/builder.h"
#include "nn/networks.h"

namespace ito {

Result<Network> image_network(const TrainingInput& input, const NetworkWishes& wishes) {
  const TrainingOptions& options = input.options;
  const int null_class = options.class_dropout > 0 && input.classes > 0 ? 1 : 0;
  ITO_ASSIGN(const TrainedProcessRow* process, trained_process(options));
  ImageNeeds needs{.in_channels = input.channels(),
                   .out_channels = input.channels() * wishes.output_multiple,
                   .size = {input.height(), input.width()},
                   .classes = input.classes + null_class};
  if (process->sigma_data && options.sigma_data > 0) needs.sigma_data = options.sigma_data;
  Network network;
  if (input.initial != nullptr) {
    ITO_ASSIGN(network, initial_network(*input.initial, options, needs));
  } else {
    ITO_ASSIGN(const NetworkDesign* design, trained_network(options));
    ITO_ASSIGN(network, make_network(design->network, design->configure(options, needs)));
  }
  ITO_TRY(network.check_size(input.height(), input.width()));
  return network;
}

BatchPorts image_ports(const TrainingInput& input) {
  return {.labels = input.classes > 0, .randomness = true};
}

TrainedDenoiser trained_denoiser(const TrainingInput& input, const Network& network) {
  const double dropout = input.classes > 0 ? input.options.class_dropout : 0;
  return [network, dropout, null_class = input.classes](const Scope& parameters, const Batch& batch,
                                                        const Randomness& random) -> Denoiser {
    Conditioning conditioning{.classes = batch.labels};
    if (dropout > 0)
      conditioning.classes =
          drop_labels(batch.labels, null_class, dropout, random.key, random.image, random.step);
    return [network, parameters, conditioning](Tensor x, Tensor t) {
      // Sliced and implicit score matching evaluate several copies of the batch at once.
      Conditioning told = conditioning;
      const int64_t copies = told.classes ? x.dim(0) / told.classes.dim(0) : 1;
      if (copies > 1)
        told.classes =
            concat(std::vector<Tensor>(static_cast<size_t>(copies), conditioning.classes), 0);
      return network.build(parameters, x, t, told);
    };
  };
}

Validation held_out(HeldOutLoss loss) {
  return {.make = [loss = std::move(loss)](vk::Device& device, const TrainingTask& task,
                                           const ImageDataset& data, const DeviceWeights& weights) {
    return held_out_loss_validator(device, task, data, weights, loss);
  }};
}

std::function<std::vector<double>(TorchGenerator&, size_t)> uniform_timesteps(int timesteps) {
  return [timesteps](TorchGenerator& generator, size_t n) {
    std::vector<int64_t> t(n);
    generator.randint(t, timesteps);
    return std::vector<double>(t.begin(), t.end());
  };
}

}  // namespace ito
