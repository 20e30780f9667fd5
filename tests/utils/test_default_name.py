"""What a request without `model` means, and where a MODEL_NAME leads that opencode.json does not list."""

import pytest

from app.config import Settings
from app.errors import ModelNotFound
from app.utils.model_resolver import default_name, resolve_model

MAP = {
    "first": {
        "options": {"baseURL": "http://first.corp/v1"},
        "models": {"gemini-2.5-flash": {}, "Pro": {"id": "gemini-2.5-pro"}, "shared": {"id": "shared-1"}},
    },
    "second.relay": {"options": {"baseURL": "http://two/v1"}, "models": {"shared": {"id": "shared-2"}, "own": {}}},
    "Local Provider": {
        "options": {"engine": "alias"},
        "models": {"local-model": {}, "own": {"id": "own"}, "gpt-4": {"id": "gemini-2.5-pro"}, "shared": {}},
    },
}
REAL = {"real": {"options": {"baseURL": "http://first.corp/v1"}, "models": {"real-model": {}}}}
MOCK = {"mock": {"options": {"engine": "mock"}, "models": {"mock": {}}}}


def settings_of(*, provider=None, environ=None, **top) -> Settings:
    return Settings.load(environ or {}, dotenv=False, opencode={"provider": provider or {}, **top})


@pytest.mark.parametrize(
    ("model", "model_name", "name", "leads_to"),
    (
        (None, None, "gemini-2.5-flash", "gemini-2.5-flash"),  # nothing says: the first upstream model
        ("Local Provider/local-model", None, "local-model", "gemini-2.5-flash"),  # OpenCode's default, an alias
        ("Local Provider/gpt-4", None, "gpt-4", "gemini-2.5-pro"),
        ("Local Provider/shared", None, "shared", "shared-1"),
        ("Local Provider/own", None, "own", "own"),  # an alias of its model's own name
        ("second.relay/own", None, "own", "own"),
        ("second.relay/shared", None, "second.relay/shared", "shared-2"),
        ("first/Pro", None, "Pro", "gemini-2.5-pro"),
        ("someone/elses-model", None, "gemini-2.5-flash", "gemini-2.5-flash"),  # known to OpenCode, not to us
        ("Local Provider/local-model", "Pro", "Pro", "gemini-2.5-pro"),
        (None, "second.relay/brand-new", "second.relay/brand-new", "brand-new"),
        (None, "local-model", "local-model", "gemini-2.5-flash"),
    ),
)
def test_what_a_request_without_a_model_means(model, model_name, name, leads_to):
    top = {"model": model} if model else {}
    settings = settings_of(provider=MAP, environ={"MODEL_NAME": model_name or ""}, **top)
    assert default_name(settings) == name
    assert resolve_model(name, settings).model == leads_to


def test_a_default_whose_short_name_means_another_model_keeps_its_long_one():
    aliases = {"me": {"options": {"engine": "alias"}, "models": {"mock": {"id": "real-model"}}}}
    settings = settings_of(provider=REAL | MOCK | aliases, model="me/mock")
    assert default_name(settings) == "me/mock"
    assert resolve_model("me/mock", settings).model == "real-model"


def test_without_a_usable_model_there_is_no_default():
    assert default_name(settings_of()) is None
    nowhere = {"me": {"options": {"engine": "alias"}, "models": {"a": {"id": "gone"}}}}
    assert default_name(settings_of(provider=nowhere, model="me/a")) is None
    assert default_name(settings_of(provider={"p": {"models": {"*": {}}}})) is None


def test_a_model_name_that_the_file_does_not_list_can_be_asked_for():
    settings = settings_of(provider=MAP, environ={"MODEL_NAME": "gemini-9-new"})
    target = resolve_model("gemini-9-new", settings)
    assert (target.provider_id, target.model, target.requested) == ("first", "gemini-9-new", "gemini-9-new")
    with pytest.raises(ModelNotFound):
        resolve_model("gemini-9-newer", settings)


def test_a_model_name_that_the_file_does_not_list_goes_to_the_provider_of_every_name():
    every = {"every": {"options": {"baseURL": "http://all/v1"}, "models": {"*": {}}}}
    settings = settings_of(provider=MAP | every, environ={"MODEL_NAME": "some-new-model"})
    for name in ("some-new-model", "local-model"):
        target = resolve_model(name, settings)
        assert (target.provider_id, target.model) == ("every", "some-new-model")
    named = settings_of(provider=MAP | every, environ={"MODEL_NAME": "second.relay/some-new-model"})
    for name in ("second.relay/some-new-model", "local-model"):
        target = resolve_model(name, named)
        assert (target.provider_id, target.model) == ("second.relay", "some-new-model")
