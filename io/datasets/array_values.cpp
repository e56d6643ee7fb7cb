#include "io/datasets/array_values.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "io/datasets/picture_list.h"
#include "io/layout.h"
#include "io/png.h"

namespace ito {
namespace {

// Beyond the range by no more than this is rounding.
constexpr float kRounding = 1e-4f;
// Images in [-1,1] that are never darker are not what people have.
constexpr float kHardlyBlack = -0.75f;
constexpr int64_t kWhiteByte = 255, kWhiteWord = 65535;
constexpr int64_t kMostClasses = 100'000;

// [count,h,w] or [count,h,w,c] of what may have its channels second, or may be one picture.
Result<HostTensor> images_last(HostTensor images, bool ours, int64_t labels, ImageDataset& data,
                               const std::string& where) {
  const std::vector<int64_t> dims = images.shape.dims();
  const auto is_channels = [](int64_t n) { return n == 1 || n == 3 || n == 4; };
  const auto is_side = [](int64_t n) { return n > 4; };
  const std::string shape = images.shape.to_string();
  if (dims.size() == 2)
    return invalid_argument(
        "{}: extents {} could be one picture or {} flattened ones; reshape it to [count,h,w] or "
        "[count,h,w,c]",
        where, shape, dims[0]);
  if (dims.size() == 3 && labels != dims[0]) {
    const bool last = is_channels(dims[2]) && is_side(dims[0]) && is_side(dims[1]);
    const bool first = (dims[0] == 3 || dims[0] == 4) && is_side(dims[1]) && is_side(dims[2]);
    if (last || first)
      return invalid_argument(
          "{}: extents {} could be one picture or {} pictures; reshape it to [1,{},{},{}] or to "
          "[count,h,w,1]",
          where, shape, dims[0], dims[0], dims[1], dims[2]);
  }
  if (dims.size() != 4) return images;
  const bool last = dims[3] >= 1 && dims[3] <= 4;
  const bool first = dims[1] == 1 || dims[1] == 3 || dims[1] == 4;
  if (!first || (last && !ours)) {
    // Pictures one pixel wide are none that people have, but in a strip.
    if (first && last && (dims[3] > 1 || is_side(dims[2])))
      data.facts.notes.push_back(fmt::format(
          "{} is read as [count,h,w,c], though it could be [count,c,h,w], which has to be "
          "transposed first",
          shape));
    return images;
  }
  if (!ours) data.facts.notes.push_back(fmt::format("{} is read as [count,c,h,w]", shape));
  const size_t width = host_type_size(images.type);
  const size_t n = static_cast<size_t>(dims[0]), c = static_cast<size_t>(dims[1]);
  const size_t pixels = static_cast<size_t>(dims[2]) * static_cast<size_t>(dims[3]);
  std::vector<uint8_t> moved(images.bytes.size());
  for (size_t i = 0; i < n; ++i)
    for (size_t k = 0; k < c; ++k)
      for (size_t p = 0; p < pixels; ++p)
        std::copy_n(
            images.bytes.begin() + static_cast<ptrdiff_t>(((i * c + k) * pixels + p) * width),
            width, moved.begin() + static_cast<ptrdiff_t>(((i * pixels + p) * c + k) * width));
  images.bytes = std::move(moved);
  images.shape = Shape{dims[0], dims[2], dims[3], dims[1]};
  return images;
}

// Types of numbers that stand for different things: 0 and 1 of truths are black and white.
enum class NumberKind { kFloats, kWords, kIntegers, kTruths };

NumberKind number_kind(HostType type) {
  if (is_floating(type)) return NumberKind::kFloats;
  return type == HostType::kU16    ? NumberKind::kWords
         : type == HostType::kBool ? NumberKind::kTruths
                                   : NumberKind::kIntegers;
}

ArrayScale float_scale(const ArrayValues& values, ValueRange range) {
  ArrayScale scale{.of = values, .black = 0, .white = 1, .notes = {}};
  const bool asked = range != ValueRange::kAuto;
  if (!asked)
    range = values.least >= -kRounding && !values.ours ? ValueRange::kUnit : ValueRange::kSigned;
  if (range == ValueRange::kSigned) scale.black = -1;
  if (range == ValueRange::kBytes) scale.white = kWhiteByte;
  if (asked || values.ours) return scale;
  if (range == ValueRange::kUnit && values.most <= 1 + kRounding)
    scale.notes.push_back(
        "no value is below 0, so 0 is taken for black and 1 for white; --range=-1,1 says "
        "otherwise");
  if (range == ValueRange::kSigned && values.least > kHardlyBlack)
    scale.notes.push_back(fmt::format(
        "no value is below {:.4g}, and -1 is taken for black and 1 for white; --range 0,1 says "
        "otherwise",
        values.least));
  return scale;
}

Result<ArrayScale> integer_scale(const ArrayValues& values, ValueRange range,
                                 const std::string& where) {
  ArrayScale scale{.of = values, .black = 0, .white = kWhiteByte, .notes = {}};
  const bool asked = range != ValueRange::kAuto;
  if (range == ValueRange::kSigned || (range == ValueRange::kUnit && values.most > 1))
    return invalid_argument(
        "{}: --range is for floating-point images; these are integers from {} "
        "to {}",
        where, values.least, values.most);
  const bool words = number_kind(values.type) == NumberKind::kWords;
  if (range == ValueRange::kUnit || (!asked && values.most == 1)) {
    scale.white = 1;
    if (!asked)
      scale.notes.push_back(
          "no value is above 1, so 1 is taken for white; --range 0,255 says otherwise");
  } else if (!asked && words && values.most > kWhiteByte) {
    scale.white = kWhiteWord;
    if (values.most < kHalfOfWords)
      scale.notes.push_back(fmt::format(
          "no value is above {}, and 65535 is taken for white; images of fewer bits have to be "
          "scaled to that",
          values.most));
  } else if (!asked && words) {
    scale.notes.push_back("no value is above 255, so 255 is taken for white");
  } else if (!asked && values.least == 0 && values.most > 0 && values.most <= kMostOfFewBits) {
    scale.notes.push_back(fmt::format(
        "no value is above {}, and 255 is taken for white; images of fewer bits have to be scaled "
        "to that",
        values.most));
  }
  return scale;
}

// Error kCorrupt: values from `least` to `most` are not of a scale that was decided on others.
Status check_scale(const ArrayScale& scale, double least, double most, const std::string& where) {
  if (scale.of.ours || (least >= scale.of.least && most <= scale.of.most)) return {};
  const double slack = is_floating(scale.of.type) ? kRounding * (scale.white - scale.black) : 0;
  if (least >= scale.black - slack && most <= scale.white + slack) return {};
  return corrupt(
      "{}: pixel value {:.4g}, but in the training images, from {:.4g} to {:.4g}, {} is taken for "
      "black and {} for white; all parts have one range, which --range names",
      where, least < scale.black - slack ? least : most, scale.of.least, scale.of.most, scale.black,
      scale.white);
}

// Values of the scale to [-1,1] and to bytes.
Status take_floats(ImageDataset& data, const HostTensor& images, const ArrayScale& scale, bool ours,
                   const std::string& where) {
  const auto low = static_cast<float>(scale.black), high = static_cast<float>(scale.white);
  const double least = data.facts.least, most = data.facts.most;
  const double slack = kRounding * (scale.white - scale.black);
  if (ours && (least < low || most > high)) {
    data.facts.notes.push_back("values beyond [-1,1] are cut off");
  } else if (high <= 1 && least < -1 - slack) {
    return corrupt(
        "{}: values from {} to {}; expected floating-point images in [-1,1] or [0,1]; numbers "
        "around 0, as latents are, are trained on once they are divided by {} or more",
        where, static_cast<float>(least), static_cast<float>(most),
        static_cast<float>(std::max(-scale.of.least, scale.of.most)));
  } else if (least < low - slack || most > high + slack) {
    return corrupt(
        "{}: pixel value {}; expected floating-point images in [-1,1] or [0,1]; --range 0,255 "
        "takes "
        "those of bytes",
        where, static_cast<float>(least < low - slack ? least : most));
  }
  std::vector<float> values = to_floats(images);
  bool bytes_enough = true;
  for (float& v : values) {
    v = std::clamp(v, low, high);
    if (low == 0) v = v / (high / 2) - 1;
    const uint8_t byte = to_byte(v);
    const float again = number_of_byte(byte);
    bytes_enough = bytes_enough && std::abs(again - v) <= 1e-6f;
    data.pixels.push_back(byte);
  }
  if (!bytes_enough) data.floats = std::move(values);
  return {};
}

Status take_integers(ImageDataset& data, const HostTensor& images, const ArrayScale& scale,
                     const std::string& where) {
  if (number_kind(images.type) == NumberKind::kTruths) {
    for (const uint8_t v : images.bytes) data.pixels.push_back(v != 0 ? 255 : 0);
    data.facts.notes.push_back("false is black and true is white");
    return {};
  }
  const auto white = static_cast<int64_t>(scale.white);
  if (data.facts.least < 0 || data.facts.most > scale.white)
    return corrupt("{}: pixel value {}; expected integers from 0 to {}", where,
                   data.facts.least < 0 ? data.facts.least : data.facts.most, white);
  ITO_ASSIGN(const std::vector<int64_t> values, to_int64(images, where));
  const bool words = white == kWhiteWord;
  for (const int64_t v : values) {
    const auto word = static_cast<uint16_t>(v);
    data.pixels.push_back(words ? byte_of_sample(word, 16)
                                : static_cast<uint8_t>(v * (kWhiteByte / white)));
    if (words) data.floats.push_back(number_of_sample(word, 16));
  }
  return {};
}

}  // namespace

bool of_one_kind(const ArrayValues& a, const ArrayValues& b) {
  return number_kind(a.type) == number_kind(b.type);
}

Result<ArrayValues> values_of(const HostTensor& images, bool ours, const std::string& where) {
  ArrayValues values{.type = images.type, .least = 0, .most = 0, .ours = ours};
  const auto count = static_cast<size_t>(images.shape.numel());
  bool finite = true;
  double wrong = 0;
  with_elements(images, [&](auto element) {
    for (size_t i = 0; i < count; ++i) {
      const auto v = static_cast<double>(element(i));
      if (!std::isfinite(v)) {
        finite = false;
        wrong = v;
      }
      values.least = i == 0 ? v : std::min(values.least, v);
      values.most = i == 0 ? v : std::max(values.most, v);
    }
  });
  if (!finite) return corrupt("{}: pixel value {} is not a number", where, wrong);
  return values;
}

ArrayValues joined_values(const ArrayValues& a, const ArrayValues& b) {
  CHECK(of_one_kind(a, b), "values of one scale");
  return {.type = a.type,
          .least = std::min(a.least, b.least),
          .most = std::max(a.most, b.most),
          .ours = a.ours && b.ours};
}

Result<ArrayScale> scale_of(const ArrayValues& values, const DatasetOptions& options,
                            const std::string& where) {
  switch (number_kind(values.type)) {
    case NumberKind::kFloats:
      return float_scale(values, options.range);
    case NumberKind::kTruths:
      break;
    case NumberKind::kWords:
    case NumberKind::kIntegers:
      return integer_scale(values, options.range, where);
  }
  return ArrayScale{.of = values, .black = 0, .white = 1, .notes = {}};
}

Result<ImageDataset> dataset_from_tensor(HostTensor tensor, const ArrayScale& scale, bool ours,
                                         int64_t labels, const std::string& where) {
  ImageDataset data;
  data.facts.format = kArrayFormat;
  ITO_ASSIGN(const HostTensor images, images_last(std::move(tensor), ours, labels, data, where));
  ITO_TRY(set_extents(data, images.shape.dims(), where));
  if (data.c == 2 || data.c == 4)
    data.facts.notes.push_back(fmt::format(
        "{} channels: the last is trained as the others are and is no transparency", data.c));
  ITO_ASSIGN(const ArrayValues values, values_of(images, ours, where));
  data.facts.least = values.least;
  data.facts.most = values.most;
  data.facts.notes.insert(data.facts.notes.end(), scale.notes.begin(), scale.notes.end());
  ITO_TRY(check_scale(scale, values.least, values.most, where));
  if (is_floating(images.type)) {
    ITO_TRY(take_floats(data, images, scale, ours, where));
  } else {
    ITO_TRY(take_integers(data, images, scale, where));
  }
  return data;
}

bool asks_for_range(const DatasetOptions& options) { return options.range != ValueRange::kAuto; }

Status take_labels(ImageDataset& data, const HostTensor& tensor, const std::string& where) {
  const std::vector<int64_t> dims = tensor.shape.dims();
  const int64_t rows = dims.empty() ? 1 : dims[0];
  const int64_t columns = rows > 0 ? tensor.shape.numel() / rows : 0;
  if (rows != data.count) return corrupt("{}: {} labels, but {} images", where, rows, data.count);
  std::vector<int64_t> values;
  if (is_floating(tensor.type)) {
    for (const float v : to_floats(tensor)) {
      if (v != std::floor(v) || std::abs(v) > 1e9f)
        return corrupt("{}: label {}; expected whole numbers", where, v);
      values.push_back(static_cast<int64_t>(v));
    }
  } else {
    ITO_ASSIGN(values, to_int64(tensor, where + ": labels"));
  }
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < rows; ++i) {
    const auto row = values.begin() + i * columns;
    int64_t label = columns > 0 ? *row : 0;
    if (columns > 1) {
      const auto one = std::max_element(row, row + columns);
      const bool single = *one == 1 && std::count(row, row + columns, 0) == columns - 1;
      if (!single) {
        data.facts.notes.push_back(
            fmt::format("labels of extents {} name several classes an image; they are left out",
                        tensor.shape.to_string()));
        return {};
      }
      label = one - row;
    }
    if (label < 0 || label >= kMostClasses)
      return corrupt("{}: label {}; expected 0 to {}", where, label, kMostClasses - 1);
    labels.push_back(static_cast<int32_t>(label));
  }
  data.labels = std::move(labels);
  // There are as many classes as columns, where no image is of the last, too.
  if (columns > data.num_classes())
    for (int64_t k = 0; k < columns; ++k) data.names.push_back(std::to_string(k));
  return {};
}

std::vector<std::string> classes_of(const NpyTexts& texts) {
  return class_list(std::set<std::string>(texts.texts.begin(), texts.texts.end()), true);
}

Status take_labels(ImageDataset& data, const NpyTexts& texts, const std::vector<std::string>& known,
                   const std::string& where) {
  const std::vector<int64_t> dims = texts.shape.dims();
  const auto count = static_cast<int64_t>(texts.texts.size());
  if (dims.empty() || dims[0] != data.count || count != data.count)
    return corrupt("{}: labels of extents {}, but {} images", where, texts.shape.to_string(),
                   data.count);
  data.names = known.empty() ? classes_of(texts) : known;
  std::map<std::string_view, int32_t> numbers;
  for (size_t k = 0; k < data.names.size(); ++k) numbers[data.names[k]] = static_cast<int32_t>(k);
  data.labels.emplace();
  for (size_t i = 0; i < texts.texts.size(); ++i) {
    const std::string& text = texts.texts[i];
    if (text.empty()) return corrupt("{}: label {} is an empty text", where, i);
    const auto found = numbers.find(text);
    if (found == numbers.end())
      return invalid_argument("{}: label {} is no class of the training images, which have {}",
                              where, text, listed(known));
    data.labels->push_back(found->second);
  }
  return {};
}

}  // namespace ito
