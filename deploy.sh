#!/usr/bin/env bash
# Deploys Lockgate to Fly.io: checks what is needed, deploys, waits until the new machine is healthy.
#   ./deploy.sh            FLY_APP=name overrides the app of fly.toml
# LOCKGATE_HEALTH_URL, HEALTH_TRIES and HEALTH_PAUSE (seconds) change how health is waited for.
set -euo pipefail
cd "$(dirname "$0")"

fail() { # message, what to do
  printf 'deploy.sh: %s\n  → %s\n' "$1" "$2" >&2
  exit 1
}

fly=$(command -v flyctl || command -v fly) ||
  fail "flyctl is not installed" "install it: https://fly.io/docs/flyctl/install/"
setting() { sed -n "s/^ *$1 = \"\(.*\)\"\$/\1/p" fly.toml; }
named=$(setting app)
app=${FLY_APP:-$named}
[[ -n $app ]] || fail "fly.toml names no app" "write app = \"<name>\" at its top, or set FLY_APP"

"$fly" auth whoami >/dev/null 2>&1 ||
  fail "you are not logged in to Fly.io" "run: $fly auth login"
"$fly" status --app "$app" >/dev/null 2>&1 ||
  fail "there is no app \"$app\", or it is not yours" "run: $fly apps create $app   (or set FLY_APP)"
secrets=$("$fly" secrets list --app "$app") ||
  fail "the secrets of \"$app\" cannot be listed" "look: $fly secrets list --app $app"
has() { grep -Eq "(^|[^A-Z_])($1)([^A-Z_]|\$)" <<<"$secrets"; }
has 'LOCKGATE_SECRET|MAXIM_SECRET' ||
  fail "the app has no secret" "run: lockgate secret, then: $fly secrets set LOCKGATE_SECRET=<secret> --app $app"

options=(--app "$app")
reach=$(setting LOCKGATE__CLUSTER__REACH)
if [[ ${reach:-none} != none ]]; then
  has LOCKGATE_CLUSTER_SECRET ||
    fail "the app has no secret that its machines know each other by" "run: lockgate secret, then: $fly secrets set LOCKGATE_CLUSTER_SECRET=<secret> --app $app"
  # Another app's machines have other addresses.
  [[ $app == "$named" ]] || options+=(--env "LOCKGATE__CLUSTER__NODES=$app.internal:8002")
fi

echo "deploying $app"
"$fly" deploy "${options[@]}" ||
  fail "the deployment failed; the machines that ran before go on" "read the lines above; then: $fly logs --app $app"

url=${LOCKGATE_HEALTH_URL:-https://$app.fly.dev/health}
tries=${HEALTH_TRIES:-60}
for ((try = 1; try <= tries; try++)); do
  if curl -fsS --max-time 5 "$url" >/dev/null 2>&1; then
    echo "$app is healthy: $url"
    exit 0
  fi
  sleep "${HEALTH_PAUSE:-2}"
done
fail "$url did not become healthy" "look: $fly logs --app $app   and go back: $fly releases --app $app"
