#!/usr/bin/env bash
# Tool calls, whole and streamed, with the turn that brings the result: ./test-tools.sh [BASE_URL] [MODEL]; common.sh says more.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

echo "Tool tests of $base, model ${model:-(its default)}"
tools='"tools": [{"type": "function", "function": {"name": "get_weather", "description": "Get the weather of a city",
    "parameters": {"type": "object", "properties": {"location": {"type": "string", "description": "Name of the city"}},
        "required": ["location"]}}},
    {"type": "function", "function": {"name": "get-time", "description": "Get the time of day in a city",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}}}]'
question='{"role": "user", "content": "What is the weather in Seoul? Use get_weather."}'
named='"tool_choice": {"type": "function", "function": {"name": "get_weather"}}'

sound_calls='calls and finish == ["tool_calls"] and len({call["id"] for call in calls}) == len(calls)
    and all(call["id"] and call["type"] == "function" for call in calls)
    and all(isinstance(given, dict) and isinstance(given["location"], str) for given in arguments)'
called='[(call["function"]["name"], call["function"]["arguments"]) for call in calls]'

for stream in false true; do
    case "$stream" in true) how="streamed" extra=' and done and all("index" in call for call in calls)' ;;
        *) how="whole" extra="" ;; esac
    more="$tools"', "stream": '"$stream"

    ask required POST /v1/chat/completions "$(body "$more"', "tool_choice": "required", "messages": ['"$question"']')"
    look required "tool_choice required, $how" 200 "$sound_calls$extra" "$called"

    ask named POST /v1/chat/completions "$(body "$more, $named"', "messages": ['"$question"']')"
    look named "tool_choice get_weather, $how" 200 \
        "$sound_calls$extra"' and {call["function"]["name"] for call in calls} == {"get_weather"}' "$called"

    # For gpt-oss and at Groq the gateway turns none into auto (client.tool_choice_none), so a call is allowed there.
    ask none POST /v1/chat/completions "$(body "$more"', "tool_choice": "none", "messages": ['"$question"']')"
    look none "tool_choice none, $how" 200 'text or calls' 'text[:200] or [call["function"]["name"] for call in calls]'

    # The second turn: the calls as they came, and a result for each of them.
    results="$(python3 - "$work/named" <<'PYTHON'
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    raw = file.read()
events = [line[6:] for line in raw.split("\n") if line.startswith("data: ") and line != "data: [DONE]"]
try:
    parts = [json.loads(event) for event in events or [raw]]
    said = [choice.get("delta") or choice.get("message") or {} for part in parts for choice in part.get("choices") or ()]
except ValueError:
    said = []
calls = [call for message in said for call in message.get("tool_calls") or ()]
calls = [{name: value for name, value in call.items() if name != "index"} for call in calls]
results = [{"role": "tool", "tool_call_id": call["id"], "content": "Sunny (21 degrees)"} for call in calls]
print(json.dumps([{"role": "assistant", "content": None, "tool_calls": calls}, *results])[1:-1])
PYTHON
)"
    ask answer POST /v1/chat/completions "$(body "$more"', "messages": ['"$question, $results"']')"
    look answer "The turn with the result, $how" 200 'text and not calls and finish in (["stop"], ["length"])' 'text[:200]'
done

finish
