// Tables beside pictures, metadata.csv and its like: the classes that they tell, and the parts. Not
// for classes from elsewhere (picture_list.h).
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/datasets/picture_list.h"
#include "io/datasets/picture_walk.h"

namespace ito {

// A table as its file has it.
struct PictureMetadata {
  struct Row {
    std::string label, part;  // empty where the row has none
  };
  Path path;
  bool has_labels = false;
  std::map<std::string, Row> rows;  // by name_in_table
  std::vector<std::string> notes;
};
// metadata.csv, metadata.jsonl or dataset.json of a folder. Nothing without such a file. Error
// kCorrupt: damage, or two labels or parts of one picture.
Result<std::optional<PictureMetadata>> read_metadata(const Path& folder);
// A file's name as all tables' rows are called: with '/', without "./".
std::string name_in_table(std::string file);

// What a table says of the pictures that were found in a folder.
struct PictureTable {
  struct Row {
    FoundPicture picture;
    std::string label;
    DataPart part = DataPart::kAll;
  };
  std::string name;  // of the file
  bool has_labels = false;
  bool has_parts = false;  // some to train on, and others
  std::vector<Row> rows;
  std::set<std::string> unread;  // labels of pictures of formats that are not read
  std::vector<std::string> notes;
};
// Of the table in `folder`, or else in `root`, the folder around it, if that is not empty; nothing
// without one. Error kCorrupt: as of read_metadata; files that are not there, or are no pictures.
Result<std::optional<PictureTable>> table_of_pictures(const Path& folder, const Path& root,
                                                      const PictureWalk& found);

// Leaves what the split means of a table's parts, of its rows and of the pictures.
void take_part(PictureList& list, PictureTable& table, PictureWalk& found, Split split);

// The classes that a table tells.
Status label_by_table(PictureList& list, const PictureTable& table, const PictureWalk& found,
                      LabelSource source, const PictureList* of_training);

}  // namespace ito
