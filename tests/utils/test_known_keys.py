from app.config import Settings
from app.utils.known_keys import known_keys

MAP = {
    "provider": {
        "p": {
            "env": ["CORP_KEY"],
            "options": {
                "baseURL": "https://user:canary-password@relay.corp/v1?key=canary-query&region=europe-west",
                "apiKey": "{env:SOME_VARIABLE}",
                "headers": {"Authorization": "Bearer canary-bearer", "X-Team": "ordinary-word"},
            },
            "models": {"m": {"name": "ordinary-name", "headers": {"x-api-key": "canary-model"}}},
        },
        "placeholder": {"options": {"apiKey": "your-api-key-here"}, "models": {}},
        "me": {"options": {"apiKey": "not-needed"}, "models": {}},
    }
}
ENVIRON = {
    "GEMINI_API_KEY": "canary-gemini",
    "GROQ_API_KEY": "canary-groq",
    "ANTHROPIC_API_KEY": "canary-anthropic",
    "CORP_KEY": "canary-corp",
    "SOME_VARIABLE": "canary-some",
    "GATEWAY_API_KEYS": "canary-client-1,canary-client-2,k",
    "MODEL_NAME": "ordinary-model",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "https://user:canary-collector@otlp.example/?region=ordinary-place",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "Authorization=Bearer%20canary-span,x-scope=ordinary-tenant,api-key=canary-otlp",
    "OTEL_SERVICE_NAME": "ordinary-service",
}


def test_every_configured_key_is_known_and_nothing_else():
    names = "password query bearer model gemini groq anthropic corp some client-1 client-2 collector span otlp".split()
    found = known_keys(Settings.load(ENVIRON, dotenv=False, opencode=MAP))
    assert sorted(found) == sorted(f"canary-{name}" for name in names)


def test_a_key_that_holds_another_comes_first():
    settings = Settings.load({"GATEWAY_API_KEYS": "abcdefg,abcdefgh"}, dotenv=False, opencode={})
    assert known_keys(settings) == ("abcdefgh", "abcdefg")


def test_the_answer_is_kept():
    settings = Settings.load(ENVIRON, dotenv=False, opencode=MAP)
    assert known_keys(settings) is known_keys(settings)


def test_broken_addresses_do_no_harm():
    data = {"provider": {"p": {"options": {"baseURL": "http://[broken"}, "models": {"m": {}}}}}
    assert known_keys(Settings.load({}, dotenv=False, opencode=data)) == ()
