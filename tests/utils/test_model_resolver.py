import pytest

from app.config import Settings
from app.errors import ModelNotFound
from app.utils.model_resolver import list_models, resolve_model

RELAY = "http://relay.corp/v1beta/openai/"
AT_GROQ = "https://api.groq.com/openai/v1"
DEFAULT_BASE = "https://generativelanguage.googleapis.com/v1beta/openai/"


def settings_of(*, provider=None, environ=None, **top) -> Settings:
    return Settings.load(environ or {}, dotenv=False, opencode={"provider": provider or {}, **top})


def one(options=None, entry=None, *, key="m", environ=None, name=None, client_key=None, **provider):
    """Resolve the only model of the only provider."""
    built = {"options": options or {}, "models": {key: entry or {}}, **provider}
    return resolve_model(name or key, settings_of(provider={"p": built}, environ=environ), client_key)


# --- names ---------------------------------------------------------------------------------------------------------

MAP = {
    "first relay": {
        "options": {"baseURL": RELAY},
        "models": {
            "gemini-2.5-flash": {},
            "Pro": {"id": "gemini-2.5-pro"},
            "shared": {"id": "shared-1"},
            "meta-llama/llama-3": {},
        },
    },
    "second.relay": {"options": {"baseURL": "http://two/v1"}, "models": {"shared": {"id": "shared-2"}, "own": {}}},
    "Local Provider": {
        "options": {"baseURL": "http://localhost:8000/v1"},
        "models": {
            "local-model": {},
            "gpt-4": {"id": "gemini-2.5-pro"},
            "two": {"id": "second.relay/shared"},
            "shared": {},
        },
    },
}


@pytest.mark.parametrize(
    ("name", "provider", "model"),
    (
        ("gemini-2.5-flash", "first relay", "gemini-2.5-flash"),
        ("first relay/gemini-2.5-flash", "first relay", "gemini-2.5-flash"),
        ("Pro", "first relay", "gemini-2.5-pro"),
        ("pro", "first relay", "gemini-2.5-pro"),
        ("gemini-2.5-pro", "first relay", "gemini-2.5-pro"),
        ("first relay/gemini-2.5-pro", "first relay", "gemini-2.5-pro"),
        ("GEMINI-2.5-FLASH", "first relay", "gemini-2.5-flash"),
        ("shared", "first relay", "shared-1"),
        ("second.relay/shared", "second.relay", "shared-2"),
        ("shared-2", "second.relay", "shared-2"),
        ("meta-llama/llama-3", "first relay", "meta-llama/llama-3"),
        ("first relay/meta-llama/llama-3", "first relay", "meta-llama/llama-3"),
        ("local-model", "first relay", "gemini-2.5-flash"),
        ("Local Provider/local-model", "first relay", "gemini-2.5-flash"),
        ("local provider/LOCAL-MODEL", "first relay", "gemini-2.5-flash"),
        ("gpt-4", "first relay", "gemini-2.5-pro"),
        ("two", "second.relay", "shared-2"),
        ("Local Provider/shared", "first relay", "shared-1"),
    ),
)
def test_a_name_resolves(name, provider, model):
    target = resolve_model(name, settings_of(provider=MAP))
    assert (target.provider_id, target.model) == (provider, model)
    assert target.requested == name
    assert target.litellm_model == f"openai/{model}"


def test_the_described_mapping():
    target = resolve_model("local-model", settings_of(provider=MAP, environ={"GEMINI_API_KEY": "k"}))
    assert (target.litellm_model, target.base_url) == ("openai/gemini-2.5-flash", RELAY)
    assert (target.api_key, target.key_source) == ("k", "env GEMINI_API_KEY")


@pytest.mark.parametrize("name", ("nope", "", "first relay/", "/", "Local Provider/none", "x" * 100_000, "\ud800"))
def test_unknown_names_are_a_404(name):
    with pytest.raises(ModelNotFound) as caught:
        resolve_model(name, settings_of(provider=MAP))
    assert (caught.value.status, caught.value.code, caught.value.param) == (404, "model_not_found", "model")
    assert len(str(caught.value)) < 1000


def test_the_404_lists_near_names():
    with pytest.raises(ModelNotFound, match=r"Near names: .*gemini-2\.5-flash"):
        resolve_model("gemini-2.5-flsh", settings_of(provider=MAP))


def test_an_ambiguous_case_is_not_guessed():
    models = {"Big": {"id": "a"}, "big": {"id": "b"}}
    settings = settings_of(provider={"p": {"options": {"baseURL": RELAY}, "models": models}})
    assert resolve_model("big", settings).model == "b"
    with pytest.raises(ModelNotFound):
        resolve_model("BIG", settings)


@pytest.mark.parametrize(
    ("top", "provider"),
    (
        ({"disabled_providers": ["p"]}, {}),
        ({"enabled_providers": ["other"]}, {}),
        ({}, {"whitelist": ["other"]}),
        ({}, {"blacklist": ["m"]}),
    ),
)
def test_hidden_models_do_not_resolve_and_are_not_listed(top, provider):
    settings = settings_of(provider={"p": {"models": {"m": {}}, **provider}}, **top)
    assert list_models(settings) == []
    for name in ("m", "p/m", "M"):
        with pytest.raises(ModelNotFound):
            resolve_model(name, settings)


def test_deprecated_models_still_resolve():
    assert one({"baseURL": RELAY}, {"status": "deprecated"}).model == "m"


# --- aliases -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model_name", "provider", "model"),
    (
        ("", "first relay", "gemini-2.5-flash"),
        ("Pro", "first relay", "gemini-2.5-pro"),
        ("second.relay/shared", "second.relay", "shared-2"),
        ("local-model", "first relay", "gemini-2.5-flash"),  # an alias is no upstream
        ("gemini-9-new", "first relay", "gemini-9-new"),  # not listed: sent as it is
        ("second.relay/brand-new", "second.relay", "brand-new"),
    ),
)
def test_model_name_stands_behind_aliases_without_id(model_name, provider, model):
    target = resolve_model("local-model", settings_of(provider=MAP, environ={"MODEL_NAME": model_name}))
    assert (target.provider_id, target.model) == (provider, model)


def alias_map(*upstreams, **entries):
    return {**dict(upstreams), "me": {"options": {"engine": "alias"}, "models": entries}}


MOCK = ("mock", {"options": {"engine": "mock"}, "models": {"mock": {}}})
REAL = ("real", {"options": {"baseURL": RELAY}, "models": {"real-model": {"limit": {"context": 9, "output": 5}}}})


def test_the_mock_is_the_last_resort_of_an_alias():
    assert resolve_model("a", settings_of(provider=alias_map(MOCK, REAL, a={}))).model == "real-model"
    assert resolve_model("a", settings_of(provider=alias_map(MOCK, a={}))).engine_name == "mock"


def test_aliases_never_loop():
    provider = alias_map(REAL, a={"id": "b"}, b={"id": "a"}, c={"id": "c"}, d={"id": "me/d"})
    settings = settings_of(provider=provider)
    assert {resolve_model(name, settings).model for name in "abcd"} == {"real-model"}


def test_an_alias_that_leads_nowhere_says_so():
    settings = settings_of(provider=alias_map(REAL, a={"id": "gone"}))
    with pytest.raises(ModelNotFound, match="`a` stands for gone"):
        resolve_model("a", settings)
    assert [info.id for info in list_models(settings)] == ["real-model"]
    with pytest.raises(ModelNotFound, match="Upstream models: none"):
        resolve_model("a", settings_of(provider=alias_map(a={})))


@pytest.mark.parametrize(
    ("options", "environ", "is_alias"),
    (
        ({"baseURL": "http://localhost:8000"}, {}, True),
        ({"baseURL": "http://localhost:8000/v1"}, {"PORT": "9000"}, False),
        ({"baseURL": "http://127.0.0.1:9000/v1"}, {"PORT": "9000"}, True),
        ({"baseURL": "http://box.corp:8000/v1"}, {"HOST": "box.corp"}, True),
        ({"baseURL": "http://127.0.0.1:8000/v1", "engine": "mock"}, {}, False),
        ({"baseURL": "http://127.0.0.1:8000/v1", "engine": "relay"}, {}, True),  # would call itself
        ({"baseURL": "http://elsewhere/v1", "engine": "alias"}, {}, True),
    ),
)
def test_what_makes_a_provider_the_clients_side(options, environ, is_alias):
    settings = settings_of(provider=dict([REAL, ("p", {"options": options, "models": {"m": {}}})]), environ=environ)
    assert (resolve_model("m", settings).provider_id == "real") is is_alias


def test_an_alias_lays_its_own_words_over_its_upstream():
    entry = {"id": "real-model", "limit": {"output": 3}, "options": {"top_p": 0.5}}
    target = resolve_model("a", settings_of(provider=alias_map(REAL, a=entry)))
    assert target.limit == {"context": 9, "output": 3}
    assert target.body_options == {"top_p": 0.5}
    assert (target.provider_id, target.model_key) == ("real", "real-model")


# --- dialect, address, engine --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "entry", "litellm_model", "model", "base_url", "openai_dialect"),
    (
        ({"options": {"baseURL": RELAY}}, {}, "openai/m", "m", RELAY, True),
        ({"api": "http://api/v1"}, {}, "openai/m", "m", "http://api/v1", True),
        ({"api": "http://api/v1", "options": {"baseURL": RELAY}}, {}, "openai/m", "m", RELAY, True),
        ({"api": "http://api/v1"}, {"provider": {"api": "http://mine"}}, "openai/m", "m", "http://mine", True),
        ({}, {"id": "gemini-2.5-pro"}, "openai/gemini-2.5-pro", "gemini-2.5-pro", DEFAULT_BASE, True),
        ({"npm": "@ai-sdk/google"}, {"id": "gemini-2.5-pro"}, "gemini/gemini-2.5-pro", "gemini-2.5-pro", None, False),
        ({}, {"id": "gemini/gemini-2.5-pro"}, "gemini/gemini-2.5-pro", "gemini-2.5-pro", None, False),
        (
            {"npm": "@ai-sdk/google", "options": {"baseURL": "http://g/v1beta/"}},
            {"id": "gemini-2.5-pro"},
            "gemini/gemini-2.5-pro",
            "gemini-2.5-pro",
            "http://g/v1beta",
            False,
        ),
        ({"npm": "@ai-sdk/anthropic"}, {}, "anthropic/m", "m", None, False),
        ({"npm": "@ai-sdk/groq"}, {"id": "openai/gpt-oss"}, "groq/openai/gpt-oss", "openai/gpt-oss", AT_GROQ, True),
        ({"npm": "@ai-sdk/groq"}, {"id": "gpt-oss-20b"}, "groq/openai/gpt-oss-20b", "openai/gpt-oss-20b", AT_GROQ, True),
        ({"npm": "@ai-sdk/openai"}, {}, "openai/m", "m", "https://api.openai.com/v1", True),
        ({"npm": "@ai-sdk/groq"}, {"provider": {"npm": "@ai-sdk/anthropic"}}, "anthropic/m", "m", None, False),
        ({"options": {"baseURL": RELAY}}, {"id": "openai/x"}, "openai/x", "x", RELAY, True),
        (
            {"options": {"baseURL": RELAY, "rawIds": True}},
            {"id": "openai/x"},
            "openai/openai/x",
            "openai/x",
            RELAY,
            True,
        ),
        (
            {"options": {"baseURL": RELAY, "gateway": {"m": {"rawId": True}}}},
            {"id": "openai/x"},
            "openai/openai/x",
            "openai/x",
            RELAY,
            True,
        ),
    ),
)
def test_npm_and_id_choose_the_dialect(provider, entry, litellm_model, model, base_url, openai_dialect):
    target = resolve_model("m", settings_of(provider={"p": {**provider, "models": {"m": entry}}}))
    assert (target.litellm_model, target.model) == (litellm_model, model)
    assert (target.base_url, target.openai_dialect) == (base_url, openai_dialect)


@pytest.mark.parametrize(
    ("options", "engine"),
    (
        ({}, "litellm"),
        ({"engine": "relay"}, "relay"),
        ({"engine": "relay", "gateway": {"m": {"engine": "mock"}}}, "mock"),
        ({"baseURL": "mock:"}, "mock"),
    ),
)
def test_the_engine(options, engine):
    assert one({"baseURL": RELAY, **options}).engine_name == engine


def test_the_engine_of_the_environment_is_the_default():
    assert one({"baseURL": RELAY}, environ={"GATEWAY_ENGINE": "relay"}).engine_name == "relay"
    assert one({"baseURL": RELAY, "engine": "litellm"}, environ={"GATEWAY_ENGINE": "relay"}).engine_name == "litellm"


def test_own_options_headers_and_body_options():
    options = {
        "baseURL": RELAY, "apiKey": "k", "timeout": 5, "name": "google", "headers": {"x-a": "1", "x-b": "1"},
        "toolEmulation": "on", "dialect": "corp",
        "gateway": {"m": {"toolEmulation": "off"}, "other": {"dialect": "no"}},
    }  # fmt: skip
    body_options = {"reasoningEffort": "low", "extra_body": {"a": 1}}
    entry = {"headers": {"x-b": "2"}, "options": body_options, "limit": {"output": 7}}
    target = one(options, entry)
    assert target.options == {"toolEmulation": "off", "dialect": "corp"}
    assert target.headers == {"x-a": "1", "x-b": "2"}
    assert target.body_options == {"reasoning_effort": "low", "extra_body": {"a": 1}}
    assert target.limit == {"output": 7}


def test_the_entrys_family_tells_the_dialect_of_a_nameless_id():
    assert one({"baseURL": RELAY}, {"id": "corp-pro", "family": "gemini-pro"}).options == {"dialect": "gemini"}


# --- keys ----------------------------------------------------------------------------------------------------------

GEMINI = {"id": "gemini-2.5-flash"}
ENV = {"GEMINI_API_KEY": "g", "GROQ_API_KEY": "q", "OPENAI_API_KEY": "o", "MINE": "m", "OPENROUTER_API_KEY": "r"}


@pytest.mark.parametrize(
    ("options", "entry", "provider", "key", "source"),
    (
        ({"apiKey": "abc"}, GEMINI, {}, "abc", "opencode.json"),
        ({"apiKey": "{env:MINE}"}, GEMINI, {}, "m", "env MINE"),
        ({"apiKey": "{env:NOT_SET}"}, GEMINI, {}, "g", "env GEMINI_API_KEY"),
        ({"apiKey": "your-api-key-here"}, GEMINI, {}, "g", "env GEMINI_API_KEY"),
        ({}, GEMINI, {"env": ["NOT_SET", "MINE"]}, "m", "env MINE"),
        ({}, GEMINI, {}, "g", "env GEMINI_API_KEY"),
        ({"baseURL": "https://openrouter.ai/api/v1"}, {"id": "google/gemini-3"}, {}, "r", "env OPENROUTER_API_KEY"),
        ({"baseURL": "https://api.groq.com/openai/v1"}, {"id": "llama"}, {}, "q", "env GROQ_API_KEY"),
        ({}, {"id": "llama"}, {"npm": "@ai-sdk/groq"}, "q", "env GROQ_API_KEY"),
        ({"baseURL": "https://api.openai.com/v1"}, {"id": "gpt-4o"}, {}, "o", "env OPENAI_API_KEY"),
        ({}, {"id": "llama"}, {}, None, "none"),
        ({"engine": "mock", "apiKey": "abc"}, {}, {}, None, "none"),
    ),
)
def test_where_the_key_comes_from(options, entry, provider, key, source):
    target = one({"baseURL": RELAY, **options}, entry, environ=ENV, **provider)
    assert (target.api_key, target.key_source) == (key, source)


@pytest.mark.parametrize(
    ("options", "environ", "client_key", "source"),
    (
        ({}, {}, "client-1", "client"),
        ({}, {"GATEWAY_FORWARD_CLIENT_KEY": "0"}, "client-1", "none"),
        ({}, {"GATEWAY_API_KEYS": "client-1"}, "client-1", "none"),
        ({"engine": "mock"}, {}, "client-1", "none"),
        ({"engine": "chatjimmy"}, {}, "client-1", "none"),
        ({"engine": "chatjimmy", "apiKey": "abc"}, {}, "client-1", "none"),
        ({}, {}, "not-needed", "none"),
        ({}, {}, None, "none"),
        ({"apiKey": "abc"}, {}, "client-1", "opencode.json"),
    ),
)
def test_when_the_clients_key_goes_upstream(options, environ, client_key, source):
    target = one({"baseURL": RELAY, **options}, environ=environ, client_key=client_key)
    assert target.key_source == source
    assert target.api_key == {"client": client_key, "opencode.json": "abc"}.get(source)


def test_one_clients_key_is_not_kept_for_the_next():
    settings = settings_of(provider={"p": {"options": {"baseURL": RELAY}, "models": {"m": {}}}})
    assert resolve_model("m", settings, "first").api_key == "first"
    assert resolve_model("m", settings).api_key is None
    assert resolve_model("m", settings) is resolve_model("m", settings)


def test_no_key_shows_in_repr():
    target = one({"baseURL": RELAY, "apiKey": "canary-1", "headers": {"x": "canary-2"}}, {"headers": {"y": "canary-3"}})
    assert "canary" not in repr(target)


def test_many_spellings_do_not_grow_the_cache_without_end():
    settings = settings_of(provider={"p": {"options": {"baseURL": RELAY}, "models": {"abcdefghijklm": {}}}})
    for number in range(3000):
        name = "".join(c.upper() if number >> i & 1 else c for i, c in enumerate("abcdefghijklm"))
        assert resolve_model(name, settings).model == "abcdefghijklm"
    assert len(settings.cache) < 1100


# --- the list ------------------------------------------------------------------------------------------------------


def test_the_list_has_each_model_once_upstream_first():
    infos = list_models(settings_of(provider=MAP))
    assert [(info.id, info.alias_of) for info in infos] == [
        ("gemini-2.5-flash", None),
        ("Pro", None),
        ("shared", None),
        ("meta-llama/llama-3", None),
        ("second.relay/shared", None),
        ("own", None),
        ("local-model", "first relay/gemini-2.5-flash"),
        ("gpt-4", "first relay/Pro"),
        ("two", "second.relay/shared"),
    ]


def test_every_listed_name_resolves():
    settings = settings_of(provider=MAP)
    for info in list_models(settings):
        assert resolve_model(info.id, settings).requested == info.id


def test_created_comes_from_the_release_date():
    models = {"a": {"release_date": "2026-01-02"}, "b": {"release_date": "?"}}
    settings = settings_of(provider={"p": {"options": {"baseURL": RELAY}, "models": models}})
    assert [info.created for info in list_models(settings)] == [1767312000, 0]


@pytest.mark.parametrize(("own", "expected"), (({}, "from-env.json"), ({"script": "own.json"}, "own.json")))
def test_the_mock_script_of_the_environment_serves_mocks_without_one(own, expected):
    opencode = {"provider": {"mock": {"options": {"engine": "mock", **own}, "models": {"mock": {}}}}}
    settings = Settings.load({"GATEWAY_MOCK_SCRIPT": "from-env.json"}, dotenv=False, opencode=opencode)
    assert resolve_model("mock", settings).options["script"] == expected
