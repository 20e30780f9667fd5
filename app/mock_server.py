"""`python -m app.mock_server`: the same gateway with the mock as its only model, for developing and testing clients.

Any model name is answered, none means gpt-3.5-turbo, and no key is asked for. Every request is printed in full, keys
masked. It reads the environment for the log's language and the like, never for where to listen: PORT and HOST are the
gateway's.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from app import create_app, devserver
from app.config import Settings, check_bind, is_loopback
from app.errors import ConfigError

DEFAULT_MODEL, DEFAULT_HOST, DEFAULT_PORT = "gpt-3.5-turbo", "127.0.0.1", 8888
LIMITS = {"limit": {"context": 128_000, "output": 16_384}, "tool_call": True, "reasoning": True}
# The model `*` answers for every name that the map does not have.
MODEL_MAP = {
    "provider": {
        "mock": {
            "name": "Local Mock GPT",
            "options": {"engine": "mock"},
            "models": {DEFAULT_MODEL: {"name": "Local Mock GPT", **LIMITS}, "*": LIMITS},
        }
    }
}


def mock_settings(
    environ: Mapping[str, str],
    host: str = DEFAULT_HOST,
    port: int | None = None,
    log_file: str | None = None,
    dotenv: bool = True,
) -> Settings:
    """Return settings for the mock server; the port is `port`, else WEBSITES_PORT (as Azure gives it), else 8888.

    Raises ConfigError for a setting that is not allowed, and for an address that others reach without a key.
    """
    ours = {
        "HOST": host,
        "PORT": str(environ.get("WEBSITES_PORT") or DEFAULT_PORT) if port is None else str(port),
        "MODEL_NAME": DEFAULT_MODEL,
        "GATEWAY_VERBOSE": environ.get("GATEWAY_VERBOSE", "1"),
        **({"GATEWAY_LOG_FILE": log_file} if log_file else {}),
    }
    settings = Settings.load({**environ, **ours}, dotenv=dotenv, opencode=MODEL_MAP)
    settings = replace(settings, api_keys=()) if is_loopback(host) else settings
    check_bind(settings)
    return settings


def read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m app.mock_server", description="Serve the mock model only.")
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, help=f"port to listen on (WEBSITES_PORT, else {DEFAULT_PORT})")
    parser.add_argument("--log-file", type=os.path.abspath, help="also write the log to this file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until Ctrl-C; end with a sentence where that cannot begin."""
    given = read_arguments(sys.argv[1:] if arguments is None else arguments)
    try:
        settings = mock_settings(os.environ, given.host, given.port, given.log_file)
        devserver.run(create_app(settings), settings.host, settings.port)
    except ConfigError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
