// What several ranks have drawn of one call of `ito sample`, as one. Not for who draws what
// (api/sample_run.h).
#pragma once

#include "api/sample_run.h"
#include "ranks/ranks.h"

namespace ito {

// On the first rank images drawn and recognised become those of all; whether somebody stopped, on
// every rank.
Status join_summaries(const Ranks& ranks, SampleSummary& summary);

}  // namespace ito
