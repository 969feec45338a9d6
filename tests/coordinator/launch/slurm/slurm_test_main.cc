// The tests of the Slurm launcher are at once the program that its batch jobs start.
#include "coordinator/launch/slurm/slurm_batch.h"
#include "gtest/gtest.h"

int main(int argc, char** argv) {
  if (const auto code = tanren::coordinator::RunSlurmCommand(argc, argv)) return *code;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
