// Multi-head attention y = softmax(scale q k^T) v on [b, s, heads*d], and the pieces of its
// gradient in the form of FlashAttention (Dao et al. 2022): probabilities are rebuilt from the
// log-sum-exp of the scores, and delta = rowsum(dy * y) replaces the row sums of the softmax
// gradient. The gradient ops have no gradient of their own; autodiff decomposes them.
#include <cmath>
#include <limits>

#include "graph/builder.h"
#include "graph/ops/families.h"
#include "graph/ops/support.h"

namespace ito {
namespace {

using Inputs = std::span<const Tensor>;
using Host = std::span<const HostValue* const>;

const AttentionAttr& attention_attr(const Node& node) {
  return std::get<AttentionAttr>(node.attrs);
}

// --- checks -----------------------------------------------------------------------------------

// Operands 0 and 1 are q [b,sq,c] and k [b,sk,c]; returns the shape [b,heads,sq] of lse and delta.
Result<Shape> check_queries_and_keys(const Graph& graph, const Node& node) {
  ITO_TRY(check_float_operands(graph, node));
  const auto* attr = std::get_if<AttentionAttr>(&node.attrs);
  const Shape& q = operand(graph, node, 0).shape;
  const Shape& k = operand(graph, node, 1).shape;
  if (!attr || attr->heads < 1) return node_error(graph, node, "needs its heads and scale");
  if (q.rank() != 3 || k.rank() != 3 || q[0] != k[0] || q[2] != k[2])
    return node_error(graph, node, "queries and keys must be [b,sq,c] and [b,sk,c]");
  if (q[2] % attr->heads != 0)
    return node_error(graph, node, "{} channels are no multiple of {} heads", q[2], attr->heads);
  return Shape{q[0], attr->heads, q[1]};
}

Status check_operand(const Graph& graph, const Node& node, size_t i, const Shape& expected) {
  if (operand(graph, node, i).shape != expected)
    return node_error(graph, node, "operand {} must be {}", i, expected.to_string());
  return {};
}

Result<Shape> infer_attention(const Graph& graph, const Node& node) {
  ITO_TRY(check_queries_and_keys(graph, node));
  ITO_TRY(check_operand(graph, node, 2, operand(graph, node, 1).shape));
  return operand(graph, node, 0).shape;
}

Result<Shape> infer_lse(const Graph& graph, const Node& node) {
  return check_queries_and_keys(graph, node);
}

// (q, k, v, dy, lse, delta) → the shape of operand `result`.
template <size_t result>
Result<Shape> infer_grad(const Graph& graph, const Node& node) {
  ITO_ASSIGN(Shape rows, check_queries_and_keys(graph, node));
  ITO_TRY(check_operand(graph, node, 2, operand(graph, node, 1).shape));
  ITO_TRY(check_operand(graph, node, 3, operand(graph, node, 0).shape));
  ITO_TRY(check_operand(graph, node, 4, rows));
  ITO_TRY(check_operand(graph, node, 5, rows));
  return operand(graph, node, result).shape;
}

// (q, k, dy, lse) → k's shape
Result<Shape> infer_grad_v(const Graph& graph, const Node& node) {
  ITO_ASSIGN(Shape rows, check_queries_and_keys(graph, node));
  ITO_TRY(check_operand(graph, node, 2, operand(graph, node, 0).shape));
  ITO_TRY(check_operand(graph, node, 3, rows));
  return operand(graph, node, 1).shape;
}

// --- evaluation -------------------------------------------------------------------------------

// Addresses of one attention problem.
struct Layout {
  int64_t batch, heads, sq, sk, d;
  Layout(const Shape& q, const Shape& k, int64_t heads)
      : batch(q[0]), heads(heads), sq(q[1]), sk(k[1]), d(q[2] / heads) {}
  size_t query(int64_t b, int64_t i, int64_t h) const {
    return static_cast<size_t>(((b * sq + i) * heads + h) * d);
  }
  size_t key(int64_t b, int64_t j, int64_t h) const {
    return static_cast<size_t>(((b * sk + j) * heads + h) * d);
  }
  size_t row(int64_t b, int64_t h, int64_t i) const {
    return static_cast<size_t>((b * heads + h) * sq + i);
  }
};

double dot(const HostValue& a, size_t i, const HostValue& b, size_t j, int64_t d) {
  double total = 0;
  for (size_t c = 0; c < static_cast<size_t>(d); ++c) total += a.data[i + c] * b.data[j + c];
  return total;
}

void add_scaled(HostValue& to, size_t i, double factor, const HostValue& from, size_t j,
                int64_t d) {
  for (size_t c = 0; c < static_cast<size_t>(d); ++c) to.data[i + c] += factor * from.data[j + c];
}

HostValue eval_lse(const Node& node, Host in) {
  const Layout l(in[0]->shape, in[1]->shape, attention_attr(node).heads);
  HostValue lse = host_zeros(Shape{l.batch, l.heads, l.sq});
  for (int64_t b = 0; b < l.batch; ++b)
    for (int64_t h = 0; h < l.heads; ++h)
      for (int64_t i = 0; i < l.sq; ++i) {
        std::vector<double> scores;
        double top = -std::numeric_limits<double>::infinity(), total = 0;
        for (int64_t j = 0; j < l.sk; ++j) {
          scores.push_back(attention_attr(node).scale *
                           dot(*in[0], l.query(b, i, h), *in[1], l.key(b, j, h), l.d));
          top = std::max(top, scores.back());
        }
        for (double s : scores) total += std::exp(s - top);
        lse.data[l.row(b, h, i)] = top + std::log(total);
      }
  return lse;
}

// Calls fn(b, h, i, j, p) for every query i and key j with its probability p.
template <typename Fn>
void for_each_pair(const Node& node, const HostValue& q, const HostValue& k, const HostValue& lse,
                   Fn fn) {
  const Layout l(q.shape, k.shape, attention_attr(node).heads);
  for (int64_t b = 0; b < l.batch; ++b)
    for (int64_t h = 0; h < l.heads; ++h)
      for (int64_t i = 0; i < l.sq; ++i)
        for (int64_t j = 0; j < l.sk; ++j) {
          const double score =
              attention_attr(node).scale * dot(q, l.query(b, i, h), k, l.key(b, j, h), l.d);
          fn(b, h, i, j, std::exp(score - lse.data[l.row(b, h, i)]));
        }
}

HostValue eval_attention(const Node& node, Host in) {
  const Layout l(in[0]->shape, in[1]->shape, attention_attr(node).heads);
  const HostValue lse = eval_lse(node, in);
  HostValue y = host_zeros(node.shape);
  for_each_pair(node, *in[0], *in[1], lse, [&](auto b, auto h, auto i, auto j, double p) {
    add_scaled(y, l.query(b, i, h), p, *in[2], l.key(b, j, h), l.d);
  });
  return y;
}

// Gradient of the scores, ds = p (dy·v - delta) scale, handed to `fn`.
template <typename Fn>
void for_each_score_gradient(const Node& node, Host in, Fn fn) {
  const Layout l(in[0]->shape, in[1]->shape, attention_attr(node).heads);
  for_each_pair(node, *in[0], *in[1], *in[4], [&](auto b, auto h, auto i, auto j, double p) {
    const double dp = dot(*in[3], l.query(b, i, h), *in[2], l.key(b, j, h), l.d);
    const double delta = in[5]->data[l.row(b, h, i)];
    fn(l.query(b, i, h), l.key(b, j, h), l.d, p * (dp - delta) * attention_attr(node).scale);
  });
}

HostValue eval_grad_q(const Node& node, Host in) {
  HostValue dq = host_zeros(node.shape);
  for_each_score_gradient(node, in, [&](size_t i, size_t j, int64_t d, double ds) {
    add_scaled(dq, i, ds, *in[1], j, d);
  });
  return dq;
}

HostValue eval_grad_k(const Node& node, Host in) {
  HostValue dk = host_zeros(node.shape);
  for_each_score_gradient(node, in, [&](size_t i, size_t j, int64_t d, double ds) {
    add_scaled(dk, j, ds, *in[0], i, d);
  });
  return dk;
}

HostValue eval_grad_v(const Node& node, Host in) {
  const Layout l(in[0]->shape, in[1]->shape, attention_attr(node).heads);
  HostValue dv = host_zeros(node.shape);
  for_each_pair(node, *in[0], *in[1], *in[3], [&](auto b, auto h, auto i, auto j, double p) {
    add_scaled(dv, l.key(b, j, h), p, *in[2], l.query(b, i, h), l.d);
  });
  return dv;
}

// --- decomposition ----------------------------------------------------------------------------

// [b,s,heads*d] → [b,heads,s,d], and back.
Tensor split_heads(Tensor x, int64_t heads) {
  return permute(reshape(x, {x.dim(0), x.dim(1), heads, x.dim(2) / heads}), {0, 2, 1, 3});
}

Tensor merge_heads(Tensor x) {
  Tensor y = permute(x, {0, 2, 1, 3});
  return reshape(y, {y.dim(0), y.dim(1), y.dim(2) * y.dim(3)});
}

Tensor scores(Tensor self, Tensor q, Tensor k) {
  const AttentionAttr attr = attention_attr(self.node());
  return matmul(split_heads(q, attr.heads), split_heads(k, attr.heads), false, true) * attr.scale;
}

// [b,heads,sq] against [b,heads,sq,sk]
Tensor column(Tensor x) { return reshape(x, {x.dim(0), x.dim(1), x.dim(2), 1}); }

Tensor probabilities(Tensor self, Tensor q, Tensor k, Tensor lse) {
  return exp(scores(self, q, k) - column(lse));
}

// operands: (q, k, v, dy, lse, delta)
Tensor score_gradient(Tensor self, Inputs x) {
  const AttentionAttr attr = attention_attr(self.node());
  Tensor dp = matmul(split_heads(x[3], attr.heads), split_heads(x[2], attr.heads), false, true);
  return probabilities(self, x[0], x[1], x[4]) * (dp - column(x[5])) * attr.scale;
}

Tensor decompose_attention(Tensor self, Inputs x) {
  Tensor v = split_heads(x[2], attention_attr(self.node()).heads);
  return merge_heads(matmul(softmax(scores(self, x[0], x[1])), v));
}

Tensor decompose_lse(Tensor self, Inputs x) { return logsumexp(scores(self, x[0], x[1]), {3}); }

Tensor decompose_grad_q(Tensor self, Inputs x) {
  Tensor k = split_heads(x[1], attention_attr(self.node()).heads);
  return merge_heads(matmul(score_gradient(self, x), k));
}

Tensor decompose_grad_k(Tensor self, Inputs x) {
  Tensor q = split_heads(x[0], attention_attr(self.node()).heads);
  return merge_heads(matmul(score_gradient(self, x), q, true));
}

Tensor decompose_grad_v(Tensor self, Inputs x) {
  Tensor dy = split_heads(x[2], attention_attr(self.node()).heads);
  return merge_heads(matmul(probabilities(self, x[0], x[1], x[3]), dy, true));
}

// --- gradient ---------------------------------------------------------------------------------

std::vector<Tensor> grad_attention(Tensor y, Inputs x, Tensor dy) {
  Graph& graph = y.graph();
  const AttentionAttr attr = attention_attr(y.node());
  const Tensor q = x[0], k = x[1], v = x[2];
  const Shape rows{q.dim(0), attr.heads, q.dim(1)};
  const Tensor qk[] = {q, k};
  const Tensor lse = graph.add(Op::kAttentionLse, y.dtype(), rows, qk, attr);
  const Tensor products = reshape(dy * y, {q.dim(0), q.dim(1), attr.heads, q.dim(2) / attr.heads});
  const Tensor delta = permute(sum(products, {3}), {0, 2, 1});
  const Tensor all[] = {q, k, v, dy, lse, delta};
  const Tensor for_v[] = {q, k, dy, lse};
  return {graph.add(Op::kAttentionGradQ, y.dtype(), q.shape(), all, attr),
          graph.add(Op::kAttentionGradK, y.dtype(), k.shape(), all, attr),
          graph.add(Op::kAttentionGradV, y.dtype(), v.shape(), for_v, attr)};
}

constexpr OpDef row(Op op, std::string_view name, int arity, decltype(OpDef::infer) infer,
                    decltype(OpDef::eval) eval, decltype(OpDef::grad) grad,
                    decltype(OpDef::decompose) decompose) {
  OpDef def;
  def.op = op;
  def.name = name;
  def.op_class = OpClass::kComposite;
  def.arity = arity;
  def.infer = infer;
  def.eval = eval;
  def.grad = grad;
  def.decompose = decompose;
  return def;
}

constexpr OpDef kAttentionOps[] = {
    row(Op::kAttention, "attention", 3, infer_attention, eval_attention, grad_attention,
        decompose_attention),
    row(Op::kAttentionLse, "attention_lse", 2, infer_lse, eval_lse, nullptr, decompose_lse),
    row(Op::kAttentionGradQ, "attention_grad_q", 6, infer_grad<0>, eval_grad_q, nullptr,
        decompose_grad_q),
    row(Op::kAttentionGradK, "attention_grad_k", 6, infer_grad<1>, eval_grad_k, nullptr,
        decompose_grad_k),
    row(Op::kAttentionGradV, "attention_grad_v", 4, infer_grad_v, eval_grad_v, nullptr,
        decompose_grad_v),
};

}  // namespace

std::span<const OpDef> attention_ops() { return kAttentionOps; }

}  // namespace ito
