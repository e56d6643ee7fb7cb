#include "apps/rows.h"

#include <fmt/format.h>

#include "api/interpolation.h"
#include "api/objectives.h"
#include "base/error.h"
#include "diffusion/process.h"
#include "diffusion/sampling.h"
#include "nn/networks.h"

namespace ito::apps {
namespace {

struct Kind {
  Name name;
  std::vector<Name> (*rows)();
};

template <typename Rows>
std::vector<Name> names_of(const Rows& rows) {
  std::vector<Name> names;
  for (const auto& row : rows) names.push_back(row.name);
  return names;
}

constexpr Kind kKinds[] = {
    {{"samplers", "of `ito sample --sampler`", "", ""}, sampler_rows},
    {{"objectives", "of `ito train --objective`", "", ""},
     [] { return names_of(objective_rows()); }},
    {{"processes", "that models are trained on", "", ""}, [] { return names_of(process_rows()); }},
    {{"networks", "that folders hold", "", ""}, [] { return names_of(network_rows()); }},
    {{"interpolations", "of `ito interpolate --method`", "", ""},
     [] { return names_of(interpolation_rows()); }},
};

Result<std::vector<Kind>> kinds_called(const std::string& name) {
  const std::span<const Kind> all = kKinds;
  if (name == "all") return std::vector<Kind>(all.begin(), all.end());
  ITO_ASSIGN(const Kind* kind, row_called(all, name, "--list"));
  return std::vector<Kind>{*kind};
}

}  // namespace

std::vector<std::string> row_kinds() {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) names.emplace_back(kind.name.name);
  return names;
}

Result<std::string> rows_text(const std::string& name) {
  ITO_ASSIGN(const std::vector<Kind> kinds, kinds_called(name));
  std::string text;
  for (const Kind& kind : kinds) {
    text += fmt::format("{}## {} {}\n| name | what | source |\n|---|---|---|\n",
                        text.empty() ? "" : "\n", kind.name.name, kind.name.help);
    for (const Name& row : kind.rows()) {
      const std::string aliases = row.aliases.empty() ? "" : fmt::format(" (also {})", row.aliases);
      text += fmt::format("| `{}` | {}{} | {} |\n", row.name, row.help, aliases, row.source);
    }
  }
  return text;
}

Result<Json> rows_json(const std::string& name) {
  ITO_ASSIGN(const std::vector<Kind> kinds, kinds_called(name));
  Json json = Json::object();
  for (const Kind& kind : kinds) {
    Json& list = json[std::string(kind.name.name)] = Json::array();
    for (const Name& row : kind.rows())
      list.push_back({{"name", row.name},
                      {"help", row.help},
                      {"source", row.source},
                      {"aliases", row.aliases}});
  }
  return json;
}

}  // namespace ito::apps
