// What the blocked forms of a contraction (contract_shared, contract_matrix) have in common: linear
// indices over dims, their addresses, and the cut of the reduction into blocks. Text of GLSL and
// plain values; knows no tiles.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/device_caps.h"
#include "graph/attrs.h"

namespace ito {

// One dim of a linear index, and how far a step along it goes in A, in B and in the output.
struct Digit {
  int64_t size = 1;
  int64_t a = 0, b = 0, out = 0;
};

// Sums of index times stride wrap around as GLSL's do, so negative strides need nothing of their
// own.
uint32_t wrapped_stride(int64_t x);

std::vector<Digit> digits_of(const ContractAttr& attr, const std::vector<int>& dims);

// A GLSL function `uint name(uint i)`: the address of linear index i over `list`.
std::string address_function(const std::string& name, const std::vector<Digit>& list,
                             int64_t Digit::*stride);

// The smallest stride that is not 0, without its sign; INT64_MAX where there is none.
int64_t smallest_stride(const std::vector<Digit>& list, int64_t Digit::*stride);

// How the reduction is cut into blocks: whole inner dims and a part of the next one are the steps
// within a block, the rest is walked block by block, addresses being stepped and never divided.
struct Blocks {
  std::vector<Digit> inside;   // steps of a block, outer first
  std::vector<Digit> outside;  // blocks, outer first; the last one steps through the part
  int64_t steps = 1;           // in a block
  int64_t count = 1;           // blocks
  // Where the part does not divide its dim: of the first digit inside, steps from this on are void
  // in the last block of that dim. 0: none are.
  int64_t whole = 0;
};

// How many steps of a dim of `size` go into a block that holds `inner` steps for each and has room
// for `room` of them.
using PartOfDim = std::function<int64_t(int64_t size, int64_t room, int64_t inner)>;

// At most `wanted` steps a block.
Blocks cut_reduction(const std::vector<Digit>& k, int64_t wanted, const PartOfDim& part_of);

// Whether groups of four along `fast`, the direction in which an operand is read, lie together in
// memory, each at a multiple of four from the start. `others`: all other digits of its addresses.
bool lie_in_fours(const std::vector<Digit>& fast, const std::vector<const std::vector<Digit>*>& all,
                  int64_t offset, int64_t Digit::*stride);

// GLSL statements that advance the coordinates k0, k1, ... of a block, one a digit of `outside`.
// Beyond the last block they begin again.
std::vector<std::string> next_block(const std::vector<Digit>& outside);

// A GLSL expression: what the coordinates add to an address, in units of `unit` elements.
std::string block_address(const std::vector<Digit>& outside, int64_t Digit::*stride, int64_t unit);

// Workgroups for so many tiles: one along x each, in rows where the device takes no more. What lies
// beyond the last tile is for the kernel to leave out.
std::array<uint32_t, 3> grid_of(int64_t tiles, const DeviceCaps& caps);

}  // namespace ito
