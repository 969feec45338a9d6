#include "trainer/report/run_table.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "fmt/format.h"
#include "trainer/report/html.h"

namespace tanren::trainer {
namespace {

double Median(const Points& points) {
  std::vector<double> values;
  for (const auto& [step, value] : points) values.push_back(value);
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

// Of all steps; an estimate where training.log_every left steps out of the metrics.
std::string TokensText(const RunRecord& run) {
  const Points tokens = run.Series("tokens");
  if (tokens.empty()) return "0";
  double sum = 0;
  for (const auto& [step, value] : tokens) sum += value;
  const double steps = tokens.back().first, taken = static_cast<double>(tokens.size());
  return (steps > taken ? "≈ " : "") + FormatFigure(sum * steps / taken);
}

std::string StepsText(const RunRecord& run) {
  const Points loss = run.Series("learning_rate");
  const double done = loss.empty() ? 0 : loss.back().first;
  const auto total = run.started ? run.started->total_steps() : 0;
  return total > 0 && static_cast<double>(total) != done ? fmt::format("{:.0f} of {}", done, total)
                                                         : fmt::format("{:.0f}", done);
}

std::string Gigabytes(const Points& bytes) {
  return bytes.empty() ? "–" : fmt::format("{:.1f} GB", bytes.back().second / 1e9);
}

struct Figure {
  const char* name;
  std::string (*of)(const RunRecord& run);
  // Left out where no run has it.
  bool is_rare = false;
};

const Figure kFigures[] = {
    {"parameters",
     [](const RunRecord& run) {
       return run.started ? FormatFigure(static_cast<double>(run.started->parameters()))
                          : std::string("–");
     }},
    {"ranks",
     [](const RunRecord& run) {
       return run.started ? fmt::format("{}", run.started->world_size()) : std::string("–");
     }},
    {"steps", StepsText},
    {"skipped steps",
     [](const RunRecord& run) {
       const size_t skipped = run.Series("skipped").size();
       return skipped == 0 ? std::string("–") : fmt::format("{}", skipped);
     },
     /*is_rare=*/true},
    {"tokens", TokensText},
    {"training loss", [](const RunRecord& run) { return Change(run.Series("loss")); }},
    {"held-out loss", [](const RunRecord& run) { return Change(run.Series("validation_loss")); }},
    {"tokens/s",
     [](const RunRecord& run) {
       const Points speed = run.Series("tokens_per_second");
       return speed.empty() ? std::string("–") : FormatFigure(Median(speed));
     }},
    {"peak memory of a rank",
     [](const RunRecord& run) { return Gigabytes(run.Series("peak_memory_bytes")); }},
    {"peak GPU memory of a rank",
     [](const RunRecord& run) { return Gigabytes(run.Series("peak_device_memory_bytes")); },
     /*is_rare=*/true},
};

}  // namespace

std::string StateOf(const RunRecord& run) {
  if (!run.started) return run.ended ? "failed before its first step" : "not started";
  if (!run.ended) return "still going, or killed";
  switch (run.ended->outcome()) {
    case RunEnded::FINISHED:
      return "finished";
    case RunEnded::SAVED:
      return fmt::format("saved at step {}, to be resumed", run.ended->step());
    case RunEnded::FAILED:
      return "failed";
  }
  return "";
}

std::string Change(const Points& points) {
  if (points.empty()) return "–";
  if (points.size() == 1) return FormatFigure(points.front().second);
  return fmt::format("{} → {}", FormatFigure(points.front().second),
                     FormatFigure(points.back().second));
}

std::string RunTable(std::span<const RunRecord> runs, const std::vector<std::string>& names) {
  std::vector<const Figure*> figures;
  for (const Figure& figure : kFigures) {
    const bool found = std::any_of(runs.begin(), runs.end(),
                                   [&](const RunRecord& run) { return figure.of(run) != "–"; });
    if (found || !figure.is_rare) figures.push_back(&figure);
  }
  std::string table = "<table><thead><tr><th scope=col>run<th scope=col>state";
  for (const Figure* figure : figures) {
    table += fmt::format("<th scope=col class=number>{}", figure->name);
  }
  table += "</tr></thead><tbody>\n";
  for (size_t i = 0; i < runs.size(); ++i) {
    table += fmt::format("<tr><td class=name>{}<td>{}", EscapeHtml(names[i]), StateOf(runs[i]));
    for (const Figure* figure : figures) {
      table += "<td class=number>" + EscapeHtml(figure->of(runs[i]));
    }
    table += "</tr>\n";
  }
  return ScrollBox("The runs", table + "</tbody></table>");
}

std::string Failures(std::span<const RunRecord> runs, const std::vector<std::string>& names) {
  std::string failures;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (!runs[i].ended || runs[i].ended->outcome() != RunEnded::FAILED) continue;
    failures += fmt::format("<p class=message><b>{} failed:</b> {}</p>\n", EscapeHtml(names[i]),
                            EscapeHtml(Clipped(runs[i].ended->message(), 4000)));
  }
  return failures;
}

}  // namespace tanren::trainer
