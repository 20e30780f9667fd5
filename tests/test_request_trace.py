"""Which requests get a trace, and what is known of them before anything is noted."""

import pytest
from flask import Flask, g

from app.request_trace import SESSION_HEADERS, init_app, trace_of_request
from app.secret_book import SecretBook
from tests.traces import CANARY


class Sink:
    """Keeps the traces that begin and end."""

    live = False

    def __init__(self):
        self.started, self.ended = [], []

    def begun(self, trace):
        self.started.append(trace)

    def finished(self, trace):
        self.ended.append(trace)


class OldSink:
    """One that is not told of beginnings."""

    live = False

    def finished(self, trace):
        self.trace = trace


class Caller:
    """A client that reads each answer to its end."""

    def __init__(self, client):
        self.client = client

    def get(self, path, **rest):
        return self.read(self.client.get(path, **rest))

    def post(self, path, **rest):
        return self.read(self.client.post(path, **rest))

    def read(self, answer):
        assert answer.get_data()
        answer.close()
        return answer


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def client(sink):
    app = Flask("test")
    init_app(app, None, [sink, OldSink()], SecretBook(lambda: (CANARY,)))

    @app.route("/<path:path>", methods=["GET", "POST"])
    def answer(path):
        return {"traced": "trace" in g}

    @app.route("/parts", methods=["POST"])
    def parts():
        trace = trace_of_request("PART", ["key-in-the-body-0123456789"])
        trace.note("client_request", {"a": "key-in-the-body-0123456789"})
        trace.finish(200)
        return {}

    with app.test_client() as made:
        yield Caller(made)


@pytest.mark.parametrize("path", ("/health", "/ready", "/metrics", "/inspector", "/inspector/api/traces"))
def test_what_looks_at_the_gateway_leaves_no_trace(client, sink, path):
    answer = client.get(path)
    assert answer.status_code == 200 and answer.json == {"traced": False}
    assert sink.started == sink.ended == [] and "x-request-id" not in answer.headers


@pytest.mark.parametrize("path", ("/v1/models", "/healthy", "/inspectors"))
def test_all_else_leaves_one_trace_that_begins_and_ends(client, sink, path):
    answer = client.get(path)
    assert answer.json == {"traced": True} and sink.started == sink.ended
    assert [trace.id for trace in sink.ended] == [answer.headers["x-request-id"]]
    assert sink.ended[0].summary()["status"] == 200 and sink.ended[0].summary()["path"] == path


@pytest.mark.parametrize("name", SESSION_HEADERS)
def test_a_session_is_taken_from_each_header(client, sink, name):
    client.get("/x", headers={name: "ses_1"})
    assert sink.ended[0].summary()["session"] == "ses_1"


def test_the_first_of_the_session_headers_counts(client, sink):
    client.get("/x", headers={name: f"ses_{at}" for at, name in enumerate(SESSION_HEADERS)})
    client.get("/x")
    assert [trace.summary()["session"] for trace in sink.ended] == ["ses_0", None]


def test_what_the_request_says_of_itself(client, sink):
    headers = {"User-Agent": "agent/1", "x-request-id": "theirs", "Authorization": "Bearer client-key-0123456789"}
    client.post("/x?key=query-key-0123456789&a=b", data=b"12345", headers=headers)
    (trace,) = sink.ended
    summary = trace.summary()
    assert (summary["user_agent"], summary["client_request_id"], summary["client"]) == ("agent/1", "theirs", "127.0.0.1")
    assert trace.body_bytes == 5 and summary["path"].startswith("/x?key=") and summary["path"].endswith("a=b")
    shown = str(summary) + str(list(trace.events()))
    assert "query-key-0123456789" not in shown and "client-key-0123456789" not in shown


def test_a_part_of_a_request_has_a_trace_of_its_own_that_knows_its_keys(client, sink):
    client.post("/parts")
    part, whole = sink.ended
    assert (part.facts["method"], whole.facts["method"]) == ("PART", "POST") and part.id != whole.id
    assert "key-in-the-body-0123456789" not in str(list(part.events()))
