#include "parallel/checkpoint/manifest.h"

#include <cmath>
#include <utility>

#include "parallel/checkpoint/checksum.h"
#include "parallel/checkpoint/json_fields.h"
#include "runtime/base/error.h"

namespace tanren::parallel {
namespace {

using Json = nlohmann::json;

constexpr char kFormat[] = "tanren-checkpoint";
constexpr int kMostRanks = 1 << 20;

absl::Status ToStatus(const Json::exception& error) {
  return absl::InvalidArgumentError(error.what());
}

// Of everything but the checksum itself; independent of white space, as keys are sorted.
std::string ManifestChecksum(Json manifest) {
  manifest.erase("checksum");
  return ChecksumText(Checksum(std::string_view(manifest.dump())));
}

Json ToJson(const Manifest& manifest) {
  const CheckpointMeta& meta = manifest.meta;
  Json json = {{"format", kFormat},
               {"version", kCheckpointVersion},
               {"step", meta.step},
               {"world_size", meta.world_size},
               {"frozen_stored", meta.frozen_stored},
               {"optimizer_steps", meta.optimizer_steps},
               {"extra", meta.extra},
               {"index", {{"bytes", manifest.index_bytes}, {"checksum", manifest.index_checksum}}},
               {"files", Json::array()}};
  if (meta.metric) json["metric"] = *meta.metric;
  if (meta.loss_scaler) {
    json["loss_scaler"] = {{"scale", meta.loss_scaler->scale},
                           {"good_steps", meta.loss_scaler->good_steps}};
  }
  for (const StoredFile& file : manifest.files) {
    json["files"].push_back({{"name", file.name}, {"bytes", file.bytes}});
  }
  return json;
}

Manifest FromJson(const Json& json) {
  Manifest manifest;
  CheckpointMeta& meta = manifest.meta;
  meta.step = CountField(json, "step");
  const int64_t world_size = CountField(json, "world_size");
  if (world_size < 1 || world_size > kMostRanks) {
    throw Error(absl::InvalidArgumentError(
        fmt::format("field 'world_size': found {}, expected 1 to {}", world_size, kMostRanks)));
  }
  meta.world_size = static_cast<int>(world_size);
  meta.frozen_stored = FlagField(json, "frozen_stored");
  meta.optimizer_steps = CountField(json, "optimizer_steps");
  if (json.contains("metric")) meta.metric = NumberField(json, "metric");
  if (json.contains("loss_scaler")) {
    const Json& scaler = ObjectField(json, "loss_scaler");
    meta.loss_scaler = {NumberField(scaler, "scale"), CountField(scaler, "good_steps")};
  }
  const Json& extra = ObjectField(json, "extra");
  for (const auto& [name, value] : extra.items()) {
    meta.extra[name] = TextField(extra, name.c_str());
  }
  for (const Json& file : ArrayField(json, "files")) {
    manifest.files.push_back({TextField(file, "name"), CountField(file, "bytes")});
    const std::string& name = manifest.files.back().name;
    if (name.empty() || name.find('/') != std::string::npos || name.starts_with('.')) {
      throw Error(absl::InvalidArgumentError(
          fmt::format("field 'files': found '{}', expected a file's name", name)));
    }
  }
  const Json& index = ObjectField(json, "index");
  manifest.index_bytes = CountField(index, "bytes");
  manifest.index_checksum = TextField(index, "checksum");
  return manifest;
}

}  // namespace

absl::StatusOr<std::string> ManifestText(const Manifest& manifest) {
  if (manifest.meta.metric && !std::isfinite(*manifest.meta.metric)) {
    return absl::InvalidArgumentError(
        fmt::format("a checkpoint's metric must be finite, found {}", *manifest.meta.metric));
  }
  try {
    Json json = ToJson(manifest);
    json["checksum"] = ManifestChecksum(json);
    return json.dump(2) + "\n";
  } catch (const Json::exception& error) {
    return ToStatus(error);
  }
}

absl::StatusOr<Manifest> ParseManifest(const std::string& text) {
  try {
    const Json json = ParseJson(text);
    if (TextField(json, "format") != kFormat || CountField(json, "version") != kCheckpointVersion) {
      return absl::InvalidArgumentError(fmt::format(
          "found format '{}' version {}, expected '{}' version {}", TextField(json, "format"),
          CountField(json, "version"), kFormat, kCheckpointVersion));
    }
    if (TextField(json, "checksum") != ManifestChecksum(json)) {
      return absl::DataLossError("the content doesn't fit its checksum: it was damaged or edited");
    }
    return FromJson(json);
  } catch (const Error& error) {
    return error.status();
  } catch (const Json::exception& error) {
    return ToStatus(error);
  }
}

}  // namespace tanren::parallel
