#include "io/datasets/part_names.h"

#include <algorithm>
#include <cctype>

#include "io/datasets/readers.h"

namespace ito {
namespace {

// What else parts are called, and what stands beside such a word.
constexpr std::string_view kOtherParts[] = {"tr",      "trn",   "te",        "tst",       "query",
                                            "gallery", "extra", "unlabeled", "unlabelled"};
constexpr std::string_view kBesideParts[] = {"set", "split", "part", "data", "images", "imgs"};

std::string lower_case(std::string name) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

bool is_one_of(std::string_view word, std::span<const std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  char before = ' ';
  for (const char c : name) {
    const auto letter = static_cast<unsigned char>(c);
    const bool begins =
        std::isupper(letter) != 0 && std::islower(static_cast<unsigned char>(before)) != 0;
    if ((std::isalpha(letter) == 0 || begins) && !words.back().empty()) words.emplace_back();
    if (std::isalpha(letter) != 0) words.back() += static_cast<char>(std::tolower(letter));
    before = c;
  }
  return words;
}

bool is_called(const std::string& name, std::span<const std::string_view> words) {
  return is_one_of(lower_case(name), words);
}

bool has_word(const std::string& name, std::span<const std::string_view> words) {
  const std::vector<std::string> all = words_of(name);
  return std::any_of(all.begin(), all.end(), [&](const std::string& word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  });
}

std::string name_of(DataPart part) {
  switch (part) {
    case DataPart::kAll:
      break;
    case DataPart::kTrain:
      return "train";
    case DataPart::kTest:
      return "test";
    case DataPart::kValidation:
      return "val";
  }
  return "all";
}

DataPart part_of_word(std::string_view word) {
  return is_one_of(word, kTrainWords)        ? DataPart::kTrain
         : is_one_of(word, kTestWords)       ? DataPart::kTest
         : is_one_of(word, kValidationWords) ? DataPart::kValidation
                                             : DataPart::kAll;
}

DataPart part_of_name(const std::string& name) { return part_of_word(lower_case(name)); }

bool may_be_part(const std::string& name) {
  bool found = false;
  for (const std::string& word : words_of(name)) {
    const bool part = part_of_word(word) != DataPart::kAll || is_one_of(word, kOtherParts);
    if (!part && !is_one_of(word, kBesideParts) && !word.empty()) return false;
    found = found || part;
  }
  return found;
}

DataPart part_of_file(const std::string& relative) {
  const size_t slash = relative.rfind('/');
  for (const std::string& name : {relative.substr(0, slash == std::string::npos ? 0 : slash),
                                  relative.substr(slash == std::string::npos ? 0 : slash + 1)})
    for (const std::string& word : words_of(name))
      if (const DataPart part = part_of_word(word); part != DataPart::kAll) return part;
  return DataPart::kAll;
}

std::vector<std::string> files_of_parts(const Path& folder,
                                        const std::function<bool(const std::string&)>& wanted) {
  std::vector<std::string> files, below;
  bool train = false, test = false;
  for (const std::string& name : visible_names(folder)) {
    if (!folder_exists(folder / name)) {
      if (wanted(name)) files.push_back(name);
      continue;
    }
    const bool trains = is_called(name, kTrainWords);
    if (!trains && !is_called(name, kTestWords) && !is_called(name, kValidationWords)) continue;
    const size_t before = below.size();
    for (const std::string& inner : visible_names(folder / name))
      if (const std::string relative = fmt::format("{}/{}", name, inner);
          !folder_exists(folder / relative) && wanted(relative))
        below.push_back(relative);
    if (below.size() > before) (trains ? train : test) = true;
  }
  if (train && test) files.insert(files.end(), below.begin(), below.end());
  return files;
}

}  // namespace ito
