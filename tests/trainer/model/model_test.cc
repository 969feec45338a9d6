#include "trainer/model/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/formats/llama_config.h"
#include "trainer/model/llama.h"

namespace tanren::trainer {
namespace {

using ::testing::HasSubstr;

using formats::SmolLm2Config;

TEST(Model, TiedEmbeddingsAreOneParameter) {
  const Model model = BuildLlama(SmolLm2Config());
  EXPECT_EQ(model.head.name, "model.embed_tokens.weight");
  EXPECT_EQ(model.units.size(), 32u);
  EXPECT_EQ(ParameterCount(model), 134515008);  // what Hugging Face gives for SmolLM2-135M
}

TEST(Model, ItsOwnHeadIsOneParameterMore) {
  formats::ModelConfig config = SmolLm2Config();
  config.tie_word_embeddings = false;
  const Model model = BuildLlama(config);
  EXPECT_EQ(model.head.name, "lm_head.weight");
  EXPECT_EQ(ParameterCount(model), 134515008 + 49152 * 576);
}

TEST(Model, ParametersAreThoseOfTheFile) {
  for (const bool tied : {true, false}) {
    formats::ModelConfig config = SmolLm2Config();
    config.tie_word_embeddings = tied;
    config.attention_bias = config.attention_output_bias = config.mlp_bias = !tied;
    config.query_key_norm = tied;
    std::map<std::string, std::vector<int64_t>> expected, found;
    for (const formats::TensorInfo& tensor : formats::ModelTensors(config, formats::DType::kF32)) {
      expected[tensor.name] = tensor.shape;
    }
    for (const parallel::ParameterSpec& spec : ParametersOf(BuildLlama(config))) {
      found[spec.name] = spec.shape;
    }
    EXPECT_EQ(found, expected);
  }
}

TEST(Model, NormsAndBiasesHaveNoWeightDecay) {
  formats::ModelConfig config = SmolLm2Config();
  config.attention_bias = true;
  config.query_key_norm = true;
  for (const parallel::ParameterSpec& spec : ParametersOf(BuildLlama(config))) {
    EXPECT_EQ(spec.decay, spec.shape.size() == 2) << spec.name;
  }
}

TEST(Model, AnUnknownArchitectureIsNamedWithThoseThatAreKnown) {
  formats::ModelConfig config = SmolLm2Config();
  config.architecture = "MambaForCausalLM";
  const absl::Status status = BuildModel(config).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("MambaForCausalLM"),
                    HasSubstr("LlamaForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM")));
}

TEST(Model, ATokenCostsSixOperationsForEachParameterInAProduct) {
  const formats::ModelConfig config = SmolLm2Config();
  const Model model = BuildLlama(config);
  const double norms = 61 * 576;
  EXPECT_DOUBLE_EQ(FlopsPerToken(config, model, 0), 6 * (134515008 - norms));
  EXPECT_DOUBLE_EQ(FlopsPerToken(config, model, 100) - FlopsPerToken(config, model, 0),
                   12.0 * 30 * 576 * 100);
}

}  // namespace
}  // namespace tanren::trainer
