#include "api/noisy_classifier.h"

#include <utility>

#include "api/model.h"
#include "base/check.h"
#include "base/error.h"
#include "diffusion/marginal.h"
#include "graph/builder.h"
#include "nn/classifier.h"
#include "nn/noisy_classifier.h"

namespace ito {
Result<Model> load_noisy_classifier(const Path& folder) {
  if (!folder_exists(folder)) return not_found("there is no classifier folder {}", folder.string());
  ITO_ASSIGN(Model model, load_model(folder));
  const Signature& signature = model.network.signature();
  if (!signature.image_out && !signature.told_time() && !signature.classes.told())
    return invalid_argument(
        "{} is a classifier of noise-free images; guidance needs one of `ito train --classifier "
        "--noisy`",
        folder.string());
  ITO_TRY(model.network.expect_row(kNoisyClassifier, folder.string()));
  return model;
}

LogProbability class_log_probability(const Network& classifier, MarginalFunction marginal,
                                     Tensor labels, const std::vector<uint32_t>& classes) {
  const NoisyClassifierConfig* config = noisy_classifier_config(classifier);
  CHECK(config != nullptr, "guidance needs a noise-conditional classifier");
  return [classifier, config = *config, marginal = std::move(marginal), labels, classes](Tensor x,
                                                                                         Tensor t) {
    const Tensor flat = input(x.graph(), kGuidanceWeights, {classifier.set().size()});
    const Marginal level = marginal(t);
    const Tensor logits =
        noisy_classifier(Scope(classifier.set(), flat), config, x, level.mean, level.std);
    if (classes.empty()) return label_log_probability(logits, labels);
    // Of all its classes, and then those of the labels, in the labels' order.
    const Tensor all = logits - logsumexp(logits, {1}, /*keepdim=*/true);
    const Tensor order = constant(x.graph(), {static_cast<int64_t>(classes.size())},
                                  {classes.begin(), classes.end()}, DType::kU32);
    const Tensor own = transpose(gather(transpose(all, 0, 1), order), 0, 1);
    return reshape(label_logit(own, labels), Shape{x.dim(0)});
  };
}

}  // namespace ito
