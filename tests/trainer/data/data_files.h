// A corpus of texts in files, each text told by its own first letters.
#ifndef TANREN_TESTS_TRAINER_DATA_DATA_FILES_H_
#define TANREN_TESTS_TRAINER_DATA_DATA_FILES_H_

#include <memory>
#include <string>
#include <vector>

#include "runtime/base/error.h"
#include "tests/trainer/data/chat.h"
#include "tests/trainer/data/files.h"
#include "trainer/data/corpus.h"

namespace tanren::trainer {

// `count` rows, {"text": "<name><i>......"}, of 4 to 4 + `spread` characters.
inline std::string TextRows(const std::string& name, int count, int spread) {
  std::string rows;
  for (int i = 0; i < count; ++i) {
    std::string text = name + std::to_string(i);
    text.resize(static_cast<size_t>(4 + i * 7 % (spread + 1)), '.');
    rows += "{\"text\":\"" + text + "\"}\n";
  }
  return rows;
}

struct DataFiles {
  // Rows of each file.
  explicit DataFiles(const std::vector<std::string>& contents) {
    for (size_t i = 0; i < contents.size(); ++i) {
      sources.Add()->set_path(folder.Write("s" + std::to_string(i) + ".jsonl", contents[i]));
    }
  }
  std::unique_ptr<Corpus> Open(const CorpusOptions& options) const {
    return ValueOrThrow(Corpus::Open(sources, DocumentRenderer(*tokenizer, nullptr, {}), options));
  }

  Folder folder;
  google::protobuf::RepeatedPtrField<SourceRecipe> sources;
  std::unique_ptr<text::Tokenizer> tokenizer = MakeTokenizer();
};

}  // namespace tanren::trainer

#endif  // TANREN_TESTS_TRAINER_DATA_DATA_FILES_H_
