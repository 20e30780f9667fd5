"""Which engine is which module."""

import importlib
import inspect

import pytest

from app.config import ENGINES
from app.engines import MODULES, Engine, engine_for
from app.errors import ConfigError


@pytest.mark.parametrize("name", MODULES)
def test_each_engine_has_the_two_functions(name):
    engine = engine_for(name)
    assert engine is importlib.import_module(f"app.engines.{MODULES[name]}")
    for function in ("complete", "stream"):
        wanted = list(inspect.signature(getattr(Engine, function)).parameters)
        assert ["self", *inspect.signature(getattr(engine, function)).parameters] == wanted


def test_the_settings_offer_what_there_is():
    assert set(ENGINES) == set(MODULES)


def test_an_unknown_engine_is_told_with_the_known_ones():
    with pytest.raises(ConfigError, match="relay") as error:
        engine_for("warp")
    assert "warp" in str(error.value)


def test_an_unknown_engine_in_the_map_is_told_to_the_client(serve):
    gateway = serve({"p": {"options": {"engine": "warp", "baseURL": "http://up.example/v1"}, "models": {"some-model": {}}}})
    reply = gateway.chat()
    assert (reply.status, reply.error["code"]) == (500, "config_error")
