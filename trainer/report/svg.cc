#include "trainer/report/svg.h"

#include "fmt/format.h"
#include "trainer/report/html.h"
#include "trainer/report/style.h"

namespace tanren::trainer {

std::string RunClass(int style) {
  return fmt::format("class=\"run s{} d{}\"", style % kSeriesColors,
                     style / kSeriesColors % kSeriesDashes);
}

std::string SvgText(double x, double y, std::string_view text, std::string_view attributes) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, attributes,
                     EscapeHtml(text));
}

std::string SvgLine(double x1, double y1, double x2, double y2, std::string_view attributes) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1,
                     x2, y2, attributes);
}

std::string SvgPolyline(const Points& points, std::string_view attributes) {
  std::string coordinates;
  for (const auto& [x, y] : points) coordinates += fmt::format("{:.1f},{:.1f} ", x, y);
  return fmt::format("<polyline points=\"{}\" {}/>\n", coordinates, attributes);
}

std::string Figure(std::string_view title, std::span<const LegendEntry> legend, double width,
                   double height, std::string_view description, std::string_view drawing) {
  std::string figure = fmt::format("<figure>\n<figcaption><b>{}</b>\n", EscapeHtml(title));
  if (!legend.empty()) {
    figure += "<ul class=legend>\n";
    for (const LegendEntry& entry : legend) {
      figure += fmt::format(
          "<li {}><i></i>{}{}{}</li>\n", RunClass(entry.style), EscapeHtml(entry.name),
          entry.value.empty() ? "" : " ",
          entry.value.empty() ? "" : "<span class=soft>" + EscapeHtml(entry.value) + "</span>");
    }
    figure += "</ul>\n";
  }
  return figure + fmt::format(
                      "</figcaption>\n<svg class=\"chart\" role=\"img\" viewBox=\"0 0 {:.0f} "
                      "{:.0f}\" aria-label=\"{}\">\n{}</svg>\n</figure>\n",
                      width, height, EscapeHtml(description), drawing);
}

}  // namespace tanren::trainer
