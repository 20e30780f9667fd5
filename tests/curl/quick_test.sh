#!/usr/bin/env bash
# Is the gateway up, and does it answer? ./quick_test.sh [PORT]
# MODEL (default: mock) and GATEWAY_API_KEY (where the gateway asks for one) come from the environment.
set -euo pipefail

url="http://127.0.0.1:${1:-${PORT:-8000}}"
ask() { curl --silent --show-error --fail --max-time 60 -H "Authorization: Bearer ${GATEWAY_API_KEY:-dummy-key}" "$@"; }

for path in / /health /v1/models; do
    printf '\nGET %s\n' "$path"
    ask "$url$path"
    echo
done

printf '\nPOST /v1/chat/completions\n'
ask "$url/v1/chat/completions" -H 'Content-Type: application/json' \
    -d '{"model": "'"${MODEL:-mock}"'", "messages": [{"role": "user", "content": "Hello!"}]}'
printf '\n\nOK\n'
