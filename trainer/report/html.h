// Text for pages.
#ifndef TANREN_TRAINER_REPORT_HTML_H_
#define TANREN_TRAINER_REPORT_HTML_H_

#include <string>
#include <string_view>

namespace tanren::trainer {

// `text` as HTML and SVG show it as it is, in elements and quoted attributes. Control characters,
// which XML doesn't have, become U+FFFD.
std::string EscapeHtml(std::string_view text);

// Four digits of a figure that matters as a number: "1.234", "45.67", "1,234", "12.3 M".
std::string FormatFigure(double value);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_HTML_H_
