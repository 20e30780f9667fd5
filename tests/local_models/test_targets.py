"""Where a model's name leads: opencode.json first, then this machine."""

import pytest

from app.config import Settings
from app.errors import ModelNotFound
from app.local_models.errors import ModelLoadFailed
from app.local_models.targets import all_models, find_default, find_target, local_target
from tests.gguf_files import gguf

CHAT = {"tokenizer.chat_template": "{% if tools %}{{ tools }}{% endif %}"}


@pytest.fixture
def load(tmp_path):
    gguf(tmp_path / "tools.gguf", CHAT)
    gguf(tmp_path / "plain.gguf")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF\x03")

    def make(providers=None, **environ):
        environ = {"GATEWAY_MODEL_PATHS": str(tmp_path), **environ}
        return Settings.load(environ, dotenv=False, opencode={"provider": providers or {}})

    return make


def test_a_model_of_this_machine_is_found(load):
    target = find_target("plain", load())
    assert (target.provider_id, target.engine_name, target.model) == ("local", "gguf", "plain")
    assert target.options["local"]["path"].endswith("plain.gguf")
    assert find_target("local/plain", load()).model == "plain"


def test_tools_are_emulated_only_where_the_template_knows_none(load):
    assert find_target("plain", load()).options["toolEmulation"] is True
    assert "toolEmulation" not in find_target("tools", load()).options


def test_the_map_comes_first_but_its_entry_for_all_names_does_not(load):
    mock = {"options": {"engine": "mock"}, "models": {"plain": {}}}
    every = {"options": {"engine": "mock"}, "models": {"*": {}}}
    assert find_target("plain", load({"m": mock})).engine_name == "mock"
    assert find_target("plain", load({"m": every})).engine_name == "gguf"
    assert find_target("other", load({"m": every})).engine_name == "mock"


def test_a_damaged_file_is_an_error_with_its_reason(load):
    with pytest.raises(ModelLoadFailed, match="broken"):
        local_target("broken", load())


def test_what_is_too_large_for_the_memory_is_not_offered(load):
    settings = load(GATEWAY_LOCAL_MEMORY="1MB")
    with pytest.raises(ModelLoadFailed, match="all local models together may take 1.0MB"):
        find_target("plain", settings)
    assert find_default(settings) is None and all_models(settings) == []


def test_unknown_names_stay_unknown(load):
    with pytest.raises(ModelNotFound):
        find_target("nothing", load())
    with pytest.raises(ModelNotFound):
        find_target("plain", load(GATEWAY_LOCAL_MODELS="0"))


def test_the_list_holds_both_and_each_name_once(load):
    mock = {"options": {"engine": "mock"}, "models": {"plain": {}, "other": {}}}
    listed = [(info.id, info.provider_id) for info in all_models(load({"m": mock}))]
    assert sorted(listed) == [("other", "m"), ("plain", "m"), ("tools", "local")]


def test_the_default_is_the_maps_else_the_first_local_model(load):
    assert find_default(load({"m": {"options": {"engine": "mock"}, "models": {"x": {}}}})) == "x"
    assert find_default(load()) in ("plain", "tools")
    assert find_default(load(GATEWAY_LOCAL_MODELS="0")) is None


def test_an_unknown_name_is_told_what_is_on_this_machine(load):
    with pytest.raises(ModelNotFound, match=r"does not exist.* On this machine: plain\.$") as caught:
        find_target("plian", load())
    assert (caught.value.status, caught.value.param) == (404, "model")
    with pytest.raises(ModelNotFound, match="On this machine: plain, tools"):
        find_target("xyz", load())
    with pytest.raises(ModelNotFound) as caught:
        find_target("xyz", load(GATEWAY_LOCAL_MODELS="0"))
    assert "this machine" not in str(caught.value)
