#!/usr/bin/env bash
# Makes up the secrets of docker-compose.yml, one file each, in deploy/secrets or the
# folder that is named. A file that is there stays as it is, so that a second run only
# adds what is missing. For development: docs/deploy.md says what to put there instead.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-deploy/secrets}

umask 077
mkdir -p "$folder"
# Others on this machine may not pass the folder. In a container, where only the file
# is mounted, a user who is not its owner has to read it.
chmod 700 "$folder"

random() { head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# keep NAME LINE... writes the lines to a file of that name, unless there is one.
keep() {
	local file=$folder/$1
	shift
	[ -s "$file" ] && return
	printf '%s\n' "$@" >"$file.new"
	chmod 444 "$file.new"
	mv "$file.new" "$file"
	echo "wrote $file"
}

keep postgres_password "$(random)"
keep database_url "postgres://sluice:$(cat "$folder/postgres_password")@postgres:5432/sluice?sslmode=disable"
keep nats_password "$(random)"
nats_password=$(cat "$folder/nats_password")
keep nats_auth "user: sluice" "password: \"$nats_password\""
keep nats_url "nats://sluice:$nats_password@nats:4222"
keep revenuecat_secret_key "sk_sim_$(random)" # the simulator takes what is here; RevenueCat's own begins with sk_, too
keep webhook_authorization "Bearer $(random)"
keep webhook_signing_secrets "$(random)"
keep session_secret "$(random)"
keep server_keys "$(random)"
keep admin_keys "operator:$(random)"
