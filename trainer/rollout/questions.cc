#include "trainer/rollout/questions.h"

#include <algorithm>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "trainer/rollout/prompt.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

absl::StatusOr<Json> ParseRequest(const std::string& line) {
  Json request = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!request.is_object()) return absl::InvalidArgumentError("expected a JSON object");
  if (!request.contains("messages") && !request.contains("prompt")) {
    return absl::InvalidArgumentError("expected \"messages\" or \"prompt\"");
  }
  return request;
}

}  // namespace

absl::Status ReadRequests(
    const std::filesystem::path& path, int64_t limit,
    const std::function<absl::Status(Json request, std::string where)>& take) {
  TANREN_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  int64_t line_number = 0, taken = 0;
  for (size_t begin = 0; begin < text.size() && (limit == 0 || taken < limit);) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (Trimmed(line).empty()) continue;
    const std::string where = fmt::format("{}:{}", path.string(), line_number);
    absl::StatusOr<Json> request = ParseRequest(line);
    if (!request.ok()) return Annotate(request.status(), where);
    TANREN_RETURN_IF_ERROR(Annotate(take(*std::move(request), where), where));
    ++taken;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Question>> ReadQuestions(const std::filesystem::path& path,
                                                    int64_t limit, bool needs_answer) {
  std::vector<Question> questions;
  const auto take = [&](Json request, const std::string&) -> absl::Status {
    Question& question = questions.emplace_back();
    const auto answer = request.find("answer");
    if (answer != request.end() && answer->is_string()) {
      question.answer = answer->get<std::string>();
    } else if (needs_answer) {
      return absl::InvalidArgumentError("expected \"answer\", a string");
    }
    question.request = std::move(request);
    return absl::OkStatus();
  };
  TANREN_RETURN_IF_ERROR(ReadRequests(path, limit, take));
  return questions;
}

std::string AnswerIn(std::string_view text, std::string_view marker) {
  if (!marker.empty()) {
    const size_t found = text.rfind(marker);
    if (found != std::string_view::npos) text.remove_prefix(found + marker.size());
  }
  return std::string(Trimmed(text));
}

std::string QuestionText(const Json& request) {
  if (const auto prompt = request.find("prompt"); prompt != request.end() && prompt->is_string()) {
    return prompt->get<std::string>();
  }
  const auto messages = request.find("messages");
  if (messages == request.end() || !messages->is_array() || messages->empty()) return {};
  if (!messages->back().is_object()) return {};
  const auto content = messages->back().find("content");
  if (content == messages->back().end()) return {};
  if (content->is_string()) return content->get<std::string>();
  return content->dump(-1, ' ', false, Json::error_handler_t::replace);
}

absl::StatusOr<std::vector<GenerationRequest>> RequestsFor(const std::vector<Question>& questions,
                                                           const GenerationRequest& defaults,
                                                           const text::ChatTemplate* chat_template,
                                                           const text::Tokenizer& tokenizer) {
  std::vector<GenerationRequest> requests;
  for (size_t i = 0; i < questions.size(); ++i) {
    GenerationRequest request = defaults;
    absl::StatusOr<std::vector<int32_t>> prompt =
        PromptOf(questions[i].request, chat_template, tokenizer);
    if (!prompt.ok()) return Annotate(prompt.status(), fmt::format("question {}", i + 1));
    request.prompt = *std::move(prompt);
    request.sequence = static_cast<uint32_t>(i);
    requests.push_back(std::move(request));
  }
  return requests;
}

}  // namespace tanren::trainer
