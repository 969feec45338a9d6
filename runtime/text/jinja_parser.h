// Parses a template's tokens into statements.
#ifndef TANREN_RUNTIME_TEXT_JINJA_PARSER_H_
#define TANREN_RUNTIME_TEXT_JINJA_PARSER_H_

#include <string_view>

#include "runtime/text/jinja_ast.h"

namespace tanren::text::jinja {

struct ParsedTemplate {
  Body body;
  bool has_generation_blocks = false;
};

// Throws Error whose message starts with "line N: ".
ParsedTemplate ParseTemplate(std::string_view source);

}  // namespace tanren::text::jinja

#endif  // TANREN_RUNTIME_TEXT_JINJA_PARSER_H_
