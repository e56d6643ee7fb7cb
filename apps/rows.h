// The registry rows as tables: samplers, objectives, networks and processes by name. What
// `ito inspect --list` prints, and what the tables of docs/rows.md are made of.
#pragma once

#include <string>
#include <vector>

#include "base/registry.h"
#include "base/result.h"
#include "io/json.h"

namespace ito::apps {

// The kinds that have a table.
std::vector<std::string> row_kinds();

// The rows of a kind, or of every kind for "all": Markdown tables, or a JSON object of lists.
// Errors: an unknown kind.
Result<std::string> rows_text(const std::string& kind);
Result<Json> rows_json(const std::string& kind);

}  // namespace ito::apps
