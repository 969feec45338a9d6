#include "trainer/rollout/multiple_choice.h"

#include <algorithm>
#include <set>
#include <utility>

#include "fmt/format.h"
#include "runtime/base/error.h"
#include "runtime/text/assistant_targets.h"
#include "runtime/text/chat_fields.h"
#include "trainer/data/batch.h"
#include "trainer/data/chat_tokens.h"
#include "trainer/rollout/prompt.h"
#include "trainer/rollout/questions.h"
#include "trainer/rollout/scoring.h"

namespace tanren::trainer {
namespace {

using Json = nlohmann::ordered_json;

absl::StatusOr<std::vector<std::string>> ChoicesIn(const Json& row) {
  const auto given = row.find("choices");
  if (given == row.end() || !given->is_array() || given->size() < 2) {
    return absl::InvalidArgumentError("expected \"choices\", an array of two strings or more");
  }
  std::vector<std::string> choices;
  std::set<std::string> known;
  for (size_t i = 0; i < given->size(); ++i) {
    const Json& choice = (*given)[i];
    if (!choice.is_string()) {
      return absl::InvalidArgumentError(
          fmt::format("\"choices\"[{}] is {}, expected a string", i, choice.type_name()));
    }
    choices.push_back(choice.get<std::string>());
    if (choices.back().empty()) {
      return absl::InvalidArgumentError(fmt::format("\"choices\"[{}] is empty", i));
    }
    if (!known.insert(choices.back()).second) {
      return absl::InvalidArgumentError(
          fmt::format("\"choices\"[{}] is \"{}\", as one before it", i, choices.back()));
    }
  }
  return choices;
}

absl::StatusOr<size_t> RightIn(const Json& row, const std::vector<std::string>& choices) {
  const std::string expected =
      fmt::format("expected the text of a choice or its index, 0 to {}", choices.size() - 1);
  const auto answer = row.find("answer");
  if (answer == row.end()) {
    return absl::InvalidArgumentError(fmt::format("\"answer\" is missing, {}", expected));
  }
  if (answer->is_string()) {
    const auto found = std::find(choices.begin(), choices.end(), answer->get<std::string>());
    if (found != choices.end()) return static_cast<size_t>(found - choices.begin());
  } else if (answer->is_number_integer()) {
    const auto index = answer->get<int64_t>();
    if (index >= 0 && index < std::ssize(choices)) return static_cast<size_t>(index);
  }
  return absl::InvalidArgumentError(
      fmt::format("\"answer\" is {}, {}",
                  answer->dump(-1, ' ', false, Json::error_handler_t::replace), expected));
}

// The prompt with a choice behind it.
struct Continuation {
  std::vector<int32_t> tokens;
  size_t boundary = 0;  // tokens from here on hold something of the choice
};

size_t CommonTokens(const std::vector<int32_t>& a, const std::vector<int32_t>& b, size_t limit) {
  size_t count = 0;
  while (count < std::min({a.size(), b.size(), limit}) && a[count] == b[count]) ++count;
  return count;
}

absl::StatusOr<Continuation> ContinuationOfText(const Json& prompt, const std::string& choice,
                                                const text::Tokenizer& tokenizer) {
  if (!prompt.is_string()) {
    return absl::InvalidArgumentError(
        fmt::format("\"prompt\" is {}, expected a string", prompt.type_name()));
  }
  const std::string text = prompt.get<std::string>();
  Continuation result{PromptOfText(text + choice, tokenizer), 0};
  result.boundary =
      CommonTokens(result.tokens, PromptOfText(text, tokenizer), result.tokens.size());
  return result;
}

// The bytes of chat.text that were copied from the message's content.
text::ByteRange ContentOf(const text::RenderedChat& chat, int message) {
  text::ByteRange content{-1, -1};
  for (const text::Span& span : chat.spans) {
    if (span.origin < 0) continue;
    const text::Origin& origin = chat.origins[static_cast<size_t>(span.origin)];
    if (origin.message != message || text::KindOfField(origin.field) != text::FieldKind::kContent) {
      continue;
    }
    if (content.begin < 0) content.begin = static_cast<int64_t>(span.begin);
    content.end = static_cast<int64_t>(span.end);
  }
  return content;
}

absl::StatusOr<Continuation> ContinuationOfChat(const Json& request, const std::string& choice,
                                                const text::ChatTemplate* chat_template,
                                                const text::Tokenizer& tokenizer) {
  if (chat_template == nullptr) {
    return absl::FailedPreconditionError(
        "the model has no chat template: give \"prompt\" instead of \"messages\"");
  }
  text::ChatInput input = ChatInputFor(tokenizer);
  input.messages = request.at("messages");
  if (!input.messages.is_array()) {
    return absl::InvalidArgumentError(
        fmt::format("\"messages\" is {}, expected an array", input.messages.type_name()));
  }
  if (const auto tools = request.find("tools"); tools != request.end()) input.tools = *tools;
  TANREN_RETURN_IF_ERROR(CheckNoSpecialTokens(input.tools, tokenizer));
  const auto message = static_cast<int>(input.messages.size());
  input.messages.push_back({{"role", "assistant"}, {"content", choice}});
  TANREN_ASSIGN_OR_RETURN(const text::RenderedChat chat, chat_template->Render(input));
  const text::ByteRange content = ContentOf(chat, message);
  const std::vector<text::RoundTripProblem> problems = text::RoundTripProblems(chat, message);
  if (!problems.empty() || content.begin < 0) {
    return absl::InvalidArgumentError(
        fmt::format("the chat template loses the choice \"{}\"{}", choice,
                    problems.empty() ? "" : fmt::format(": {}", problems.front().what)));
  }
  text::Encoding encoding = EncodeChat(chat, tokenizer);
  Continuation result;
  size_t end = encoding.ids.size();
  while (end > 0 && encoding.ranges[end - 1].begin >= content.end) --end;
  while (result.boundary < end && encoding.ranges[result.boundary].end <= content.begin) {
    ++result.boundary;
  }
  encoding.ids.resize(end);
  result.tokens = std::move(encoding.ids);
  return result;
}

absl::StatusOr<std::vector<Document>> DocumentsOf(std::vector<Continuation> choices,
                                                  int64_t max_positions) {
  // Tokens that choices share hold the same bytes, so up to there none of them holds a choice's.
  size_t boundary = choices.front().boundary;
  for (const Continuation& choice : choices) {
    boundary = CommonTokens(choices.front().tokens, choice.tokens, boundary);
  }
  if (boundary == 0) {
    return absl::InvalidArgumentError(
        "no token stands before the choices; expected a longer prompt");
  }
  std::vector<Document> documents;
  for (size_t i = 0; i < choices.size(); ++i) {
    const size_t length = choices[i].tokens.size();
    if (length <= boundary) {
      return absl::InvalidArgumentError(fmt::format("\"choices\"[{}] has no token", i));
    }
    if (max_positions > 0 && static_cast<int64_t>(length) > max_positions) {
      return absl::InvalidArgumentError(
          fmt::format("with \"choices\"[{}] it has {} tokens, and the model {} positions", i,
                      length, max_positions));
    }
    Document& document = documents.emplace_back();
    document.tokens = std::move(choices[i].tokens);
    document.weights.assign(length, 0.0f);
    std::fill(document.weights.begin() + static_cast<std::ptrdiff_t>(boundary),
              document.weights.end(), 1.0f);
  }
  return documents;
}

size_t BytesWithoutSpaceAround(std::string_view text) {
  const size_t bytes = AnswerIn(text, /*marker=*/"").size();
  return bytes > 0 ? bytes : text.size();
}

}  // namespace

absl::StatusOr<std::vector<ChoiceQuestion>> ReadChoiceQuestions(const std::filesystem::path& path,
                                                                int64_t limit) {
  std::vector<ChoiceQuestion> questions;
  const auto take = [&](Json request, std::string where) -> absl::Status {
    ChoiceQuestion& question = questions.emplace_back();
    TANREN_ASSIGN_OR_RETURN(question.choices, ChoicesIn(request));
    TANREN_ASSIGN_OR_RETURN(question.right, RightIn(request, question.choices));
    question.request = std::move(request);
    question.where = std::move(where);
    return absl::OkStatus();
  };
  TANREN_RETURN_IF_ERROR(ReadRequests(path, limit, take));
  return questions;
}

absl::StatusOr<std::vector<Document>> ChoiceDocuments(const ChoiceQuestion& question,
                                                      const text::ChatTemplate* chat_template,
                                                      const text::Tokenizer& tokenizer,
                                                      int64_t max_positions) {
  std::vector<Continuation> continuations;
  for (const std::string& choice : question.choices) {
    absl::StatusOr<Continuation> continuation =
        question.request.contains("messages")
            ? ContinuationOfChat(question.request, choice, chat_template, tokenizer)
            : ContinuationOfText(question.request.at("prompt"), choice, tokenizer);
    if (!continuation.ok()) return Annotate(continuation.status(), question.where);
    continuations.push_back(*std::move(continuation));
  }
  absl::StatusOr<std::vector<Document>> documents =
      DocumentsOf(std::move(continuations), max_positions);
  if (!documents.ok()) return Annotate(documents.status(), question.where);
  return documents;
}

std::vector<double> LogLikelihoods(const ResidentModel& model, std::span<const Document> documents,
                                   int64_t batch_tokens, const std::function<void(size_t)>& done) {
  std::vector<double> log_likelihoods;
  std::vector<const Document*> batch;
  int64_t tokens = 0;
  const auto score = [&] {
    for (double loss : DocumentLosses(model, MakeBatch(batch))) log_likelihoods.push_back(-loss);
    batch.clear();
    tokens = 0;
    if (done) done(log_likelihoods.size());
  };
  for (const Document& document : documents) {
    const auto length = static_cast<int64_t>(document.tokens.size());
    if (!batch.empty() && tokens + length > batch_tokens) score();
    batch.push_back(&document);
    tokens += length;
  }
  if (!batch.empty()) score();
  return log_likelihoods;
}

ChosenIndices Choose(std::span<const std::string> choices,
                     std::span<const double> log_likelihoods) {
  const auto mean = [&](size_t i) {
    return log_likelihoods[i] / static_cast<double>(BytesWithoutSpaceAround(choices[i]));
  };
  ChosenIndices chosen;
  for (size_t i = 1; i < choices.size(); ++i) {
    if (log_likelihoods[i] > log_likelihoods[chosen.by_sum]) chosen.by_sum = i;
    if (mean(i) > mean(chosen.by_mean)) chosen.by_mean = i;
  }
  return chosen;
}

}  // namespace tanren::trainer
