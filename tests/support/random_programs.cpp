#include "tests/support/random_programs.h"

#include <fmt/format.h>

namespace ito::test {
namespace {

double fill_value(Random& random, DType dtype, Fill fill) {
  const bool integer = !is_float(dtype);
  switch (fill) {
    case Fill::kNormal:
      return integer ? static_cast<double>(random.integer(dtype == DType::kU32 ? 0 : -1000, 1000))
                     : random.normal();
    case Fill::kPositive:
      return integer ? static_cast<double>(random.integer(1, 1000)) : random.real(0.1, 5);
    case Fill::kAway: {
      const double magnitude =
          integer ? static_cast<double>(random.integer(1, 50)) : random.real(0.2, 3);
      return dtype != DType::kU32 && random.chance(0.5) ? -magnitude : magnitude;
    }
    case Fill::kFew:
      return static_cast<double>(random.integer(dtype == DType::kU32 ? 0 : -3, 3));
    case Fill::kWords:
      return dtype == DType::kU32 ? static_cast<double>(random.integer(0, 0xffffffffLL))
                                  : static_cast<double>(random.integer(INT32_MIN, INT32_MAX));
    case Fill::kTruth:
      return static_cast<double>(random.integer(0, 1));
  }
  return 0;
}

}  // namespace

int64_t Random::extent() {
  static const std::vector<int64_t> extents = {1, 1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31, 33, 64, 65};
  return of(extents);
}

Shape Random::shape(int rank, int64_t most) {
  Shape shape(std::vector<int64_t>(static_cast<size_t>(rank), 1));
  for (int i = 0; i < rank; ++i) {
    shape[i] = extent();
    while (shape.numel() > most) shape[i] = (shape[i] + 1) / 2;
  }
  return shape;
}

Tensor RandomCase::input(Shape shape, DType dtype, Fill fill) {
  const std::string name = fmt::format("in{}", inputs.size());
  HostValue value{shape, std::vector<double>(static_cast<size_t>(shape.numel()))};
  for (double& v : value.data) {
    v = fill_value(random, dtype, fill);
    if (is_float(dtype)) v = static_cast<float>(v);
  }
  inputs[name] = std::move(value);
  return ito::input(*program.graph, name, std::move(shape), dtype);
}

void RandomCase::output(const std::string& name, Tensor value, double limit) {
  const std::string unique = fmt::format("{}{}", name, program.outputs.size());
  program.output(unique, value);
  limits[unique] = limit;
}

void RandomCase::update(Tensor state, Tensor value, double limit) {
  program.update(state, value);
  limits[program.outputs.back().name] = limit;
}

std::string compare_with_interpreter(vk::Device& device, const RandomCase& test,
                                     const CompileOptions& options, const DeviceCaps* caps) {
  const auto expected = run_on_interpreter(test.program, test.inputs);
  if (!expected.ok()) return "interpreter: " + expected.error().message;
  const auto actual = run_on_device(device, test.program, test.inputs, options, caps);
  if (!actual.ok()) return "device: " + actual.error().message;
  for (const auto& [name, limit] : test.limits) {
    const HostValue& a = actual->at(name);
    const HostValue& b = expected->at(name);
    const double error = relative_error(a.data, b.data, test.scale);
    if (error > limit)
      return fmt::format("{} {}: error {:.3g}, limit {:.3g}", name, b.shape.to_string(), error,
                         limit);
  }
  return "";
}

}  // namespace ito::test
