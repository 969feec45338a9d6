#!/usr/bin/env bash
# Saves the schemas and the messages in recorded/*.txtpb as this release writes them. For the next
# release to be compared with: run it once for each release, when its schemas are final.
#
# usage: tests/coordinator/wire/record.sh
set -euo pipefail
cd "$(dirname "$0")/../../.."
here=tests/coordinator/wire
protoc --proto_path=. --descriptor_set_out=$here/schemas.binpb --include_imports \
  proto/job.proto proto/history.proto proto/coordinator.proto
for text in "$here"/recorded/*.txtpb; do
  name=$(basename "$text")
  protoc --proto_path=. --encode="tanren.coordinator.${name%%.*}" \
    proto/job.proto proto/history.proto proto/coordinator.proto <"$text" >"${text%.txtpb}.binpb"
done
