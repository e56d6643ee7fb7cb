// The states that a conditional network attends to, from a file: what a text encoder made of
// prompts. Not the encoders.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "io/file.h"

namespace ito {

// Rows of contexts; image i is told one of them.
struct ContextStates {
  int64_t rows = 0, length = 0, features = 0;
  std::vector<float> values;  // [rows, length, features]
};

// The tensor "encoder_hidden_states" [rows, length, features] of a .safetensors file. Errors name
// file and tensor: missing, no floats, of another rank, or with `features` not the network's.
Result<ContextStates> read_context(const Path& path, int64_t features);

// The chosen rows, one after the other. Error kInvalidArgument: a row that is not there.
Result<std::vector<float>> context_rows(const ContextStates& states,
                                        std::span<const uint32_t> rows);

}  // namespace ito
