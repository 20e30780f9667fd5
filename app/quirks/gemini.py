"""What only Gemini's answers do: where thought signatures, thought flags and refusals of a prompt stand."""

from app.quirks.ledger import Ledger, answer_rule
from app.quirks.signatures import NAMESPACES, read_signature


def namespaces(extra: object) -> list[dict]:
    """List the vendor objects in an `extra_content`."""
    if not isinstance(extra, dict):
        return []
    return [extra[name] for name in NAMESPACES if isinstance(extra.get(name), dict)]


def is_thought(delta: dict) -> bool:
    """Tell whether the upstream flags a delta or message as a thought (`extra_content.google.thought`)."""
    return any(space.get("thought") is True for space in namespaces(delta.get("extra_content")))


def signature_in(extra: object) -> str | None:
    """Return the thought signature in an `extra_content`, None when there is none."""
    for space in namespaces(extra):
        signature = space.get("thought_signature")
        if isinstance(signature, str) and signature:
            return signature
    return None


def message_extra(delta: dict) -> dict | None:
    """Return the `extra_content` of a message or delta; LiteLLM's whole answers keep it in provider_specific_fields."""
    vendor = delta.get("provider_specific_fields")
    if vendor is None and "extra_content" not in delta:
        return None
    for holder in (delta, vendor if isinstance(vendor, dict) else {}):
        extra = holder.get("extra_content")
        if isinstance(extra, dict) and extra:
            return extra
    return None


def signature_place(call: dict, ledger: Ledger, where: str) -> dict | None:
    """A thought signature stands beside the call's other fields (LiteLLM native, Portkey), not in `extra_content`.

    Returns the call's extra_content with the signature in it, None when the call carries neither.
    """
    extra = message_extra(call)
    if extra and signature_in(extra):
        return extra
    signature = read_signature(call)
    if signature is None:
        return extra
    if ledger.allows("gemini.signature_place", where, "thought_signature", "extra_content.google.thought_signature"):
        return with_signature(extra, signature)
    return extra


def with_signature(extra: dict | None, signature: str) -> dict:
    """Return `extra` with a thought signature in it."""
    google = (extra or {}).get("google")
    return {**(extra or {}), "google": {**(google if isinstance(google, dict) else {}), "thought_signature": signature}}


def blocked_prompt(chunk: dict) -> str | None:
    """A refused prompt has no choice, only `promptFeedback.blockReason`: that reason becomes the answer's finish."""
    for name in ("promptFeedback", "prompt_feedback"):
        feedback = chunk.get(name)
        if isinstance(feedback, dict):
            reason = feedback.get("blockReason") or feedback.get("block_reason")
            if isinstance(reason, str) and reason:
                return reason
    return None


RULES = (
    answer_rule("gemini.signature_place", signature_place),
    answer_rule("gemini.blocked_prompt", blocked_prompt),
)
