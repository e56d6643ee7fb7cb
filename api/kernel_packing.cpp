#include "api/kernel_packing.h"

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "runtime/vk/glsl_compiler.h"
#include "runtime/vk/parallel.h"
#include "runtime/vk/shader_compiler.h"

namespace ito {
namespace {

// The compiler for as long as this lives.
class GlslCompiler {
 public:
  GlslCompiler() { vk::start_glsl_compiler(); }
  ~GlslCompiler() { vk::stop_glsl_compiler(); }
  GlslCompiler(const GlslCompiler&) = delete;
  GlslCompiler& operator=(const GlslCompiler&) = delete;
};

}  // namespace

Result<size_t> add_kernels(KernelPack& pack, std::span<const Plan> plans, const DeviceCaps& form,
                           const PackingProgress& progress, uint32_t threads) {
  std::map<std::string, const Kernel*> wanted;
  for (const Plan& plan : plans)
    for (const Kernel& kernel : plan.kernels)
      if (std::string key = kernel_key(kernel.glsl); !pack.kernels.contains(key))
        wanted.emplace(std::move(key), &kernel);
  const std::vector<std::pair<std::string, const Kernel*>> work(wanted.begin(), wanted.end());
  std::vector<Result<vk::Spirv>> made(work.size(), Error{ErrorKind::kInterrupted, ""});
  std::atomic<size_t> done = 0;
  std::atomic<bool> interrupted = progress && !progress(0, work.size());
  const GlslCompiler compiler;
  if (threads == 0) threads = std::max(1u, std::thread::hardware_concurrency());
  vk::parallel_for(work.size(), threads, {}, [&](size_t i) {
    if (interrupted) return;
    const Kernel& kernel = *work[i].second;
    made[i] = vk::compile_glsl(kernel.name, kernel.glsl);
    if (made[i].ok())
      made[i] = vk::optimise_spirv(kernel.name, std::move(made[i]).value(), vk::recipe_for(form));
    if (progress && !progress(++done, work.size())) interrupted = true;
  });
  if (interrupted) return ito::interrupted("the making of kernels was stopped; nothing is written");
  for (size_t i = 0; i < work.size(); ++i) {
    if (!made[i].ok()) return made[i].error();
    pack.kernels.emplace(work[i].first,
                         PackedKernel{work[i].second->name, std::move(made[i]).value()});
  }
  return work.size();
}

}  // namespace ito
