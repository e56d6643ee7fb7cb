#include "io/datasets/manifest_files.h"

#include <algorithm>
#include <set>

#include "io/datasets/readers.h"

namespace ito {

void note_missing_archives(ImageDataset& data, const Path& folder) {
  std::set<std::string> missing;
  for (const std::string& name : visible_names(folder)) {
    if (!name.starts_with("manifest") || !name.ends_with(".jsonl")) continue;
    const auto text = read_file(folder / name);
    if (!text.ok()) continue;
    for (size_t begin = 0; begin < text->size();) {
      const size_t end = std::min(text->find('\n', begin), text->size());
      const std::string_view line = std::string_view(*text).substr(begin, end - begin);
      begin = end + 1;
      // Of the lines only those of blocks, one in hundreds, name a file.
      if (line.find("\"file\"") == std::string_view::npos) continue;
      const auto json = parse_json(line, "");
      if (!json.ok() || !json->is_object()) continue;
      const auto file = json->find("file");
      if (file == json->end() || !file->is_string() || file->get<std::string>().empty()) continue;
      if (!file_exists(folder / file->get<std::string>())) missing.insert(*file);
    }
  }
  if (!missing.empty())
    data.facts.notes.push_back(fmt::format("{} lists archives that are not there: {}",
                                           (folder / "manifest").string(),
                                           listed({missing.begin(), missing.end()})));
}

}  // namespace ito
