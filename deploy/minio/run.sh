#!/bin/sh
# Builds the pinned MinIO if needed and runs it on 127.0.0.1:9000 in the foreground; prints the variables to export.
# Flags are passed on: see `deploy/minio/run.sh -h`.
set -eu
cd "$(dirname "$0")/../.."
exec "${GO:-go}" run ./deploy/minio/miniotest/cmd "$@"
