#!/usr/bin/env bash
# Makes sure that this machine has Chromium, which the tests of the console and of the
# gem store open pages in. Installs Debian's package where it may. Looks for the names
# that internal/testenv/browser looks for.
set -euo pipefail

found() {
	local name
	for name in chromium chromium-browser google-chrome google-chrome-stable; do
		command -v "$name" >/dev/null && return 0
	done
	return 1
}

remedy() {
	echo "Chromium is missing: apt-get install chromium, dnf install chromium or brew install chromium" >&2
	exit 1
}

found && exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
	sudo=(sudo -n)
	command -v sudo >/dev/null && sudo -n true 2>/dev/null || remedy
fi
command -v apt-get >/dev/null || remedy

echo "Installing Chromium" >&2
"${sudo[@]}" apt-get update </dev/null
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium </dev/null
found || remedy
