// Where a run keeps what: one folder, made by rank 0.
//
//   recipe.yaml      the resolved recipe: reruns the run
//   metrics.jsonl    a line for each step
//   events.pb        length-delimited Event records (proto/event.proto)
//   checkpoints/     see parallel/checkpoint
//   model/           the tuned model as a Hugging Face directory
//   logs/rank-N.log  everything that rank N said
//   flight/          flight records of the ranks
//   tensorboard/     event files, where training.tensorboard asks for them
//   samples.json     the sample questions' answers before and after
//   report.html      curves and answers
//   evaluation_before.json, evaluation_after.json
//                    scores, where `evaluate --output` was told to write them here
#ifndef TANREN_TRAINER_LOOP_RUN_FOLDER_H_
#define TANREN_TRAINER_LOOP_RUN_FOLDER_H_

#include <filesystem>
#include <string>
#include <string_view>

#include "fmt/format.h"

namespace tanren::trainer {

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path root) : root_(std::move(root)) {}

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path recipe() const { return root_ / "recipe.yaml"; }
  std::filesystem::path metrics() const { return root_ / "metrics.jsonl"; }
  std::filesystem::path events() const { return root_ / "events.pb"; }
  std::filesystem::path checkpoints() const { return root_ / "checkpoints"; }
  std::filesystem::path model() const { return root_ / "model"; }
  std::filesystem::path flight() const { return root_ / "flight"; }
  std::filesystem::path tensorboard() const { return root_ / "tensorboard"; }
  std::filesystem::path samples() const { return root_ / "samples.json"; }
  std::filesystem::path report() const { return root_ / "report.html"; }
  // `when`: "before" or "after".
  std::filesystem::path evaluation(std::string_view when) const {
    return root_ / fmt::format("evaluation_{}.json", when);
  }
  std::filesystem::path log(int rank) const {
    return root_ / "logs" / fmt::format("rank-{}.log", rank);
  }

 private:
  std::filesystem::path root_;
};

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_LOOP_RUN_FOLDER_H_
