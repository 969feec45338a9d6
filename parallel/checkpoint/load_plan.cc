#include "parallel/checkpoint/load_plan.h"

#include <algorithm>

#include "fmt/format.h"
#include "fmt/ranges.h"
#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

std::string ShapeText(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// "; 6 stored but not wanted: …". Weights first, and not all: there may be thousands.
std::string ListText(std::vector<TensorId> ids, std::string_view what) {
  constexpr size_t kNamed = 4;
  if (ids.empty()) return {};
  std::stable_partition(ids.begin(), ids.end(), IsWeight);
  std::string text = fmt::format("; {} {}:", ids.size(), what);
  for (size_t i = 0; i < std::min(ids.size(), kNamed); ++i) {
    text += fmt::format("{} {}", i > 0 ? "," : "", Describe(ids[i]));
  }
  return text + (ids.size() > kNamed ? ", …" : "");
}

absl::Status ShapeError(const TensorId& id, const std::vector<int64_t>& stored,
                        const std::vector<int64_t>& wanted) {
  return absl::InvalidArgumentError(fmt::format("{} is stored as {} and wanted as {}", Describe(id),
                                                ShapeText(stored), ShapeText(wanted)));
}

absl::Status CheckCover(const TensorId& id, int64_t numel, const std::vector<PlannedCopy>& pieces) {
  int64_t end = 0;
  const auto missing = [&](int64_t until) {
    return absl::InvalidArgumentError(
        fmt::format("{}: elements {} to {} of {} are not stored", Describe(id), end, until, numel));
  };
  for (const PlannedCopy& piece : pieces) {
    if (piece.range.begin < end) {
      return absl::InvalidArgumentError(
          fmt::format("{}: elements {} to {} are stored more than once", Describe(id),
                      piece.range.begin, std::min(end, piece.range.end)));
    }
    if (piece.range.begin > end) return missing(piece.range.begin);
    end = piece.range.end;
  }
  return end < numel ? missing(numel) : absl::OkStatus();
}

}  // namespace

bool IsWeight(const TensorId& id) { return id.kind == kMaster || id.kind == kFrozen; }

std::string Describe(const TensorId& id) { return fmt::format("{} of '{}'", id.kind, id.name); }

absl::StatusOr<int64_t> ElementCount(const std::vector<int64_t>& shape) {
  constexpr int64_t kLimit = int64_t{1} << 62;
  int64_t count = 1;
  for (const int64_t size : shape) {
    if (size < 0 || (size > 0 && count > kLimit / size)) {
      return absl::InvalidArgumentError(
          fmt::format("shape {} is not that of a tensor", ShapeText(shape)));
    }
    count *= size;
  }
  return count;
}

absl::StatusOr<StoredTensors> StoredTensors::Make(const std::vector<StoredPiece>& pieces) {
  StoredTensors stored;
  for (size_t i = 0; i < pieces.size(); ++i) {
    const StoredPiece& piece = pieces[i];
    const auto [shape, is_new] = stored.shapes_.emplace(piece.id, piece.shape);
    if (shape->second != piece.shape) {
      return absl::InvalidArgumentError(fmt::format("{}: its pieces have shapes {} and {}",
                                                    Describe(piece.id), ShapeText(shape->second),
                                                    ShapeText(piece.shape)));
    }
    TANREN_ASSIGN_OR_RETURN(const int64_t numel, ElementCount(piece.shape));
    const ElementRange range = piece.range;
    if (range.begin < 0 || range.end <= range.begin || range.end > numel) {
      return absl::InvalidArgumentError(fmt::format("{}: a piece has elements {} to {} of {}",
                                                    Describe(piece.id), range.begin, range.end,
                                                    numel));
    }
    stored.pieces_[piece.id].push_back({i, range});
  }
  for (auto& [id, list] : stored.pieces_) {
    std::sort(list.begin(), list.end(), [](const PlannedCopy& a, const PlannedCopy& b) {
      return a.range.begin < b.range.begin;
    });
    TANREN_ASSIGN_OR_RETURN(const int64_t numel, ElementCount(stored.shapes_.at(id)));
    TANREN_RETURN_IF_ERROR(CheckCover(id, numel, list));
  }
  return stored;
}

absl::StatusOr<std::vector<PlannedCopy>> StoredTensors::Plan(const TensorId& id,
                                                             ElementRange range) const {
  const auto found = pieces_.find(id);
  if (found == pieces_.end()) {
    return absl::NotFoundError(fmt::format("{} is not stored", Describe(id)));
  }
  const std::vector<PlannedCopy>& pieces = found->second;
  const int64_t numel = pieces.back().range.end;
  if (range.begin < 0 || range.end < range.begin || range.end > numel) {
    return absl::OutOfRangeError(fmt::format("{}: elements {} to {} are wanted of {}", Describe(id),
                                             range.begin, range.end, numel));
  }
  std::vector<PlannedCopy> copies;
  auto piece =
      std::upper_bound(pieces.begin(), pieces.end(), range.begin,
                       [](int64_t begin, const PlannedCopy& one) { return begin < one.range.end; });
  for (; piece != pieces.end() && piece->range.begin < range.end; ++piece) {
    const ElementRange shared{std::max(range.begin, piece->range.begin),
                              std::min(range.end, piece->range.end)};
    if (shared.size() > 0) copies.push_back({piece->piece, shared});
  }
  return copies;
}

absl::StatusOr<std::vector<std::vector<PlannedCopy>>> PlanLoad(
    const StoredTensors& stored, const std::vector<WantedPiece>& wanted) {
  std::vector<std::vector<PlannedCopy>> plan;
  for (const WantedPiece& piece : wanted) {
    TANREN_ASSIGN_OR_RETURN(std::vector<PlannedCopy> copies, stored.Plan(piece.id, piece.range));
    const std::vector<int64_t>& shape = stored.shapes().at(piece.id);
    if (shape != piece.shape) {
      return ShapeError(piece.id, shape, piece.shape);
    }
    plan.push_back(std::move(copies));
  }
  return plan;
}

absl::Status CheckSameTensors(const std::map<TensorId, std::vector<int64_t>>& stored,
                              const std::map<TensorId, std::vector<int64_t>>& wanted) {
  std::vector<TensorId> missing, unwanted;
  for (const auto& [id, shape] : wanted) {
    const auto found = stored.find(id);
    if (found == stored.end()) {
      missing.push_back(id);
    } else if (found->second != shape) {
      return ShapeError(id, found->second, shape);
    }
  }
  for (const auto& [id, shape] : stored) {
    if (!wanted.contains(id)) unwanted.push_back(id);
  }
  const std::string differences =
      ListText(missing, "wanted but not stored") + ListText(unwanted, "stored but not wanted");
  if (differences.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("the tensors differ" + differences);
}

}  // namespace tanren::parallel
