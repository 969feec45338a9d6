#include "trainer/report/page.h"

#include <algorithm>
#include <vector>

#include "fmt/format.h"
#include "runtime/base/terminal.h"
#include "trainer/report/chart.h"
#include "trainer/report/html.h"

namespace tanren::trainer {
namespace {

using Points = std::vector<std::pair<double, double>>;

constexpr char kHead[] = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --text: #1d2430; --soft: #5b6472; --grid: #d9dee6; --back: #fff;
  --right: #1a7f4b; --wrong: #b3261e;
  --series-0: #2563c9; --series-1: #d2650a; --series-2: #1a8f5a; --series-3: #8a3fc4;
  --series-4: #b3261e; --series-5: #5b6472; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --text: #e6e9ef; --soft: #9aa4b2; --grid: #333b48; --back: #14181f;
    --right: #5fd198; --wrong: #ff8a80;
    --series-0: #7aa9ff; --series-1: #ffa657; --series-2: #5fd198; --series-3: #c69bff;
    --series-4: #ff8a80; --series-5: #9aa4b2; }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--text); background: var(--back);
  max-width: 1180px; margin: 0 auto; padding: 24px; }}
h1 {{ font-size: 24px; }} h2 {{ font-size: 18px; margin-top: 36px; }} h3 {{ font-size: 15px; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: 6px 12px 6px 0;
  border-bottom: 1px solid var(--grid); overflow-wrap: anywhere; }}
th {{ color: var(--soft); font-weight: 600; }} td.number, th.number {{ text-align: right; }}
.charts {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(420px, 1fr)); gap: 20px; }}
svg.chart {{ width: 100%; height: auto; font-size: 11px; }}
svg.chart text {{ fill: var(--soft); }} svg.chart text.title {{ fill: var(--text); font-size: 13px;
  font-weight: 600; }}
svg .grid {{ stroke: var(--grid); }} svg .whisker {{ stroke: var(--text); fill: none; }}
.answer {{ white-space: pre-wrap; }} .soft {{ color: var(--soft); }}
.right {{ color: var(--right); }} .wrong {{ color: var(--wrong); }}
pre {{ overflow-x: auto; background: color-mix(in srgb, var(--grid) 35%, transparent); padding: 12px; }}
</style>
<h1>{title}</h1>
)";

int ColorOf(size_t run) { return static_cast<int>(run) % kSeriesColors; }

std::string Join(const std::vector<std::string>& parts, const char* between) {
  return fmt::format("{}", fmt::join(parts, between));
}

std::string TitleOf(std::span<const RunRecord> runs) {
  std::vector<std::string> names;
  for (const RunRecord& run : runs) names.push_back(run.name);
  return Join(names, " and ");
}

// "finished", "saved at step 12", "failed: …", "still going, or killed".
std::string StateOf(const RunRecord& run) {
  if (!run.started) return "not started";
  if (!run.ended) return "still going, or killed";
  switch (run.ended->outcome()) {
    case RunEnded::FINISHED:
      return "finished";
    case RunEnded::SAVED:
      return fmt::format("saved at step {}, to be resumed", run.ended->step());
    case RunEnded::FAILED:
      return "failed: " + run.ended->message();
  }
  return "";
}

double Median(const Points& points) {
  std::vector<double> values;
  for (const auto& [step, value] : points) values.push_back(value);
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

double Sum(const Points& points) {
  double sum = 0;
  for (const auto& [step, value] : points) sum += value;
  return sum;
}

// "first → last" of a metric; a dash where it wasn't taken.
std::string Change(const Points& points) {
  if (points.empty()) return "–";
  if (points.size() == 1) return FormatFigure(points.front().second);
  return fmt::format("{} → {}", FormatFigure(points.front().second),
                     FormatFigure(points.back().second));
}

std::string Percent(const Estimate& share) {
  return fmt::format("{:.1f} % [{:.1f}, {:.1f}]", 100 * share.value, 100 * share.low,
                     100 * share.high);
}

// A share that evaluations find.
struct Score {
  const char* name;   // for tables
  const char* title;  // for charts
  std::optional<Estimate> EvaluationRecord::*share;
};
constexpr Score kScores[] = {
    {"exact match", "Exact match, with 95 % intervals", &EvaluationRecord::exact_match},
    {"acc", "Choices by log-likelihood (acc)", &EvaluationRecord::acc},
    {"acc_norm", "Choices by log-likelihood a byte (acc_norm)", &EvaluationRecord::acc_norm},
};

std::optional<Estimate> ShareOf(const std::optional<EvaluationRecord>& evaluation,
                                const Score& score) {
  return evaluation ? (*evaluation).*score.share : std::nullopt;
}

std::string ScoreText(const std::optional<EvaluationRecord>& evaluation, const Score& score) {
  const std::optional<Estimate> share = ShareOf(evaluation, score);
  return share ? Percent(*share) : "–";
}

bool HasScore(const RunRecord& run, const Score& score) {
  return ShareOf(run.before, score) || ShareOf(run.after, score);
}

std::string RunTable(std::span<const RunRecord> runs) {
  std::string table =
      "<table><tr><th>run<th>state<th class=number>parameters<th class=number>ranks"
      "<th class=number>steps<th class=number>tokens<th class=number>training loss"
      "<th class=number>held-out loss<th class=number>tokens/s<th class=number>peak memory of a "
      "rank"
      "</tr>\n";
  for (const RunRecord& run : runs) {
    const Points tokens = run.Series("tokens"), speed = run.Series("tokens_per_second"),
                 memory = run.Series("peak_memory_bytes"), loss = run.Series("loss");
    const std::vector<std::string> numbers = {
        run.started ? FormatFigure(static_cast<double>(run.started->parameters())) : "–",
        run.started ? fmt::format("{}", run.started->world_size()) : "–",
        loss.empty() ? "0" : fmt::format("{:.0f}", loss.back().first),
        FormatFigure(Sum(tokens)),
        Change(loss),
        Change(run.Series("validation_loss")),
        speed.empty() ? "–" : FormatFigure(Median(speed)),
        memory.empty() ? "–" : fmt::format("{:.1f} GB", memory.back().second / 1e9)};
    table += fmt::format("<tr><td>{}<td>{}", EscapeHtml(run.name), EscapeHtml(StateOf(run)));
    for (const std::string& number : numbers) table += "<td class=number>" + EscapeHtml(number);
    table += "</tr>\n";
  }
  return table + "</table>\n";
}

std::string Curves(std::span<const RunRecord> runs) {
  struct Curve {
    LineChartText text;
    const char* line;
    const char* dots;
  };
  const Curve curves[] = {
      {{"Loss of each step", "step", "nats a token"}, "loss", ""},
      {{"Held-out loss", "step", "nats a token"}, "", "validation_loss"},
      {{"Gradient norm", "step", "before clipping"}, "gradient_norm", ""},
      {{"Learning rate", "step", ""}, "learning_rate", ""},
      {{"Tokens a second", "step", ""}, "tokens_per_second", ""},
  };
  std::string charts;
  for (const Curve& curve : curves) {
    std::vector<LineSeries> series;
    for (size_t i = 0; i < runs.size(); ++i) {
      series.push_back(
          {runs[i].name, runs[i].Series(curve.line), runs[i].Series(curve.dots), ColorOf(i)});
    }
    charts += LineChart(curve.text, series);
  }
  if (charts.empty()) return "<p class=soft>No step has been done yet.</p>\n";
  return "<div class=charts>\n" + charts + "</div>\n";
}

// Which of the scored answers are shown: the first few.
constexpr size_t kShownAnswers = 8;

std::string Marked(const ScoredAnswer& answer) {
  return fmt::format("<span class={}>{}</span> <span class=answer>{}</span>",
                     answer.right ? "right" : "wrong", answer.right ? "✓" : "✗",
                     EscapeHtml(answer.text));
}

std::string ScoredTable(const RunRecord& run) {
  const auto answers = [](const std::optional<EvaluationRecord>& evaluation) {
    return evaluation ? std::span<const ScoredAnswer>(evaluation->answers)
                      : std::span<const ScoredAnswer>();
  };
  const auto before = answers(run.before), after = answers(run.after);
  const auto asked = after.empty() ? before : after;
  if (asked.empty()) return {};
  std::string table =
      fmt::format("<h3>{}</h3><table><tr><th>question<th>right answer<th>before<th>after</tr>\n",
                  EscapeHtml(run.name));
  for (size_t i = 0; i < std::min(asked.size(), kShownAnswers); ++i) {
    table += fmt::format("<tr><td class=answer>{}<td class=answer>{}<td>{}<td>{}</tr>\n",
                         EscapeHtml(asked[i].question), EscapeHtml(asked[i].expected),
                         i < before.size() ? Marked(before[i]) : "–",
                         i < after.size() ? Marked(after[i]) : "–");
  }
  table += "</table>\n";
  if (asked.size() > kShownAnswers) {
    table += fmt::format("<p class=soft>{} of {} questions.</p>\n", kShownAnswers, asked.size());
  }
  return table;
}

// Each score of each run that has one.
std::string ScoreTable(std::span<const RunRecord> runs) {
  std::string table = "<table><tr><th>run<th>score<th>before<th>after</tr>\n";
  for (const RunRecord& run : runs) {
    for (const Score& score : kScores) {
      if (!HasScore(run, score)) continue;
      table += fmt::format("<tr><td>{}<td>{}<td>{}<td>{}</tr>\n", EscapeHtml(run.name), score.name,
                           ScoreText(run.before, score), ScoreText(run.after, score));
    }
  }
  return table + "</table>\n";
}

std::string Scores(std::span<const RunRecord> runs) {
  std::string charts, tables;
  for (const Score& score : kScores) {
    std::vector<BarGroup> groups;
    for (size_t i = 0; i < runs.size(); ++i) {
      if (!HasScore(runs[i], score)) continue;
      groups.push_back({runs[i].name, ShareOf(runs[i].before, score), ShareOf(runs[i].after, score),
                        ColorOf(i)});
    }
    if (!groups.empty()) charts += ShareChart(score.title, groups);
  }
  if (charts.empty()) return {};
  for (const RunRecord& run : runs) tables += ScoredTable(run);
  return "<h2>Held-out questions with one right answer</h2>\n<div class=charts>" + charts +
         "</div>\n" + ScoreTable(runs) + tables;
}

std::string SampleAnswers(std::span<const RunRecord> runs) {
  std::string tables;
  for (const RunRecord& run : runs) {
    if (run.askings.empty()) continue;
    tables += fmt::format("<h3>{}</h3><table><tr><th>question", EscapeHtml(run.name));
    for (const Asking& asking : run.askings) {
      tables += asking.step == 0 ? std::string("<th>before")
                                 : fmt::format("<th>after {} steps", asking.step);
    }
    tables += "</tr>\n";
    for (size_t i = 0; i < run.askings.front().answers.size(); ++i) {
      tables += "<tr><td class=answer>" + EscapeHtml(run.askings.front().answers[i].first);
      for (const Asking& asking : run.askings) {
        tables += "<td class=answer>" +
                  (i < asking.answers.size() ? EscapeHtml(asking.answers[i].second) : "–");
      }
      tables += "</tr>\n";
    }
    tables += "</table>\n";
  }
  return tables.empty() ? tables : "<h2>The same questions before and after</h2>\n" + tables;
}

std::string Recipes(std::span<const RunRecord> runs) {
  std::string recipes = "<h2>Recipes</h2>\n";
  for (const RunRecord& run : runs) {
    recipes +=
        fmt::format("<details><summary>{}: <code>{}</code></summary><pre>{}</pre></details>\n",
                    EscapeHtml(run.name), EscapeHtml(run.folder.string()), EscapeHtml(run.recipe));
  }
  return recipes;
}

}  // namespace

std::string ReportPage(std::span<const RunRecord> runs) {
  const std::string title = EscapeHtml(TitleOf(runs));
  return fmt::format(kHead, fmt::arg("title", title)) + RunTable(runs) + "<h2>Curves</h2>\n" +
         Curves(runs) + Scores(runs) + SampleAnswers(runs) + Recipes(runs);
}

std::string ReportText(std::span<const RunRecord> runs) {
  std::string text;
  for (const RunRecord& run : runs) {
    text += fmt::format("{}: {}\n", run.name, StateOf(run));
    text += fmt::format("  training loss  {}\n", Change(run.Series("loss")));
    if (const Points held_out = run.Series("validation_loss"); !held_out.empty()) {
      text += fmt::format("  held-out loss  {}\n", Change(held_out));
    }
    for (const Score& score : kScores) {
      if (!HasScore(run, score)) continue;
      text += fmt::format("  {:<14} {} → {}\n", score.name, ScoreText(run.before, score),
                          ScoreText(run.after, score));
    }
    if (run.askings.empty()) continue;
    const Asking &first = run.askings.front(), &last = run.askings.back();
    for (size_t i = 0; i < first.answers.size() && i < last.answers.size(); ++i) {
      text += fmt::format("  Q: {}\n     before: {}\n     after:  {}\n",
                          OnOneLine(first.answers[i].first), OnOneLine(first.answers[i].second),
                          OnOneLine(last.answers[i].second));
    }
  }
  return text;
}

}  // namespace tanren::trainer
