// The letters of shape suffixes: `hidden_TD` is [T, D].
//
//   T  tokens, of all documents of a micro-batch one after another
//   N  documents
//   D  hidden size
//   H  query heads
//   K  key-value heads
//   d  head size
//   F  size of the feed-forward network
//   V  vocabulary
#ifndef TANREN_TRAINER_MODEL_SHAPES_H_
#define TANREN_TRAINER_MODEL_SHAPES_H_
#endif  // TANREN_TRAINER_MODEL_SHAPES_H_
