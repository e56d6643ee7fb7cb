// The documentation's tables and the help of options are the registry's rows.
#include <fstream>
#include <set>
#include <sstream>

#include "api/objectives.h"
#include "api/training_rows.h"
#include "base/name_list.h"
#include "diffusion/choices.h"
#include "diffusion/sampling.h"
#include "io/json.h"
#include "io/scheduler_classes.h"
#include "nn/networks.h"
#include "tests/apps/run_ito.h"
#include "tests/support/folders.h"

namespace ito::test {
namespace {

TEST(Rows, TheDocumentationHoldsTheTablesThatTheProgramPrints) {
  const Outcome printed = run_ito({"inspect", "--list", "all"});
  ASSERT_EQ(printed.code, 0) << printed.err;
  std::ifstream file(std::string(source_folder()) + "/docs/rows.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_NE(text.str().find(printed.out), std::string::npos)
      << "docs/rows.md is not what `ito inspect --list all` prints; write it anew";
}

TEST(Rows, AreListedAsJsonToo) {
  const Outcome printed = run_ito({"inspect", "--list", "samplers", "--json"});
  ASSERT_EQ(printed.code, 0) << printed.err;
  const Json json = parse_json(printed.out, "rows").value();
  bool found = false;
  for (const Json& row : json.at("samplers")) {
    if (row.at("name") == "unipc") {
      found = true;
      EXPECT_NE(row.at("options").get<std::string>().find("`--order`"), std::string::npos);
    }
    EXPECT_FALSE(row.at("help").get<std::string>().empty());
    EXPECT_FALSE(row.at("source").get<std::string>().empty());
  }
  EXPECT_TRUE(found);
  EXPECT_EQ(run_ito({"inspect", "--list", "colours"}).code, 2);
}

// The parser breaks lines, so that words are compared.
std::string words_of(const std::string& text) {
  std::istringstream in(text);
  std::string word, words;
  while (in >> word) words += word + " ";
  return words;
}

TEST(Rows, HelpNamesEveryRowThatAnOptionMayBe) {
  struct Case {
    const char *command, *kind;
  };
  for (const Case& c : {Case{"sample", "samplers"},
                        Case{"train", "objectives"},
                        Case{"train", "schedules"},
                        Case{"train", "trained-processes"},
                        Case{"train", "trained-networks"},
                        Case{"train", "loss-weights"},
                        Case{"train", "timestep-samplings"},
                        Case{"train", "time-samplings"},
                        Case{"train", "optimizers"},
                        Case{"train", "labels"},
                        Case{"sample", "sigma-spacings"},
                        Case{"sample", "inverse-problems"},
                        Case{"sample", "unipc-steps"},
                        Case{"sample", "random-sources"},
                        Case{"interpolate", "interpolations"},
                        Case{"likelihood", "probes"},
                        Case{"toy", "toy-data"},
                        Case{"convert", "number-types"},
                        Case{"likelihood", "splits"},
                        Case{"inspect", "plans"},
                        Case{"inspect", "trained-networks"}}) {
    SCOPED_TRACE(std::string(c.command) + ": " + c.kind);
    const Outcome help = run_ito({c.command, "--help"});
    ASSERT_EQ(help.code, 0);
    const std::string words = words_of(help.out);
    const Outcome listed = run_ito({"inspect", "--list", c.kind, "--json"});
    ASSERT_EQ(listed.code, 0) << listed.err;
    const Json json = parse_json(listed.out, "rows").value();
    for (const Json& row : json.at(c.kind)) {
      const std::string name = row.at("name").get<std::string>() + ": ";
      EXPECT_NE(words.find(name), std::string::npos) << name;
    }
  }
}

// Whether the help names a row before anything else: "ve: ...", "ssm, ssm-vr: ...".
bool begins_with_a_row(std::string_view help) {
  const std::string_view first = help.substr(0, help.find_first_of(":, "));
  if (first.size() == help.size() || help[first.size()] == ' ') return false;
  std::vector<Name> names = sampler_rows();
  for (const auto& more :
       {names_of(objective_rows()), names_of(trained_process_rows()), names_of(network_designs())})
    names.insert(names.end(), more.begin(), more.end());
  return std::any_of(names.begin(), names.end(),
                     [&](const Name& name) { return is_called(name, first); });
}

TEST(Rows, HelpBeginsWithTheRowsThatLookAtTheOption) {
  // They are put there by the tables alone.
  EXPECT_TRUE(begins_with_a_row("ssm, ssm-vr: projections"));
  EXPECT_FALSE(begins_with_a_row("flow of the noise: what"));
  const auto plain = [](const char* key, const auto&, const char* help) {
    EXPECT_FALSE(begins_with_a_row(help)) << key << ": " << help;
  };
  TrainingOptions training;
  visit_fields(training, plain);
  SamplerOptions sampling;
  visit_sampler_fields(sampling, plain);
  const std::string train = words_of(run_ito({"train", "--help"}).out);
  std::vector<std::string_view> sliced;
  for (const ObjectiveRow& row : objective_rows())
    if (lists(row.options, "projections")) sliced.push_back(row.name.name);
  EXPECT_GE(sliced.size(), 2u);
  const std::string projections = " " + joined(sliced) + ": projections per image ";
  EXPECT_NE(train.find(projections), std::string::npos) << projections;
  for (const char* text :
       {" gan: length of the latent ", " consistency, ve, edm: smallest noise level",
        " edm: mean of ln(sigma)", " vp, subvp: noise rate at time 0 "})
    EXPECT_NE(train.find(text), std::string::npos) << text;
  const std::string sample = words_of(run_ito({"sample", "--help"}).out);
  for (const char* text : {" ddim: 0 is deterministic", " pc: step to the next ",
                           " pc, ald: signal-to-noise ratio", " ode: relative tolerance "})
    EXPECT_NE(sample.find(text), std::string::npos) << text;
}

// io knows what a scheduler_config.json may say, diffusion what it means: the same names.
TEST(Rows, KeysOfSchedulersHaveTheNamesOfDiffusionsRows) {
  const auto joined = [](std::initializer_list<std::vector<Name> (*)()> kinds) {
    std::set<std::string_view> names;
    for (const auto& kind : kinds)
      for (const Name& name : kind()) names.insert(name.name);
    return names;
  };
  const std::map<std::string, std::set<std::string_view>> rows = {
      {"beta_schedule", joined({beta_schedule_choices})},
      {"variance_type", joined({variance_choices})},
      {"prediction_type", joined({prediction_choices})},
      {"timestep_spacing", joined({timestep_spacing_choices})},
      {"final_sigmas_type", joined({final_sigma_choices})},
      {"interpolation_type", joined({interpolation_type_choices})},
      {"timestep_type", joined({timestep_type_choices})},
      {"algorithm_type", joined({dpm_algorithm_choices, deis_algorithm_choices})},
      {"solver_type", joined({dpm_step_choices, unipc_step_choices, deis_step_choices})},
      {"sigma_schedule", joined({sigma_schedule_choices})},
      {"time_shift_type", joined({time_shift_choices})}};
  std::set<std::string> keys;
  for (const SchedulerKeyValues& key : scheduler_key_values()) {
    ASSERT_TRUE(rows.contains(key.key)) << key.key;
    EXPECT_EQ(std::set<std::string_view>(key.values.begin(), key.values.end()), rows.at(key.key))
        << key.key;
    keys.insert(key.key);
  }
  EXPECT_EQ(keys.size(), rows.size());
}

}  // namespace
}  // namespace ito::test
