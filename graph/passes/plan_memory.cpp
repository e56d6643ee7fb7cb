#include "graph/passes/plan_memory.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>

#include "base/half.h"
#include "base/integer.h"
#include "graph/passes/cost.h"
#include "graph/passes/rewrite.h"

namespace ito {
namespace {

constexpr uint64_t kAlignment = 64;

uint64_t align(uint64_t bytes) { return round_up(bytes, kAlignment); }

// A stretch of the arena that is needed from the first to the last call, both included.
struct Block {
  NodeId node = kNoNode;
  uint64_t size = 0;
  int first = std::numeric_limits<int>::max();
  int last = -1;
  uint64_t offset = 0;
};

void append_constant(std::vector<uint8_t>& blob, const Node& node) {
  for (double element : *std::get<ConstantAttr>(node.attrs).data) {
    uint32_t word = 0;
    size_t size = 4;
    switch (node.dtype) {
      case DType::kF32: {
        float single = static_cast<float>(element);
        std::memcpy(&word, &single, 4);
        break;
      }
      case DType::kF16:
        word = float_to_half(static_cast<float>(element));
        size = 2;
        break;
      case DType::kBF16:
        word = float_to_bfloat16(static_cast<float>(element));
        size = 2;
        break;
      case DType::kI32:
        word = static_cast<uint32_t>(static_cast<int32_t>(element));
        break;
      case DType::kU32:
        word = static_cast<uint32_t>(element);
        break;
      case DType::kBool:
        word = element != 0 ? 1 : 0;
        break;
    }
    const auto* bytes = reinterpret_cast<const uint8_t*>(&word);
    blob.insert(blob.end(), bytes, bytes + size);
  }
  blob.resize(align(blob.size()), 0);
}

// The lowest place from `offset` on where `size` bytes lie within one piece.
uint64_t within_piece(uint64_t offset, uint64_t size, uint64_t piece) {
  const uint64_t left = piece - offset % piece;
  return size <= left || size > piece ? offset : offset + left;
}

// Gives every block an offset: large blocks first, each at the lowest place within one piece where
// it overlaps no block that is alive at the same time.
uint64_t place_blocks(std::vector<Block>& blocks, bool reuse, uint64_t piece) {
  std::vector<Block*> order;
  for (Block& block : blocks) order.push_back(&block);
  std::sort(order.begin(), order.end(), [](const Block* a, const Block* b) {
    return a->size != b->size ? a->size > b->size : a->node < b->node;
  });
  uint64_t total = 0;
  std::vector<Block*> placed;
  for (Block* block : order) {
    std::vector<std::pair<uint64_t, uint64_t>> busy;
    for (const Block* other : placed)
      if (!reuse || (other->first <= block->last && block->first <= other->last))
        busy.push_back({other->offset, other->offset + other->size});
    std::sort(busy.begin(), busy.end());
    uint64_t offset = 0;
    for (const auto& [begin, end] : busy) {
      if (offset + block->size <= begin) break;
      offset = within_piece(std::max(offset, end), block->size, piece);
    }
    block->offset = offset;
    total = std::max(total, offset + block->size);
    placed.push_back(block);
  }
  return total;
}

}  // namespace

MemoryPlan plan_memory(const FusedProgram& fused, bool reuse, uint64_t most) {
  const Program& program = *fused.program;
  const Graph& graph = *program.graph;
  std::vector<bool> live = live_nodes(program);
  MemoryPlan plan;
  plan.place.resize(graph.size());
  std::vector<bool> decided(graph.size(), false);

  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!live[id]) continue;
    const Node& node = graph.node(id);
    if (node.op == Op::kConstant) {
      uint64_t offset = plan.constants.size();
      append_constant(plan.constants, node);
      plan.place[id] = {BufferSpace::kConstant, 0, offset, bytes_of(node)};
      decided[id] = true;
    } else if (node.op == Op::kInput) {
      plan.place[id] = {BufferSpace::kExternal, static_cast<uint32_t>(plan.externals.size()), 0,
                        bytes_of(node)};
      plan.externals.push_back({std::get<InputAttr>(node.attrs).name, ExternalRole::kInput,
                                node.dtype, node.shape, bytes_of(node)});
      decided[id] = true;
    }
  }
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const ProgramOutput& output = program.outputs[i];
    const Node& node = output.value.node();
    uint32_t index = 0;
    while (index < plan.externals.size() && plan.externals[index].name != output.name) ++index;
    if (index == plan.externals.size())
      plan.externals.push_back(
          {output.name, ExternalRole::kOutput, node.dtype, node.shape, bytes_of(node)});
    if (output.donated) plan.externals[index].role = ExternalRole::kState;
    if (output.donated && !fused.in_place[i]) {
      plan.copies.push_back({i, index});
      continue;
    }
    plan.place[output.value.id()] = {BufferSpace::kExternal, index, 0, bytes_of(node)};
    decided[output.value.id()] = true;
  }

  // The rest lives in the arena; parts of a placed concatenation live in it.
  std::vector<int> block_of(graph.size(), -1);
  std::vector<Block> blocks;
  auto root = [&](NodeId id) {
    for (auto it = fused.placed.find(id); it != fused.placed.end(); it = fused.placed.find(id))
      id = it->second.first;
    return id;
  };
  auto touch = [&](NodeId id, int call) {
    NodeId owner = root(id);
    if (decided[owner]) return;
    if (block_of[owner] < 0) {
      block_of[owner] = static_cast<int>(blocks.size());
      blocks.push_back({owner, align(bytes_of(graph.node(owner)))});
    }
    Block& block = blocks[static_cast<size_t>(block_of[owner])];
    block.first = std::min(block.first, call);
    block.last = std::max(block.last, call);
  };
  int calls = 0;
  std::set<NodeId> early, kept;  // what the prologue stores, and what it leaves to other calls
  for (const FusedKernel& kernel : fused.kernels) {
    for (NodeId id : kernel.stores) {
      touch(id, kernel.dispatch);
      if (kernel.prologue) early.insert(root(id));
    }
    for (const auto& [id, same] : kernel.loads) {
      touch(id, kernel.dispatch);
      if (!kernel.prologue && early.contains(root(id))) kept.insert(root(id));
    }
    calls = std::max(calls, kernel.dispatch + 1);
  }
  for (const auto& [output, external] : plan.copies)
    touch(program.outputs[output].value.id(), calls);
  for (NodeId id : kept) {
    touch(id, calls);
    plan.kept_bytes += blocks[static_cast<size_t>(block_of[id])].size;
  }
  const uint64_t piece = std::max(most / kAlignment, uint64_t{1}) * kAlignment;
  plan.arena_size = place_blocks(blocks, reuse, piece);
  if (plan.arena_size > piece) plan.arena_piece = piece;
  for (const Block& block : blocks)
    if (block.size > piece) plan.too_large = block.node;
  for (const Block& block : blocks)
    plan.place[block.node] = {BufferSpace::kArena, 0, block.offset,
                              bytes_of(graph.node(block.node))};
  for (const auto& [part, where] : fused.placed) {
    BufferRange range = plan.place[root(part)];
    for (NodeId id = part; fused.placed.contains(id); id = fused.placed.at(id).first) {
      const auto& [concat, first] = fused.placed.at(id);
      range.offset += static_cast<uint64_t>(first) * dtype_size(graph.node(concat).dtype);
    }
    range.size = bytes_of(graph.node(part));
    plan.place[part] = range;
  }
  return plan;
}

}  // namespace ito
