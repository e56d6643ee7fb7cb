#include "runtime/vk/machine_code.h"

#include <gtest/gtest.h>

namespace ito::vk {
namespace {

// Counted by hand in texts as the three compilers write them: a loop that works, and blocks around
// it that do not.
TEST(MachineCode, OfAmdTheBlockWithTheMostMultiplyAddsIsCounted) {
  const auto loop = main_loop(
      "BB0:\n"
      "\ts_load_b128 s[4:7], s[2:3], null                            ; f4080101 f8000000\n"
      "\tv_fma_f32 v1, v2, v3, v4                                    ; d6130001\n"
      "BB1:\n"
      "\tds_load_b128 v[24:27], v9                                   ; dbfc0000\n"
      "\tglobal_load_b32 v13, v[2:3], off                            ; dc520000\n"
      "\ts_waitcnt lgkmcnt(0)                                        ; bf89fc07\n"
      "\tv_dual_fmac_f32 v1, v26, v13 :: v_dual_fmac_f32 v2, v27, v13 ; c8000000\n"
      "\tv_dual_fmac_f32 v3, v26, v13 :: v_dual_mov_b32 v5, v6       ; c8000000\n"
      "\tv_fmac_f32_e32 v4, v29, v13                                 ; 56081b1d\n"
      "\ts_cbranch_scc1 BB1                                          ; bfa2fefb\n"
      "BB2:\n"
      "\ts_endpgm                                                    ; bfb00000\n");
  ASSERT_TRUE(loop);
  EXPECT_EQ(loop->multiply_adds, 4);
  EXPECT_EQ(loop->instructions, 8);
  EXPECT_EQ(loop->shared_loads, 1);
  EXPECT_EQ(loop->other_loads, 1);
  EXPECT_DOUBLE_EQ(loop->multiply_add_share(), 0.5);
}

TEST(MachineCode, AMatrixInstructionOutweighsABlockOfScalarOnes) {
  const auto loop = main_loop(
      "BB0:\n"
      "\tv_wmma_f32_16x16x16_f16 v[1:8], v[9:16], v[17:24], v[1:8]\n"
      "\tds_load_b128 v[9:12], v30\n"
      "BB1:\n"
      "\tv_fmac_f32_e32 v4, v29, v13\n"
      "\tv_fmac_f32_e32 v5, v29, v13\n");
  ASSERT_TRUE(loop);
  EXPECT_EQ(loop->matrix_instructions, 1);
  EXPECT_EQ(loop->multiply_adds, 0);
  EXPECT_DOUBLE_EQ(loop->multiply_add_share(), 0.5);
  EXPECT_DOUBLE_EQ(loop->matrix_share(), 0.5);
  EXPECT_DOUBLE_EQ(loop->matrix_per_load(), 1);
}

TEST(MachineCode, OfIntelControlFlowEndsABlockAndASendsMessageSaysWhatItLoads) {
  const auto loop = main_loop(
      "mov(16)         g121<1>UD       0x00000000UD                    { align1 1H };\n"
      "mad(16)         g8<1>D          g1<8,8,1>D      g2<8,8,1>D      g3<1,1,1>D { align1 1H };\n"
      "LABEL1:\n"
      "send(16)        g49UD           g11UD           nullUD          0x08200580 0x00000000\n"
      "                            slm MsgDesc: ( load, a32, d32, V1, L1STATE_L3MOCS dst_len = 2 ) "
      "base_offset 0  { align1 1H $0 };\n"
      "send(16)        g50UD           g12UD           nullUD          0x08200580 0x00000000\n"
      "                            ugm MsgDesc: ( load, a64, d32, V1, L1STATE_L3MOCS dst_len = 2 ) "
      "base_offset 0  { align1 1H $1 };\n"
      "send(1)         g109UD          g0UD            nullUD          0x0210011f 0x00000000\n"
      "                            slm MsgDesc: ( fence, a32, threadgroup, none, normal_routing ) "
      "base_offset 0\n"
      "mad(16)         g63<1>F         g111<8,8,1>F    g71<8,8,1>F     g49<1,1,1>F { align1 1H };\n"
      "(+f0.0) mad(16) g64<1>F         g111<8,8,1>F    g71<8,8,1>F     g49<1,1,1>F { align1 1H };\n"
      "send(16)        nullUD          g47UD           g121UD          0x08000584 0x00000080\n"
      "                            ugm MsgDesc: ( store, a64, d32, V1 ) base_offset 0 { align1 1H "
      "};\n"
      "while(16)       JIP:  LABEL1                                    { align1 1H };\n"
      "mov(16)         g1<1>UD         0x00000000UD                    { align1 1H };\n");
  ASSERT_TRUE(loop);
  EXPECT_EQ(loop->multiply_adds, 2);
  EXPECT_EQ(loop->instructions, 7);
  EXPECT_EQ(loop->shared_loads, 1);
  EXPECT_EQ(loop->other_loads, 1);
}

TEST(MachineCode, OfNvidiaThatOfMesa) {
  const auto loop = main_loop(
      "block.u 0 L2 [] -> {\n"
      "      r0      = s2r sr[0x21]                            // delay=1 wr:0\n"
      "} -> [1]\n"
      "block 1 L3 [0, 1] -> {\n"
      "      r7      = ld.shared.strong.cta.b32 [r7]           // delay=6 wr:0\n"
      "      r5      = ld.global.a64.strong.sys.b32 [r10..12]  // delay=6 wr:0\n"
      "      r6      = imad r7 r5 r2                           // delay=1\n"
      "      r2      = ffma.ftz r7 r5 r2                       // delay=1 wt=000001\n"
      "@!p0  r3      = ffma.ftz r8 r5 r3                       // delay=1\n"
      "                bra L3                                  // delay=1\n"
      "} -> [1, 2]\n"
      "block 2 L4 [1] -> {\n"
      "                exit                                    // delay=1\n"
      "} -> []\n");
  ASSERT_TRUE(loop);
  EXPECT_EQ(loop->multiply_adds, 2);
  EXPECT_EQ(loop->instructions, 6);
  EXPECT_EQ(loop->shared_loads, 1);
  EXPECT_EQ(loop->other_loads, 1);
}

TEST(MachineCode, SaysNothingOfOtherTextsAndOfKernelsThatDoNotMultiply) {
  EXPECT_FALSE(main_loop(""));
  EXPECT_FALSE(main_loop("define void @cs() {\n  fma float\n}\n"));
  EXPECT_FALSE(main_loop("BB0:\n\tv_add_f32 v1, v2, v3\n\ts_endpgm\n"));
}

}  // namespace
}  // namespace ito::vk
