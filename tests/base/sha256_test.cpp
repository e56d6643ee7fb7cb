#include "base/sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace ito {
namespace {

// NIST's examples for FIPS 180-4, and its million of 'a'.
TEST(Sha256, IsThatOfTheStandardsExamples) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// Every length around the padding's two cases, in pieces of every size.
TEST(Sha256, DoesNotDependOnThePieces) {
  for (size_t length = 50; length < 135; ++length) {
    const std::string text(length, 'x');
    const std::string whole = sha256_hex(text);
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{63}, size_t{64}, size_t{65}}) {
      Sha256 hash;
      for (size_t at = 0; at < length; at += piece)
        hash.update(std::string_view(text).substr(at, piece));
      EXPECT_EQ(hash.hex(), whole) << length << " in pieces of " << piece;
    }
  }
}

}  // namespace
}  // namespace ito
