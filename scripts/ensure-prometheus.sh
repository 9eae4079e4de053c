#!/usr/bin/env bash
# Makes sure that this machine has prometheus and promtool, which check the alert rules.
# Takes those of the PATH; otherwise unpacks Debian's package into the user's cache
# folder. It installs nothing into the system, so that no server is started there.
# internal/testenv looks in the same places.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/sluice/prometheus

found() {
	command -v prometheus >/dev/null && command -v promtool >/dev/null && return 0
	"$cache/usr/bin/prometheus" --version >/dev/null 2>&1 && "$cache/usr/bin/promtool" --version >/dev/null 2>&1
}

remedy() {
	echo "prometheus and promtool are missing: put both on the PATH, from https://prometheus.io/download/ or brew install prometheus" >&2
	exit 1
}

found && exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || remedy

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
download() { (cd "$work" && apt-get download -o APT::Sandbox::User=root prometheus </dev/null); }
echo "Unpacking Debian's prometheus into $cache" >&2
if ! download; then # the lists are old, or there are none
	sudo=()
	[ "$(id -u)" -eq 0 ] || sudo=(sudo -n)
	"${sudo[@]}" apt-get update </dev/null
	download
fi
dpkg-deb --extract "$work"/prometheus_*.deb "$work/unpacked"
mkdir -p "$(dirname "$cache")"
rm -rf "$cache"
mv "$work/unpacked" "$cache"
found || remedy
