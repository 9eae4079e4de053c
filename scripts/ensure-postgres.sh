#!/usr/bin/env bash
# Makes sure that this machine has the PostgreSQL server binaries, which `sluice dev`
# and the tests start for themselves. Installs Debian's package where it may; never
# starts a server, never touches one that runs. Looks where internal/devstack looks.
set -euo pipefail

found() {
	command -v initdb >/dev/null && return 0
	for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
		/opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin \
		"$(pg_config --bindir 2>/dev/null || true)"; do
		[ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && return 0
	done
	return 1
}

remedy() {
	echo "PostgreSQL is missing (initdb and postgres): apt-get install postgresql, dnf install postgresql-server or brew install postgresql" >&2
	exit 1
}

found && exit 0

sudo=()
if [ "$(id -u)" -ne 0 ]; then
	sudo=(sudo -n)
	command -v sudo >/dev/null && sudo -n true 2>/dev/null || remedy
fi
command -v apt-get >/dev/null || remedy

echo "Installing PostgreSQL's server binaries" >&2
# Debian would create and start a cluster of its own; nobody asked for one.
conf=/etc/postgresql-common/createcluster.conf
if [ ! -e "$conf" ]; then
	"${sudo[@]}" mkdir -p "$(dirname "$conf")"
	echo "create_main_cluster = false" | "${sudo[@]}" tee "$conf" >/dev/null
fi
install() {
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
		-o Dpkg::Options::=--force-confold "$1" </dev/null
}
"${sudo[@]}" apt-get update </dev/null
install postgresql-15 || install postgresql # the version we test with, else the system's own
found || remedy
