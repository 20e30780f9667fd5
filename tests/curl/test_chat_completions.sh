#!/usr/bin/env bash
# Chat completions by curl: a question, a conversation, a stream, a tool. ./test_chat_completions.sh [PORT]
# MODEL (default: mock) and GATEWAY_API_KEY (where the gateway asks for one) come from the environment.
set -euo pipefail

url="http://127.0.0.1:${1:-${PORT:-8000}}"
model="${MODEL:-mock}"
failed=0

# post TITLE PATH BODY EXPECTED: the answer must contain the expected text.
post() {
    local title="$1" path="$2" body="$3" expected="$4" answer
    printf '\n=== %s: POST %s\n' "$title" "$path"
    answer="$(curl --silent --show-error --no-buffer --max-time 60 "$url$path" \
        -H "Authorization: Bearer ${GATEWAY_API_KEY:-dummy-key}" -H 'Content-Type: application/json' -d "$body")" || true
    printf '%s\n' "$answer"
    case "$answer" in
        *"$expected"*) echo "--- ok" ;;
        *) echo "--- FAILED: no $expected in the answer"; failed=1 ;;
    esac
}

post "A question" /chat/completions \
    '{"model": "'"$model"'", "messages": [{"role": "user", "content": "Hello!"}]}' '"finish_reason"'

post "A conversation" /chat/completions \
    '{"model": "'"$model"'", "temperature": 0.2, "max_tokens": 200, "messages": [
        {"role": "system", "content": "You are a helpful coding assistant."},
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
        {"role": "user", "content": "What is my name?"}]}' '"usage"'

post "With /v1 in front" /v1/chat/completions \
    '{"model": "'"$model"'", "messages": [{"role": "user", "content": "Hello!"}]}' '"chat.completion"'

post "A stream" /v1/chat/completions \
    '{"model": "'"$model"'", "stream": true, "stream_options": {"include_usage": true},
      "messages": [{"role": "user", "content": "Hello!"}]}' 'data: [DONE]'

post "A tool on offer" /v1/chat/completions \
    '{"model": "'"$model"'", "messages": [{"role": "user", "content": "What is the weather in Seoul?"}],
      "tools": [{"type": "function", "function": {"name": "get_weather", "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}],
      "tool_choice": "auto"}' '"choices"'

echo
if [ "$failed" = 0 ]; then echo "All passed."; else echo "Some failed."; fi
exit "$failed"
