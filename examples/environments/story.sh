#!/usr/bin/env bash
# The life of two hotfixes, played on two registries of this machine: from pre-production to production, back to quality
# assurance and development, until a new update level holds them. Every command is shown with what it answers.
#
#     examples/environments/story.sh [FOLDER]
#
# Needs Rust and Debian's docker-registry; no Docker engine. What is made stays in FOLDER (default: a new one).
# HOTFIX names the hotfix to use; without it, it is built.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$(mktemp -d)}
mkdir -p "$folder"
cd "$folder"

fail() {
    echo "error: $1" >&2
    exit 1
}

command -v docker-registry >/dev/null || fail "no docker-registry is here (Debian: docker-registry)"
if [ -z "${HOTFIX:-}" ]; then
    cargo build --quiet --manifest-path "$here/../../Cargo.toml" -p hotfix-pipeline
    HOTFIX=$(cargo metadata --format-version 1 --no-deps --manifest-path "$here/../../Cargo.toml" |
        sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/hotfix
fi

processes=()
trap 'kill "${processes[@]}" 2>/dev/null || true' EXIT

# Starts a registry on a free port and sets `host`; $2 is more of its configuration.
start_registry() {
    cat >"$1.yml" <<YAML
version: 0.1
log: { level: info }
storage: { filesystem: { rootdirectory: "$folder/$1" } }
http: { addr: "127.0.0.1:0" }
${2:-}
YAML
    : >"$1.log" # There when it is looked into.
    docker-registry serve "$1.yml" >>"$1.log" 2>&1 &
    processes+=($!)
    for _ in $(seq 100); do
        host=$(sed -n 's/.*listening on \(127\.0\.0\.1:[0-9]*\).*/\1/p' "$1.log" | head -n 1)
        [ -n "$host" ] && return
        sleep 0.1
    done
    fail "the registry did not start: see $folder/$1.log"
}

# Registries by the names that environments.toml has for them.
named() {
    sed "s|$team|registry.example.org|g; s|$live|live.example.org|g"
}

# Shows a command and its answer, and sees to it that it ends with the exit code $1.
run() {
    local expected=$1 code=0
    shift
    echo
    # In quotes only where there is a space.
    echo "\$ hotfix ${*@Q}" | sed "s/'\([^ ']*\)'/\1/g" | named
    "$HOTFIX" "$@" 2>&1 | named || code=${PIPESTATUS[0]}
    [ "$code" = 0 ] || echo "(exit code $code)"
    [ "$code" = "$expected" ] || fail "that should have ended with $expected"
}

part() {
    echo
    echo "== $1"
}

start_registry team
team=$host
# User name and password of the registry of production: ci, sample-password.
echo 'ci:$2y$05$CAS5Nit6vKzqQcrQDN3mM.SlMxJZuVnRm9J6L0FQoxiJLeoBUJaNy' >htpasswd
start_registry live "auth: { htpasswd: { realm: live, path: '$folder/htpasswd' } }"
live=$host
export DOCKER_CONFIG=$folder/docker
mkdir -p "$DOCKER_CONFIG"
echo "{\"auths\":{\"$live\":{\"auth\":\"$(printf 'ci:sample-password' | base64)\"}}}" >"$DOCKER_CONFIG/config.json"

# Any account will do for the stand-in of the vendor's update tool.
export UPDATE_TOOL_USERNAME=jo@example.org UPDATE_TOOL_PASSWORD=sample-password XDG_CACHE_HOME=$folder/cache
cargo run --quiet --manifest-path "$here/../../Cargo.toml" -p update-tool-sim --example samples -- "$folder"
sed "s|registry.example.org|$team|; s|live.example.org|$live|" "$here/environments.toml" >environments.toml
make_image=(apply wso2am-4.1.0.10.zip hotfixes --quiet --base-image scratch --output oci:images --push)
am=$team/team/wso2am

part "Four environments run update level 10"
run 0 "${make_image[@]}" --through 0 -t "$am:dev" -t "$am:qa" -t "$am:preprod" -t "$live/team/wso2am:prod"
run 0 env status --check

part "Production has a defect: the vendor's two hotfixes are put on pre-production"
run 0 "${make_image[@]}" --through 2 -t "$am:preprod"
run 11 env status --check

part "What is not tested and approved does not get to customers"
run 11 env promote --from preprod --to prod
run 0 env verify --env preprod --result pass --actor ci
run 0 env approve --env preprod --reason "the defect is gone" --actor ann
run 0 env promote --from preprod --to prod --dry-run
run 0 env promote --from preprod --to prod --actor ci

part "The next release would bring the defect back"
run 11 env status --check --html before.html
run 0 env compare dev prod

part "So the hotfixes travel backwards"
run 0 env propagate --from preprod --dry-run
run 0 env propagate --from preprod --actor ci
run 0 env status --check

part "They are everywhere"
run 0 env solve wso2am-4.1.0.10/hf-1 --actor ann
run 0 env solve wso2am-4.1.0.10/hf-2 --actor ann
run 0 env status

part "Update level 20 comes, and must hold the fixes"
run 0 apply wso2am-4.1.0.20.zip hotfixes-20 --quiet --base-image scratch --output oci:images --push --through 0 -t "$am:4.1.0.20"
run 11 env promote --image "$am:4.1.0.20" --to dev
run 0 env fixed-in wso2am-4.1.0.10/hf-1 15 --actor ann
run 0 env fixed-in wso2am-4.1.0.10/hf-2 20 --actor ann
run 0 env promote --image "$am:4.1.0.20" --to dev --actor ci
run 0 env status --check --html after.html

part "It fails its tests, and goes"
run 0 env verify --env dev --result fail --actor ci
run 0 env reject --env dev --reason "logins fail" --actor bob
run 11 env promote --from dev --to qa
run 0 env rollback --env dev --actor bob
run 0 env status --check

part "Who did what"
run 0 env history

echo
echo "Pages: $folder/before.html and $folder/after.html"
