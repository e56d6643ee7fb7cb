#include "base/name_pattern.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

namespace ito {
namespace {

// How many characters must be put in, left out or changed (Levenshtein 1966).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

bool matches_pattern(std::string_view pattern, std::string_view name) {
  // The last star takes as little as possible, and more where what follows does not fit.
  size_t p = 0, n = 0, star = std::string_view::npos, taken = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++p, ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::vector<std::string> near_patterns(std::string_view pattern,
                                       const std::vector<std::string>& names, size_t most) {
  std::set<std::string> candidates(names.begin(), names.end());
  for (const std::string& name : names)
    for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1))
      candidates.insert(name.substr(0, dot) + ".*");
  std::vector<std::pair<size_t, std::string>> near;
  for (const std::string& candidate : candidates)
    near.emplace_back(edit_distance(pattern, candidate), candidate);
  std::sort(near.begin(), near.end());
  std::vector<std::string> result;
  for (size_t i = 0; i < std::min(most, near.size()); ++i) result.push_back(near[i].second);
  return result;
}

std::string near_name(std::string_view text, const std::vector<std::string>& names) {
  const auto lower = [](std::string_view of) {
    std::string result(of);
    for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return result;
  };
  const std::string wanted = lower(text);
  if (wanted.empty()) return {};
  std::vector<std::string> begin_alike, nearest;
  size_t best = std::max<size_t>(1, wanted.size() / 3);
  for (const std::string& name : names) {
    const std::string candidate = lower(name);
    if (candidate.starts_with(wanted) || (!candidate.empty() && wanted.starts_with(candidate)))
      begin_alike.push_back(name);
    const size_t distance = edit_distance(wanted, candidate);
    if (distance < best || (distance == best && nearest.empty())) nearest.clear();
    if (distance > best) continue;
    best = distance;
    nearest.push_back(name);
  }
  if (begin_alike.size() == 1) return begin_alike[0];
  return nearest.size() == 1 ? nearest[0] : std::string();
}

}  // namespace ito
