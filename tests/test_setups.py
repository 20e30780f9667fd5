"""The set-ups in deploy/ serve what they say: ChatJimmy at 4100, gpt-oss and Groq at 3307, local models at 11435."""

import re
import subprocess

import openai
import pytest

from app.check import check
from app.config import ROOT, SETTINGS, Settings
from app.utils import jsonc
from app.utils.model_resolver import default_name, list_models, resolve_model
from tests.answers import completion
from tests.client import LiveGateway
from tests.gateway import clean_environ
from tests.upstream_completions import CompletionServer, final
from tests.upstream_jimmy import FakeJimmy

SETUPS = ("chatjimmy", "gpt-oss")
CLIENT_KEY = "sk-dummy-key-not-used"
GROQ_KEY = "gsk_0123456789abcdefghij"
HELLO = [{"role": "user", "content": "Hello!"}]


@pytest.fixture(autouse=True)
def in_the_gateways_folder(monkeypatch):
    monkeypatch.chdir(ROOT)  # the paths of a set-up are relative to it


def load(name, opencode=None, **environ):
    """Return the settings of a set-up; `opencode` is a model map in place of its own."""
    named = {"GATEWAY_ENV_FILE": f"deploy/{name}/env", **environ}
    return Settings.load(named, dotenv=False, opencode=opencode)


def model_map(name):
    return jsonc.decode((ROOT / "deploy" / name / "opencode.json").read_text("utf-8"))


@pytest.fixture
def serve(tmp_path):
    """Start a gateway with a set-up's settings and a model map; it ends with the test."""
    started = []

    def start(name, opencode, **environ):
        quiet = {"GATEWAY_VERBOSE": "0", "GATEWAY_LOCAL_MODELS": "0", "GATEWAY_DATA_DIR": str(tmp_path / "var")}
        quiet["GATEWAY_LOG_FILE"] = str(tmp_path / "log")
        gateway = LiveGateway(load(name, opencode, **quiet, **environ))
        started.append(gateway.__enter__())
        return gateway

    yield start
    for gateway in started:
        gateway.__exit__()


@pytest.fixture
def jimmy():
    with FakeJimmy() as jimmy:
        yield jimmy


def at_jimmy(jimmy):
    opencode = model_map("chatjimmy")
    opencode["provider"]["chatjimmy"]["options"]["baseURL"] = jimmy.url
    return opencode


def at_groq(upstream):
    opencode = model_map("gpt-oss")
    opencode["provider"]["groq"]["options"] |= {"baseURL": f"{upstream.base_url}", "engine": "relay"}
    return opencode


# --- what the files say ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    (
        ("chatjimmy", {"port": 4100, "log_file": "proxy.log", "model_name": None, "host": "127.0.0.1"}),
        (
            "gpt-oss",
            {
                "port": 3307,
                "log_file": "gpt-oss-harmony-groq.log",
                "model_name": "gpt-oss-20b",
                "max_tokens": 2048,
                "temperature": 0.7,
                "transformers_url": "http://localhost:8000",
                "groq_api_key": None,
                "debug": False,
            },
        ),
        ("local", {"port": 11435, "host": "127.0.0.1", "local_models": True}),
    ),
)
def test_the_settings_are_the_described_ones(name, expected):
    settings = load(name)
    assert {field: getattr(settings, field) for field in expected} == expected
    assert settings.problem is None


@pytest.mark.parametrize("name", SETUPS)
def test_nothing_in_it_is_wrong(name):
    found = check(load(name))
    wanted = [] if name == "chatjimmy" else ["provider.groq.options.apiKey"]
    assert [(one.level, one.path) for one in found] == [("warning", path) for path in wanted]
    assert check(load(name, GROQ_API_KEY=GROQ_KEY)) == []


@pytest.mark.parametrize("name", SETUPS)
def test_opencodes_side_leads_to_the_gateway(name):
    opencode, settings = model_map(name), load(name)
    ours = opencode["provider"]["Local Provider"]
    assert ours["options"]["baseURL"] == f"http://localhost:{settings.port}/v1"
    for top in ("model", "small_model"):
        assert opencode[top].removeprefix("Local Provider/") in ours["models"]
    for key in ours["models"]:
        assert resolve_model(key, settings).provider_id != "Local Provider"


@pytest.mark.parametrize(
    ("setup", "name", "provider", "model", "engine"),
    (
        ("chatjimmy", "llama3.1-8B", "chatjimmy", "llama3.1-8B", "chatjimmy"),
        ("chatjimmy", "Local Provider/llama3.1-8B", "chatjimmy", "llama3.1-8B", "chatjimmy"),
        ("gpt-oss", "gpt-oss-20b", "transformers", "openai/gpt-oss-20b", "harmony"),
        ("gpt-oss", "gpt-oss-120b", "transformers", "openai/gpt-oss-120b", "harmony"),
        ("gpt-oss", "local-model", "transformers", "openai/gpt-oss-20b", "harmony"),
        ("gpt-oss", "openai/gpt-oss-20b", "groq", "openai/gpt-oss-20b", "litellm"),
        ("gpt-oss", "openai/gpt-oss-120b", "groq", "openai/gpt-oss-120b", "litellm"),
        ("gpt-oss", "groq/gpt-oss-20b", "groq", "openai/gpt-oss-20b", "litellm"),
        ("gpt-oss", "llama3-8b-8192", "groq", "llama3-8b-8192", "litellm"),
        ("gpt-oss", "llama3-70b-8192", "groq", "llama3-70b-8192", "litellm"),
        ("gpt-oss", "mixtral-8x7b-32768", "groq", "mixtral-8x7b-32768", "litellm"),
        ("gpt-oss", "gemma-7b-it", "groq", "gemma-7b-it", "litellm"),
        ("gpt-oss", "llama-3.3-70b-versatile", "groq", "llama-3.3-70b-versatile", "litellm"),
        ("gpt-oss", "groq/llama-3.1-8b-instant", "groq", "llama-3.1-8b-instant", "litellm"),
        ("gpt-oss", "qwen/qwen3-32b", "groq", "qwen/qwen3-32b", "litellm"),
    ),
)
def test_where_each_model_leads(setup, name, provider, model, engine):
    target = resolve_model(name, load(setup, GROQ_API_KEY=GROQ_KEY))
    assert (target.provider_id, target.model, target.engine_name) == (provider, model, engine)
    keys = {"groq": GROQ_KEY, "chatjimmy": None, "transformers": "not-needed"}
    assert target.api_key == keys[provider]


def test_the_default_models():
    assert default_name(load("chatjimmy")) == "llama3.1-8B"
    assert default_name(load("gpt-oss")) == "gpt-oss-20b"
    assert default_name(load("gpt-oss", MODEL_NAME="llama3-8b-8192")) == "llama3-8b-8192"
    assert "*" not in [info.id for info in list_models(load("gpt-oss"))]


@pytest.mark.parametrize("name", SETUPS)
def test_the_set_up_holds_no_key_and_only_settings_that_exist(name):
    text = (ROOT / "deploy" / name / "env").read_text("utf-8")
    given = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))
    assert set(given) <= {setting.name for setting in SETTINGS}
    assert not given.get("GROQ_API_KEY")


# --- what they do -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True])
def test_chatjimmy_needs_neither_model_nor_key(serve, jimmy, streamed):
    reply = serve("chatjimmy", at_jimmy(jimmy)).post(
        "/v1/chat/completions",
        {"messages": HELLO, "stream": streamed},
        {"Authorization": "Bearer sk-a-real-key-0123456789abcdef"},
    )
    assert reply.status == 200 and reply.text == "Hello my friend\n"
    parts = reply.chunks if streamed else [reply.json]
    assert {part["model"] for part in parts} == {"llama3.1-8B"}
    assert all(part["id"].startswith("chatcmpl-") for part in parts)
    assert "authorization" not in jimmy.asked[0].headers and "sk-a-real-key" not in str(jimmy.asked[0])


def test_a_text_completion_needs_no_model_either(serve, jimmy):
    reply = serve("chatjimmy", at_jimmy(jimmy)).post("/v1/completions", {"prompt": "Once upon a time"})
    assert (reply.status, reply.json["model"], reply.json["object"]) == (200, "llama3.1-8B", "text_completion")


def test_chatjimmy_lists_its_model(serve, jimmy):
    (only,) = serve("chatjimmy", at_jimmy(jimmy)).get("/v1/models").json["data"]
    assert (only["id"], only["owned_by"]) == ("llama3.1-8B", "chatjimmy")


@pytest.mark.parametrize("streamed", [False, True])
def test_gpt_oss_gets_the_defaults_of_the_set_up(serve, upstream, streamed):
    server = CompletionServer([final("Hello from Harmony")])
    upstream.reply_with(server)
    gateway = serve("gpt-oss", None, TRANSFORMERS_URL=upstream.base_url.removesuffix("/v1"))
    reply = gateway.post("/v1/chat/completions", {"messages": HELLO, "stream": streamed})
    assert (reply.status, reply.text) == (200, "Hello from Harmony")
    assert {part["model"] for part in (reply.chunks if streamed else [reply.json])} == {"gpt-oss-20b"}
    (sent,) = server.bodies
    assert (sent["model"], sent["max_tokens"], sent["temperature"]) == ("openai/gpt-oss-20b", 2048, 0.7)


def test_what_the_client_says_goes_before_the_defaults(serve, upstream):
    server = CompletionServer([final("Hello")])
    upstream.reply_with(server)
    gateway = serve("gpt-oss", None, TRANSFORMERS_URL=upstream.base_url)
    gateway.chat(model="gpt-oss-120b", max_tokens=99, temperature=0)
    (sent,) = server.bodies
    assert (sent["model"], sent["max_tokens"], sent["temperature"]) == ("openai/gpt-oss-120b", 99, 0)


def test_gpt_oss_without_its_server_says_where_it_was_looked_for(serve):
    gateway = serve("gpt-oss", None, TRANSFORMERS_URL="http://127.0.0.1:9")
    reply = gateway.chat(model="gpt-oss-20b")
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert "127.0.0.1:9" in reply.error["message"]


@pytest.mark.parametrize("model", ["llama3-8b-8192", "openai/gpt-oss-20b", "some-model-of-tomorrow"])
def test_groqs_models_are_asked_for_at_groq_with_its_key(serve, upstream, model):
    upstream.reply_json(completion("Hello from Groq"))
    gateway = serve("gpt-oss", at_groq(upstream), GROQ_API_KEY=GROQ_KEY)
    reply = gateway.chat(model=model, headers={"Authorization": f"Bearer {CLIENT_KEY}"})
    assert (reply.status, reply.text, reply.json["model"]) == (200, "Hello from Groq", model)
    (sent,) = upstream.requests
    assert (sent.body["model"], sent.headers["authorization"]) == (model, f"Bearer {GROQ_KEY}")
    assert (sent.body["max_tokens"], sent.body["temperature"]) == (2048, 0.7)


def test_the_sdk_with_a_dummy_key(serve, jimmy):
    gateway = serve("chatjimmy", at_jimmy(jimmy))
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
        answer = client.chat.completions.create(model="llama3.1-8B", messages=HELLO)
    assert answer.choices[0].message.content == "Hello my friend\n"
    assert CLIENT_KEY not in str(jimmy.asked[0])


@pytest.mark.e2e
def test_the_scripts_pass_against_a_model_without_tools(serve, jimmy, tmp_path):
    def say(asked):
        if "<tools>" not in asked.system:
            return "Hello."
        if "<tool_result>" in asked.last:
            return "It is sunny in Seoul."
        return '<tool_call>\n{"name": "get_weather", "arguments": {"location": "Seoul (Korea)"}}\n</tool_call>'

    jimmy.say(say)
    gateway = serve("chatjimmy", at_jimmy(jimmy))
    script = [str(ROOT / "tests" / "curl" / "test-final.sh"), gateway.url, "llama3.1-8B"]
    done = subprocess.run(script, env=clean_environ(tmp_path), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Seoul (Korea)") == 4 and jimmy.faults == []
