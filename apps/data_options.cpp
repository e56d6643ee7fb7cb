#include "apps/data_options.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <memory>

#include "apps/command.h"
#include "base/clock.h"
#include "base/error.h"

namespace ito::apps {
namespace {

constexpr int kMostSide = 16384;
constexpr const char* kOptions[] = {"--resize",     "--crop",   "--pad",
                                    "--background", "--labels", "--range"};

// "center: the middle; random: ..."
template <typename Rows>
std::string choices(const Rows& rows) {
  std::string text;
  for (const auto& row : rows)
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", row.name.name, row.name.help);
  return text;
}

// A line of progress for what takes long; Ctrl-C ends the reading.
std::function<Status(int64_t, int64_t)> reading_progress() {
  const auto line = std::make_shared<ProgressLine>();
  const auto begun = std::make_shared<Clock::time_point>(Clock::now());
  return [line, begun](int64_t done, int64_t all) -> Status {
    if (done == 1) *begun = Clock::now();
    const double seconds = seconds_since(*begun);
    if (done == all) {
      line->finish();
    } else if (seconds > 1) {
      const double rate = static_cast<double>(done) / seconds;
      line->update(fmt::format("reading pictures: {} of {}  {:.0f} pictures/s  {} left", done, all,
                               rate, duration_text(static_cast<double>(all - done) / rate)));
    }
    if (stop_requested()) return interrupted("the reading of pictures was stopped");
    return {};
  };
}

}  // namespace

Result<std::array<int, 2>> parse_size(const std::string& text, const std::string& option) {
  const size_t cross = text.find('x');
  const auto side = [&](size_t begin, size_t end) {
    int value = 0;
    const auto read = std::from_chars(text.data() + begin, text.data() + end, value);
    return read.ec == std::errc() && read.ptr == text.data() + end && value <= kMostSide ? value
                                                                                         : 0;
  };
  const int w = side(0, std::min(cross, text.size()));
  const int h = cross == std::string::npos ? w : side(cross + 1, text.size());
  if (w < 1 || h < 1)
    return invalid_argument(
        "{} is \"{}\", expected a side or WIDTHxHEIGHT of 1 to {}, such as 32 or 48x32", option,
        text, kMostSide);
  return std::array<int, 2>{w, h};
}

void add_data_options(CLI::App& app, DataOptions& options, bool training) {
  app.add_option(
      "--resize", options.resize,
      "side, or WIDTHxHEIGHT, that all images get: scaled until they cover it, then cut");
  app.add_option("--crop", options.crop,
                 "with --resize: which part stays; " + choices(crop_places()))
      ->capture_default_str();
  app.add_flag("--pad", options.pad,
               "with --resize: scale until they fit, and surround them instead");
  app.add_option(
         "--background", options.background,
         "behind transparent pictures and around padded ones: white, black, grey, a level 0 to "
         "255, or #rrggbb")
      ->capture_default_str();
  app.add_option("--labels", options.labels,
                 "where the classes of pictures come from; " + choices(label_sources()))
      ->capture_default_str();
  app.add_option("--range", options.range,
                 "values of floating-point images; " + choices(value_ranges()))
      ->capture_default_str();
  app.add_option("--cache", options.cache,
                 "folder for decoded pictures: they are decoded once, and a data set may be larger "
                 "than memory");
  app.add_option(
         "--memory", options.memory,
         std::string("GB of decoded pictures that may lie in memory, by default half of the "
                     "machine's; of more, ") +
             (training ? "each is decoded anew whenever it is drawn" : "an error says so"))
      ->check(CLI::NonNegativeNumber);
}

void add_background_option(CLI::App& app, Background& background) {
  app.add_option_function<std::string>(
         "--background",
         [&background](const std::string& text) {
           const auto parsed = parse_background(text, "--background");
           if (!parsed.ok()) throw CLI::ValidationError(parsed.error().message);
           background = *parsed;
         },
         "behind transparent pictures: white, black, grey, a level 0 to 255, or #rrggbb")
      ->default_str("white");
}

bool data_options_given(const CLI::App& app) {
  for (const char* option : kOptions)
    if (app.count(option) > 0) return true;
  return false;
}

Result<DatasetOptions> dataset_options(const DataOptions& options, const CLI::App& app,
                                       bool training) {
  DatasetOptions out;
  if (options.resize.empty()) {
    if (app.count("--crop") > 0 || options.pad)
      return invalid_argument("--crop and --pad need --resize, the size to cut or pad to");
  } else {
    ITO_ASSIGN(const auto size, parse_size(options.resize, "--resize"));
    out.width = size[0];
    out.height = size[1];
  }
  if (options.pad && app.count("--crop") > 0)
    return invalid_argument("give --crop or --pad, not both");
  out.pad = options.pad;
  ITO_ASSIGN(const CropRow* crop, row_called(crop_places(), options.crop, "--crop"));
  ITO_ASSIGN(const LabelSourceRow* labels, row_called(label_sources(), options.labels, "--labels"));
  ITO_ASSIGN(const ValueRangeRow* range, row_called(value_ranges(), options.range, "--range"));
  ITO_ASSIGN(out.background, parse_background(options.background, "--background"));
  if (!training && crop->drawn)
    return invalid_argument("--crop {} is for training, where pictures are drawn again and again",
                            crop->name.name);
  out.crop = crop->place;
  out.labels = labels->source;
  out.range = range->range;
  out.reading.cache = options.cache;
  if (options.memory)
    out.reading.memory = static_cast<uint64_t>(std::min(*options.memory, 1e9) * (1 << 30));
  out.reading.progress = reading_progress();
  return out;
}

}  // namespace ito::apps
