# shellcheck shell=bash
# Sourced by the test-*.sh scripts: ask a gateway with curl, look at what came with python3. Bash 3.2 is enough.
#
#   ./test-basic.sh [BASE_URL] [MODEL]
#
# BASE_URL (http://localhost:3307) and MODEL may come from the environment instead; a bare number is a port of this
# machine. Without MODEL no model is named, and the gateway takes its default one. GATEWAY_API_KEY is sent where it is set.

base="${1:-${BASE_URL:-http://localhost:3307}}"
case "$base" in *[!0-9]*) ;; *) base="http://localhost:$base" ;; esac
base="${base%/}" && base="${base%/v1}"
model="${2:-${MODEL:-}}"
failed=0
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

for program in curl python3; do
    if ! command -v "$program" >/dev/null 2>&1; then
        echo "$program is missing; this script needs it." >&2
        exit 2
    fi
done

# body FIELDS: a request body with these fields, and with the model if one was named.
body() { if [ -n "$model" ]; then printf '{"model": "%s", %s}' "$model" "$1"; else printf '{%s}' "$1"; fi; }

# ask NAME METHOD PATH [BODY]: keep the answer in $work/NAME, its status in $work/NAME.status. A dead gateway is 000.
ask() {
    local name="$1" method="$2" path="$3"
    shift 3
    curl --silent --show-error --no-buffer --max-time "${TIMEOUT:-120}" --noproxy 'localhost,127.0.0.1' \
        --request "$method" -H "Authorization: Bearer ${GATEWAY_API_KEY:-sk-dummy-key-not-used}" \
        -H 'Content-Type: application/json' ${1+--data "$1"} --output "$work/$name" \
        --write-out '%{http_code} %{time_total}' "$base$path" >"$work/$name.status" 2>"$work/$name.error" || true
}

# look NAME TITLE STATUS CONDITION [SHOW]: say whether the answer has this status and meets a Python condition, in which
# `answer` is the JSON, `chunks` are the events of a stream, and `text`, `calls`, `arguments`, `finish`, `error` what both
# tell alike. SHOW is an expression whose value is printed.
look() {
    python3 - "$work/$1" "$2" "$3" "$4" "${5:-None}" <<'PYTHON' || failed=1
import json
import sys

path, title, wanted, condition, show = sys.argv[1:]


def read(name):
    try:
        with open(name, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def lay_out(raw):
    """Return what the conditions may name."""
    events = [line[6:] for line in raw.split("\n") if line.startswith("data: ")]
    chunks = [json.loads(event) for event in events if event != "[DONE]"]
    answer = None if events else json.loads(raw)
    parts = chunks if events else [answer]
    choices = [choice for part in parts if isinstance(part, dict) for choice in part.get("choices") or ()]
    said = [choice.get("delta") or choice.get("message") or {} for choice in choices]
    calls = [call for message in said for call in message.get("tool_calls") or ()]
    return {
        "answer": answer,
        "chunks": chunks,
        "done": bool(events) and events[-1] == "[DONE]",
        "text": "".join(message.get("content") or "" for message in said),
        "calls": calls,
        "arguments": [json.loads(call["function"]["arguments"]) for call in calls],
        "finish": [choice["finish_reason"] for choice in choices if choice.get("finish_reason")],
        "error": answer.get("error") if isinstance(answer, dict) else None,
    }


raw, (status, seconds) = read(path), (read(path + ".status").split() + ["000", "0"])[:2]
try:
    known = lay_out(raw) if raw else {}
    sound = status == wanted and eval(f"({condition})", known)
    shown = eval(show, known) if sound and show != "None" else ""
except Exception as problem:
    sound, shown = False, ""
    print(f"        {type(problem).__name__}: {problem}")
if sound:
    print(f"ok      {title} ({float(seconds):.3f}s){': ' if shown else ''}{shown}")
else:
    print(f"FAILED  {title}: status {status}, wanted {wanted} and {condition}\n{raw[:2000] or read(path + '.error')}")
sys.exit(not sound)
PYTHON
}

# finish: the last line, and the exit code.
finish() {
    echo
    if [ "$failed" = 0 ]; then echo "All passed."; else echo "Some FAILED."; fi
    exit "$failed"
}
