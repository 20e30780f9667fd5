"""`python -m app probe` for upstreams (what it asks: tests/test_probe.py; models on this machine: test_local.py)."""

import json

from tests.answers import completion


def test_a_model_that_cannot_be_probed_fails_with_1(run):
    done = run("probe", "mock")
    assert done.returncode == 1 and "only endpoints that speak OpenAI's dialect" in done.stdout
    assert run("probe", "nosuch").returncode == 1


def test_an_upstream_is_asked(run, upstream):
    upstream.reply_json(completion("hello"))
    done = run("probe", "some-model", "--url", upstream.base_url, "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["ok"] is True and told["calls"] == len(upstream.requests) > 3


def test_verbose_tells_where_a_model_leads(run):
    done = run("probe", "mock", "--verbose")
    assert done.returncode == 1 and "mock -> mock/mock (engine mock" in done.stderr


def test_an_upstream_must_be_named(run, upstream):
    for options in ((), ("--url", upstream.base_url)):
        done = run("probe", *options, MODEL_NAME="mock")
        assert done.returncode == 2 and "MODEL" in done.stderr
