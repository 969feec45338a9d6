// What a CUDA module looks like from outside, without CUDA. FAKE_VERSION is what it says it is.
extern "C" {
int tanren_cuda_version() { return FAKE_VERSION; }
int tanren_cuda_devices() { return 2; }
void* tanren_cuda_nccl(int) { return nullptr; }
void* tanren_cuda_kernels() { return nullptr; }
}
