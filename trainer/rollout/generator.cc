#include "trainer/rollout/generator.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "runtime/base/error.h"
#include "runtime/kernels/linear_cross_entropy.h"
#include "trainer/rollout/sequence_cache.h"
#include "trainer/rollout/stop_scanner.h"

namespace tanren::trainer {

std::string_view Name(FinishReason reason) {
  return reason == FinishReason::kStop ? "stop" : "length";
}

Generator::Generator(const ResidentModel& model, const text::Tokenizer& tokenizer,
                     GeneratorOptions options)
    : model_(model), tokenizer_(tokenizer), options_(std::move(options)) {
  TANREN_CHECK(options_.batch_size >= 1, "a batch of {} sequences", options_.batch_size);
}

void Generator::Check(std::span<const GenerationRequest> requests) const {
  for (size_t i = 0; i < requests.size(); ++i) {
    const auto length = static_cast<int64_t>(requests[i].prompt.size());
    if (length == 0) {
      throw Error(absl::InvalidArgumentError(fmt::format("prompt {} has no tokens", i)));
    }
    if (options_.max_positions > 0 && length >= options_.max_positions) {
      throw Error(absl::InvalidArgumentError(fmt::format(
          "prompt {} has {} tokens; the model has {} positions, which leaves none for an "
          "answer",
          i, length, options_.max_positions)));
    }
  }
}

int64_t Generator::LimitOf(const GenerationRequest& request) const {
  if (options_.max_positions == 0) return request.max_new_tokens;
  return std::min(request.max_new_tokens,
                  options_.max_positions - static_cast<int64_t>(request.prompt.size()));
}

namespace {

// One document for each sequence, at the positions that follow what the cache holds.
parallel::Activations InputOf(const std::vector<std::vector<int32_t>*>& pending,
                              const std::vector<int64_t>& lengths) {
  std::vector<int64_t> tokens, positions, offsets = {0};
  for (size_t i = 0; i < pending.size(); ++i) {
    for (size_t j = 0; j < pending[i]->size(); ++j) {
      tokens.push_back((*pending[i])[j]);
      positions.push_back(lengths[i] + static_cast<int64_t>(j));
    }
    offsets.push_back(static_cast<int64_t>(tokens.size()));
  }
  parallel::Activations input;
  input.tokens_T = at::tensor(tokens, at::kLong);
  input.positions_T = at::tensor(positions, at::kLong);
  input.document_offsets = at::tensor(offsets, at::kLong);
  return input;
}

}  // namespace

// One call of Generate.
class Generator::Run {
 public:
  Run(const Generator& generator, std::span<const GenerationRequest> requests,
      const Listener& listener)
      : generator_(generator),
        requests_(requests),
        listener_(listener),
        results_(requests.size()),
        cache_(generator.model_.layer_count(), generator.options_.batch_size) {
    for (int slot = generator.options_.batch_size - 1; slot >= 0; --slot) free_.push_back(slot);
  }

  std::vector<Generation> ToEnd() {
    while (waiting_ < requests_.size() || !active_.empty()) {
      const size_t first_new = active_.size();
      Admit();
      if (active_.size() > first_new) Advance(first_new);
      if (!active_.empty()) Advance(0);
    }
    return std::move(results_);
  }

 private:
  struct Sequence {
    Sequence(size_t request, int slot, const GenerationRequest& of,
             const text::Tokenizer& tokenizer)
        : request(request),
          slot(slot),
          pending(of.prompt),
          seen(of.prompt),
          decoder(tokenizer, /*skip_special=*/true),
          stops(of.stop) {}

    size_t request;
    int slot;
    std::vector<int32_t> pending;  // what the model hasn't seen: the prompt, then the last token
    std::vector<int32_t> seen;     // the prompt and all that was generated
    text::StreamingDecoder decoder;
    StopScanner stops;
  };

  // Fills free places with waiting requests.
  void Admit() {
    for (; waiting_ < requests_.size() && !free_.empty(); ++waiting_) {
      if (generator_.LimitOf(requests_[waiting_]) <= 0) {  // no token was asked for
        if (listener_.finished) listener_.finished(waiting_, results_[waiting_]);
        continue;
      }
      active_.push_back(std::make_unique<Sequence>(waiting_, free_.back(), requests_[waiting_],
                                                   generator_.tokenizer_));
      free_.pop_back();
    }
  }

  // One forward pass of the sequences from `first` on, a token for each; drops those that end.
  void Advance(size_t first) {
    const std::vector<int32_t> tokens = Sample(NextLogits(first), first);
    size_t kept = first;
    for (size_t i = first; i < active_.size(); ++i) {
      if (Accept(*active_[i], tokens[i - first])) {
        cache_.Clear(active_[i]->slot);
        free_.push_back(active_[i]->slot);
      } else {
        active_[kept++].swap(active_[i]);
      }
    }
    active_.resize(kept);
  }

  // The next token of each sequence from `first` on.
  std::vector<int32_t> Sample(const at::Tensor& logits_NV, size_t first) const {
    const auto vocabulary = static_cast<size_t>(logits_NV.size(1));
    const float* const logits = logits_NV.const_data_ptr<float>();
    std::vector<int32_t> tokens(active_.size() - first);
    at::parallel_for(0, logits_NV.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const Sequence& sequence = *active_[first + i];
        const GenerationRequest& request = requests_[sequence.request];
        tokens[i] = SampleToken({logits + i * vocabulary, vocabulary}, sequence.seen,
                                request.sampling, request.sequence,
                                static_cast<uint32_t>(results_[sequence.request].ids.size()));
      }
    });
    return tokens;
  }

  at::Tensor NextLogits(size_t first) {
    std::vector<int> slots;
    std::vector<int64_t> counts, lengths;
    std::vector<std::vector<int32_t>*> pending;
    for (size_t i = first; i < active_.size(); ++i) {
      slots.push_back(active_[i]->slot);
      counts.push_back(static_cast<int64_t>(active_[i]->pending.size()));
      lengths.push_back(cache_.length(active_[i]->slot));
      pending.push_back(&active_[i]->pending);
    }
    parallel::Activations input = InputOf(pending, lengths);
    const at::Tensor last_rows = input.document_offsets.slice(0, 1).sub(1);
    cache_.Select(std::move(slots), std::move(counts));
    input.cache = &cache_;
    const at::Tensor hidden_TD = generator_.model_.Forward(std::move(input));
    cache_.Advance();
    return kernels::Logits(hidden_TD.index_select(0, last_rows),
                           generator_.model_.head_weight_VD());
  }

  // Takes a token and puts its text out; says whether the sequence has ended.
  bool Accept(Sequence& sequence, int32_t token) {
    Generation& result = results_[sequence.request];
    result.ids.push_back(token);
    const std::vector<int32_t>& ends = generator_.options_.end_tokens;
    const bool is_end = std::find(ends.begin(), ends.end(), token) != ends.end();
    std::string shown;
    if (!is_end) shown = sequence.stops.Push(sequence.decoder.Push(token));
    const bool ended =
        is_end || sequence.stops.stopped() ||
        static_cast<int64_t>(result.ids.size()) >= generator_.LimitOf(requests_[sequence.request]);
    if (ended) {
      // What the model itself left torn is shown; what the limit cut off is no text of its.
      if (is_end) shown += sequence.stops.Push(sequence.decoder.Finish());
      shown += sequence.stops.Finish();
    }
    if (is_end || sequence.stops.stopped()) result.finish_reason = FinishReason::kStop;
    result.text += shown;
    if (listener_.text && !shown.empty()) listener_.text(sequence.request, shown);
    if (ended && listener_.finished) listener_.finished(sequence.request, result);
    sequence.pending.assign(1, token);
    sequence.seen.push_back(token);
    return ended;
  }

  const Generator& generator_;
  std::span<const GenerationRequest> requests_;
  const Listener& listener_;
  std::vector<Generation> results_;
  SequenceCache cache_;
  std::vector<std::unique_ptr<Sequence>> active_;
  std::vector<int> free_;  // slots
  size_t waiting_ = 0;     // the next request to admit
};

std::vector<Generation> Generator::Generate(std::span<const GenerationRequest> requests,
                                            const Listener& listener) const {
  Check(requests);
  return Run(*this, requests, listener).ToEnd();
}

}  // namespace tanren::trainer
