#include "trainer/report/answers.h"

#include <algorithm>
#include <span>
#include <vector>

#include "fmt/format.h"
#include "trainer/report/html.h"

namespace tanren::trainer {
namespace {

// So that a page stays one that a browser opens at once, whatever was asked.
constexpr size_t kShownQuestions = 12;
constexpr size_t kShownBytes = 4000;

struct Column {
  std::string label;
  const char* kind = "";  // its class in the style sheet
};

std::string Answer(std::string_view text) {
  return fmt::format("<span class=answer{}>{}</span>", LanguageAttribute(text),
                     EscapeHtml(Clipped(text, kShownBytes)));
}

std::string Marked(const ScoredAnswer& answer) {
  return fmt::format("<span class={0} role=img aria-label={0}>{1}</span> {2}",
                     answer.right ? "right" : "wrong", answer.right ? "✓" : "✗",
                     Answer(answer.text));
}

// Cells carry their column's name, which a narrow screen shows where it has no columns.
std::string Table(const std::vector<Column>& columns,
                  const std::vector<std::vector<std::string>>& rows, size_t asked) {
  std::string table = "<table class=answers><thead><tr>";
  for (const Column& column : columns) {
    table += fmt::format("<th scope=col class=\"{}\">{}", column.kind, EscapeHtml(column.label));
  }
  table += "</tr></thead><tbody>\n";
  for (const std::vector<std::string>& row : rows) {
    table += "<tr>";
    for (size_t i = 0; i < columns.size(); ++i) {
      table += fmt::format("<td class=\"{}\" data-label=\"{}\">{}", columns[i].kind,
                           EscapeHtml(columns[i].label), row[i]);
    }
    table += "</tr>\n";
  }
  table += "</tbody></table>\n";
  if (asked > rows.size()) {
    table += fmt::format("<p class=soft>{} of {} questions.</p>\n", rows.size(), asked);
  }
  return table;
}

}  // namespace

std::string ScoredAnswersTable(const RunRecord& run) {
  const auto answers = [](const std::optional<EvaluationRecord>& evaluation) {
    return evaluation ? std::span<const ScoredAnswer>(evaluation->answers)
                      : std::span<const ScoredAnswer>();
  };
  const auto before = answers(run.before), after = answers(run.after);
  const auto asked = after.empty() ? before : after;
  if (asked.empty()) return {};
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < std::min(asked.size(), kShownQuestions); ++i) {
    rows.push_back({Answer(asked[i].question), Answer(asked[i].expected),
                    i < before.size() ? Marked(before[i]) : "–",
                    i < after.size() ? Marked(after[i]) : "–"});
  }
  return Table({{"question", "question"}, {"right answer", "expected"}, {"before"}, {"after"}},
               rows, asked.size());
}

std::string SampleAnswersTable(const RunRecord& run) {
  if (run.askings.empty()) return {};
  std::vector<Column> columns = {{"question", "question"}};
  for (const Asking& asking : run.askings) {
    columns.push_back({asking.step == 0 ? "before" : fmt::format("after {} steps", asking.step)});
  }
  const auto& questions = run.askings.front().answers;
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < std::min(questions.size(), kShownQuestions); ++i) {
    std::vector<std::string>& row = rows.emplace_back();
    row.push_back(Answer(questions[i].first));
    for (const Asking& asking : run.askings) {
      row.push_back(i < asking.answers.size() ? Answer(asking.answers[i].second) : "–");
    }
  }
  return Table(columns, rows, questions.size());
}

}  // namespace tanren::trainer
