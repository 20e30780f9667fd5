"""Message repairs that any upstream needs: sound types, ids, arguments, and results that follow their calls.

Every chat endpoint refuses a tool message without its call, or a call without its result; nothing here belongs to
one dialect. `private_copy` comes first: rules write to what it returns, never to the client's body.
"""

import re
from hashlib import blake2b

import orjson

from app.quirks.arguments import read_arguments
from app.quirks.report import Note
from app.quirks.rule import Facts, Rule

UNNAMED = "unknown_tool"
NO_RESULT = "[no result: interrupted]"
ORPHAN = "[result of a tool call that is no longer part of this conversation]"
# The client's part names (Responses API) -> the names of chat completions.
PART_TYPES = {"input_text": "text", "output_text": "text", "input_image": "image_url", "summary_text": "text"}
BAD_MIME = re.compile(r"^data:(?:image/)?(jpg|png|jpeg|gif|webp)(?=[;,])", re.IGNORECASE)


def private_copy(body: dict, note: Note) -> dict:
    """Return a copy of `body` whose messages may be written to; parts that are shared are replaced, never changed.

    Entries of the wrong type, which no upstream takes, are left out (`message.shape`, always on): after this a
    message is a dict with a string `role`, and `tool_calls` is a non-empty list of dicts with a `function` dict.
    """
    copy = dict(body)
    messages = body.get("messages")
    if not isinstance(messages, list):
        return copy
    copy["messages"] = copies = []
    for position, message in enumerate(messages):
        if isinstance(message, dict):
            copies.append(copy_message(message, position, note))
        else:
            note(f"messages[{position}]", message, None)
            if isinstance(message, str):
                copies.append({"role": "user", "content": message})
    if isinstance(body.get("tools"), list):
        copy["tools"] = list(body["tools"])
    return copy


def copy_message(message: dict, position: int, note: Note) -> dict:
    """Copy one message, its parts and its tool calls; leave out what has the wrong type."""
    copy = dict(message)
    if not isinstance(copy.get("role"), str):
        note(f"messages[{position}].role", copy.get("role"), "user")
        copy["role"] = "user"
    content = copy.get("content")
    if isinstance(content, list):
        copy["content"] = [dict(part) if isinstance(part, dict) else text_part(part) for part in content]
    elif isinstance(content, dict):
        copy["content"] = [dict(content)]
    elif content is not None and not isinstance(content, str):
        copy["content"] = str(content)
    if "tool_calls" in copy:
        copy_calls(copy, position, note)
    return copy


def text_part(part: object) -> dict:
    return {"type": "text", "text": part if isinstance(part, str) else "" if part is None else str(part)}


def copy_calls(message: dict, position: int, note: Note) -> None:
    """Copy the tool calls of one message; an empty list or null is left out (`[] is too short`, OpenAI's 400)."""
    given = message["tool_calls"]
    calls = [copy_call(call) for call in given if isinstance(call, dict)] if isinstance(given, list) else []
    if calls and len(calls) == len(given):
        message["tool_calls"] = calls
        return
    note(f"messages[{position}].tool_calls", given, calls or None)
    del message["tool_calls"]
    if calls:
        message["tool_calls"] = calls


def copy_call(call: dict) -> dict:
    function = call.get("function")
    copy = {**call, "function": dict(function) if isinstance(function, dict) else {}}
    if not isinstance(copy["function"].get("name"), str):
        custom = call.get("custom")
        name = (custom if isinstance(custom, dict) else call).get("name")
        copy["function"]["name"] = name if isinstance(name, str) else ""
    return copy


def repair_ids(body: dict, facts: Facts, note: Note) -> None:
    """Tool call ids come back empty, missing or twice; each call gets its own, in order with the results that follow
    (jyasuu/llm-playground-rs).
    """
    seen: set[str] = set()
    pending: dict[str, list[str]] = {}  # the id as the client wrote it -> ids given to its calls, in order
    for position, message in enumerate(body["messages"]):
        if message["role"] == "tool":
            given = message.get("tool_call_id")
            key = given if isinstance(given, str) else ""
            queue = pending.get(key)
            if queue and (queue[0] != given):
                note(f"messages[{position}].tool_call_id", given, queue[0])
                message["tool_call_id"] = queue[0]
            if queue:
                queue.pop(0)
        elif calls := message.get("tool_calls"):
            pending = {}  # results of earlier calls that never came must not take these calls' results
            for order, call in enumerate(calls):
                given = call.get("id")
                key = given if isinstance(given, str) else ""
                if not key or key in seen:
                    call["id"] = minted_id(position, order, call)
                    note(f"messages[{position}].tool_calls[{order}].id", given, call["id"])
                seen.add(call["id"])
                pending.setdefault(key, []).append(call["id"])


def minted_id(position: int, order: int, call: dict, part: int = 0) -> str:
    """Return an id that is the same each time the client sends the same history (prompt caches)."""
    text = f"{position}/{order}/{part}/{call['function'].get('name')}"
    return f"call_{blake2b(text.encode('utf-8', 'replace'), digest_size=11).hexdigest()}"


def repair_call_types(body: dict, facts: Facts, note: Note) -> None:
    """Tool calls in the history lack `type`, or carry `index` from a stream (openai-node helpers, pydantic-ai)."""
    for position, message in enumerate(body["messages"]):
        for order, call in enumerate(message.get("tool_calls") or ()):
            if call.get("type") != "function":
                note(f"messages[{position}].tool_calls[{order}].type", call.get("type"), "function")
                call["type"] = "function"
                call.pop("custom", None)
            if not call["function"]["name"]:  # the results behind it need their call
                note(f"messages[{position}].tool_calls[{order}].function.name", "", UNNAMED)
                call["function"]["name"] = UNNAMED
            if "index" in call:
                note(f"messages[{position}].tool_calls[{order}].index", call.pop("index"), None)


def repair_arguments(body: dict, facts: Facts, note: Note) -> None:
    """Arguments come back as an object, empty, cut or as several objects; dropping the call would orphan its result
    (gcli2api#406).
    """
    for position, message in enumerate(body["messages"]):
        calls = message.get("tool_calls")
        if not calls:
            continue
        repaired: list[dict] = []
        for order, call in enumerate(calls):
            given = call["function"].get("arguments")
            texts = read_arguments(given)
            if texts != [given]:
                note(f"messages[{position}].tool_calls[{order}].function.arguments", given, texts)
            call["function"]["arguments"] = texts[0]
            repaired.append(call)
            repaired += [split_off(call, text, position, order, n) for n, text in enumerate(texts[1:], 1)]
        message["tool_calls"] = repaired


def split_off(call: dict, arguments: str, position: int, order: int, part: int) -> dict:
    """Return the call that a client had glued to `call`: two objects in one string of arguments."""
    function = {"name": call["function"].get("name", ""), "arguments": arguments}
    identifier = minted_id(position, order, call, part)
    return {"id": identifier, "type": "function", "function": function}


def pair_results(body: dict, facts: Facts, note: Note) -> None:
    """Each call needs exactly one result directly behind it ("number of function response parts is equal …", gemini-
    cli#3814; OpenAI refuses it too).

    Missing results are filled in, text that stands between is moved behind them, results without a call become user
    text. Setting: options.orphanToolResults "user" (default) or "drop".
    """
    messages = body["messages"]
    if is_paired(messages):
        return
    paired: list[dict] = []
    position = 0
    while position < len(messages):
        message = messages[position]
        position += 1
        if message["role"] == "tool":
            paired += orphan(message, f"messages[{position - 1}]", facts, note)
            continue
        paired.append(message)
        if message["role"] == "assistant" and message.get("tool_calls"):
            end = next((n for n in range(position, len(messages)) if messages[n]["role"] == "assistant"), len(messages))
            paired += pair_turn(message["tool_calls"], messages[position:end], position - 1, facts, note)
            position = end
    body["messages"] = paired


def is_paired(messages: list[dict]) -> bool:
    """Tell whether every call is followed by its results, in the order of the calls."""
    expected: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if not expected or message.get("tool_call_id") != expected.pop(0):
                return False
        elif expected:
            return False
        elif message["role"] == "assistant" and message.get("tool_calls"):
            expected = [call.get("id") for call in message["tool_calls"]]
    return not expected


def pair_turn(calls: list[dict], following: list[dict], position: int, facts: Facts, note: Note) -> list[dict]:
    """Return what follows an assistant's calls: one result a call, in order, then all that stood between."""
    results: dict[object, dict] = {}
    strangers: list[dict] = []
    wanted = {call.get("id") for call in calls}
    for message in following:
        if message["role"] == "tool":
            identifier = message.get("tool_call_id")
            known = identifier in wanted if isinstance(identifier, str) else False
            if known and identifier not in results:
                results[identifier] = message
            else:
                strangers.append(message)
    missing = [call for call in calls if call.get("id") not in results]
    if missing and len(strangers) == len(missing):  # a client that rewrites ids: LiteLLM#37849
        for call, message in zip(missing, strangers, strict=True):
            note(f"messages[{position}].tool_calls", message.get("tool_call_id"), call.get("id"))
            results[call.get("id")] = {**message, "tool_call_id": call.get("id")}
        strangers = []
    turn = [results.get(call.get("id")) or no_result(call, position, note) for call in calls]
    others = [message for message in following if message["role"] != "tool"]
    if not missing and following[: len(turn)] != turn:
        note(f"messages[{position}]", "results apart from their calls", "directly behind, in the calls' order")
    for message in strangers:
        turn += orphan(message, f"messages[{position}].tool_calls", facts, note)
    return turn + others


def no_result(call: dict, position: int, note: Note) -> dict:
    note(f"messages[{position}].tool_calls", call.get("id"), NO_RESULT)
    return {"role": "tool", "tool_call_id": call.get("id"), "content": NO_RESULT}


def orphan(message: dict, where: str, facts: Facts, note: Note) -> list[dict]:
    """Return what stands for a result without a call: user text with the same words, or nothing."""
    content = text_of(message.get("content"))
    if facts.options.get("orphanToolResults") == "drop" or not content.strip():
        note(where, message, None)
        return []
    replacement = {"role": "user", "content": f"{ORPHAN}\n{content}"}
    note(where, message, replacement)
    return [replacement]


def text_of(content: object) -> str:
    """Return the text of a message's content; parts are joined by line breaks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def repair_parts(body: dict, facts: Facts, note: Note) -> None:
    """Content parts carry other APIs' names, `image_url` as a string, or `data:png` (crush#995; Cursor sends
    `input_text`).
    """
    for position, message in enumerate(body["messages"]):
        content = message.get("content")
        if not isinstance(content, list):
            continue
        for number, part in enumerate(content):
            repaired = repair_part(part)
            if repaired != part:
                note(f"messages[{position}].content[{number}]", part, repaired)
                content[number] = repaired


def repair_part(part: dict) -> dict:
    """Return one content part as chat completions write it."""
    kind = part.get("type")
    if not isinstance(kind, str):
        kind = "image_url" if "image_url" in part else "text"
    repaired = {**part, "type": PART_TYPES.get(kind, kind)}
    if repaired["type"] == "text" and not isinstance(repaired.get("text"), str):
        repaired["text"] = "" if repaired.get("text") is None else str(repaired["text"])
    if repaired["type"] == "image_url":
        image = repaired.get("image_url")
        detail = repaired.pop("detail", None)
        image = {"url": image} if isinstance(image, str) else dict(image) if isinstance(image, dict) else {"url": ""}
        if isinstance(detail, str):
            image.setdefault("detail", detail)
        if isinstance(image.get("url"), str):
            image["url"] = plain_data_url(image["url"])
        repaired["image_url"] = image
    return repaired


def plain_data_url(url: str) -> str:
    """Return a data URL with a full media type: `data:png;base64,…` is `data:image/png;base64,…`."""
    found = BAD_MIME.match(url[:32])
    if not found:
        return url
    kind = found[1].lower()
    return f"data:image/{'jpeg' if kind == 'jpg' else kind}{url[found.end() :]}"


def drop_null_fields(body: dict, facts: Facts, note: Note) -> None:
    """SDK dumps write null for every field that is not there (`refusal`, `audio`, `function_call`); strict upstreams
    refuse them.
    """
    for position, message in enumerate(body["messages"]):
        if None not in message.values():
            continue
        for field in [field for field, value in message.items() if value is None and field != "content"]:
            del message[field]
            note(f"messages[{position}].{field}", None, None)


def replace_surrogates(body: dict, facts: Facts, note: Note) -> None:
    """Half of a surrogate pair in a text (cut emoji) cannot be written as UTF-8; it becomes U+FFFD."""
    try:
        orjson.dumps(body)
        return
    except TypeError:
        pass  # a lone surrogate, or something else that orjson does not write
    for keyword in body:
        cleaned = clean(body[keyword], 0)
        if cleaned != body[keyword]:
            note(keyword, "lone surrogates", "U+FFFD")
            body[keyword] = cleaned


def clean(value: object, depth: int) -> object:
    """Return `value` with every lone surrogate replaced, down to 200 levels."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if depth > 200:
        return value
    if isinstance(value, dict):
        return {clean(key, depth + 1): clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item, depth + 1) for item in value]
    return value


RULES = (
    Rule("message.null_fields", "request", (), drop_null_fields),
    Rule("message.parts", "request", (), repair_parts),
    Rule("message.tool_ids", "request", (), repair_ids),
    Rule("message.tool_call_type", "request", (), repair_call_types),
    Rule("message.arguments", "request", (), repair_arguments),
    Rule("message.tool_results", "request", (), pair_results),
)
LATE_RULES = (Rule("message.surrogates", "request", (), replace_surrogates),)
