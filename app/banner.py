"""What the gateway says of itself when it starts: settings in, lines of text out; prints nothing, calls nobody."""

from collections.abc import Iterator

from app.config import Settings
from app.errors import ModelNotFound
from app.inspector_guard import page_url
from app.quirks.families import KEYLESS_ENGINES
from app.utils.masking import show_ends
from app.utils.model_resolver import Target, default_name, list_models, resolve_model
from app.version import VERSION

NAME = "OpenCode Gateway"
MODELS_SHOWN = 16
FIRST_CHOICE = "mock"  # answers without key and network, so the line to paste works on every machine


def banner(settings: Settings, address: str | None = None) -> str:
    """Format the start banner; keys are shown by their ends only.

    `address` is the host:port really listened on, where it is not HOST:PORT (port 0 was asked for).
    """
    url = f"http://{address or host_port(settings.host, settings.port)}"
    models = list_models(settings)
    targets = [resolve_model(model.id, settings) for model in models]
    lines = [
        f"{NAME} {VERSION} at {url}/v1",
        f"  model map  {settings.opencode.path or 'built in'}",
        f"  models     {_enumerate([model.id for model in models]) or 'none'}",
        *(f"  default    {line}" for line in _default(settings)),
        *(f"  key        {line}" for line in _keys(targets, settings)),
        f"  clients    {_clients(settings)}",
        *([f"  inspector  {page_url(url)}"] if settings.inspector else []),
    ]
    if settings.problem:
        lines.insert(2, f"  NOTE       {settings.problem}")
    if models:
        names = [model.id for model in models]
        lines += ["Try it:", "  " + curl_line(url, FIRST_CHOICE if FIRST_CHOICE in names else names[0], settings)]
    return "\n".join(lines)


def local_line(usable: list[str], damaged: int, installed: bool) -> str:
    """Return the line that names the models on this machine, "" where there are none."""
    if not usable and not damaged:
        return ""
    found = _enumerate(usable) or "none that can be used"
    more = f" ({damaged} cannot be used: `python -m app list` says why)" if damaged else ""
    how = "" if installed or not usable else "; `./run.sh --local` installs what runs them"
    return f"  on this machine: {found}{more}{how}"


def curl_line(url: str, model: str, settings: Settings) -> str:
    """Return a command that a person can paste into a shell. It names no key, only where to put one."""
    key = "-H 'Authorization: Bearer YOUR-GATEWAY-KEY' " if settings.api_keys else ""
    body = f'{{"model":"{model}","messages":[{{"role":"user","content":"Hello!"}}]}}'
    return f"curl {url}/v1/chat/completions {key}-H 'Content-Type: application/json' -d '{body}'"


def host_port(host: str, port: int) -> str:
    """Join host and port as a URL wants them: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def _enumerate(names: list[str]) -> str:
    more = len(names) - MODELS_SHOWN
    return ", ".join(names[:MODELS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _default(settings: Settings) -> Iterator[str]:
    """Say which model a request without `model` gets; nothing where it gets none."""
    name = default_name(settings)
    try:
        target = resolve_model(name, settings) if name else None
    except ModelNotFound:
        return
    if target:
        yield f"{name} ({target.provider_id}/{target.model_key})"


def _keys(targets: list[Target], settings: Settings) -> Iterator[str]:
    """One line for each provider that needs a key: where it comes from, or what to set."""
    first: dict[str, Target] = {}
    for target in targets:
        first.setdefault(target.provider_id, target)
    for provider_id, target in first.items():
        if target.api_key:
            yield f"{provider_id}: {target.key_source} ({show_ends(target.api_key)})"
        elif target.base_url and target.engine_name not in KEYLESS_ENGINES:
            variable = settings.opencode.sources.get(("provider", provider_id, "options", "apiKey"))
            otherwise = "the client's own is passed on" if settings.forward_client_key else "requests go without one"
            yield f"{provider_id}: none{f' (set {variable})' if variable else ''}, {otherwise}"


def _clients(settings: Settings) -> str:
    if settings.api_keys:
        count = len(settings.api_keys)
        return f"must send {'the key' if count == 1 else f'one of the {count} keys'} in GATEWAY_API_KEYS"
    return "any key is accepted (GATEWAY_API_KEYS is not set)"
