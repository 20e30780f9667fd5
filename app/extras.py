"""The optional packages: what needs them, whether they are there, and the command that installs them. Imports none of them."""

import importlib.util
from typing import NamedTuple


class Extra(NamedTuple):
    """What `./run.sh --NAME` installs from requirements-NAME.lock. `packages` are the names to import; all must be there."""

    name: str
    needs: str
    packages: tuple[str, ...]

    @property
    def installed(self) -> bool:
        """Whether all its packages can be found."""
        return all(_is_there(package) for package in self.packages)

    @property
    def missing(self) -> str:
        """What to say when it is needed and not installed."""
        return (
            f"{self.needs[0].upper()}{self.needs[1:]} an optional package. Start the gateway once with "
            f"`./run.sh --{self.name}`, or install requirements-{self.name}.lock."
        )


LOCAL = Extra("local", "local models need", ("xllamacpp",))
OTEL = Extra("otel", "OpenTelemetry needs", ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"))
POSTGRES = Extra("postgres", "PostgreSQL needs", ("psycopg",))
GEVENT = Extra("gevent", "GATEWAY_WORKER_CLASS=gevent needs", ("gevent",))
EXTRAS = (LOCAL, OTEL, POSTGRES, GEVENT)  # as in deploy/venv.sh


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:  # not even what it is a part of
        return False
