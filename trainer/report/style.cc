#include "trainer/report/style.h"

#include "fmt/format.h"

namespace tanren::trainer {
namespace {

// A table of answers becomes a stack on a narrow screen: the question above, before and after side
// by side below it.
constexpr char kRules[] = R"(
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "Noto Sans", "Noto Sans CJK JP", sans-serif; color: var(--text);
  background: var(--back); max-width: 1228px; margin: 0 auto; padding: 24px; }
h1, h2, h3, td, th, li, summary, .message { overflow-wrap: anywhere; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 16px; }
h2 { font-size: 18px; margin: 36px 0 12px; } h3 { font-size: 15px; margin: 20px 0 8px; }
.scroll { overflow-x: auto; }
:focus-visible { outline: 2px solid var(--series-0); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 6px 16px 6px 0;
  border-bottom: 1px solid var(--grid); }
th { color: var(--soft); font-weight: 600; }
.scroll th, .scroll td { white-space: nowrap; }
.scroll td.name { white-space: normal; min-width: 190px; max-width: 340px; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
.charts { display: grid; gap: 24px 20px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
figure { margin: 0; max-width: 560px; min-width: 0; display: flex; flex-direction: column;
  justify-content: space-between; }
figcaption { margin-bottom: 6px; }
.legend { list-style: none; margin: 2px 0 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: 0 14px; font-size: 13px; }
.legend i { display: inline-block; width: 18px; margin-right: 6px; vertical-align: middle;
  border-top: 3px solid var(--c); }
.legend .d1 i { border-top-style: dashed; } .legend .d2 i { border-top-style: dotted; }
svg.chart { width: 100%; height: auto; font-size: 11px; display: block; }
svg text { fill: var(--soft); stroke: none; } svg text.name { fill: var(--text); }
svg .grid { stroke: var(--grid); } svg .axis { stroke: var(--soft); }
svg .whisker { stroke: var(--text); stroke-width: 1.5; fill: none; stroke-dasharray: none; }
svg .run { stroke: var(--c); fill: none; stroke-width: 2; stroke-linecap: round;
  stroke-linejoin: round; }
svg .run.d1 { stroke-dasharray: 7 5; } svg .run.d2 { stroke-dasharray: 1 5; }
svg .faint { stroke-width: 1; stroke-opacity: 0.35; }
svg .band { stroke: none; fill: var(--c); fill-opacity: 0.2; }
svg .sparse { stroke-width: 1; stroke-dasharray: 4 4; }
svg .limit { stroke-width: 1.5; stroke-dasharray: 2 4; }
svg .dot { fill: var(--c); stroke: none; }
svg .bar { fill: var(--c); stroke-width: 1; stroke-dasharray: none; }
svg .bar.before { fill-opacity: 0.25; }
.answer { white-space: pre-wrap; line-break: strict; } .soft { color: var(--soft); }
.right { color: var(--right); } .wrong { color: var(--wrong); }
.message { white-space: pre-wrap; background: var(--box); border-left: 4px solid var(--wrong);
  padding: 8px 12px; margin: 12px 0; }
table.answers { table-layout: fixed; } th.question { width: 24%; } th.expected { width: 14%; }
summary { cursor: pointer; } pre { overflow-x: auto; background: var(--box); padding: 12px; }
@media (max-width: 640px) {
  body { padding: 16px; }
  table.answers, table.answers tbody { display: block; }
  table.answers thead { display: none; }
  table.answers tr { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 12px;
    border-bottom: 1px solid var(--grid); padding: 8px 0; }
  table.answers td { display: block; border: 0; padding: 2px 0; }
  table.answers td.question, table.answers td.expected { grid-column: 1 / -1; }
  table.answers td.question { font-weight: 600; }
  table.answers td::before { content: attr(data-label); display: block; color: var(--soft);
    font-size: 13px; font-weight: 400; }
}
)";

std::string Variables(const Colors& colors) {
  std::string variables = fmt::format(
      "--text: {}; --soft: {}; --grid: {}; --back: {}; --box: {}; --right: {}; "
      "--wrong: {};",
      colors.text, colors.soft, colors.grid, colors.back, colors.box, colors.right, colors.wrong);
  for (int i = 0; i < kSeriesColors; ++i) {
    variables += fmt::format(" --series-{}: {};", i, colors.series[i]);
  }
  return variables;
}

}  // namespace

const Colors kLightColors = {
    .text = "#1d2430",
    .soft = "#566070",
    .grid = "#d9dee6",
    .back = "#ffffff",
    .box = "#f2f4f7",
    .right = "#1a7340",
    .wrong = "#b3261e",
    .series = {"#2563c9", "#d2650a", "#1a8f5a", "#8a3fc4", "#b3261e", "#5b6472"}};

const Colors kDarkColors = {
    .text = "#e6e9ef",
    .soft = "#9aa4b2",
    .grid = "#333b48",
    .back = "#14181f",
    .box = "#1e242d",
    .right = "#5fd198",
    .wrong = "#ff8a80",
    .series = {"#7aa9ff", "#ffa657", "#5fd198", "#c69bff", "#ff8a80", "#9aa4b2"}};

std::string StyleSheet() {
  std::string sheet = fmt::format(
      ":root {{ color-scheme: light dark; {} }}\n@media (prefers-color-scheme: dark) {{ :root {{ "
      "{} }} }}\n",
      Variables(kLightColors), Variables(kDarkColors));
  for (int i = 0; i < kSeriesColors; ++i) {
    sheet += fmt::format(".s{} {{ --c: var(--series-{}); }}\n", i, i);
  }
  return sheet + kRules;
}

}  // namespace tanren::trainer
