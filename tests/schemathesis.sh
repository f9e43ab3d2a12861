#!/usr/bin/env bash
# Sends a server what its OpenAPI document allows, and what it does not, and looks whether it answers as it says:
# `bash tests/schemathesis.sh`. The binary is target/debug/punchcard; the database is thrown away.
set -euo pipefail
cd "$(dirname "$0")/.."
repository=$PWD
tools=target/schemathesis
if ! "$tools/bin/st" --version 2>/dev/null | grep -q '4\.32\.5'; then
  python3 -m venv --clear "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check schemathesis==4.32.5 openapi-spec-validator==0.9.0
fi

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
target/debug/punchcard openapi >"$folder/openapi.json"
"$tools/bin/openapi-spec-validator" --schema 3.1 "$folder/openapi.json"

export PUNCHCARD_ADMIN_KEY=schemathesis-0123456789abcdef0123456789abcdef
PUNCHCARD_BIND=127.0.0.1:0 PUNCHCARD_DATABASE_URL="sqlite://$folder/punchcard.db" \
  target/debug/punchcard serve --rules "$repository/rules" >"$folder/said" 2>"$folder/log" &
server=$!
for _ in $(seq 100); do
  url=$(grep -o 'http://127.0.0.1:[0-9]*' "$folder/said" | head -1) && break
  sleep 0.1
done

# A guest with a past, so that there is something to be found.
curl -sf "$url/v1/chains/harvest/events" -H "Authorization: Bearer $PUNCHCARD_ADMIN_KEY" -d '
  {"key": "ORD-1000", "type": "order.completed", "member": {"id": "m-42", "email": "ana@example.com"},
   "data": {"order_id": "ORD-1000", "total": 24.50}}' >"$folder/receipt"

if ! "$tools/bin/st" --config-file tests/schemathesis.toml run "$url/openapi.json"; then
  tail -20 "$folder/log" >&2
  exit 1
fi
