// What `ito pack` asks of this room: jobs as texts, and the plans that they have on a form of
// device. They are made of the structures of the C API by the functions that make jobs of these, so
// that a pack has what a job will want. Not for the pack (api/kernel_packing.h) nor its file
// (io/pack_file.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "embed/objects.h"

namespace ito::embed {

// A model as load_model has it, without a device. Errors: of load_model.
Result<LoadedModel> read_model(const std::string& folder, const std::string& variant);

// A job in a line: its kind, and the fields of its structure that are not zero, by their names:
// "sample sampler=ddim steps=20 pixel_format=rgba8", "evaluate batch=4".
std::string job_text(const ItoSampleInfo& info);
std::string job_text(const ItoEvaluateInfo& info);

// The kinds of job that can be packed, for help.
std::string packable_jobs();

// Error kInvalidArgument: a kind or field that does not exist, a value that is none for it.
Status check_job(std::string_view job);

// The plans of a job in a line on a device of this form. Errors: of check_job, create_sample_job and
// create_evaluate_job.
Result<std::vector<Plan>> job_plans(const LoadedModel& model, std::string_view job,
                                    const DeviceCaps& form);

// Of the two structures.
Result<std::vector<Plan>> sample_plans(const ItoSampleInfo& info, const LoadedModel& loaded,
                                       const DeviceCaps& form);
Result<std::vector<Plan>> evaluation_plans(const ItoEvaluateInfo& info, const LoadedModel& loaded,
                                           const DeviceCaps& form);

}  // namespace ito::embed
