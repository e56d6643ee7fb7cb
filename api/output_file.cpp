#include "api/output_file.h"

#include <cctype>
#include <filesystem>

#include "api/sample_identity.h"
#include "base/error.h"
#include "io/file_kind.h"
#include "io/png.h"
#include "plots/html_report.h"

namespace ito {

Status check_ending(const OutputFile& file, const std::string& option, const Path& out) {
  ITO_TRY(check_reachable(out));
  if (out.extension() == file.ending && !folder_exists(out)) return {};
  return invalid_argument("{} is \"{}\", expected FILE{}", option, out.string(), file.ending);
}

Status check_replaceable(const OutputFile& file, const std::string& option, const Path& out,
                         std::span<const std::string> inputs) {
  ITO_TRY(check_reachable(out));
  if (!file_exists(out)) return {};
  for (const std::string& input : inputs) {
    std::error_code different;
    if (!input.empty() && std::filesystem::equivalent(out, input, different))
      return invalid_argument("{} is {}, which is read; choose another {}", option, out.string(),
                              option);
  }
  std::error_code unknown;
  const bool empty = std::filesystem::file_size(out, unknown) == 0;  // as mktemp makes one
  if (empty || file.is_own(out)) return {};
  return invalid_argument(
      "{} is there already and was not written by {}; move it away or choose another {}",
      out.string(), file.writer, option);
}

bool is_own_picture(const Path& path) {
  const auto settings = read_png_settings(path);
  return settings.ok() && is_own(*settings);
}

bool is_own_page(const Path& path) { return begins_with(path, kPageHead); }

bool begins_with(const Path& path, std::string_view text) {
  const auto head = read_head(path, text.size());
  return head.ok() && *head == text;
}

bool is_called_as_files_are(const Path& path) {
  const std::string ending = path.extension().string();
  return ending.size() > 1 && std::isalpha(static_cast<unsigned char>(ending[1])) != 0 &&
         !folder_exists(path);
}

}  // namespace ito
