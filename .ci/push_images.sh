#!/usr/bin/env bash
# Build the three images and push them by digest, without a tag, with SBOM and provenance beside each.
#
#   bash .ci/push_images.sh 111122223333.dkr.ecr.eu-central-1.amazonaws.com/marquee python:3.11-slim-bookworm@sha256:…
#
# Prints NAME=REPOSITORY@DIGEST for each, to $GITHUB_OUTPUT too where there is one. Needs docker with buildx,
# and to be logged in.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

registry="${1:?the registry and the prefix of the repositories, such as …/marquee}"
base="${2:?the base image, by digest}"
if [[ ! "$base" =~ @sha256:[0-9a-f]{64}$ ]]; then
    echo "error: the base image $base has no digest: name@sha256:…, as \`docker buildx imagetools inspect\` says" >&2
    exit 1
fi

version="$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)"
revision="$(git rev-parse HEAD)"
builder="marquee-$$"
folder="$(mktemp -d)"
docker buildx create --name "$builder" --driver docker-container >/dev/null
trap 'docker buildx rm "$builder" >/dev/null; rm -rf "$folder"' EXIT

for name in pipeline monitoring serving; do
    docker buildx build . \
        --builder "$builder" \
        --target "$name" \
        --platform linux/amd64 \
        --build-arg BASE="$base" \
        --build-arg VERSION="$version" \
        --build-arg REVISION="$revision" \
        --label org.opencontainers.image.base.name="$base" \
        --sbom=true \
        --provenance=mode=max \
        --metadata-file "$folder/$name.json" \
        --output "type=image,name=$registry/$name,push-by-digest=true,name-canonical=true,push=true"
    digest="$(jq --exit-status --raw-output '."containerimage.digest"' "$folder/$name.json")"
    echo "$name=$registry/$name@$digest" | tee -a "${GITHUB_OUTPUT:-/dev/null}"
done
