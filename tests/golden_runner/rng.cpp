// Golden family rng: Philox4x32-10 words, uniforms and normals on the device, by the graph's own
// ops; PyTorch's CPU generator, which is a host thing, on the host.
#include <charconv>
#include <span>

#include "base/error.h"
#include "diffusion/torch_rng.h"
#include "graph/builder.h"
#include "tests/golden_runner/families.h"
#include "tests/golden_runner/program_run.h"

namespace ito::golden {
namespace {

constexpr double kNormalLimit = 2e-6;  // absolute; the README's row rng

// counter [n,4], key [n,2] → out [n,4], uniform [n,4], normal [n,4].
Result<Outcome> run_philox(vk::Device& device, const Case& golden) {
  ITO_ASSIGN(const Array counter, golden.array("counter"));
  ITO_ASSIGN(const Array key, golden.array("key"));
  const int64_t rows = counter.shape.rank() == 2 ? counter.shape[0] : 0;
  if (rows < 1 || counter.shape != Shape{rows, 4} || key.shape != Shape{rows, 2})
    return corrupt("expected counter [n,4] and key [n,2], found {} and {}",
                   counter.shape.to_string(), key.shape.to_string());
  Program program;
  Graph& graph = *program.graph;
  const Tensor counters = input(graph, "counter", counter.shape, DType::kU32);
  const Tensor keys = input(graph, "key", key.shape, DType::kU32);
  const Shape shape = {rows, 4};
  const Tensor lane = iota(graph, shape, 1);
  std::vector<Tensor> words;  // c0, c1, c2, c3, k0, k1
  for (int64_t i = 0; i < 4; ++i) words.push_back(slice_axis(counters, 1, i, i + 1));
  for (int64_t i = 0; i < 2; ++i) words.push_back(slice_axis(keys, 1, i, i + 1));
  for (Tensor& word : words) word = broadcast_to(word, shape);
  auto philox = [&](Tensor lanes) {
    std::vector<Tensor> operands = words;
    operands.push_back(lanes);
    return graph.add(Op::kPhilox, DType::kU32, shape, operands);
  };
  const Tensor one = full(graph, shape, 1, DType::kU32), two = full(graph, shape, 2, DType::kU32);
  const Tensor pair = bit_and(lane, two);
  const Tensor out = philox(lane);
  program.output("out", out);
  program.output("uniform", bits_to_uniform(out));
  program.output("normal", bits_to_normal(philox(pair), philox(bit_or(pair, one)),
                                          equal(bit_and(lane, one), one)));
  ITO_ASSIGN(
      const HostValues results,
      run_on_device(device, program, {{"counter", to_value(counter)}, {"key", to_value(key)}}));
  Comparison comparison;
  for (const char* name : {"out", "uniform", "normal"}) {
    if (!golden.has(name)) continue;
    ITO_ASSIGN(const Array expected, golden.array(name));
    const Array actual = to_array(result_of(results, name));
    if (expected.integer)
      comparison.exact(name, actual, expected);
    else
      comparison.absolute(name, actual, expected, kNormalLimit);
  }
  return comparison.outcome();
}

// "randint.seed42.high10" → {"randint", "seed42", "high10"}.
std::vector<std::string> split(const std::string& name) {
  std::vector<std::string> parts = {""};
  for (char c : name) {
    if (c == '.')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

// The number behind a prefix: "seed42" → 42.
Result<int64_t> suffix(const std::vector<std::string>& parts, size_t index,
                       std::string_view prefix) {
  int64_t value = 0;
  if (index < parts.size() && parts[index].starts_with(prefix)) {
    const char* begin = parts[index].data() + prefix.size();
    const char* end = parts[index].data() + parts[index].size();
    const auto [stop, error] = std::from_chars(begin, end, value);
    if (error == std::errc() && stop == end) return value;
  }
  return corrupt("expected '{}' and a number in the tensor's name", prefix);
}

template <typename T>
Array array_of(const std::vector<T>& values, bool integer) {
  return {.shape = {static_cast<int64_t>(values.size())},
          .data = std::vector<double>(values.begin(), values.end()),
          .integer = integer};
}

Status compare_torch(const std::string& name, const Array& expected, Comparison& comparison) {
  if (expected.shape.rank() != 1) return corrupt("{}: expected a list of numbers", name);
  const std::vector<std::string> parts = split(name);
  ITO_ASSIGN(const int64_t seed, suffix(parts, 1, "seed"));
  TorchGenerator generator(static_cast<uint64_t>(seed));
  const size_t count = expected.data.size();
  if (parts[0] == "mt19937_raw") {
    std::vector<uint32_t> words(count);
    for (uint32_t& word : words) word = generator.next_word();
    comparison.exact(name, array_of(words, true), expected);
  } else if (parts[0] == "randint") {
    ITO_ASSIGN(const int64_t high, suffix(parts, 2, "high"));
    std::vector<int64_t> values(count);
    generator.randint(values, high);
    comparison.exact(name, array_of(values, true), expected);
  } else if (parts[0] == "rand") {
    std::vector<float> values(count);
    generator.rand(values);
    comparison.exact(name, array_of(values, false), expected);
  } else if (parts[0] == "randn") {
    ITO_ASSIGN(const int64_t drawn, suffix(parts, 2, "n"));
    if (drawn < 1 || drawn > int64_t{1} << 24) return corrupt("{}: n is out of range", name);
    std::vector<float> values(static_cast<size_t>(drawn));
    generator.randn(values);
    // Of more than 128 values the file holds the first 64 and the last 32.
    if (drawn > 128) values.erase(values.begin() + 64, values.end() - 32);
    comparison.absolute(name, array_of(values, false), expected, kNormalLimit);
  } else if (parts[0] == "randn_sequence") {
    // 7 values, then 20, of one generator.
    if (count != 27) return corrupt("{}: expected 27 values", name);
    std::vector<float> values(count);
    generator.randn(std::span(values).first(7));
    generator.randn(std::span(values).subspan(7));
    comparison.absolute(name, array_of(values, false), expected, kNormalLimit);
  } else {
    return unsupported("{}: an unknown kind of random numbers", name);
  }
  return {};
}

}  // namespace

Result<Outcome> run_rng(vk::Device& device, const Case& golden) {
  if (golden.has("counter")) return run_philox(device, golden);
  Comparison comparison;
  for (const std::string& name : golden.tensor_names()) {
    ITO_ASSIGN(const Array expected, golden.array(name));
    ITO_TRY(compare_torch(name, expected, comparison));
  }
  return comparison.outcome();
}

}  // namespace ito::golden
