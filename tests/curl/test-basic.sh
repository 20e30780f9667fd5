#!/usr/bin/env bash
# Health, models, chat, streaming: ./test-basic.sh [BASE_URL] [MODEL]; common.sh says more.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

echo "Basic tests of $base, model ${model:-(its default)}"
hello='"messages": [{"role": "user", "content": "Say hello in one short sentence."}]'

ask health GET /health
look health "GET /health" 200 'answer["status"] == "ok"' 'answer["version"]'

ask models GET /v1/models
look models "GET /v1/models" 200 'answer["object"] == "list" and all(one["object"] == "model" for one in answer["data"])' \
    '", ".join(one["id"] for one in answer["data"])'
if [ -n "$model" ]; then
    ask one GET "/v1/models/$model"
    look one "GET /v1/models/$model" 200 'answer["id"] == "'"$model"'"'
fi

ask chat POST /v1/chat/completions "$(body "$hello")"
look chat "A question" 200 'answer["object"] == "chat.completion" and answer["id"].startswith("chatcmpl-") and text
    and answer["choices"][0]["message"]["role"] == "assistant" and finish in (["stop"], ["length"])' \
    'answer["model"] + ": " + text[:200]'
look chat "Its token counts" 200 'answer["usage"]["total_tokens"] > 0
    and answer["usage"]["prompt_tokens"] >= 0 and answer["usage"]["completion_tokens"] >= 0' 'answer["usage"]'

ask talk POST /v1/chat/completions "$(body '"temperature": 0.2, "max_tokens": 500, "messages": [
    {"role": "system", "content": "You are a helpful coding assistant."},
    {"role": "user", "content": "My name is Ada."},
    {"role": "assistant", "content": "Hello Ada."},
    {"role": "user", "content": "What is my name?"}]')"
look talk "A conversation with a system message" 200 'text' 'text[:200]'

ask stream POST /v1/chat/completions "$(body '"stream": true, "stream_options": {"include_usage": true}, '"$hello")"
look stream "A stream" 200 'done and text and finish in (["stop"], ["length"])
    and {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    and len({chunk["id"] for chunk in chunks}) == 1
    and chunks[0]["choices"][0]["delta"].get("role") == "assistant"' '"%d chunks: %s" % (len(chunks), text[:200])'
look stream "Its token counts" 200 'chunks[-1]["choices"] == [] and chunks[-1]["usage"]["total_tokens"] > 0' \
    'chunks[-1]["usage"]'

finish
