#include "ranks/mpi_ranks.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/platform.h"
#include "ranks/mpi/adapter.h"

namespace ito {
namespace {

struct MpiRow {
  const char* variable;  // that its launcher sets
  const char* adapter;
  const char* name;
  const char* packages;  // of Debian, with which the adapter is built
};
// The first whose variable is set. PMIx is what Slurm offers to either; Open MPI asks for it more
// often.
constexpr MpiRow kMpis[] = {
    {"OMPI_COMM_WORLD_RANK", "openmpi", "Open MPI", "libopenmpi-dev"},
    {"PMI_RANK", "mpich", "MPICH", "libmpich-dev"},
    {"PMIX_RANK", "openmpi", "Open MPI", "libopenmpi-dev"},
};

class MpiTransport final : public Transport {
 public:
  MpiTransport(const ItoMpiAdapter& adapter, std::string name, int rank, int size, int local_rank)
      : adapter_(adapter),
        name_(std::move(name)),
        rank_(rank),
        size_(size),
        local_rank_(local_rank) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }
  std::string name() const override { return name_; }
  Status exchange(int peer, std::span<const std::byte> out, std::span<std::byte> in) override {
    std::array<char, ITO_MPI_TEXT> text{};
    if (adapter_.exchange(peer, out.data(), out.size(), in.data(), in.size(), text.data()) == 0)
      return {};
    return io_error("rank {} does not hear rank {}: {}", rank_, peer, text.data());
  }
  // Of an error of its own a rank speaks itself, before MPI ends the others.
  bool leave(const Error* why) override {
    if (why != nullptr && size_ > 1) {
      fmt::print(stderr, "ito: {}{}\n", rank_ == 0 ? "" : fmt::format("rank {}: ", rank_),
                 why->message);
      std::fflush(nullptr);
      adapter_.abort(1);
    }
    adapter_.leave();
    return false;
  }

 private:
  const ItoMpiAdapter& adapter_;
  std::string name_;
  int rank_, size_, local_rank_;
};

// The folders in which adapters may lie: beside the program, or where an installed one has them.
std::vector<std::filesystem::path> adapter_folders(const std::filesystem::path& program) {
  std::vector<std::filesystem::path> folders;
  std::error_code ignored;
  const auto add = [&](const std::filesystem::path& file) {
    if (!file.has_parent_path()) return;
    folders.push_back(file.parent_path());
    folders.push_back(file.parent_path() / ".." / "lib" / "ito");
  };
  add(program);
  if (folders.empty()) add(std::filesystem::read_symlink("/proc/self/exe", ignored));
  return folders;
}

}  // namespace

MpiLauncher mpi_launcher() {
  for (const MpiRow& row : kMpis)
    if (const char* rank = std::getenv(row.variable))
      return {.adapter = row.adapter, .name = row.name, .rank = std::atoi(rank)};
  return {};
}

Result<Ranks> join_mpi(const MpiLauncher& launcher, const std::filesystem::path& program) {
  const std::string file = fmt::format("libito-mpi-{}.so", launcher.adapter);
  const MpiRow* row = nullptr;
  for (const MpiRow& candidate : kMpis)
    if (launcher.adapter == candidate.adapter) row = &candidate;
  std::string looked;
  for (const std::filesystem::path& folder : adapter_folders(program)) {
    const std::filesystem::path path = folder / file;
    std::error_code ignored;
    looked += (looked.empty() ? "" : ", ") + path.string();
    if (!std::filesystem::exists(path, ignored)) continue;
    // Global, as MPIs open parts of their own that look for the library's names.
    std::string reason;
    void* library = platform::keep_library(path.string(), &reason);
    if (library == nullptr) return unsupported("{} cannot be opened: {}", path.string(), reason);
    const auto entry =
        reinterpret_cast<ItoMpiEntry>(platform::find_function(library, ITO_MPI_ENTRY));
    if (entry == nullptr || entry()->version != ITO_MPI_ADAPTER_VERSION)
      return unsupported("{} is of another version of ito; build and install both together",
                         path.string());
    std::array<char, ITO_MPI_TEXT> text{};
    int rank = 0, size = 1, local_rank = 0;
    if (entry()->join(&rank, &size, &local_rank, text.data()) != 0)
      return io_error("{} started this process, but it cannot join: {}", launcher.name,
                      text.data());
    return Ranks(std::make_shared<MpiTransport>(*entry(), launcher.name, rank, size, local_rank));
  }
  return unsupported(
      "{} started this process, but ito was built without an adapter to it (looked for {}): "
      "install {} and build again, or start it by the other MPI's mpirun, or on one host with "
      "--devices and without MPI",
      launcher.name, looked, row->packages);
}

}  // namespace ito
