#!/usr/bin/env bash
# Says in one line what is wrong with Go on this machine, and fails; silent when all is well.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=$(sed -n 's/^go //p' go.mod)
if ! command -v go >/dev/null; then
	echo "Go is missing: install Go $wanted or newer from https://go.dev/dl/" >&2
	exit 1
fi
# In this folder go itself compares its version with go.mod, and fetches a newer one where it may.
if ! said=$(go version 2>&1); then
	echo "Go is too old: install Go $wanted or newer from https://go.dev/dl/ ($(echo "$said" | tail -n 1))" >&2
	exit 1
fi
# The race detector needs cgo, and cgo a C compiler.
if [ "${1:-}" = race ] && ! command -v "$(go env CC | cut -d' ' -f1)" >/dev/null; then
	echo "A C compiler is missing, the race detector needs one: apt-get install gcc" >&2
	exit 1
fi
