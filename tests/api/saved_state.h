// What a training session would write, in memory.
#pragma once

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "api/training.h"

namespace ito::test {

inline TensorFile saved_state(const TrainingSession& session) {
  TensorFile file = session.save();
  for (auto& [name, tensor] : file.tensors) {
    std::vector<uint8_t> bytes;
    const Status written = tensor.bytes.write_to([&](std::string_view piece) -> Status {
      bytes.insert(bytes.end(), piece.begin(), piece.end());
      return {};
    });
    EXPECT_TRUE(written.ok()) << name << ": " << (written.ok() ? "" : written.error().message);
    tensor.bytes = std::move(bytes);
  }
  return file;
}

}  // namespace ito::test
