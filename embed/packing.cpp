#include "embed/packing.h"

#include <algorithm>
#include <charconv>
#include <list>
#include <span>

#include "base/error.h"
#include "base/name_list.h"
#include "base/registry.h"
#include "embed/values.h"

namespace ito::embed {
namespace {

template <typename Info, typename Visit>
void visit_fields_of_sample(Info& info, Visit&& visit) {
  visit("sampler", info.sampler);
  visit("steps", info.steps);
  visit("batch", info.batch);
  visit("width", info.width);
  visit("height", info.height);
  visit("guidance_scale", info.guidance_scale);
  visit("eta", info.eta);
  visit("precision", info.precision);
  visit("pixel_format", info.pixel_format);
  visit("strength", info.strength);
  visit("inpaint", info.inpaint);
  visit("picture_format", info.picture_format);
  visit("mask_format", info.mask_format);
  visit("preview", info.preview);
}

template <typename Info, typename Visit>
void visit_fields_of_evaluation(Info& info, Visit&& visit) {
  visit("batch", info.batch);
  visit("width", info.width);
  visit("height", info.height);
  visit("context_length", info.context_length);
  visit("precision", info.precision);
}

// Adds " name=value" of fields that are not zero.
struct FieldWriter {
  std::string& text;
  void operator()(const char* name, const char* value) const {
    if (value != nullptr) text += fmt::format(" {}={}", name, value);
  }
  void operator()(const char* name, uint32_t value) const {
    if (value != 0) text += fmt::format(" {}={}", name, value);
  }
  void operator()(const char* name, double value) const {
    if (value != 0) text += fmt::format(" {}={}", name, value);
  }
  void operator()(const char* name, ItoPixelFormat value) const {
    if (value != ITO_PIXEL_FORMAT_NONE) text += fmt::format(" {}={}", name, format_name(value));
  }
  void operator()(const char* name, ItoPrecision value) const {
    if (value != ITO_PRECISION_FP32) text += fmt::format(" {}={}", name, precision_name(value));
  }
};

// Takes the value of one field of a structure; says whether it was that field.
struct FieldReader {
  std::string_view field, value;
  std::list<std::string>& texts;  // where those live that structures point to
  Status status = {};
  std::vector<std::string_view> names = {};
  bool found = false;

  template <typename Number>
  Status number(Number& out) const {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
    if (error == std::errc() && end == value.data() + value.size()) return {};
    return invalid_argument("job: {} is \"{}\", expected a number", field, value);
  }
  Status take(const char*& out) const {
    out = texts.emplace_back(value).c_str();
    return {};
  }
  Status take(uint32_t& out) const { return number(out); }
  Status take(double& out) const { return number(out); }
  Status take(ItoPixelFormat& out) const {
    ITO_ASSIGN(out, format_called(value, field));
    return {};
  }
  Status take(ItoPrecision& out) const {
    ITO_ASSIGN(out, precision_called(value, field));
    return {};
  }
  template <typename T>
  void operator()(const char* name, T& out) {
    names.emplace_back(name);
    if (name != field) return;
    found = true;
    status = take(out);
  }
};

// Fills a structure from " name=value name=value".
template <typename Info, typename Visit>
Status read_fields(std::string_view fields, const Visit& visit, std::list<std::string>& texts,
                   Info& info) {
  for (const std::string_view word : names_in(fields)) {
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos)
      return invalid_argument("job: \"{}\" is no field: expected NAME=VALUE", word);
    FieldReader reader{
        .field = word.substr(0, equals), .value = word.substr(equals + 1), .texts = texts};
    visit(info, reader);
    if (!reader.found)
      return invalid_argument("job: there is no field \"{}\", expected one of {}", reader.field,
                              joined(reader.names));
    ITO_TRY(std::move(reader.status));
  }
  return {};
}

// What a line says, and the texts that it points to.
template <typename Info>
struct JobLine {
  Info info;
  std::list<std::string> texts;
};

Status read_line(std::string_view fields, JobLine<ItoSampleInfo>& line) {
  ITO_INIT(line.info, SAMPLE_INFO);
  const auto visit = [](auto& of, auto& visitor) { visit_fields_of_sample(of, visitor); };
  return read_fields(fields, visit, line.texts, line.info);
}

Status read_line(std::string_view fields, JobLine<ItoEvaluateInfo>& line) {
  ITO_INIT(line.info, EVALUATE_INFO);
  const auto visit = [](auto& of, auto& visitor) { visit_fields_of_evaluation(of, visitor); };
  return read_fields(fields, visit, line.texts, line.info);
}

using Plans = std::vector<Plan>;

// A kind of job that can be packed. `model`: null where the line is only checked.
struct PackableRow {
  Name name;
  Result<Plans> (*plans)(std::string_view fields, const LoadedModel* model, const DeviceCaps& form);
};

template <typename Info, auto kPlans>
Result<Plans> plans_of_line(std::string_view fields, const LoadedModel* model,
                            const DeviceCaps& form) {
  JobLine<Info> line;
  ITO_TRY(read_line(fields, line));
  return model != nullptr ? kPlans(line.info, *model, form) : Plans();
}

constexpr PackableRow kPackable[] = {
    {{"sample", "fields of ItoSampleInfo", "", ""}, plans_of_line<ItoSampleInfo, sample_plans>},
    {{"evaluate", "fields of ItoEvaluateInfo", "", ""},
     plans_of_line<ItoEvaluateInfo, evaluation_plans>},
};

Result<Plans> plans_of_job(std::string_view job, const LoadedModel* model, const DeviceCaps& form) {
  const size_t space = std::min(job.find(' '), job.size());
  ITO_ASSIGN(const PackableRow* row, row_called(std::span<const PackableRow>(kPackable),
                                                job.substr(0, space), "the kind of the job"));
  return row->plans(job.substr(space), model, form);
}

}  // namespace

std::string job_text(const ItoSampleInfo& info) {
  std::string text(kPackable[0].name.name);
  visit_fields_of_sample(info, FieldWriter{text});
  return text;
}

std::string job_text(const ItoEvaluateInfo& info) {
  std::string text(kPackable[1].name.name);
  visit_fields_of_evaluation(info, FieldWriter{text});
  return text;
}

std::string packable_jobs() {
  std::string text;
  for (const PackableRow& row : kPackable)
    text += fmt::format("{}{} and {}", text.empty() ? "" : ", or ", row.name.name, row.name.help);
  return text;
}

Status check_job(std::string_view job) {
  ITO_TRY(plans_of_job(job, nullptr, {}));
  return {};
}

Result<std::vector<Plan>> job_plans(const LoadedModel& model, std::string_view job,
                                    const DeviceCaps& form) {
  LoadedModel on_form = model;
  ITO_ASSIGN(on_form.model.network, model.model.network.for_device(form));
  return plans_of_job(job, &on_form, form);
}

}  // namespace ito::embed
