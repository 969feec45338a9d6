// The `attribute='function.name'` of filters.
#ifndef TANREN_RUNTIME_TEXT_JINJA_ATTRIBUTE_PATH_H_
#define TANREN_RUNTIME_TEXT_JINJA_ATTRIBUTE_PATH_H_

#include <vector>

#include "runtime/text/jinja_interpreter.h"
#include "runtime/text/jinja_value.h"

namespace tanren::text::jinja {

class AttributePath {
 public:
  // `attribute` is a string with dots, an integer, or null or None for the item itself. What isn't
  // there becomes `fallback`, if given.
  explicit AttributePath(const Value* attribute, const Value* fallback = nullptr);
  Value Read(Interpreter& interpreter, Value item) const;

 private:
  std::vector<Value> parts_;
  Value fallback_;
};

}  // namespace tanren::text::jinja

#endif  // TANREN_RUNTIME_TEXT_JINJA_ATTRIBUTE_PATH_H_
