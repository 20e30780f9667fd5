"""The client's side alone: what each answer of the keeper becomes; the rest is in test_keeper.py."""

import pytest

from app.local_models import keeper_client
from app.local_models.errors import ModelLoadFailed, ModelLoading
from app.local_models.keeper_client import KeeperClient, Loaded, Status, _loaded, client_for
from app.local_models.keeper_protocol import listen, socket_path


def test_answers_become_addresses_or_errors():
    assert _loaded("m", {"ok": True, "port": 5, "key": "k", "pid": 7}) == Loaded("http://127.0.0.1:5/v1", "k", 7)
    with pytest.raises(ModelLoadFailed, match="`m` cannot be loaded: too big"):
        _loaded("m", {"ok": False, "kind": "failed", "reason": "too big"})
    with pytest.raises(ModelLoading, match="42 %") as told:
        _loaded("m", {"ok": False, "kind": "loading", "progress": 0.42})
    assert told.value.status == 503 and int(told.value.headers["Retry-After"]) >= 1
    with pytest.raises(ModelLoading, match="stopped"):
        _loaded("m", None)


def test_a_model_that_nobody_loaded_is_discovered():
    assert Status("m") == ("m", "discovered", None, None, None, 0, None, None)


def test_one_client_for_one_folder(tmp_path):
    assert client_for(str(tmp_path), 1, 2) is client_for(str(tmp_path), 1, 2)
    assert client_for(str(tmp_path), 1, 2) is not client_for(str(tmp_path / "other"), 1, 2)


def test_a_keeper_that_stands_still_holds_up_no_list(tmp_path, monkeypatch):
    monkeypatch.setattr(keeper_client, "STATUS_SECONDS", 0.2)
    with listen(socket_path(tmp_path)):
        assert KeeperClient(tmp_path, 1, 0).statuses() == []
