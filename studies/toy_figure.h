// The picture of a toy run: data, score field, Langevin paths, samples, log-density and loss.
#pragma once

#include "plots/figure.h"
#include "studies/toy.h"

namespace ito {

Figure toy_figure(const ToyOptions& options, const ToyResult& result);

// The figures of merit as lines of text.
std::vector<std::string> toy_summary(const ToyResult& result);

}  // namespace ito
