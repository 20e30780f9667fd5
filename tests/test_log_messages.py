from string import Formatter

import pytest

from app.log_messages import LANGUAGES, MESSAGES, choose_language, message, template


def placeholders(text):
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name)


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_languages_have_the_same_messages_with_the_same_placeholders(language):
    english = {key: placeholders(text) for key, text in MESSAGES["en"].items()}
    assert {key: placeholders(text) for key, text in MESSAGES[language].items()} == english


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("ko", "ko"),
        ("KO", "ko"),
        ("ko_KR.UTF-8", "ko"),
        ("ko-KR", "ko"),
        ("en", "en"),
        ("fr", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_choose_language(name, language):
    assert choose_language(name) == language


def test_described_lines():
    assert message("en", "endpoint_called", path="/chat/completions") == "🚀 ENDPOINT CALLED: /chat/completions"
    assert message("ko", "request_body") == "📥 REQUEST BODY (요약):"
    assert message("ko", "params", engine="LITELLM") == "🔵 LITELLM PARAMS (요약):"
    assert message("ko", "tools", count=12) == "🔧 Tools: 12 tools (첫 번째만 전체 표시, 나머지는 name만)"
    assert message("ko", "tool_shown", name="question") == "question (전체 표시됨)"
    assert message("en", "api_key", key="AIza…9xYz", source="env GEMINI_API_KEY") == (
        "🔑 API KEY: AIza…9xYz (from env GEMINI_API_KEY)"
    )
    assert message("en", "streaming_done", count=2) == "✅ Streaming completed: 2 total chunks"
    assert template("ko", "cut") == "... (총 {count}자)"
