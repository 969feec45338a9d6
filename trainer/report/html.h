// Text for pages.
#ifndef TANREN_TRAINER_REPORT_HTML_H_
#define TANREN_TRAINER_REPORT_HTML_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace tanren::trainer {

// `text` as HTML and SVG show it as it is, in elements and quoted attributes. Control characters,
// which XML doesn't have, become U+FFFD.
std::string EscapeHtml(std::string_view text);

// The first `bytes` bytes, or less where that would cut a UTF-8 character, and "…"; a shorter text
// as it is.
std::string Clipped(std::string_view text, size_t bytes);

// " lang=ja" for text with kana, so that its kanji get Japanese shapes on an English page; else
// nothing.
std::string LanguageAttribute(std::string_view text);

// A box of its own that scrolls, by keyboard too, where its content is wider than the page. `label`
// names it for readers who don't see it.
std::string ScrollBox(std::string_view label, std::string_view content);

// The digits of a figure that matter to a reader: "1.234", "45.67", "123", "12 k", "12.3 M".
std::string FormatFigure(double value);

}  // namespace tanren::trainer

#endif  // TANREN_TRAINER_REPORT_HTML_H_
