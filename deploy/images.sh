#!/usr/bin/env bash
# Build all images with the engine there is. Arguments go to each build, such as --build-arg BASE=...
#
#   IMAGE_PREFIX=registry.example.org/parley IMAGE_TAG=1.2.3 deploy/images.sh
set -euo pipefail
cd "$(dirname "$0")/.."

engine=${ENGINE:-}
for candidate in docker podman buildah; do
    [ -n "$engine" ] && break
    command -v "$candidate" > /dev/null && engine=$candidate
done
[ -n "$engine" ] || { echo "No docker, podman or buildah here: install one, or name it with ENGINE." >&2; exit 1; }

ignore=(--ignorefile deploy/Containerfile.dockerignore)
[ "$engine" != docker ] || ignore=() # it finds the file by its name

for target in gateway presence rooms history web; do
    image=${IMAGE_PREFIX:-parley}/$target:${IMAGE_TAG:-latest}
    echo "$image"
    "$engine" build --quiet "${ignore[@]}" --file deploy/Containerfile --target "$target" --tag "$image" "$@" . > /dev/null
done
