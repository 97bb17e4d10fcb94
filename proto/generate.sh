#!/bin/sh
# Generates the TypeScript and the descriptor set (with comments, for reflection) from the .proto files. Both are committed.
set -eu
cd "$(dirname "$0")"
bin=../node_modules/.bin
rm -rf gen
PATH="$bin:$PATH" buf generate
PATH="$bin:$PATH" buf build --as-file-descriptor-set -o gen/descriptors.binpb
