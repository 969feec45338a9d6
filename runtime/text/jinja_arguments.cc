// ArgumentReader of jinja_builtins.h.
#include "runtime/text/jinja_builtins.h"
#include "runtime/text/jinja_error.h"

namespace tanren::text::jinja {

const Value* ArgumentReader::Take(std::string_view name) {
  const Value* by_position = nullptr;
  if (position_ < arguments_->positional.size()) by_position = &arguments_->positional[position_];
  ++position_;
  for (size_t i = 0; i < arguments_->named.size(); ++i) {
    if (arguments_->named[i].first != name) continue;
    if (by_position != nullptr) Fail("{}: '{}' is given twice", callee_, name);
    taken_[i] = true;
    return &arguments_->named[i].second;
  }
  return by_position;
}

const Value& ArgumentReader::Need(std::string_view name) {
  const Value* value = Take(name);
  if (value == nullptr) Fail("{}: argument '{}' is missing", callee_, name);
  return *value;
}

int64_t ArgumentReader::Integer(std::string_view name, int64_t fallback) {
  const Value* value = Take(name);
  if (value == nullptr) return fallback;
  if (!value->AsInteger()) {
    Fail("{}: '{}' is an integer, found '{}'", callee_, name, TypeName(*value));
  }
  return *value->AsInteger();
}

bool ArgumentReader::Flag(std::string_view name, bool fallback) {
  const Value* value = Take(name);
  return value == nullptr ? fallback : IsTrue(*value);
}

const Text* ArgumentReader::OptionalText(std::string_view name) {
  const Value* value = Take(name);
  if (value == nullptr || value->IsNone()) return nullptr;
  if (value->text() == nullptr) {
    Fail("{}: '{}' is a string, found '{}'", callee_, name, TypeName(*value));
  }
  return value->text();
}

const Text& ArgumentReader::NeedText(std::string_view name) {
  const Text* text = OptionalText(name);
  if (text == nullptr) Fail("{}: argument '{}' is missing", callee_, name);
  return *text;
}

Arguments ArgumentReader::Rest() {
  Arguments rest;
  for (size_t i = position_; i < arguments_->positional.size(); ++i) {
    rest.positional.push_back(arguments_->positional[i]);
  }
  for (size_t i = 0; i < arguments_->named.size(); ++i) {
    if (!taken_[i]) rest.named.push_back(arguments_->named[i]);
  }
  return rest;
}

void ArgumentReader::Done() const {
  if (position_ < arguments_->positional.size()) {
    Fail("{} takes at most {} arguments, found {}", callee_, position_,
         arguments_->positional.size());
  }
  for (size_t i = 0; i < arguments_->named.size(); ++i) {
    if (!taken_[i]) Fail("unsupported: argument '{}' of {}", arguments_->named[i].first, callee_);
  }
}

}  // namespace tanren::text::jinja
