// EvaluationTable: a table of models and samplers with the numbers that judge them, as Markdown
// and, beside it, as JSON, from which an interrupted or extended table goes on. Not for computing
// them (api/evaluation.h).
#pragma once

#include <string>
#include <vector>

#include "api/evaluation.h"
#include "base/result.h"
#include "io/class_names.h"
#include "io/file.h"
#include "io/json.h"

namespace ito {

// A row of real images, and one of a model's samples, without what says which they are. `names`
// (may be null) are the model's classes.
Json row_of(const SetScore& score);
Json row_of(const SampleScore& score, const ClassNames* names);

class EvaluationTable {
 public:
  // markdown: the file to write; the JSON has its name with another ending.
  explicit EvaluationTable(const Path& markdown);

  // Whether a file may be called so. Error kInvalidArgument naming `option`.
  static Status check_name(const std::string& option, const Path& markdown);

  // Reads the rows of an earlier call. Errors: kCorrupt for a JSON file that is no such table;
  // kInvalidArgument for a Markdown file that is none.
  Status load();
  // The row of this key from an earlier call, or null. A row's "key" is what its numbers depend on.
  const Json* find(const Json& key) const;
  // Adds a row: "model", "sampler" and "key", and numbers or the reason, "refused", for which there
  // are none. Both files are written, so that a stop loses none; rows of earlier calls that this
  // one has not come to stay in the JSON.
  Status add(Json row, const std::string& preface);

  // The Markdown: a column for each number that some row has, the share recognised by class, and
  // the rows without numbers below.
  std::string text(const std::string& preface) const;
  Json rows() const { return rows_; }  // of this call

 private:
  Path markdown_, json_;
  std::vector<Json> old_, rows_;
};

}  // namespace ito
