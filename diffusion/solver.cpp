#include "diffusion/solver.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "diffusion/streams.h"
#include "graph/builder.h"

namespace ito {
namespace {

// A column of the table, unless it is the same trivial number in every row.
struct Coefficient {
  enum class Kind : uint8_t { kZero, kOne, kColumn };
  Kind kind = Kind::kZero;
  size_t column = 0;

  explicit operator bool() const { return kind != Kind::kZero; }
  // The coefficient times a tensor.
  Tensor times(const std::vector<Tensor>& row, Tensor value) const {
    return kind == Kind::kOne ? value : row[column] * value;
  }
};

using Entry = std::function<double(const SolverRow&)>;

// Writes the columns of a method's table.
class TableWriter {
 public:
  explicit TableWriter(const std::vector<SolverRow>& rows) : rows_(rows) {}

  // A column, whatever is in it.
  size_t column(std::string name, const Entry& entry) {
    names_.push_back(std::move(name));
    values_.emplace_back();
    for (const SolverRow& row : rows_) values_.back().push_back(entry(row));
    return names_.size() - 1;
  }

  Coefficient coefficient(std::string name, const Entry& entry) {
    const auto all = [&](double value) {
      return std::all_of(rows_.begin(), rows_.end(),
                         [&](const SolverRow& row) { return entry(row) == value; });
    };
    if (all(0)) return {};
    if (all(1)) return {.kind = Coefficient::Kind::kOne, .column = 0};
    return {.kind = Coefficient::Kind::kColumn, .column = column(std::move(name), entry)};
  }

  void write_to(Method& method) const {
    method.columns = names_;
    for (size_t row = 0; row < rows_.size(); ++row)
      for (const std::vector<double>& values : values_) method.table.push_back(values[row]);
  }

 private:
  const std::vector<SolverRow>& rows_;
  std::vector<std::string> names_;
  std::vector<std::vector<double>> values_;
};

// (on_x x + on_output y) scale; which may be missing altogether.
struct FormColumns {
  Coefficient on_x, on_output, scale;

  Tensor operator()(const std::vector<Tensor>& row, Tensor x, Tensor output) const {
    std::optional<Tensor> value;
    if (on_x) value = on_x.times(row, x);
    if (on_output) {
      const Tensor term = on_output.times(row, output);
      value = value ? *value + term : term;
    }
    CHECK(value.has_value() && scale, "solver: a form that is zero in every row");
    return scale.kind == Coefficient::Kind::kOne ? *value : *value * row[scale.column];
  }
};

FormColumns form_columns(TableWriter& table, const std::string& name, LinearForm SolverRow::*form) {
  return {
      .on_x = table.coefficient(name + "_on_x", [=](const auto& row) { return (row.*form).on_x; }),
      .on_output = table.coefficient(name + "_on_output",
                                     [=](const auto& row) { return (row.*form).on_output; }),
      .scale =
          table.coefficient(name + "_scale", [=](const auto& row) { return (row.*form).scale; })};
}

struct Terms {
  Tensor x0, epsilon, x, z;
  std::vector<Tensor> states;
};

struct AffineColumns {
  Coefficient x0, epsilon, x, z;
  std::vector<Coefficient> states;

  Tensor operator()(const std::vector<Tensor>& row, const Terms& terms) const {
    std::optional<Tensor> total;
    const auto add = [&](const Coefficient& coefficient, Tensor value) {
      if (!coefficient) return;
      const Tensor term = coefficient.times(row, value);
      total = total ? *total + term : term;
    };
    add(x0, terms.x0);
    add(epsilon, terms.epsilon);
    add(x, terms.x);
    for (size_t i = 0; i < states.size(); ++i) add(states[i], terms.states[i]);
    add(z, terms.z);
    return total ? *total : full(terms.x.graph(), terms.x.shape(), 0);
  }
};

AffineColumns affine_columns(TableWriter& table, const std::string& name, size_t states,
                             const std::function<const Affine&(const SolverRow&)>& of) {
  AffineColumns columns;
  columns.x0 = table.coefficient(name + "_on_x0", [&](const auto& row) { return of(row).x0; });
  columns.epsilon =
      table.coefficient(name + "_on_epsilon", [&](const auto& row) { return of(row).epsilon; });
  columns.x = table.coefficient(name + "_on_x", [&](const auto& row) { return of(row).x; });
  for (size_t i = 0; i < states; ++i)
    columns.states.push_back(
        table.coefficient(name + "_on_state" + std::to_string(i),
                          [&, i](const auto& row) { return of(row).states[i]; }));
  columns.z = table.coefficient(name + "_on_z", [&](const auto& row) { return of(row).z; });
  return columns;
}

// All that a step reads of its row.
struct Columns {
  size_t t = 0, mean = 0, std = 0;
  Coefficient input_scale, churn, log_variance_low, log_variance_high;
  FormColumns x0, epsilon;
  AffineColumns x;
  std::vector<AffineColumns> states;

  bool needs_epsilon() const {
    return static_cast<bool>(x.epsilon) ||
           std::any_of(states.begin(), states.end(),
                       [](const AffineColumns& state) { return bool(state.epsilon); });
  }
};

Columns make_columns(TableWriter& table, const Solver& solver) {
  Columns columns;
  columns.t = table.column("t", [](const auto& row) { return row.t; });
  columns.mean = table.column("mean", [](const auto& row) { return row.mean; });
  columns.std = table.column("std", [](const auto& row) { return row.std; });
  columns.input_scale =
      table.coefficient("input_scale", [](const auto& row) { return row.input_scale; });
  columns.churn = table.coefficient("churn", [](const auto& row) { return row.churn; });
  columns.x0 = form_columns(table, "x0", &SolverRow::x0);
  columns.epsilon = form_columns(table, "epsilon", &SolverRow::epsilon);
  columns.log_variance_low =
      table.coefficient("log_variance_low", [](const auto& row) { return row.log_variance_low; });
  columns.log_variance_high =
      table.coefficient("log_variance_high", [](const auto& row) { return row.log_variance_high; });
  columns.x = affine_columns(table, "x", solver.states.size(),
                             [](const SolverRow& row) -> const Affine& { return row.x; });
  for (size_t i = 0; i < solver.states.size(); ++i)
    columns.states.push_back(
        affine_columns(table, solver.states[i], solver.states.size(),
                       [i](const SolverRow& row) -> const Affine& { return row.states[i]; }));
  return columns;
}

// z with the deviation that the network gives to it.
Tensor learned_noise(LearnedVariance variance, const Columns& columns,
                     const std::vector<Tensor>& row, Tensor predicted, Tensor z) {
  if (variance == LearnedVariance::kDirect) return sqrt(predicted) * z;
  const Tensor v = (predicted + 1) * 0.5;
  const auto end = [&](const Coefficient& coefficient, Tensor weight) {
    return coefficient ? coefficient.times(row, weight) : weight * 0;
  };
  return exp((end(columns.log_variance_high, v) + end(columns.log_variance_low, 1 - v)) * 0.5) * z;
}

MethodResult build_step(const Solver& solver, const Columns& columns, const Denoiser& denoiser,
                        const MethodStep& in) {
  const std::vector<Tensor>& row = in.row;
  Terms terms{.x0 = {}, .epsilon = {}, .x = in.x, .z = {}, .states = in.states};
  if (!in.noise.empty()) terms.z = in.noise[0];
  const Tensor seen = columns.input_scale.times(row, in.x);
  Shape output_shape = in.x.shape();
  output_shape[-1] *= solver.output_multiple();
  const Tensor y = denoiser ? denoiser(seen, in.for_images(columns.t))
                            : input(in.x.graph(), solver_ports::kModelOutput, output_shape);
  CHECK(y.shape() == output_shape, "sampling with " + solver.name + ": the denoiser gives " +
                                       y.shape().to_string() + ", expected " +
                                       output_shape.to_string());
  Tensor output = y;
  if (solver.variance != LearnedVariance::kNone) {
    const int axis = y.rank() - 1;
    const int64_t channels = in.x.dim(-1);
    output = slice_axis(y, axis, 0, channels);
    if (terms.z && solver.variance != LearnedVariance::kIgnored)
      terms.z = learned_noise(solver.variance, columns, row,
                              slice_axis(y, axis, channels, 2 * channels), terms.z);
  }
  if (columns.churn) terms.x = terms.x + columns.churn.times(row, terms.z);
  terms.x0 = limit_x0(columns.x0(row, terms.x, output), solver.limit);
  if (columns.needs_epsilon())
    terms.epsilon = columns.epsilon(row, terms.x, solver.epsilon_from_x0 ? terms.x0 : output);

  MethodResult result{
      .x = columns.x(row, terms), .watched = {y}, .states = {}, .outputs = {{kX0Output, terms.x0}}};
  for (const AffineColumns& state : columns.states) result.states.push_back(state(row, terms));
  return result;
}

}  // namespace

std::vector<double> Solver::timesteps() const {
  std::vector<double> all;
  for (const SolverRow& row : rows) all.push_back(row.t);
  return all;
}

bool Solver::uses_noise(size_t row) const {
  const SolverRow& r = rows[row];
  return r.draws || r.churn != 0 || r.x.z != 0 ||
         std::any_of(r.states.begin(), r.states.end(),
                     [](const Affine& state) { return state.z != 0; });
}

bool Solver::needs_noise() const {
  for (size_t i = 0; i < rows.size(); ++i)
    if (uses_noise(i)) return true;
  return false;
}

Status Solver::take_outputs(int multiple, std::string_view sampler) {
  if (variance == LearnedVariance::kNone && multiple == 2) variance = LearnedVariance::kIgnored;
  if (output_multiple() == multiple) return {};
  return unsupported(
      "the network has {} output channels per channel of the sample, sampler {} expects {}",
      multiple, sampler, output_multiple());
}

Method solver_method(const Solver& solver, Denoiser denoiser) {
  CHECK(!solver.rows.empty(), solver.name + ": a solver without rows");
  CHECK(solver.states.size() <= Affine::kMaxStates, solver.name + ": too many states");
  for (const SolverRow& row : solver.rows)
    CHECK(row.states.size() == solver.states.size(), solver.name + ": a row lacks its states");
  Method method;
  method.name = solver.name;
  method.steps = solver.steps();
  TableWriter table(solver.rows);
  const Columns columns = make_columns(table, solver);
  table.write_to(method);
  method.draws = solver.needs_noise() ? 1 : 0;
  method.noise_stream = kStreamStepNoise;
  for (const std::string& state : solver.states) method.states.push_back({state, false});
  method.level = [columns](const MethodStep& in) {
    return Marginal{.mean = in.for_images(columns.mean), .std = in.for_images(columns.std)};
  };
  method.build = [solver, columns, denoiser = std::move(denoiser)](const MethodStep& in) {
    return build_step(solver, columns, denoiser, in);
  };
  return method;
}

}  // namespace ito
