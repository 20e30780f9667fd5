#!/usr/bin/env python3
"""Ask a running gateway what its clients will ask: `python tests/curl/test_api.py [PORT]`. Needs only requests.

MODEL (default: mock) and GATEWAY_API_KEY (where the gateway asks for one) come from the environment.
"""

import json
import os
import sys

import requests

MODEL = os.environ.get("MODEL", "mock")
TIMEOUT = 60


def connect(port: str) -> tuple[requests.Session, str]:
    session = requests.Session()
    session.trust_env = False  # a proxy of the company has no business on 127.0.0.1
    session.headers["Authorization"] = f"Bearer {os.environ.get('GATEWAY_API_KEY', 'dummy-key')}"
    return session, f"http://127.0.0.1:{port}"


def chat(session: requests.Session, url: str, **fields: object) -> requests.Response:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello!"}], **fields}
    return session.post(f"{url}/v1/chat/completions", json=body, timeout=TIMEOUT, stream=bool(fields.get("stream")))


def check_health(session: requests.Session, url: str) -> str:
    answer = session.get(f"{url}/health", timeout=TIMEOUT)
    assert answer.status_code == 200, answer.text
    return answer.text.strip()


def check_models(session: requests.Session, url: str) -> str:
    names = [model["id"] for model in session.get(f"{url}/v1/models", timeout=TIMEOUT).json()["data"]]
    assert MODEL in names, f"{MODEL} is not among {names}"
    one = session.get(f"{url}/v1/models/{MODEL}", timeout=TIMEOUT).json()
    assert one["id"] == MODEL and one["object"] == "model", one
    return ", ".join(names)


def check_chat(session: requests.Session, url: str) -> str:
    answer = chat(session, url).json()
    assert answer["object"] == "chat.completion" and answer["model"] == MODEL, answer
    assert answer["choices"][0]["finish_reason"] == "stop", answer
    assert answer["usage"]["total_tokens"] > 0, answer
    return answer["choices"][0]["message"]["content"]


def check_stream(session: requests.Session, url: str) -> str:
    answer = chat(session, url, stream=True, stream_options={"include_usage": True})
    assert answer.headers["Content-Type"].startswith("text/event-stream"), answer.headers
    events = [line[6:] for line in answer.content.decode("utf-8").split("\n") if line.startswith("data: ")]
    assert events[-1] == "[DONE]", events[-1]
    chunks = [json.loads(event) for event in events[:-1]]
    assert len({chunk["id"] for chunk in chunks}) == 1, "one answer, one id"
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["total_tokens"] > 0, chunks[-1]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def check_errors(session: requests.Session, url: str) -> str:
    answer = chat(session, url, model="no-such-model")
    error = answer.json()["error"]
    assert answer.status_code == 404 and error["code"] == "model_not_found", answer.text
    broken = session.post(f"{url}/v1/chat/completions", data="{", timeout=TIMEOUT)
    assert broken.status_code == 400, broken.text
    assert set(broken.json()["error"]) == {"message", "type", "param", "code"}, broken.text
    return error["message"]


def main() -> int:
    session, url = connect(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "8000"))
    failed = 0
    for check in (check_health, check_models, check_chat, check_stream, check_errors):
        title = check.__name__.removeprefix("check_")
        try:
            print(f"ok      {title}: {check(session, url)}")
        except (AssertionError, KeyError, ValueError, requests.RequestException) as error:
            failed += 1
            print(f"FAILED  {title}: {type(error).__name__}: {error}")
    print(f"{failed} failed" if failed else "All passed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
