"""A key is in no sink: not in the log, the log file, an error, a traceback, an answer, or a file of the data folder."""

import base64
import contextlib
import json
import re
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from app.trace_packing import unpack
from tests.gateway import Gateway
from tests.maps import ENGINES, write_map
from tests.scraped import scrape
from tests.upstream import FakeUpstream, json_answer, sse_answer

ENVIRONMENT = "AIzaSyCANARY-env-0123456789abcdefghijklm"
FILE = "sk-CANARYfile0123456789abcdefghijklmnop"
CLIENT = "sk-proj-CANARYclient0123456789abcdefghij"
ADDRESS = "CANARYurl0123456789abcdefghijklmn"
HEADER = "CANARYheader0123456789abcdefghijk"
CANARIES = (ENVIRONMENT, FILE, CLIENT, ADDRESS, HEADER)
WHOLE = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
}


def provider(engine: str, base_url: str, key: str) -> dict:
    options = {
        "engine": engine,
        "apiKey": key,
        "baseURL": f"{base_url}?key={ADDRESS}",
        "headers": {"X-Api-Key": HEADER},
    }
    return {"options": options, "models": {"m": {}}}


def send(gateway: Gateway, model: str, stream: bool, text: str) -> str:
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
    url = f"{gateway.base_url}/chat/completions?api_key={CLIENT}"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Authorization": f"Bearer {CLIENT}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode() + str(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode() + str(error.headers)


@pytest.mark.parametrize("language", ("en", "ko"))
def test_no_key_in_any_sink(tmp_path: Path, language: str) -> None:
    with FakeUpstream() as upstream:
        opencode = {
            "provider": {
                f"{engine}-{source}": provider(engine, upstream.base_url, key)
                for engine in ENGINES
                for source, key in (("file", FILE), ("env", "{env:CANARY_KEY}"))
            }
        }
        opencode["provider"]["dead"] = provider("relay", "http://127.0.0.1:1", FILE)
        environ = {
            "OPENCODE_CONFIG": write_map(tmp_path, opencode),
            "CANARY_KEY": ENVIRONMENT,
            "DEBUG": "1",
            "GEMINI_API_KEY": ENVIRONMENT,
            "GATEWAY_LANG": language,
            "GATEWAY_LOG_FILE": str(tmp_path / "full.log"),
        }
        answers = []
        with Gateway(tmp_path, **environ) as gateway:
            for model in (*(f"{name}/m" for name in opencode["provider"]), f"no-such-{CLIENT}"):
                for stream in (False, True):
                    echo = f"Incorrect API key provided: {ENVIRONMENT}, {FILE}, Bearer {HEADER}, ?key={ADDRESS}"
                    for answer in (
                        sse_answer([WHOLE]) if stream else json_answer(WHOLE),
                        json_answer({"error": {"message": echo}}, 401),
                        json_answer([{"error": {"message": echo, "code": 400}}], 400),
                        sse_answer([{"error": {"message": echo}}]),
                        json_answer("<html>" + echo, 502),
                    ):
                        upstream.reply(answer)
                        answers.append(send(gateway, model, stream, f"my key is {CLIENT} and {FILE}"))
            answers.append(send(gateway, "dead/m", False, "x"))
            metrics = scrape(gateway.url).text
            shown = all_that_is_shown(gateway, len(answers))
        assert any('"error"' in answer for answer in answers)
        written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "opencode.json"]
        assert any(path.name == "full.log" and path.stat().st_size > 10_000 for path in written)
        sinks = {str(path): path.read_bytes().decode("utf-8", "replace") for path in written}
        sinks |= {"answers": "\n".join(answers), "metrics": metrics, "inspector": shown}
        sinks["database"] = all_that_is_stored(tmp_path / "var" / "gateway.db")
        assert shown.count('"chunks"') > 50 and "my key is" in sinks["database"]
        assert 'model="other"' in metrics and 'model="relay-file/m"' in metrics
        for name, text in sinks.items():
            for canary in CANARIES:
                for form in (canary, urllib.parse.quote(canary), base64.b64encode(canary.encode()).decode()):
                    assert form not in text, f"{canary[:8]} is in {name}: {excerpt(text, form)}"


def all_that_is_shown(gateway: Gateway, number: int) -> str:
    """Return all that the inspector's API says, once it knows of `number` requests."""
    api = f"{gateway.url}/inspector/api"
    token = re.search(r"/inspector\?token=(\S+)", gateway.output())
    assert token is not None

    def get(path: str) -> str:
        asked = urllib.request.Request(f"{api}/{path}", headers={"Authorization": f"Bearer {token[1]}"})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return str(answer.read().decode())

    deadline = time.monotonic() + 60
    while len(rows := json.loads(get("traces?limit=1000"))["traces"]) < number:
        assert time.monotonic() < deadline, f"{len(rows)} of {number} requests are stored"
        time.sleep(0.1)
    texts = [get(path) for path in ("traces?limit=1000", "sessions", "filters", "series")]
    for row in rows:
        one = get(f"traces/{row['id']}")
        texts += [one, *(get(f"traces/{row['id']}/{view}") for view in ("chunks", "curl", "capture"))]
        texts += [get(f"traces/{row['id']}/parts/{part}") for part in json.loads(one)["parts"]]
    return "\n".join(texts)


def all_that_is_stored(path: Path) -> str:
    """Return every cell of the database, packages unpacked."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        cells = [cell for name in tables for row in connection.execute(f"SELECT * FROM {name}") for cell in row]
    return "\n".join(unpack(cell) if isinstance(cell, bytes) else str(cell) for cell in cells)


def excerpt(text: str, form: str) -> str:
    at = text.find(form)
    return text[max(0, at - 200) : at + 60]
