#!/usr/bin/env bash
# Everything: test-basic.sh, test-tools.sh, then errors and many requests at once: ./test-final.sh [BASE_URL] [MODEL].
# PARALLEL (8) says how many at once; common.sh says more.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$here/common.sh"

for script in test-basic.sh test-tools.sh; do
    bash "$here/$script" "$base" ${model:+"$model"} || failed=1
    echo
done

echo "Errors of $base"
hello='"messages": [{"role": "user", "content": "Say hello in one short sentence."}]'
shape='set(error) == {"message", "type", "param", "code"} and error["message"] and error["type"] == "invalid_request_error"'
say='error["code"] or error["message"]'

ask broken POST /v1/chat/completions '{"messages": ['
look broken "JSON that is none" 400 "$shape" "$say"
ask empty POST /v1/chat/completions "$(body '"stream": false')"
look empty "No messages" 400 "$shape"' and error["param"] == "messages"' "$say"
ask role POST /v1/chat/completions "$(body '"messages": [{"role": "wizard", "content": "Hello!"}]')"
look role "A role that is none" 400 "$shape" "$say"
ask streamed POST /v1/chat/completions "$(body '"stream": true, "messages": "Hello!"')"
look streamed "A wrong type, asked as a stream" 400 "$shape" "$say"
ask path GET /v1/no-such-path
look path "A path that is none" 404 "$shape" "$say"
ask method GET /v1/chat/completions
look method "A method that is not allowed" 405 "$shape" "$say"

# Where opencode.json has a model `*`, every name is a model.
ask known GET /v1/models/no-such-model-anywhere
case "$(cat "$work/known.status")" in
    404*)
        ask unknown POST /v1/chat/completions '{"model": "no-such-model-anywhere", '"$hello"'}'
        look unknown "A model that does not exist" 404 "$shape"' and error["code"] == "model_not_found"' "$say"
        ;;
    *) echo "skipped A model that does not exist: here every name is one" ;;
esac

echo
echo "${PARALLEL:-8} requests at once"
number=0
while [ "$number" -lt "${PARALLEL:-8}" ]; do
    number=$((number + 1))
    stream=false
    [ $((number % 2)) = 0 ] && stream=true
    ask "parallel-$number" POST /v1/chat/completions \
        "$(body '"stream": '"$stream"', "messages": [{"role": "user", "content": "Repeat the number '"$number"'."}]')" &
done
wait
number=0
while [ "$number" -lt "${PARALLEL:-8}" ]; do
    number=$((number + 1))
    look "parallel-$number" "Request $number" 200 'text and finish in (["stop"], ["length"])' 'text[:100]'
done

finish
