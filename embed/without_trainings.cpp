// The library without a compiler (ITO_COMPILER=OFF), for which no pack holds a training: what a
// host that asks for one is told, in place of train_job.cpp and all that it needs.
#include "base/error.h"
#include "embed/objects.h"
#include "embed/structures.h"

namespace ito::embed {
namespace {

ItoResult no_training(ItoJob job, const char* function) {
  if (job == nullptr) return failed(invalid_argument("{}: the job is NULL", function));
  return guarded(job->shared.get(), [&]() -> Status { return job->host->training().error(); });
}

}  // namespace

ItoResult create_train_job(ItoContext context, const ItoTrainInfo* given, ItoJob* job) {
  if (context == nullptr) return failed(invalid_argument("create_train_job: the context is NULL"));
  return guarded(context->shared.get(), [&]() -> Status {
    if (job == nullptr) return invalid_argument("create_train_job: job is NULL");
    *job = nullptr;
    ITO_TRY(check_structure(given, ITO_STRUCTURE_TYPE_TRAIN_INFO, "ItoTrainInfo"));
    return unsupported(
        "a training compiles its kernels, and this library has no compiler (it was built with "
        "-DITO_COMPILER=OFF); `ito pack` makes packs for sampling and evaluations");
  });
}

ItoResult read_train_report(ItoJob job, ItoTrainReport*) {
  return no_training(job, "read_train_report");
}

ItoResult write_trained_model(ItoJob job, const char*) {
  return no_training(job, "write_trained_model");
}

ItoResult get_trained_model(ItoJob job, ItoModel* model) {
  if (model != nullptr) *model = nullptr;
  return no_training(job, "get_trained_model");
}

}  // namespace ito::embed
