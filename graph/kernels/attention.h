// The attention archetype: forward, log-sum-exp and the three gradients of multi-head attention,
// none of which stores the matrix of scores. Each is the same walk: a kernel holds some rows
// (queries, or keys for the gradients of keys and values) and visits all columns block by block.
// A form for CPU drivers (attention_lanes) and one for GPUs (attention_shared). Not the choice
// between this and the decomposition (passes/attention_form).
#pragma once

#include <string>
#include <vector>

#include "base/device_caps.h"
#include "base/integer.h"
#include "graph/attrs.h"
#include "graph/kernels/emit.h"

namespace ito {

// Heads wider than this have no kernel: accumulators of a whole head stay in registers.
inline constexpr int64_t kMaxAttentionHeadDim = 128;

bool is_attention(Op op);

// Whether a kernel can compute the node at all: float32, heads of at most kMaxAttentionHeadDim.
bool attention_has_kernel(const Graph& graph, const Node& node);

// Whether one kernel computes both: output and log-sum-exp of the same scores, or the gradients of
// the same keys and values.
bool attention_shares_walk(const Node& a, const Node& b);

// The stored tensor that holds an operand (it may be a view: a slice of a packed projection, say).
NodeId attention_operand_base(const Graph& graph, NodeId operand);

EmittedKernel emit_attention(const Graph& graph, const FusedKernel& kernel,
                             const StorageMap& storage, const DeviceCaps& caps);

// What the two forms write. With s = scale * (row · column) over the channels of a head, the
// probability of a pair is p = exp(s - lse of its query), and its score gradient
// ds = p * (row' · column' - delta of its query) * scale (FlashAttention: Dao et al. 2022, eq. 4).
struct AttentionWalk {
  // [batch, tokens, heads * d] as addresses.
  struct Operand {
    std::string argument;
    int64_t batch = 0, token = 0, channel = 0;  // strides in elements
  };
  // A number per query, [batch, heads, queries], as addresses.
  struct Statistic {
    std::string argument;  // empty: not needed
    int64_t batch = 0, head = 0, token = 0;
  };
  // out[row] = sum over columns of a weight times the operand at the column.
  struct Sum {
    bool of_score_gradient = false;  // weight ds, else p
    Operand column;
    std::string out;  // argument, contiguous [batch, rows, heads * d]
  };
  int64_t batch = 1, heads = 1, rows = 1, columns = 1, d = 1;
  double scale = 1;
  // Products over channels: [0] gives scores; [1], where there is one, the gradient of the
  // probabilities.
  std::vector<std::pair<Operand, Operand>> products;  // of rows, of columns
  std::vector<Sum> sums;
  // Forward: probabilities come from a running maximum and sum over the columns.
  bool online = false;
  std::string lse_out;  // argument, contiguous [batch, heads, rows]; empty: not wanted
  // Backward.
  Statistic lse, delta;
  bool rows_are_queries = true;

  int64_t row_tiles(int64_t tile) const { return ceil_div(rows, tile); }
};

EmittedKernel emit_attention_lanes(KernelWriter& writer, const AttentionWalk& walk,
                                   const DeviceCaps& caps);
EmittedKernel emit_attention_shared(KernelWriter& writer, const AttentionWalk& walk,
                                    const DeviceCaps& caps);

// Workgroups for `tiles`; more than a dimension holds are folded into y.
std::array<uint32_t, 3> attention_groups(int64_t tiles, const DeviceCaps& caps);

}  // namespace ito
