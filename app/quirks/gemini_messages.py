"""Gemini: the shape of a conversation behind its OpenAI-compatible endpoint; each rule names what is refused or
ignored.
"""

from app.quirks.messages import text_of
from app.quirks.report import Note
from app.quirks.rule import Facts, Rule

FAMILIES = ("gemini",)
FIELDS = {
    "system": frozenset(("role", "content")),
    "user": frozenset(("role", "content")),
    "assistant": frozenset(("role", "content", "tool_calls", "extra_content")),
    "tool": frozenset(("role", "content", "tool_call_id", "name")),
}
CALL_FIELDS = frozenset(("id", "type", "function", "extra_content"))
FUNCTION_FIELDS = frozenset(("name", "arguments"))
ROLES = {"developer": "system", "model": "assistant", "function": "tool"}
THOUGHT_PARTS = ("thinking", "redacted_thinking", "reasoning")
EARLIER = "(earlier messages left out)"
CONTINUE = "Please continue."
EMPTY_RESULT = "(empty)"


def convert_legacy(body: dict, facts: Facts, note: Note) -> None:
    """Roles and fields of older APIs are refused: `function_call`, role `function`, `model`, `developer` (OpenAI's
    API before tools).
    """
    if "functions" in body and not body.get("tools"):
        functions = body.pop("functions")
        given = functions if isinstance(functions, list) else []
        body["tools"] = [{"type": "function", "function": one} for one in given if isinstance(one, dict)]
        choice = body.pop("function_call", None)
        if choice is not None:
            body["tool_choice"] = {"type": "function", "function": choice} if isinstance(choice, dict) else choice
        note("functions", functions, "tools")
    for position, message in enumerate(body["messages"]):
        role = message["role"]
        if role not in FIELDS:
            message["role"] = ROLES.get(role, "user")
            note(f"messages[{position}].role", role, message["role"])
            if role == "function":
                message.setdefault("tool_call_id", "")  # message.tool_ids pairs empty ids in order
        function = message.pop("function_call", None)
        if isinstance(function, dict) and "tool_calls" not in message:
            name = function.get("name") if isinstance(function.get("name"), str) else ""
            message["tool_calls"] = [{"id": "", "type": "function", "function": {**function, "name": name}}]
            note(f"messages[{position}].function_call", function, "tool_calls")


def merge_system(body: dict, facts: Facts, note: Note) -> None:
    """Only the last system message is obeyed, silently: all become one first message (codecompanion.nvim#2530,
    autogen#6117).
    """
    messages = body["messages"]
    places = [n for n, message in enumerate(messages) if message["role"] == "system"]
    if not places:
        return
    first = messages[places[0]]
    if places == [0] and isinstance(first.get("content"), str) and first["content"]:
        return
    texts = [text_of(messages[n].get("content")) for n in places]
    text = "\n\n".join(text for text in texts if text)
    others = [message for message in messages if message["role"] != "system"]
    pictures = [part for n in places for part in other_parts(messages[n])]
    if pictures:
        others.insert(0, {"role": "user", "content": pictures})
    merged = [{"role": "system", "content": text}] if text else []
    if merged + others != messages:
        note("messages", f"{len(places)} system messages", f"{len(merged)} first")
    body["messages"] = merged + others


def other_parts(message: dict) -> list[dict]:
    """Return the content parts of a message that are not text."""
    content = message.get("content")
    return [part for part in content if part.get("type") != "text"] if isinstance(content, list) else []


def order_turns(body: dict, facts: Facts, note: Note) -> None:
    """Gemini asks that a "function call turn comes immediately after a user turn or after a function response turn":
    assistant turns in
    a row become one, a history that starts with a call gets a user turn (continue#11164).
    """
    ordered: list[dict] = []
    for position, message in enumerate(body["messages"]):
        last = ordered[-1] if ordered else None
        if message["role"] == "assistant" and last and last["role"] == "assistant" and "tool_calls" not in last:
            note(f"messages[{position}]", "second assistant message in a row", "merged")
            ordered[-1] = {**last, **message, "content": join_contents(last.get("content"), message.get("content"))}
        else:
            ordered.append(message)
    start = 1 if ordered and ordered[0]["role"] == "system" else 0
    if ordered[start:] and "tool_calls" in ordered[start]:
        note(f"messages[{start}]", "history starts with a call", EARLIER)
        ordered.insert(start, {"role": "user", "content": EARLIER})
    body["messages"] = ordered


def join_contents(first: object, second: object) -> object:
    """Return two contents as one: texts with a blank line between, parts in order."""
    if not first or not second:
        return first or second
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return as_parts(first) + as_parts(second)


def as_parts(content: object) -> list:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def plain_parts(body: dict, facts: Facts, note: Note) -> None:
    """Tool results must be text, and parts may carry nothing foreign: arrays are joined, pictures move to a user
    message, `cache_control` and thoughts go (qwen-code sends arrays).
    """
    repaired: list[dict] = []
    pictures: list[dict] = []
    for position, message in enumerate(body["messages"]):
        if pictures and message["role"] != "tool":
            message = with_pictures(message, pictures, repaired)
            pictures = []
        content = message.get("content")
        if isinstance(content, list):
            parts = [plain_part(part) for part in content if part.get("type") not in THOUGHT_PARTS]
            message["content"] = parts
            if message["role"] == "tool":
                pictures += [part for part in parts if part.get("type") not in ("text", "refusal")]
                message["content"] = text_of(parts)
            if message["content"] != content:
                note(f"messages[{position}].content", content, message["content"])
        repaired.append(message)
    if pictures:
        repaired.append({"role": "user", "content": pictures})
    body["messages"] = repaired


def with_pictures(message: dict, pictures: list[dict], before: list[dict]) -> dict:
    """Put the pictures of tool results into the user message that follows, or into one of their own."""
    if message["role"] == "user":
        return {**message, "content": pictures + (as_parts(message.get("content")) if message.get("content") else [])}
    before.append({"role": "user", "content": pictures})
    return message


def plain_part(part: dict) -> dict:
    """Return one content part with the fields that the endpoint knows."""
    kind = part.get("type")
    if kind == "refusal":
        return {"type": "text", "text": str(part.get("refusal") or "")}
    if kind == "file":
        return file_part(part.get("file"))
    if "cache_control" in part:
        return {name: value for name, value in part.items() if name != "cache_control"}
    return part


def file_part(file: object) -> dict:
    """Return an inline file as a data URL; one that stands elsewhere is only named."""
    given = file if isinstance(file, dict) else {}
    data, name = given.get("file_data"), str(given.get("filename") or given.get("file_id") or "file")
    if not isinstance(data, str) or not data:
        return {"type": "text", "text": f"[file {name}: not available]"}
    url = data if data.startswith("data:") else f"data:application/pdf;base64,{data}"
    return {"type": "image_url", "image_url": {"url": url}}


def name_results(body: dict, facts: Facts, note: Note) -> None:
    """Tool messages need the `name` of their function ("Request contains an invalid argument.", hermes-agent#16478);
    no agent sends it.
    """
    names: dict[object, str] = {}
    for position, message in enumerate(body["messages"]):
        for call in message.get("tool_calls") or ():
            names[call.get("id")] = call["function"].get("name") or ""
        if message["role"] == "tool":
            name = names.get(message.get("tool_call_id"), "")
            if name and message.get("name") != name:
                note(f"messages[{position}].name", message.get("name"), name)
                message["name"] = name


def fill_empty(body: dict, facts: Facts, note: Note) -> None:
    """Empty content is refused, "contents.parts must not be empty": no content beside calls, a blank or nothing
    elsewhere (cherry-studio#16196,
    langchainjs#9987).
    """
    filled: list[dict] = []
    messages = body["messages"]
    for position, message in enumerate(messages):
        content = message.get("content")
        if isinstance(content, list) and any(is_empty_part(part) for part in content):
            content = message["content"] = [part for part in content if not is_empty_part(part)]
            note(f"messages[{position}].content", "empty part", None)
        if content:
            filled.append(message)
            continue
        following = messages[position + 1]["role"] if position + 1 < len(messages) else ""
        kept = fill_message(message, filled[-1]["role"] if filled else "", following)
        if kept is not message:
            note(f"messages[{position}].content", content, kept.get("content") if kept else "message dropped")
        filled += [kept] if kept else []
    body["messages"] = filled


def fill_message(message: dict, before: str, after: str) -> dict | None:
    """Return a message without content in a form that is taken, or None to leave it out."""
    role = message["role"]
    if role == "assistant" and message.get("tool_calls"):
        return {k: v for k, v in message.items() if k != "content"} if "content" in message else message
    if role == "assistant" and (before != "user" or after != "user"):
        return None
    return {**message, "content": EMPTY_RESULT if role == "tool" else " "}


def is_empty_part(part: dict) -> bool:
    return part.get("type") == "text" and not part.get("text")


def merge_users(body: dict, facts: Facts, note: Note) -> None:
    """User messages in a row become one: OpenCode's title request always sends two; never into a tool result
    (opencode#43479).
    """
    merged: list[dict] = []
    for position, message in enumerate(body["messages"]):
        if message["role"] == "user" and merged and merged[-1]["role"] == "user":
            note(f"messages[{position}]", "second user message in a row", "merged")
            content = join_contents(merged[-1].get("content"), message.get("content"))
            merged[-1] = {**merged[-1], "content": content}
        else:
            merged.append(message)
    body["messages"] = merged


def need_user_turn(body: dict, facts: Facts, note: Note) -> None:
    """No user turn is refused, "contents is not specified": a request of system messages only gets a user turn
    (vercel/ai#3775, dify-
    plugins#2775).
    """
    if not any(message["role"] in ("user", "tool") for message in body["messages"]):
        note("messages", "no user turn", ".")
        body["messages"].append({"role": "user", "content": "."})


def end_with_user(body: dict, facts: Facts, note: Note) -> None:
    """A conversation may not end with the assistant (crewAI#6973). Setting: options.prefill true keeps it."""
    messages = body["messages"]
    if messages and messages[-1]["role"] == "assistant" and facts.options.get("prefill") is not True:
        note(f"messages[{len(messages) - 1}]", "last message is the assistant's", CONTINUE)
        messages.append({"role": "user", "content": CONTINUE})


def strip_fields(body: dict, facts: Facts, note: Note) -> None:
    """Message fields that the endpoint does not know: `name`, `refusal`, `audio`, `reasoning_content`,
    `reasoning_details` … (Cline echoes them).

    Setting: options.messageFields lists further fields to leave in.
    """
    extra = facts.options.get("messageFields")
    more = frozenset(map(str, extra)) if isinstance(extra, (list, tuple)) else frozenset()
    call_fields = CALL_FIELDS if facts.openai_dialect else CALL_FIELDS | {"provider_specific_fields"}
    for position, message in enumerate(body["messages"]):
        for field in message.keys() - FIELDS.get(message["role"], FIELDS["user"]) - more:
            note(f"messages[{position}].{field}", message.pop(field), None)
        for order, call in enumerate(message.get("tool_calls") or ()):
            for field in call.keys() - call_fields:
                note(f"messages[{position}].tool_calls[{order}].{field}", call.pop(field), None)
            for field in call["function"].keys() - FUNCTION_FIELDS:
                note(f"messages[{position}].tool_calls[{order}].function.{field}", call["function"].pop(field), None)


EARLY_RULES = (
    Rule("gemini.legacy", "request", FAMILIES, convert_legacy),
    Rule("gemini.system_merge", "request", FAMILIES, merge_system),
)
RULES = (
    Rule("gemini.turn_order", "request", FAMILIES, order_turns),
    Rule("gemini.parts", "request", FAMILIES, plain_parts),
    Rule("gemini.tool_name", "request", FAMILIES, name_results),
    Rule("gemini.empty_content", "request", FAMILIES, fill_empty),
    Rule("gemini.merge_users", "request", FAMILIES, merge_users),
    Rule("gemini.user_turn", "request", FAMILIES, need_user_turn),
    Rule("gemini.last_turn", "request", FAMILIES, end_with_user),
)
LATE_RULES = (Rule("gemini.message_fields", "request", FAMILIES, strip_fields),)
