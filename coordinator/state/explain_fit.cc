#include "coordinator/state/explain_fit.h"

#include <algorithm>

#include "coordinator/state/explain_text.h"
#include "fmt/format.h"

namespace tanren::coordinator {
namespace {

template <typename Visit>
void ForEachNode(const Shape& shape, Board& board, Visit visit) {
  const NodeIndex& index = board.IndexOf(shape);
  for (int position = 0; position < index.size(); ++position) {
    const int node = index.node(position);
    if (!std::binary_search(shape.excluded.begin(), shape.excluded.end(), node)) {
      visit(board.free()[node]);
    }
  }
}

int NodesAllowed(const Shape& shape, Board& board) {
  int count = 0;
  ForEachNode(shape, board, [&](const NodeFree&) { ++count; });
  return count;
}

std::string LabelsText(const JobSpec& spec) {
  std::vector<std::string> labels;
  for (const auto& [name, value] : spec.node_labels()) {
    labels.push_back(fmt::format("{}={}", name, value));
  }
  std::sort(labels.begin(), labels.end());
  return ListText(labels);
}

// What of one rank is more than any node has.
FitText WhyNotEvenOne(const Role& role, const Amount& most, bool named) {
  const Amount each = AmountOf(role.per_rank());
  const std::string whose = named ? fmt::format("a rank of {}", role.name()) : "a rank";
  if (each.gpus > 0 && most.gpus == 0) {
    return {fmt::format("{} takes {}, and no node that it may use has any", whose,
                        CountText(each.gpus, "GPU", "GPUs")),
            "ask for ranks without GPUs"};
  }
  if (each.gpus > most.gpus) {
    return {fmt::format("{} takes {}, and no node that it may use has more than {}", whose,
                        CountText(each.gpus, "GPU", "GPUs"), most.gpus),
            fmt::format("ask for at most {} a rank", CountText(most.gpus, "GPU", "GPUs"))};
  }
  if (each.cpu_millis > most.cpu_millis) {
    return {fmt::format("{} takes {}, and no node that it may use has more than {}", whose,
                        CoresText(each.cpu_millis), CoresText(most.cpu_millis)),
            fmt::format("ask for at most {} a rank", CoresText(most.cpu_millis))};
  }
  if (each.memory_bytes > most.memory_bytes) {
    return {fmt::format("{} takes {} of memory, and no node that it may use has more than {}",
                        whose, MemoryText(each.memory_bytes), MemoryText(most.memory_bytes)),
            fmt::format("ask for at most {} of memory a rank", MemoryText(most.memory_bytes))};
  }
  return {fmt::format("no node that it may use has {} together", AmountText(each)),
          "ask for less a rank"};
}

}  // namespace

bool Fits(const Shape& shape, Board& board) {
  std::vector<GangPart> parts;
  const size_t mark = board.Mark();
  const bool fits = PlaceGang(shape, board, parts);
  board.UndoTo(mark);
  return fits;
}

int64_t MostRanks(const Shape& shape, int role, Board& board) {
  Shape smaller = shape;
  const auto fits = [&](int64_t ranks) {
    smaller.roles[role].ranks = ranks;
    smaller.total = {};
    for (const RoleShape& one : smaller.roles) smaller.total += one.per_rank * one.ranks;
    return Fits(smaller, board);
  };
  int64_t fit = 0, too_many = shape.roles[role].ranks;
  while (too_many - fit > 1) {
    const int64_t middle = fit + (too_many - fit) / 2;
    (fits(middle) ? fit : too_many) = middle;
  }
  return fit;
}

Amount FreeInAll(const Shape& shape, Board& board) {
  Amount sum;
  ForEachNode(shape, board, [&](const NodeFree& free) {
    sum += {free.gpu_count, free.cpu_millis, free.memory_bytes};
  });
  return sum;
}

Amount FreeOnOne(const Shape& shape, Board& board) {
  Amount most;
  ForEachNode(shape, board, [&](const NodeFree& free) {
    most.gpus = std::max<int64_t>(most.gpus, free.gpu_count);
    most.cpu_millis = std::max(most.cpu_millis, free.cpu_millis);
    most.memory_bytes = std::max(most.memory_bytes, free.memory_bytes);
  });
  return most;
}

bool IsEnough(const Amount& free, const Amount& wanted) {
  return free.gpus >= wanted.gpus && free.cpu_millis >= wanted.cpu_millis &&
         free.memory_bytes >= wanted.memory_bytes;
}

std::string SmallerThatFits(const JobSpec& spec, const Shape& shape, Board& board) {
  for (int role = static_cast<int>(shape.roles.size()) - 1; role >= 0; --role) {
    const int64_t most = MostRanks(shape, role, board);
    if (most == 0) continue;
    const int64_t gpus = shape.roles[role].per_rank.gpus;
    if (!shape.single_role()) {
      return fmt::format("lower the ranks of {} to {}", spec.roles(shape.roles[role].role).name(),
                         most);
    }
    if (gpus == 1) return fmt::format("lower --gpus to {}", most);
    if (gpus == 0) return fmt::format("lower --ranks to {}", most);
    return fmt::format("lower its ranks to {} ({} GPUs)", most, most * gpus);
  }
  return "";
}

FitText WhyNever(const JobSpec& spec, const Shape& shape, Board& board) {
  const int nodes = NodesAllowed(shape, board);
  if (nodes == 0) {
    if (board.nodes().size() == 0) {
      return {"no node has joined that runs jobs", "start an agent on a machine"};
    }
    if (board.IndexOf(shape).size() == 0) {
      const int all = board.nodes().size();
      return {all == 1 ? fmt::format("the one node that there is doesn't have {}", LabelsText(spec))
                       : fmt::format("none of the {} nodes has {}", all, LabelsText(spec)),
              "ask for other labels"};
    }
    return {spec.node_labels().empty()
                ? "it excludes every node"
                : fmt::format("it excludes every node that has {}", LabelsText(spec)),
            "exclude fewer nodes"};
  }
  for (const RoleShape& role : shape.roles) {
    Shape one = shape;
    one.roles = {role};
    one.roles[0].ranks = 1;
    one.total = role.per_rank;
    if (Fits(one, board)) continue;
    return WhyNotEvenOne(spec.roles(role.role), FreeOnOne(shape, board), !shape.single_role());
  }
  const std::string places = nodes == 1 ? "the one node that it may use"
                                        : fmt::format("the {} nodes that it may use", nodes);
  FitText text;
  text.would_help = SmallerThatFits(spec, shape, board);
  if (shape.single_role()) {
    const int64_t most = MostRanks(shape, 0, board);
    text.why = fmt::format("{} together {} {} even when empty", places,
                           nodes == 1 ? "holds" : "hold", CountText(most, "rank", "ranks"));
    if (nodes == 1) text.why.erase(text.why.find(" together"), 9);
  } else {
    text.why = fmt::format("{} can't hold all its roles at once even when empty: {} in all", places,
                           AmountText(FreeInAll(shape, board)));
  }
  return text;
}

}  // namespace tanren::coordinator
