// What all data sets share once they are read.
#include "io/dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/error.h"
#include "base/hash.h"
#include "io/datasets/readers.h"
#include "io/image.h"
#include "io/png.h"

namespace ito {
namespace {

constexpr uint64_t kHoldOutSeed = 0x686f6c646f7574;

// A fixed number for (seed, index), as good as random.
uint64_t draw(uint64_t seed, uint64_t index) {
  return hash_combine(hash_combine(seed, index), index);
}

Picture picture_at(const ImageDataset& data, size_t index) {
  const std::span<const float> deep = data.floats_of(static_cast<int64_t>(index));
  Picture picture{data.h, data.w, data.c, deep.empty() ? 8 : 16, {}};
  if (deep.empty()) {
    const std::span<const uint8_t> bytes = data.bytes_of(static_cast<int64_t>(index));
    picture.samples.assign(bytes.begin(), bytes.end());
    return picture;
  }
  for (const float value : deep)
    picture.samples.push_back(static_cast<uint16_t>(std::lround((value + 1) / 2 * 65535)));
  return picture;
}

}  // namespace

std::span<const LabelSourceRow> label_sources() {
  static constexpr LabelSourceRow kRows[] = {
      {{"auto", "metadata.csv or .jsonl where it is there, else folders", "", ""},
       LabelSource::kAuto},
      {{"folders", "the folder that a picture lies in", "torchvision's ImageFolder", ""},
       LabelSource::kFolders},
      {{"metadata", "file_name and label of metadata.csv or metadata.jsonl",
        "datasets' imagefolder", ""},
       LabelSource::kMetadata},
      {{"prefix", "the file's name up to the first underscore", "guided-diffusion", ""},
       LabelSource::kPrefix},
      {{"none", "no classes", "", ""}, LabelSource::kNone}};
  return kRows;
}

std::span<const CropRow> crop_places() {
  static constexpr CropRow kRows[] = {
      {{"center", "the middle", "", "centre"}, CropPlace::kCenter, false},
      {{"random", "a place drawn whenever a picture is drawn", "", ""}, CropPlace::kRandom, true}};
  return kRows;
}

std::span<const ValueRangeRow> value_ranges() {
  static constexpr ValueRangeRow kRows[] = {
      {{"auto", "-1,1, or 0,1 where nothing is below 0", "", ""}, ValueRange::kAuto},
      {{"0,1", "black is 0, white 1", "", ""}, ValueRange::kUnit},
      {{"-1,1", "black is -1, white 1", "", ""}, ValueRange::kSigned},
      {{"0,255", "black is 0, white 255", "", ""}, ValueRange::kBytes}};
  return kRows;
}

Json dataset_options_json(const DatasetOptions& o) {
  const auto name = [](const auto& rows, auto member, auto value) {
    for (const auto& row : rows)
      if (row.*member == value) return std::string(row.name.name);
    return std::string();
  };
  return {{"width", o.width},
          {"height", o.height},
          {"crop", name(crop_places(), &CropRow::place, o.crop)},
          {"pad", o.pad},
          {"background", {o.background.rgb[0], o.background.rgb[1], o.background.rgb[2]}},
          {"labels", name(label_sources(), &LabelSourceRow::source, o.labels)},
          {"range", name(value_ranges(), &ValueRangeRow::range, o.range)}};
}

Result<DatasetOptions> dataset_options_from_json(const Json& json, const std::string& where) {
  ITO_ASSIGN(JsonObject object, JsonObject::open(json, where));
  DatasetOptions o;
  std::string crop = "center", labels = "auto", range = "auto";
  std::vector<int> rgb = {255, 255, 255};
  ITO_TRY(object.read("width", &o.width));
  ITO_TRY(object.read("height", &o.height));
  ITO_TRY(object.read("crop", &crop));
  ITO_TRY(object.read("pad", &o.pad));
  ITO_TRY(object.read("background", &rgb));
  ITO_TRY(object.read("labels", &labels));
  ITO_TRY(object.read("range", &range));
  if (rgb.size() != 3) return object.wrong("background", "three levels");
  for (size_t k = 0; k < 3; ++k) o.background.rgb[k] = static_cast<uint8_t>(rgb[k]);
  ITO_ASSIGN(const CropRow* place, row_called(crop_places(), crop, where + ": key 'crop'"));
  ITO_ASSIGN(const LabelSourceRow* source,
             row_called(label_sources(), labels, where + ": key 'labels'"));
  ITO_ASSIGN(const ValueRangeRow* values,
             row_called(value_ranges(), range, where + ": key 'range'"));
  o.crop = place->place;
  o.labels = source->source;
  o.range = values->range;
  return o;
}

std::span<const uint8_t> ImageDataset::bytes_of(int64_t i) const {
  CHECK(i >= 0 && i < count, "image index out of range");
  CHECK(!files && whole.empty(), "such images are seen by normalised_images");
  const size_t size = image_size();
  if (!store) return std::span(pixels).subspan(static_cast<size_t>(i) * size, size);
  const size_t row = static_cast<size_t>(rows.empty() ? i : rows[static_cast<size_t>(i)]);
  return {store->bytes.bytes.data() + row * size, size};
}

std::span<const float> ImageDataset::floats_of(int64_t i) const {
  CHECK(i >= 0 && i < count, "image index out of range");
  CHECK(!files && whole.empty(), "such images are seen by normalised_images");
  const size_t size = image_size();
  if (!store)
    return floats.empty() ? std::span<const float>()
                          : std::span(floats).subspan(static_cast<size_t>(i) * size, size);
  if (store->floats.bytes.empty()) return {};
  const size_t row = static_cast<size_t>(rows.empty() ? i : rows[static_cast<size_t>(i)]);
  return {reinterpret_cast<const float*>(store->floats.bytes.data()) + row * size, size};
}

int ImageDataset::num_classes() const {
  if (!labels || labels->empty()) return 0;
  if (!names.empty()) return static_cast<int>(names.size());
  return *std::max_element(labels->begin(), labels->end()) + 1;
}

std::vector<int64_t> ImageDataset::class_counts() const {
  std::vector<int64_t> counts(static_cast<size_t>(num_classes()));
  if (labels)
    for (const int32_t label : *labels)
      if (static_cast<size_t>(label) < counts.size()) ++counts[static_cast<size_t>(label)];
  return counts;
}

std::string ImageDataset::class_name(int label) const {
  const size_t i = static_cast<size_t>(label);
  return i < names.size() ? names[i] : std::to_string(label);
}

Status set_extents(ImageDataset& data, const std::vector<int64_t>& dims, std::string_view where) {
  constexpr int64_t kMaxSide = 1 << 16;
  bool ok = dims.size() == 3 || (dims.size() == 4 && dims[3] >= 1 && dims[3] <= 4);
  if (!ok || dims[1] < 1 || dims[2] < 1 || dims[1] > kMaxSide || dims[2] > kMaxSide)
    return corrupt(
        "{}: extents {} are no images; expected [count,h,w], [count,h,w,c] or [count,c,h,w] with 1 "
        "or 3 channels",
        where, Shape(dims).to_string());
  if (dims[0] == 0) return corrupt("{}: there are no images in it", where);
  data.count = dims[0];
  data.h = static_cast<int>(dims[1]);
  data.w = static_cast<int>(dims[2]);
  data.c = dims.size() == 4 ? static_cast<int>(dims[3]) : 1;
  return {};
}

void add_floats(ImageDataset& data) {
  if (!data.floats.empty()) return;
  data.floats.reserve(data.pixels.size());
  for (const uint8_t v : data.pixels) data.floats.push_back(number_of_byte(v));
}

void make_coloured(ImageDataset& data) {
  CHECK(data.c == 1 && !data.store && !data.files, "grey images in memory");
  const auto spread = [](auto& values) {
    typename std::remove_reference_t<decltype(values)> wide;
    wide.reserve(values.size() * 3);
    for (const auto v : values) wide.insert(wide.end(), 3, v);
    values = std::move(wide);
  };
  spread(data.pixels);
  spread(data.floats);
  data.c = 3;
}

void append_picture(ImageDataset& data, const Picture& given, bool whole) {
  if (data.count == 0) data.c = given.c;
  if (data.count == 0 && !whole) {
    data.h = given.h;
    data.w = given.w;
  }
  if (whole) {
    CHECK(given.h >= data.h && given.w >= data.w, "images that cover what is drawn");
    const auto begin = static_cast<int64_t>(data.pixels.size()) / data.c;
    data.whole.push_back({given.h, given.w, begin});
  } else {
    CHECK(given.h == data.h && given.w == data.w, "images of one size");
  }
  if (given.c > data.c) make_coloured(data);
  if (given.bits > 8) add_floats(data);
  const Picture picture = with_channels(given, data.c);
  const bool deep = given.bits > 8 || !data.floats.empty();
  for (const uint16_t v : picture.samples) {
    data.pixels.push_back(byte_of_sample(v, picture.bits));
    if (deep) data.floats.push_back(number_of_sample(v, picture.bits));
  }
  ++data.count;
}

bool stay_whole(const DatasetOptions& o) {
  return o.width > 0 && !o.pad && o.crop == CropPlace::kRandom && o.reading.drawn;
}

Picture fitted(const Picture& picture, const DatasetOptions& o) {
  if (o.width == 0 || (picture.w == o.width && picture.h == o.height)) return picture;
  const double across = static_cast<double>(o.width) / picture.w;
  const double down = static_cast<double>(o.height) / picture.h;
  const double scale = o.pad ? std::min(across, down) : std::max(across, down);
  const auto side = [&](int from, int to) {
    const int scaled = std::max(1, static_cast<int>(std::lround(from * scale)));
    return o.pad ? std::min(scaled, to) : std::max(scaled, to);
  };
  const int w = side(picture.w, o.width), h = side(picture.h, o.height);
  const Picture scaled = w == picture.w && h == picture.h ? picture : resize(picture, h, w);
  if (stay_whole(o)) return scaled;
  if (!o.pad) return crop(scaled, (h - o.height) / 2, (w - o.width) / 2, o.height, o.width);
  // A coloured background makes a coloured picture.
  const Picture inner = o.background.is_grey() ? scaled : with_channels(scaled, 3);
  Picture out{o.height, o.width, inner.c, inner.bits, {}};
  const size_t c = static_cast<size_t>(inner.c);
  const int scale_up = inner.largest() / 255;
  for (size_t i = 0; i < static_cast<size_t>(o.width) * static_cast<size_t>(o.height); ++i)
    for (size_t k = 0; k < c; ++k)
      out.samples.push_back(static_cast<uint16_t>(o.background.rgb[k] * scale_up));
  const int top = (o.height - h) / 2, left = (o.width - w) / 2;
  for (int y = 0; y < h; ++y)
    std::copy_n(inner.samples.begin() + static_cast<ptrdiff_t>(y) * w * inner.c,
                static_cast<ptrdiff_t>(w) * inner.c,
                out.samples.begin() + (static_cast<ptrdiff_t>(top + y) * o.width + left) * inner.c);
  return out;
}

ImageDataset fitted(ImageDataset data, const DatasetOptions& options) {
  if (options.width == 0 || (data.w == options.width && data.h == options.height)) return data;
  ImageDataset out;
  out.labels = std::move(data.labels);
  out.names = std::move(data.names);
  out.h = options.height;
  out.w = options.width;
  for (size_t i = 0; i < static_cast<size_t>(data.count); ++i)
    append_picture(out, fitted(picture_at(data, i), options), stay_whole(options));
  out.facts = std::move(data.facts);
  return out;
}

namespace {

// An image that is kept whole, from one data set to another.
void append_whole(ImageDataset& out, const ImageDataset& data, const WholeImage& image) {
  const auto begin = static_cast<ptrdiff_t>(image.begin) * data.c;
  const ptrdiff_t end = begin + static_cast<ptrdiff_t>(image.h) * image.w * data.c;
  out.whole.push_back({image.h, image.w, static_cast<int64_t>(out.pixels.size()) / data.c});
  out.pixels.insert(out.pixels.end(), data.pixels.begin() + begin, data.pixels.begin() + end);
  if (data.floats.empty()) return;
  out.floats.insert(out.floats.end(), data.floats.begin() + begin, data.floats.begin() + end);
}

}  // namespace

ImageDataset dataset_of(const Image& image) {
  ImageDataset data;
  data.count = 1;
  data.h = image.h;
  data.w = image.w;
  data.c = image.c;
  data.pixels = image.pixels;
  return data;
}

ImageDataset selected(const ImageDataset& data, const std::vector<int64_t>& indices) {
  ImageDataset out;
  out.count = static_cast<int64_t>(indices.size());
  out.h = data.h;
  out.w = data.w;
  out.c = data.c;
  out.names = data.names;
  out.facts = data.facts;
  if (data.labels) out.labels.emplace();
  out.store = data.store;
  out.files = data.files;
  for (const int64_t i : indices) {
    CHECK(i >= 0 && i < data.count, "image index out of range");
    if (data.store || data.files) {
      out.rows.push_back(data.rows.empty() ? i : data.rows[static_cast<size_t>(i)]);
      if (!data.whole.empty()) out.whole.push_back(data.whole[static_cast<size_t>(i)]);
    } else if (!data.whole.empty()) {
      append_whole(out, data, data.whole[static_cast<size_t>(i)]);
    } else {
      const auto bytes = data.bytes_of(i);
      out.pixels.insert(out.pixels.end(), bytes.begin(), bytes.end());
      const auto deep = data.floats_of(i);
      out.floats.insert(out.floats.end(), deep.begin(), deep.end());
    }
    if (data.labels) out.labels->push_back((*data.labels)[static_cast<size_t>(i)]);
  }
  // Names may be missing: then the number of classes must not shrink with the largest label.
  for (int k = static_cast<int>(out.names.size()); k < data.num_classes(); ++k)
    out.names.push_back(data.class_name(k));
  return out;
}

std::optional<ImageDataset> hold_out(ImageDataset& data, double share, int64_t least) {
  const auto wanted = static_cast<int64_t>(std::llround(share * static_cast<double>(data.count)));
  const int64_t count = std::max(wanted, least);
  if (count < 1 || data.count - count < std::max<int64_t>(count, 1)) return std::nullopt;
  std::vector<int64_t> order(static_cast<size_t>(data.count));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::sort(order.begin(), order.end(), [](int64_t a, int64_t b) {
    const uint64_t x = draw(kHoldOutSeed, static_cast<uint64_t>(a));
    const uint64_t y = draw(kHoldOutSeed, static_cast<uint64_t>(b));
    return x != y ? x < y : a < b;
  });
  std::vector<int64_t> held(order.begin(), order.begin() + count),
      kept(order.begin() + count, order.end());
  std::sort(held.begin(), held.end());
  std::sort(kept.begin(), kept.end());
  ImageDataset out = selected(data, held);
  out.facts.part = "held out";
  data = selected(data, kept);
  return out;
}

Result<ImageDataset> pad_to(const ImageDataset& data, int h, int w, uint8_t value) {
  if (h < data.h || w < data.w)
    return invalid_argument("images of {}x{} cannot be padded to {}x{}", data.h, data.w, h, w);
  if (h == data.h && w == data.w) return data;
  ImageDataset out;
  out.count = data.count;
  out.c = data.c;
  out.labels = data.labels;
  out.names = data.names;
  out.facts = data.facts;
  out.h = h;
  out.w = w;
  auto row = static_cast<ptrdiff_t>(data.w) * data.c;
  ptrdiff_t top = (h - data.h) / 2, left = (w - data.w) / 2;
  const auto surround = [&](const auto& image_of, auto& to, auto around) {
    to.assign(static_cast<size_t>(data.count) * out.image_size(), around);
    for (int64_t n = 0; n < data.count; ++n) {
      const auto from = image_of(n);
      for (ptrdiff_t y = 0; y < data.h; ++y)
        std::copy_n(from.begin() + y * row, row,
                    to.begin() + ((n * h + top + y) * w + left) * data.c);
    }
  };
  surround([&](int64_t n) { return data.bytes_of(n); }, out.pixels, value);
  if (data.count > 0 && !data.floats_of(0).empty())
    surround([&](int64_t n) { return data.floats_of(n); }, out.floats, number_of_byte(value));
  return out;
}

}  // namespace ito
