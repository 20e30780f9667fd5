"""POST /v1/chat/completions over both engines: what the upstream gets, what the client gets."""

import pytest

from tests.answers import completion, stream

def test_smoke(gateway, upstream):
    upstream.reply_json(completion())
    assert gateway.chat().text == "Hello!"
    upstream.reply_sse(stream())
    answer = gateway.chat(stream=True)
    assert answer.text == "Hello!"
    assert answer.finish == ["stop"]
