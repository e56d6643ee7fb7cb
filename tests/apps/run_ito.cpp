#include "tests/apps/run_ito.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <thread>

#include "tests/support/folders.h"

namespace ito::test {

namespace {

// The validation layers announce their log file on standard output, before what a program prints.
std::string without_layer_notes(const std::string& text) {
  std::istringstream lines(text);
  std::string kept;
  for (std::string line; std::getline(lines, line);)
    if (line.find("Logging validation error to") == std::string::npos) kept += line + "\n";
  return kept;
}

}  // namespace

Outcome run_ito(const Start& start) {
  const Scratch scratch;
  std::vector<std::string> words;
  const char* launcher = std::getenv("ITO_LAUNCHER");
  if (start.launcher && launcher != nullptr && *launcher != '\0') words.push_back(launcher);
  words.push_back(binary_folder() + "/apps/ito");
  words.insert(words.end(), start.arguments.begin(), start.arguments.end());
  const std::string out = (scratch / "out").string(), err = (scratch / "err").string();
  // Opened here, for a child that is killed before it can.
  const int out_file = open(out.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  const int err_file = open(err.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);  // a signal must also reach what a launcher starts
    for (const auto& [name, value] : start.environment) setenv(name.c_str(), value.c_str(), 1);
    dup2(out_file, 1);
    dup2(err_file, 2);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  close(out_file);
  close(err_file);
  setpgid(child, child);
  int status = 0;
  bool sent = !start.when;
  while (!sent) {
    if (waitpid(child, &status, WNOHANG) == child) break;
    if (start.when()) {
      kill(-child, start.signal);
      sent = true;
    } else {
      std::this_thread::sleep_for(start.poll);
    }
  }
  if (sent) waitpid(child, &status, 0);
  Outcome outcome;
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  outcome.out = without_layer_notes(read_file(out).value());
  outcome.err = read_file(err).value();
  return outcome;
}

Outcome run_ito(std::vector<std::string> arguments) {
  return run_ito(
      Start{.arguments = std::move(arguments), .launcher = true, .environment = {}, .when = {}});
}

void write_tiny_data(const Path& path) {
  std::vector<uint8_t> pixels, labels;
  for (int i = 0; i < 48; ++i) {
    labels.push_back(static_cast<uint8_t>(i % 3));
    for (int p = 0; p < 64; ++p)
      pixels.push_back(static_cast<uint8_t>((p * (i % 3 + 1) * 7 + i * 5) % 256));
  }
  TensorFile file;
  file.tensors.emplace("images", tensor_from_bytes({48, 8, 8}, pixels));
  file.tensors.emplace("labels", tensor_from_bytes({48}, labels));
  const Status status = write_npz(path, file);
  ASSERT_TRUE(status.ok()) << status.error().message;
}

std::vector<std::string> least_training(const Path& data, const Path& out, int steps,
                                        int checkpoint_every) {
  return {"train",
          "--data",
          data.string(),
          "--out",
          out.string(),
          "--steps",
          std::to_string(steps),
          "--batch",
          "2",
          "--channels",
          "8",
          "--size",
          "8",
          "--checkpoint-every",
          std::to_string(checkpoint_every),
          "--log-every",
          "1"};
}

std::vector<std::string> tiny_training(const Path& data, const Path& out, int steps) {
  return {"train",
          "--data",
          data.string(),
          "--out",
          out.string(),
          "--steps",
          std::to_string(steps),
          "--batch",
          "4",
          "--channels",
          "8,16",
          "--size",
          "8",
          "--checkpoint-every",
          "4",
          "--keep",
          "3"};
}

void set_stored_learning_rate(const Path& run, double rate) {
  Json json = read_json(run / "run.json").value();
  json["options"]["lr"] = rate;
  const Status status = write_file_atomic(run / "run.json", dump_json(json));
  ASSERT_TRUE(status.ok()) << status.error().message;
}

std::vector<std::string> with(std::vector<std::string> arguments,
                              const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace ito::test
