#include "trainer/report/page.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/terminal.h"
#include "trainer/report/answers.h"
#include "trainer/report/chart.h"
#include "trainer/report/html.h"
#include "trainer/report/run_table.h"
#include "trainer/report/scores.h"
#include "trainer/report/settings.h"
#include "trainer/report/style.h"

namespace tanren::trainer {
namespace {

constexpr char kHead[] = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<h1>{title}</h1>
)";

std::string TitleOf(const std::vector<std::string>& names) {
  if (names.size() > 3) return fmt::format("{} runs", names.size());
  return fmt::format("{}", fmt::join(names, " and "));
}

// The runs' names; runs of one recipe, which have the same, are told apart by their folders.
std::vector<std::string> NamesOf(std::span<const RunRecord> runs) {
  std::map<std::string, int> named, in_folder;
  const auto folder_of = [](const RunRecord& run) { return run.folder.filename().string(); };
  for (const RunRecord& run : runs) {
    ++named[run.name];
    ++in_folder[folder_of(run)];
  }
  std::vector<std::string> names;
  for (const RunRecord& run : runs) {
    const std::string folder = in_folder[folder_of(run)] > 1 ? run.folder.string() : folder_of(run);
    names.push_back(named[run.name] == 1 || folder.empty()
                        ? run.name
                        : fmt::format("{} ({})", run.name, folder));
  }
  return names;
}

// A curve of the report, drawn for each run.
struct Curve {
  LineChartText text;
  const char* line = "";
  const char* dots = "";
  const char* limit = "";
  double unit = 1;  // what values are divided by
  YScale scale = YScale::kFitted;
};

const Curve kCurves[] = {
    {.text = {"Loss of each step", "step", "nats a token"}, .line = "loss"},
    {.text = {"Held-out loss", "step", "nats a token"}, .dots = "validation_loss"},
    {.text = {"Gradient norm", "step", "before clipping"},
     .line = "gradient_norm",
     .scale = YScale::kLogWhereWide},
    {.text = {"Learning rate", "step", "a step"},
     .line = "learning_rate",
     .scale = YScale::kFromZero},
    {.text = {"Throughput", "step", "tokens a second, over all ranks"},
     .line = "tokens_per_second",
     .scale = YScale::kFromZero},
    {.text = {"Memory of the largest rank", "step", "GB resident; dotted: the most so far"},
     .line = "memory_bytes",
     .limit = "peak_memory_bytes",
     .unit = 1e9,
     .scale = YScale::kFromZero},
    {.text = {"GPU memory of the largest rank", "step", "GB allocated; dotted: the most so far"},
     .line = "device_memory_bytes",
     .limit = "peak_device_memory_bytes",
     .unit = 1e9,
     .scale = YScale::kFromZero},
};

Points Divided(Points points, double unit) {
  for (auto& [step, value] : points) value /= unit;
  return points;
}

std::string Curves(std::span<const RunRecord> runs, const std::vector<std::string>& names) {
  std::string charts;
  for (const Curve& curve : kCurves) {
    std::vector<LineSeries> series;
    for (size_t i = 0; i < runs.size(); ++i) {
      const auto of = [&](const char* metric) {
        return Divided(runs[i].Series(metric), curve.unit);
      };
      const auto style = static_cast<int>(i);
      series.push_back({.name = names[i],
                        .line = of(curve.line),
                        .dots = of(curve.dots),
                        .gaps = runs[i].Gaps(curve.line),
                        .style = style});
      if (Points limit = of(curve.limit); !limit.empty()) {
        series.push_back({.line = std::move(limit), .style = style, .is_limit = true});
      }
    }
    charts += LineChart(curve.text, series, curve.scale);
  }
  if (charts.empty()) return "<p class=soft>No step has been done yet.</p>\n";
  return "<div class=charts>\n" + charts + "</div>\n";
}

std::string LossText(const std::optional<EvaluationRecord>& evaluation) {
  if (!evaluation || !evaluation->loss) return "–";
  const Estimate& loss = *evaluation->loss;
  return fmt::format("{:.3f} [{:.3f}, {:.3f}]", loss.value, loss.low, loss.high);
}

// Each score of each run that has one. Empty where none has.
std::string ScoreTable(std::span<const RunRecord> runs, const std::vector<std::string>& names) {
  std::string rows;
  const auto add = [&](size_t i, const char* score, const std::string& before,
                       const std::string& after) {
    if (before == "–" && after == "–") return;
    rows += fmt::format("<tr><td class=name>{}<td>{}<td class=number>{}<td class=number>{}</tr>\n",
                        EscapeHtml(names[i]), score, before, after);
  };
  for (size_t i = 0; i < runs.size(); ++i) {
    for (const Score& score : Scores()) {
      add(i, score.name, ScoreText(runs[i].before, score), ScoreText(runs[i].after, score));
    }
    add(i, "held-out loss", LossText(runs[i].before), LossText(runs[i].after));
  }
  if (rows.empty()) return {};
  return ScrollBox("Scores",
                   "<table><thead><tr><th scope=col>run<th scope=col>score<th scope=col "
                   "class=number>before<th scope=col class=number>after</tr></thead><tbody>\n" +
                       rows + "</tbody></table>");
}

std::string ScoresSection(std::span<const RunRecord> runs, const std::vector<std::string>& names) {
  const std::string table = ScoreTable(runs, names);
  if (table.empty()) return {};
  std::string charts;
  for (const Score& score : Scores()) {
    std::vector<BarGroup> groups;
    for (size_t i = 0; i < runs.size(); ++i) {
      if (!HasScore(runs[i], score)) continue;
      groups.push_back({names[i], ShareOf(runs[i].before, score), ShareOf(runs[i].after, score),
                        static_cast<int>(i)});
    }
    if (!groups.empty()) charts += ShareChart(score.title, groups);
  }
  return "<h2>Scores on held-out data, before and after</h2>\n<div class=charts>" + charts +
         "</div>\n" + table + "<p class=soft>In brackets: 95 % confidence intervals.</p>\n";
}

// `table` of each run that has one, under a heading.
std::string TablesOf(std::span<const RunRecord> runs, const std::vector<std::string>& names,
                     const char* heading, std::string (*table)(const RunRecord& run)) {
  std::string tables;
  for (size_t i = 0; i < runs.size(); ++i) {
    const std::string answers = table(runs[i]);
    if (answers.empty()) continue;
    tables += runs.size() > 1 ? fmt::format("<h3>{}</h3>\n", EscapeHtml(names[i])) : "";
    tables += answers;
  }
  return tables.empty() ? tables : fmt::format("<h2>{}</h2>\n{}", heading, tables);
}

std::string SettingsTable(std::span<const RunRecord> runs, const std::vector<std::string>& names) {
  std::vector<std::string> recipes;
  for (const RunRecord& run : runs) recipes.push_back(run.recipe);
  const std::vector<DifferingSetting> settings = DifferingSettings(recipes);
  if (settings.empty()) return {};
  std::string table = "<table><thead><tr><th scope=col>setting";
  for (const std::string& name : names) table += "<th scope=col>" + EscapeHtml(name);
  table += "</tr></thead><tbody>\n";
  for (const DifferingSetting& setting : settings) {
    table += fmt::format("<tr><td><code>{}</code>", EscapeHtml(setting.key));
    for (const std::string& value : setting.values) {
      table += "<td class=name>" + EscapeHtml(value.empty() ? "–" : Clipped(value, 200));
    }
    table += "</tr>\n";
  }
  return "<h2>Settings in which the runs differ</h2>\n" +
         ScrollBox("Settings in which the runs differ", table + "</tbody></table>");
}

std::string Recipes(std::span<const RunRecord> runs, const std::vector<std::string>& names) {
  std::string recipes = "<h2>Recipes</h2>\n";
  for (size_t i = 0; i < runs.size(); ++i) {
    recipes += fmt::format(
        "<details><summary>{}: <code>{}</code></summary><pre tabindex=0>{}</pre></details>\n",
        EscapeHtml(names[i]), EscapeHtml(runs[i].folder.string()), EscapeHtml(runs[i].recipe));
  }
  return recipes;
}

}  // namespace

std::string ReportPage(std::span<const RunRecord> runs) {
  const std::vector<std::string> names = NamesOf(runs);
  return fmt::format(kHead, fmt::arg("title", EscapeHtml(TitleOf(names))),
                     fmt::arg("style", StyleSheet())) +
         RunTable(runs, names) + Failures(runs, names) + "<h2>Curves</h2>\n" + Curves(runs, names) +
         ScoresSection(runs, names) +
         TablesOf(runs, names, "Held-out questions with one right answer", ScoredAnswersTable) +
         TablesOf(runs, names, "The same questions before and after", SampleAnswersTable) +
         SettingsTable(runs, names) + Recipes(runs, names) + "</body>\n</html>\n";
}

std::string ReportText(std::span<const RunRecord> runs) {
  std::string text;
  const std::vector<std::string> names = NamesOf(runs);
  for (size_t i = 0; i < runs.size(); ++i) {
    const RunRecord& run = runs[i];
    text += fmt::format("{}: {}\n", names[i], StateOf(run));
    if (run.ended && run.ended->outcome() == RunEnded::FAILED) {
      text += "  " + run.ended->message() + "\n";
    }
    text += fmt::format("  training loss  {}\n", Change(run.Series("loss")));
    if (const Points held_out = run.Series("validation_loss"); !held_out.empty()) {
      text += fmt::format("  held-out loss  {}\n", Change(held_out));
    }
    for (const Score& score : Scores()) {
      if (!HasScore(run, score)) continue;
      text += fmt::format("  {:<14} {} → {}\n", score.name, ScoreText(run.before, score),
                          ScoreText(run.after, score));
    }
    if (run.askings.empty()) continue;
    const Asking &first = run.askings.front(), &last = run.askings.back();
    for (size_t j = 0; j < first.answers.size() && j < last.answers.size(); ++j) {
      text += fmt::format("  Q: {}\n     before: {}\n     after:  {}\n",
                          OnOneLine(first.answers[j].first), OnOneLine(first.answers[j].second),
                          OnOneLine(last.answers[j].second));
    }
  }
  return text;
}

}  // namespace tanren::trainer
