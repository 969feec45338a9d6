// CRC-32C (Castagnoli, RFC 3720): the checksum in TensorBoard's files.
#ifndef TANREN_RUNTIME_TELEMETRY_CRC32C_H_
#define TANREN_RUNTIME_TELEMETRY_CRC32C_H_

#include <cstdint>
#include <string_view>

namespace tanren::telemetry {

uint32_t Crc32c(std::string_view bytes);

// As TFRecord stores it: rotated and shifted, so that a checksum over data that holds its own
// checksum isn't degenerate.
uint32_t MaskedCrc32c(std::string_view bytes);

}  // namespace tanren::telemetry

#endif  // TANREN_RUNTIME_TELEMETRY_CRC32C_H_
