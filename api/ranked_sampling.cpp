#include "api/ranked_sampling.h"

#include <string>
#include <vector>

namespace ito {

Status join_summaries(const Ranks& ranks, SampleSummary& summary) {
  ITO_ASSIGN(summary.stopped, ranks.any(summary.stopped));
  if (!ranks.several()) return {};
  ITO_ASSIGN(const std::vector<std::string> images, ranks.gather(std::to_string(summary.images)));
  ITO_ASSIGN(const std::vector<std::string> recognised,
             ranks.gather(std::to_string(summary.recognised.value_or(0))));
  for (size_t k = 1; k < images.size(); ++k) {
    summary.images += static_cast<size_t>(std::stoull(images[k]));
    if (summary.recognised) *summary.recognised += std::stoll(recognised[k]);
  }
  return {};
}

}  // namespace ito
