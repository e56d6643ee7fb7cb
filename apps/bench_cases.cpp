#include "apps/bench_cases.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "api/task.h"
#include "apps/bench_models.h"
#include "apps/bench_roof.h"
#include "base/error.h"
#include "graph/builder.h"

namespace ito::apps {
namespace {

using Cases = std::vector<BenchCase>;

double bytes_of_tensors(const std::vector<Tensor>& tensors) {
  double bytes = 0;
  for (const Tensor& t : tensors) bytes += 4.0 * static_cast<double>(t.shape().numel());
  return bytes;
}

void finish(BenchCase& c, Tensor out, std::vector<Tensor> inputs) {
  inputs.push_back(out);
  c.bytes = bytes_of_tensors(inputs);
  c.program.name = c.name;
  c.program.output("out", out);
}

void add_conv(Cases& cases, int64_t channels, int64_t side,
              std::initializer_list<const char*> directions, int64_t stride = 1) {
  constexpr int64_t kBatch = 16;
  ConvAttr attr;
  attr.pad = {1, 1, 1, 1};
  attr.stride = {stride, stride};
  const Shape image{kBatch, side, side, channels}, weight{3, 3, channels, channels};
  const Shape result{kBatch, side / stride, side / stride, channels};
  for (const char* direction : directions) {
    BenchCase c;
    c.name = fmt::format("conv_{0}x{0}_{1}x{1}_{2}{3}", channels, side, direction,
                         stride == 1 ? "" : fmt::format("_stride{}", stride));
    c.flops = 2.0 * static_cast<double>(result.numel() * channels) * 9;
    Graph& graph = *c.program.graph;
    if (direction == std::string_view("forward")) {
      const Tensor x = input(graph, "x", image), w = input(graph, "w", weight);
      finish(c, conv2d(x, w, attr), {x, w});
    } else if (direction == std::string_view("grad_input")) {
      const Tensor dy = input(graph, "dy", result), w = input(graph, "w", weight);
      finish(c, conv2d_grad_input(dy, w, image, attr), {dy, w});
    } else {
      const Tensor x = input(graph, "x", image), dy = input(graph, "dy", result);
      finish(c, conv2d_grad_weight(x, dy, weight, attr), {x, dy});
    }
    cases.push_back(std::move(c));
  }
}

void add_matmul(Cases& cases, int64_t n, bool transposed = false) {
  BenchCase c;
  c.name = fmt::format("matmul_{}{}", n, transposed ? "_transposed" : "");
  c.flops = 2.0 * std::pow(static_cast<double>(n), 3);
  Graph& graph = *c.program.graph;
  const Tensor a = input(graph, "a", {n, n}), b = input(graph, "b", {n, n});
  finish(c, matmul(a, b, false, transposed), {a, b});
  cases.push_back(std::move(c));
}

void add_attention(Cases& cases, int64_t batch, int64_t tokens, int64_t channels, int64_t heads) {
  const Shape shape{batch, tokens, channels};
  const double flops = 4.0 * static_cast<double>(shape.numel() * tokens);
  for (const bool backward : {false, true}) {
    BenchCase c;
    c.name = fmt::format("attention_{}x{}x{}h{}_{}", batch, tokens, channels, heads,
                         backward ? "forward_and_gradient" : "forward");
    c.flops = backward ? 3.5 * flops : flops;  // backward: five products of the forward's two
    Graph& graph = *c.program.graph;
    const Tensor q = input(graph, "q", shape), k = input(graph, "k", shape),
                 v = input(graph, "v", shape);
    const double scale = 1 / std::sqrt(static_cast<double>(channels / heads));
    const Tensor out = attention(q, k, v, heads, scale);
    if (backward) {
      const Tensor dy = input(graph, "dy", shape);
      const std::vector<Tensor> gradients = grad(sum_all(out * dy), {q, k, v});
      c.program.output("dq", gradients[0]);
      c.program.output("dk", gradients[1]);
      c.program.output("dv", gradients[2]);
      finish(c, out, {q, k, v, dy, gradients[0], gradients[1], gradients[2]});
    } else {
      finish(c, out, {q, k, v});
    }
    cases.push_back(std::move(c));
  }
}

void add_group_norm(Cases& cases) {
  const Shape shape{16, 32, 32, 64};
  for (const bool activated : {false, true}) {
    BenchCase c;
    c.name = activated ? "groupnorm_silu_16x32x32x64" : "groupnorm_16x32x32x64";
    Graph& graph = *c.program.graph;
    const Tensor x = input(graph, "x", shape);
    const Tensor gamma = input(graph, "gamma", {64}), beta = input(graph, "beta", {64});
    const Tensor y = group_norm(x, gamma, beta, 8, 1e-5);
    finish(c, activated ? silu(y) : y, {x, gamma, beta});
    cases.push_back(std::move(c));
  }
}

// One step of `ito train` with its default options on 28x28 grey images of ten classes, in each
// precision that is measured.
Status add_train(Cases& cases, const DeviceCaps& caps) {
  ImageDataset shape_only;
  shape_only.h = shape_only.w = 28;
  shape_only.c = 1;
  shape_only.labels = std::vector<int32_t>{9};
  for (const std::string_view precision : bench_precisions(caps)) {
    TrainingOptions options;
    options.precision = precision;
    ITO_ASSIGN(const TrainingTask task, make_task(options, shape_only));
    BenchCase c;
    c.name = with_precision("train_step_b32", precision);
    c.program = train_step_program(task.network.set(), task.loss, task.step);
    c.parameters = initial_parameters(task.network.set(), 0);
    cases.push_back(std::move(c));
  }
  return {};
}

Status add_models(Cases& cases, const DeviceCaps& caps) {
  for (const BenchModel& model : bench_models()) {
    for (const int64_t batch : model.forward_batches) {
      ITO_ASSIGN(BenchCase c, forward_case(model, batch));
      cases.push_back(std::move(c));
    }
    for (const int64_t batch : model.train_batches) {
      for (const std::string_view precision : bench_precisions(caps)) {
        ITO_ASSIGN(BenchCase c, train_case(model, batch, precision));
        cases.push_back(std::move(c));
      }
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> bench_workloads() {
  return {"roof", "conv", "matmul", "attention", "groupnorm", "train", "models", "all"};
}

Result<std::vector<BenchCase>> bench_cases(const std::string& workload, const DeviceCaps& caps) {
  Cases cases = fma_roof(caps);
  for (BenchCase& c : copy_roof(caps)) cases.push_back(std::move(c));
  const auto wanted = [&](const char* name) { return workload == name || workload == "all"; };
  if (wanted("conv")) {
    const auto all = {"forward", "grad_input", "grad_weight"};
    add_conv(cases, 64, 32, all);
    add_conv(cases, 128, 16, all);
    add_conv(cases, 256, 8, all);
    add_conv(cases, 64, 32, {"grad_input"}, 2);
  }
  if (wanted("matmul")) {
    add_matmul(cases, 512);
    add_matmul(cases, 512, /*transposed=*/true);
    add_matmul(cases, 1024);
  }
  if (wanted("attention")) {
    add_attention(cases, 16, 64, 64, 1);
    add_attention(cases, 16, 256, 64, 1);
    add_attention(cases, 4, 256, 256, 4);
    add_attention(cases, 1, 1024, 512, 8);
    add_attention(cases, 1, 4096, 64, 1);
  }
  if (wanted("groupnorm")) add_group_norm(cases);
  if (wanted("train")) ITO_TRY(add_train(cases, caps));
  if (wanted("models")) ITO_TRY(add_models(cases, caps));
  return cases;
}

}  // namespace ito::apps
