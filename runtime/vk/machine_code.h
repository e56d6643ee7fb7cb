// What a kernel's machine code is made of, from the text in which a driver prints it
// (pipeline_report.h): the share of multiply-adds in the loop that does the work. Knows the texts
// of Mesa's compilers: ACO (AMD), brw (Intel) and NAK (NVIDIA). Not an estimate of time.
#pragma once

#include <optional>
#include <string_view>

namespace ito::vk {

// The basic block with the most multiply-adds, a matrix instruction counting as fifty: in a
// contraction whose inner loops are unrolled that is the body of its main loop.
struct MainLoop {
  // Instructions, waits and hints to the scheduler included; one that does two multiply-adds at a
  // time (AMD's v_dual_fmac_f32 :: v_dual_fmac_f32) counts as two.
  int instructions = 0;
  int multiply_adds = 0;        // of floating-point numbers
  int matrix_instructions = 0;  // v_wmma, dpas, hmma
  int shared_loads = 0;         // loads from shared memory
  int other_loads = 0;          // loads from any other memory

  // In [0, 1]: of instructions, those that multiply and add.
  double multiply_add_share() const {
    return instructions == 0
               ? 0
               : static_cast<double>(multiply_adds + matrix_instructions) / instructions;
  }
  // In [0, 1]: of instructions, those that multiply matrices; and how many there are for each load
  // from any memory.
  double matrix_share() const {
    return instructions == 0 ? 0 : static_cast<double>(matrix_instructions) / instructions;
  }
  double matrix_per_load() const {
    const int loads = shared_loads + other_loads;
    return static_cast<double>(matrix_instructions) / (loads == 0 ? 1 : loads);
  }
};

// Nothing where the text is of no compiler known here, or multiplies and adds nowhere.
std::optional<MainLoop> main_loop(std::string_view code);

}  // namespace ito::vk
