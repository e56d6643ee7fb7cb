// Processes of one host that sum, tell each other and end, as `--devices` makes them.
#include "ranks/ranks.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <chrono>
#include <cmath>
#include <csignal>
#include <functional>
#include <numeric>
#include <random>

#include "base/error.h"
#include "base/sum_tree.h"
#include "ranks/local_ranks.h"

namespace ito::test {
namespace {

// Runs `work` on so many ranks, in processes of their own; gives how many of them it was true for.
// (Rank 0 is a child of the test: what ends it ends no test.)
int on_ranks(int count, const std::function<bool(const Ranks&)>& work) {
  std::array<int, 2> results{};
  EXPECT_EQ(pipe(results.data()), 0);
  const pid_t first = fork();
  if (first == 0) {
    close(results[0]);
    Result<Ranks> ranks = start_local_ranks(count);
    const bool good = ranks.ok() && work(*ranks);
    if (good) (void)!write(results[1], "+", 1);
    if (ranks.ok()) ranks->leave(nullptr);
    _exit(0);
  }
  close(results[1]);
  int good = 0;
  for (char sign = 0; read(results[0], &sign, 1) == 1;) ++good;
  close(results[0]);
  waitpid(first, nullptr, 0);
  return good;
}

// Numbers of rank k, of very different sizes, so that every order of a sum has bits of its own.
std::vector<float> numbers_of(int rank, size_t count) {
  std::mt19937 random(static_cast<unsigned>(rank));
  std::vector<float> numbers(count);
  for (float& number : numbers)
    number =
        std::ldexp(static_cast<float>(random()) - 0x1p31F, static_cast<int>(random() % 60) - 60);
  return numbers;
}

// By the definition: halves and their halves.
float tree_sum(const std::vector<std::vector<float>>& all, size_t i, size_t first, size_t last) {
  if (last - first == 1) return all[first][i];
  const size_t middle = first + (last - first) / 2;
  return sum_in_tree(tree_sum(all, i, first, middle), tree_sum(all, i, middle, last));
}

TEST(SumTree, HasAnOrderOfItsOwnForAnyNumberOfParts) {
  EXPECT_EQ(SumTree{1}.block(), 1);
  EXPECT_EQ(SumTree{8}.block(), 2);
  EXPECT_EQ(SumTree{8}.levels(), 2);
  EXPECT_EQ(SumTree{12}.block(), 3);
  EXPECT_EQ(SumTree{12}.levels(), 2);
  EXPECT_EQ(SumTree{5}.levels(), 0);
  EXPECT_TRUE(SumTree{12}.splits_into(4));
  EXPECT_FALSE(SumTree{12}.splits_into(8));
  EXPECT_FALSE(SumTree{12}.splits_into(3));
  EXPECT_FALSE(SumTree{12}.splits_into(0));
  EXPECT_EQ(SumTree::merges_after(0), 0);
  EXPECT_EQ(SumTree::merges_after(1), 1);
  EXPECT_EQ(SumTree::merges_after(3), 2);
}

TEST(SumTree, TakesWhatIsSmallerThanNormalForZero) {
  EXPECT_EQ(sum_in_tree(0x1p-127F, 0), 0.0F);
  EXPECT_EQ(sum_in_tree(0x1.8p-126F, -0x1p-126F), 0.0F);
  EXPECT_EQ(sum_in_tree(0x1p-126F, 0), 0x1p-126F);
  EXPECT_FALSE(std::signbit(sum_in_tree(-0.0F, -0.0F)));
  EXPECT_TRUE(std::isnan(sum_in_tree(NAN, 1)));
}

// One process that sums blocks and lets them wait has the bits of the tree, and so have shares of
// it that are summed over ranks.
TEST(SumTree, WalksInWaitingSumsAsByDefinition) {
  for (const int64_t parts : {1, 2, 3, 6, 8, 12, 16}) {
    std::vector<std::vector<float>> all;
    for (int64_t k = 0; k < parts; ++k) all.push_back(numbers_of(static_cast<int>(k), 1));
    const auto walk = [&](const SumTree& tree, int64_t first) {
      std::vector<float> waiting(static_cast<size_t>(tree.levels()) + 1);
      float sum = 0;
      for (int64_t b = 0; b < tree.blocks(); ++b) {
        const auto part = [&](int64_t k) {
          return all[static_cast<size_t>(first + b * tree.block() + k)][0];
        };
        sum = part(0);
        for (int64_t k = 1; k < tree.block(); ++k) sum = sum_in_tree(sum, part(k));
        const int64_t merges = SumTree::merges_after(b);
        for (int64_t level = 0; level < std::min(merges, tree.levels()); ++level)
          sum = sum_in_tree(waiting[static_cast<size_t>(level)], sum);
        waiting[static_cast<size_t>(merges)] = sum;
      }
      return sum;
    };
    const SumTree tree{parts};
    const float one = walk(tree, 0);
    for (int64_t ranks = 2; tree.splits_into(ranks); ranks *= 2) {
      std::vector<std::vector<float>> shares;
      for (int64_t r = 0; r < ranks; ++r)
        shares.push_back({walk(tree.share(ranks), r * tree.share(ranks).parts)});
      EXPECT_EQ(std::bit_cast<uint32_t>(tree_sum(shares, 0, 0, static_cast<size_t>(ranks))),
                std::bit_cast<uint32_t>(one))
          << parts << " parts, " << ranks << " ranks";
    }
  }
}

TEST(Ranks, SumIsTheTreesOnEveryRankForFewNumbersAndMany) {
  for (const int count : {1, 2, 4, 8}) {
    for (const size_t size : {size_t{1}, size_t{1000}, size_t{1031}, size_t{300'001}}) {
      std::vector<std::vector<float>> all;
      for (int k = 0; k < count; ++k) all.push_back(numbers_of(k, size));
      const int good = on_ranks(count, [&](const Ranks& ranks) {
        std::vector<float> mine = all[static_cast<size_t>(ranks.rank())];
        if (!ranks.sum(mine).ok()) return false;
        for (size_t i = 0; i < size; ++i)
          if (std::bit_cast<uint32_t>(mine[i]) !=
              std::bit_cast<uint32_t>(tree_sum(all, i, 0, static_cast<size_t>(count))))
            return false;
        // The bytes that ranks.h promises, of many numbers.
        const double expected = 2.0 * (count - 1) / count * static_cast<double>(size) * 4;
        return size < 100'000 || std::abs(static_cast<double>(ranks.bytes_sent()) - expected) < 64;
      });
      EXPECT_EQ(good, count) << size << " numbers";
    }
  }
}

TEST(Ranks, TellEachOtherInAnyNumber) {
  for (const int count : {1, 2, 3, 5, 8}) {
    const int good = on_ranks(count, [&](const Ranks& ranks) {
      int number = ranks.first() ? 42 : 0;
      const bool told = ranks.broadcast(std::as_writable_bytes(std::span(&number, 1))).ok();
      const auto texts = ranks.gather(std::string(static_cast<size_t>(ranks.rank()), 'x'));
      const auto numbers =
          ranks.gather_items(std::vector<double>(static_cast<size_t>(ranks.rank()), ranks.rank()));
      const auto none = ranks.any(false);
      const auto one = ranks.any(ranks.rank() == count - 1);
      if (!told || number != 42 || !texts.ok() || !numbers.ok()) return false;
      if (!none.ok() || *none || !one.ok() || !*one) return false;
      if (!ranks.first()) return texts->empty() && numbers->empty();
      for (size_t k = 0; k < texts->size(); ++k)
        if ((*texts)[k].size() != k) return false;
      std::vector<double> expected;
      for (int k = 0; k < count; ++k) expected.insert(expected.end(), static_cast<size_t>(k), k);
      return texts->size() == static_cast<size_t>(count) && *numbers == expected;
    });
    EXPECT_EQ(good, count);
  }
}

TEST(Ranks, ShareAllOnceInOrder) {
  const int good = on_ranks(3, [](const Ranks& ranks) {
    for (const size_t count : {size_t{0}, size_t{1}, size_t{2}, size_t{10}}) {
      const auto [first, last] = ranks.share_of(count);
      const auto sizes = ranks.gather(std::to_string(last - first));
      if (!sizes.ok()) return false;
      if (!ranks.first()) continue;
      size_t sum = 0;
      for (const std::string& size : *sizes) sum += std::stoul(size);
      if (sum != count || first != 0 || (count > 0 && last == 0)) return false;
    }
    return true;
  });
  EXPECT_EQ(good, 3);
}

TEST(Ranks, ShareWholeBatches) {
  const int good = on_ranks(3, [](const Ranks& ranks) {
    using Share = std::pair<size_t, size_t>;
    const std::array<Share, 3> ten = {Share{0, 4}, Share{4, 8}, Share{8, 10}};
    const std::array<Share, 3> twenty_five = {Share{0, 12}, Share{12, 20}, Share{20, 25}};
    const auto rank = static_cast<size_t>(ranks.rank());
    return ranks.share_of(10, 4) == ten[rank] && ranks.share_of(25, 4) == twenty_five[rank] &&
           ranks.share_of(0, 4) == Share{0, 0};
  });
  EXPECT_EQ(good, 3);
}

TEST(Ranks, AgreeOnTheErrorOfTheFirstThatHasOne) {
  const int good = on_ranks(4, [](const Ranks& ranks) {
    if (!ranks.agree({}).ok()) return false;
    const Status status =
        ranks.agree(ranks.rank() >= 2 ? Status(not_found("of {}", ranks.rank())) : Status());
    if (status.ok() || status.error().kind != ErrorKind::kNotFound) return false;
    // Everybody has it, so one says it.
    return status.error().message == "rank 2: of 2" &&
           ranks.leave(&status.error()) == ranks.first();
  });
  EXPECT_EQ(good, 4);
}

TEST(Ranks, OneThatIsKilledIsNamedToTheOthersAtOnce) {
  const auto begun = std::chrono::steady_clock::now();
  const int good = on_ranks(4, [](const Ranks& ranks) {
    std::vector<float> many(1 << 20, 1.0F);
    if (ranks.rank() == 2) {
      kill(getpid(), SIGKILL);
    }
    const Status status = ranks.sum(many);
    if (status.ok()) return false;
    const bool speaks = ranks.leave(&status.error());
    if (!ranks.first()) return !speaks;
    return speaks && status.error().message.find("rank 2 (process ") == 0 &&
           status.error().message.find("was ended by signal 9") != std::string::npos;
  });
  EXPECT_EQ(good, 3);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
}

TEST(Ranks, AnErrorOfOneIsSaidByTheFirst) {
  const int good = on_ranks(2, [](const Ranks& ranks) {
    if (ranks.rank() == 1) {
      const Error own = out_of_memory("no memory is left");
      return !ranks.leave(&own);
    }
    std::vector<float> many(1 << 20, 1.0F);
    const Status status = ranks.sum(many);
    return !status.ok() && status.error().message == "rank 1: no memory is left" &&
           ranks.leave(&status.error());
  });
  EXPECT_EQ(good, 2);
}

// What is left of two ranks says that the first is gone, as nobody else can.
TEST(Ranks, WithoutTheFirstTheNextSpeaks) {
  const int good = on_ranks(3, [](const Ranks& ranks) {
    if (ranks.first()) kill(getpid(), SIGKILL);
    float number = 1;
    const Status status = ranks.broadcast(std::as_writable_bytes(std::span(&number, 1)));
    if (status.ok()) return false;
    const bool speaks = ranks.leave(&status.error());
    return speaks == (ranks.rank() == 1) && status.error().message.find("rank 0") == 0;
  });
  EXPECT_EQ(good, 2);
}

}  // namespace
}  // namespace ito::test
