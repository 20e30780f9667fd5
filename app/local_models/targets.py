"""A discovered model as a Target, and as a row of the model list; and where a name is looked up: in opencode.json first."""

import difflib
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from app.errors import ModelNotFound
from app.local_models.catalog import catalog
from app.local_models.errors import ModelLoadFailed
from app.local_models.host_settings import fitted, order_for
from app.local_models.local_model import LocalModel
from app.utils.model_resolver import ModelInfo, Target, default_name, is_named, list_models, resolve_model

if TYPE_CHECKING:
    from app.config import Settings

PROVIDER, ENGINE = "local", "gguf"
NAMES_SHOWN = 5
NOTHING: MappingProxyType[str, object] = MappingProxyType({})


def find_target(name: str, settings: "Settings", client_key: str | None = None) -> Target:
    """Resolve any model that the gateway knows: of opencode.json, else on this machine. Raises as `resolve_model`."""
    if not is_named(name, settings) and (local := local_target(name, settings)):
        return local
    try:
        target = resolve_model(name, settings, client_key)
    except ModelNotFound as error:
        raise _with_local_names(error, name, settings) from None
    if target.engine_name != ENGINE:
        return target
    local = local_target(target.model, settings)
    if local is None:
        raise ModelNotFound(f"There is no GGUF model `{target.model}` on this machine; see GET /api/models.", param="model")
    return replace(target, options={**local.options, **target.options}, limit={**local.limit, **target.limit})


def _with_local_names(error: ModelNotFound, name: str, settings: "Settings") -> ModelNotFound:
    """Say which models there are on this machine, those of near names if there are some."""
    here = [info.id for info in local_models(settings)]
    names = difflib.get_close_matches(name[:200].lower(), here, NAMES_SHOWN, cutoff=0.5) or here[:NAMES_SHOWN]
    return ModelNotFound(f"{error} On this machine: {', '.join(names)}.", param="model") if names else error


def find_default(settings: "Settings") -> str | None:
    """Return the name that a request without `model` means: the map's, else the first model on this machine."""
    return default_name(settings) or next((info.id for info in local_models(settings)), None)


def all_models(settings: "Settings") -> list[ModelInfo]:
    """List the models of opencode.json, and those on this machine whose names it does not take."""
    listed = list_models(settings)
    return listed + [info for info in local_models(settings) if not is_named(info.id, settings)]


def local_target(name: str, settings: "Settings") -> Target | None:
    """Return the target of a model on this machine, None where there is none of that name.

    `local/NAME` is the same model. Raises ModelLoadFailed for a file that is known to be damaged.
    """
    model = find_local(name, settings)
    if model is None:
        return None
    if model.problem:
        raise ModelLoadFailed(f"The model `{model.name}` cannot be loaded: {model.problem}.")
    return target_of(name, model, settings)


def find_local(name: str, settings: "Settings") -> LocalModel | None:
    """Return the model of that name on this machine, `local/NAME` too, damaged or not; None where there is none."""
    if not settings.local_models:
        return None
    known = catalog(settings)
    model = known.find(name) or (known.find(name.removeprefix(f"{PROVIDER}/")) if name.startswith(PROVIDER) else None)
    return fitted(model, settings) if model else None


def models_here(settings: "Settings") -> list[LocalModel]:
    """List the models on this machine, those with a problem too."""
    return [fitted(model, settings) for model in catalog(settings).models()] if settings.local_models else []


def target_of(requested: str, model: LocalModel, settings: "Settings") -> Target:
    """Return the target of a model. Tools are emulated where the model's own template knows none."""
    order = order_for(model, settings)
    options = {"local": order, "thinkTags": True}
    if not model.template_has_tools:
        options["toolEmulation"] = True
    return Target(
        requested=requested,
        provider_id=PROVIDER,
        model_key=model.name,
        model=model.name,
        litellm_model=f"{PROVIDER}/{model.name}",
        engine_name=ENGINE,
        base_url=None,
        api_key=None,
        key_source="none",
        headers=NOTHING,  # type: ignore[arg-type]
        options=options,
        body_options=NOTHING,
        limit={"context": order["context"]},
        cost=NOTHING,
        modalities=NOTHING,
        entry=NOTHING,
        openai_dialect=True,
    )


def local_models(settings: "Settings") -> list[ModelInfo]:
    """List the models on this machine that can be used, as rows of GET /v1/models."""
    return [
        ModelInfo(
            id=model.name,
            provider_id=PROVIDER,
            created=int(model.modified),
            owned_by=PROVIDER,
            name=model.title or model.name,
            limit={"context": model.context_length} if model.context_length else {},
            modalities={},
            cost={},
        )
        for model in models_here(settings)
        if not model.problem
    ]
