#include "runtime/profile.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <numeric>

#include "base/error.h"

namespace ito {
namespace {

struct Row {
  std::string name;
  uint64_t calls = 0;
  double us = 0;  // mean of one replay
  double flops = 0, bytes = 0;
};

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      out += c;
  }
  return out + '"';
}

std::string format_rows(std::vector<Row> rows, double total_us, size_t count) {
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.us > b.us; });
  std::string text = fmt::format("{:>6} {:>10} {:>6} {:>9} {:>8}  {}\n", "calls", "ms", "share",
                                 "GFLOP/s", "GB/s", "name");
  for (size_t i = 0; i < std::min(count, rows.size()); ++i) {
    const Row& row = rows[i];
    const double seconds = std::max(row.us, 1e-3) * 1e-6;
    text += fmt::format("{:>6} {:>10.3f} {:>5.1f}% {:>9.1f} {:>8.1f}  {}\n", row.calls,
                        row.us / 1000, 100 * row.us / std::max(total_us, 1e-9),
                        row.flops / seconds / 1e9, row.bytes / seconds / 1e9, row.name);
  }
  text +=
      fmt::format("{:>6} {:>10.3f} {:>6} {:>9} {:>8}  total\n", "", total_us / 1000, "", "", "");
  return text;
}

// One row per call, with its mean time in a replay.
std::vector<Row> call_rows(const Plan& plan, const Profile& profile) {
  std::vector<Row> rows;
  for (size_t i = 0; i < std::min(profile.calls.size(), plan.calls.size()); ++i) {
    const KernelCall& call = plan.calls[i];
    const auto replays = static_cast<double>(std::max<uint64_t>(1, profile.replays));
    const double runs = static_cast<double>(profile.calls[i].runs) / replays;
    rows.push_back({call.label, 1, profile.calls[i].total_us / replays,
                    runs * static_cast<double>(call.flops),
                    runs * static_cast<double>(call.bytes_read + call.bytes_written)});
  }
  return rows;
}

double total(const std::vector<Row>& rows) {
  return std::accumulate(rows.begin(), rows.end(), 0.0,
                         [](double sum, const Row& row) { return sum + row.us; });
}

}  // namespace

void Profile::add_replay(std::vector<ProfileSpan> replay, size_t call_count) {
  calls.resize(call_count);
  std::vector<double> us(call_count, 0.0);
  std::vector<bool> ran(call_count, false);
  for (const ProfileSpan& span : replay) {
    us[span.call] += span.duration_us;
    ran[span.call] = true;
  }
  for (size_t i = 0; i < call_count; ++i) {
    if (!ran[i]) continue;
    CallTime& time = calls[i];
    time.min_us = time.runs == 0 ? us[i] : std::min(time.min_us, us[i]);
    time.total_us += us[i];
    ++time.runs;
  }
  spans = std::move(replay);
  ++replays;
}

std::string Profile::kernel_table(const Plan& plan) const {
  const std::vector<Row> rows = call_rows(plan, *this);
  std::map<std::string, Row> by_kernel;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string& name = plan.kernels[plan.calls[i].kernel].name;
    Row& row = by_kernel[name];
    row.name = name;
    row.calls += 1;
    row.us += rows[i].us;
    row.flops += rows[i].flops;
    row.bytes += rows[i].bytes;
  }
  std::vector<Row> kernels;
  for (auto& [name, row] : by_kernel) kernels.push_back(std::move(row));
  return format_rows(std::move(kernels), total(rows), by_kernel.size());
}

std::string Profile::call_table(const Plan& plan, size_t count) const {
  std::vector<Row> rows = call_rows(plan, *this);
  const double total_us = total(rows);
  return format_rows(std::move(rows), total_us, count);
}

std::string Profile::trace_json(const Plan& plan) const {
  std::string out = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
  out +=
      fmt::format("{{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{{\"name\":{}}}}}",
                  json_text(plan.name));
  for (const ProfileSpan& span : spans) {
    const KernelCall& call = plan.calls[span.call];
    out += fmt::format(
        ",\n{{\"name\":{},\"cat\":{},\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":{:.3f},\"dur\":{:.3f},"
        "\"args\":{{\"call\":{},\"flops\":{},\"bytes_read\":{},\"bytes_written\":{},"
        "\"groups\":[{},{},{}]}}}}",
        json_text(call.label), json_text(plan.kernels[call.kernel].name), span.start_us,
        span.duration_us, span.call, call.flops, call.bytes_read, call.bytes_written,
        call.groups[0], call.groups[1], call.groups[2]);
  }
  return out + "\n]}\n";
}

Status Profile::write_trace(const Plan& plan, const std::string& path) const {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << trace_json(plan);
  file.close();
  if (!file) return io_error("the trace '{}' could not be written", path);
  return {};
}

}  // namespace ito
