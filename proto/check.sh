#!/bin/sh
# Fails if the .proto files break lint or the published API, or if the committed output is not what they generate.
set -eu
cd "$(dirname "$0")"
PATH="../node_modules/.bin:$PATH"
buf lint
buf format --diff --exit-code --path mcfleet
# baseline.binpb is the API as users know it. After a deliberate, compatible change: npm run accept --workspace @mcfleet/proto
committed=$(mktemp -d)
trap 'rm -rf "$committed"' EXIT
buf build -o "$committed/now.binpb"
# Not the types that come with buf itself: they change with its version, not with our API.
buf breaking "$committed/now.binpb" --against baseline.binpb --exclude-imports
cp -r gen "$committed/gen"
sh generate.sh
if ! diff -r "$committed/gen" gen >"$committed/diff"; then
  cat "$committed/diff"
  echo "proto: generated code differs from what is committed; run 'npm run proto:generate' and commit proto/gen" >&2
  exit 1
fi
echo "proto: lint, format, breaking and drift checks passed"
