"""The words of the log, in English and Korean: knows no layout and no values."""

MESSAGES: dict[str, dict[str, str]] = {
    "en": {
        "endpoint_called": "🚀 ENDPOINT CALLED: {path}",
        "request_body": "📥 REQUEST BODY (summary):",
        "tools": "🔧 Tools: {count} tools (only the first shown whole, the others by name)",
        "tool_shown": "{name} (shown whole)",
        "model": "🎯 MODEL: {requested} -> {target} ({engine})",
        "params": "🔵 {engine} PARAMS (summary):",
        "api_key": "🔑 API KEY: {key} (from {source})",
        "api_key_none": "🔑 API KEY: none",
        "streaming_start": "🔵 Starting streaming response...",
        "chunk_raw": "📦 Chunk #{number} (RAW):",
        "chunk_formatted": "📤 Formatted Chunk #{number}:",
        "streaming_done": "✅ Streaming completed: {count} total chunks",
        "upstream_response": "📨 UPSTREAM RESPONSE (summary):",
        "answer": "📤 FINAL RESPONSE (summary):",
        "repairs": "🩹 REPAIRS: {header}",
        "repair": "{rule} at {where}: {before} -> {after}",
        "error": "❌ ERROR: {message}",
        "note": "📝 {station}:",
        "cut": "... ({count} characters in all)",
        "log_broken": "The log could not be written ({reason}); requests go on without it.",
    },
    "ko": {
        "endpoint_called": "🚀 ENDPOINT CALLED: {path}",
        "request_body": "📥 REQUEST BODY (요약):",
        "tools": "🔧 Tools: {count} tools (첫 번째만 전체 표시, 나머지는 name만)",
        "tool_shown": "{name} (전체 표시됨)",
        "model": "🎯 모델: {requested} -> {target} ({engine})",
        "params": "🔵 {engine} PARAMS (요약):",
        "api_key": "🔑 API KEY: {key} (출처: {source})",
        "api_key_none": "🔑 API KEY: 없음",
        "streaming_start": "🔵 Starting streaming response...",
        "chunk_raw": "📦 Chunk #{number} (RAW):",
        "chunk_formatted": "📤 Formatted Chunk #{number}:",
        "streaming_done": "✅ Streaming completed: {count} total chunks",
        "upstream_response": "📨 업스트림 응답 (요약):",
        "answer": "📤 최종 응답 (요약):",
        "repairs": "🩹 보정: {header}",
        "repair": "{rule}, 위치 {where}: {before} -> {after}",
        "error": "❌ 오류: {message}",
        "note": "📝 {station}:",
        "cut": "... (총 {count}자)",
        "log_broken": "로그를 쓸 수 없습니다 ({reason}). 요청 처리는 로그 없이 계속됩니다.",
    },
}
LANGUAGES = tuple(MESSAGES)


def choose_language(name: str | None) -> str:
    """Resolve a language name ("ko", "ko_KR.UTF-8", "KO") to one that the catalogue has; English where it has none."""
    short = (name or "").lower().replace("-", "_").split("_")[0].split(".")[0]
    return short if short in MESSAGES else "en"


def message(language: str, key: str, /, **values: object) -> str:
    """Format one message; an unknown language is English, an unknown key a KeyError."""
    return MESSAGES[choose_language(language)][key].format(**values)


def template(language: str, key: str) -> str:
    """Return one message with its placeholders."""
    return MESSAGES[choose_language(language)][key]
