"""What a conversation asks of a model, refused by name before anything runs where the model can't."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents.contract import ChatInput, TranslateInput
from agents.prompts.languages import language_code, language_name
from tools.detect_language import alike
from workers.engines.base import EngineURI
from workers.errors import OptionUnsupported
from workers.jobs import GenerationOptions
from workers.models.profiles import PROFILES, lookup

_TOOLS = "Use a model that knows tools, such as onnx:phi-4-mini, openvino:phi-4-mini or ollama:phi4-mini."


def check_offers(profile: Mapping[str, Any] | None, asked: ChatInput, uri: EngineURI) -> None:
    """Compare tools and form of the answer with the profile of the chat model.

    Raises:
        OptionUnsupported: naming what the model can't do.
    """
    offers = profile or {}
    if asked.tools and asked.tool_choice != "none" and not offers.get("tool_calling"):
        raise _cannot(uri, "tools", "can't be offered tools", _TOOLS)
    if asked.response_format is not None and not offers.get("structured_output"):
        raise _cannot(
            uri,
            "response_format",
            "can't be held to a form of its answer",
            "Leave response_format out, or use a model that phiq hosts, Ollama, or a server with OpenAI's protocol.",
        )


def check_languages(asked: TranslateInput, uri: EngineURI) -> None:
    """Hold the languages of a translation against those that the model was made for, where its profile lists them.

    Raises:
        OptionUnsupported: naming the language, and models that have it.
    """
    profile = lookup(uri.name)
    if profile is None:
        return
    for option, wanted in ("target", asked.target), ("source", asked.source):
        if wanted is None or any(alike(language_code(wanted), language) for language in profile.languages):
            continue
        others = [one.name for one in PROFILES if any(alike(language_code(wanted), code) for code in one.languages)]
        hint = f"Use one that was: {', '.join(others[:3])} (phiq models list)." if others else "phiq models list"
        names = ", ".join(language_name(code) for code in profile.languages)
        raise _cannot(uri, option, f"was not made for {language_name(wanted)}. Its languages: {names}", hint)


def refuse_options(options: GenerationOptions, uri: EngineURI, *names: str) -> None:
    """For engines that have no such options.

    Raises:
        OptionUnsupported: naming one that is used.
    """
    for name in names:
        if getattr(options, name) != GenerationOptions.model_fields[name].get_default(call_default_factory=True):
            raise _cannot(uri, name, f"can't be given a {name}", f"Leave {name} out, or use another engine.")


def refuse_logit_bias(options: GenerationOptions, uri: EngineURI) -> None:
    """For engines that have no such thing.

    Raises:
        OptionUnsupported: when it is asked for.
    """
    if options.logit_bias:
        raise _cannot(uri, "logit_bias", "can't be given a logit_bias", "Leave logit_bias out.")


def check_biased(options: GenerationOptions, uri: EngineURI, vocabulary: int) -> None:
    """Compare the tokens of a ``logit_bias`` with a model's vocabulary.

    Raises:
        OptionUnsupported: naming a token that is beyond it.
    """
    if beyond := [token for token in options.logit_bias if int(token) >= vocabulary]:
        what = f"has {vocabulary} tokens; logit_bias names token {beyond[0]}"
        raise _cannot(uri, "logit_bias", what, "Take the numbers from this model's own tokenizer.")


def _cannot(uri: EngineURI, option: str, what: str, hint: str) -> OptionUnsupported:
    return OptionUnsupported(f"The model {uri} {what}.", hint=hint, subject=str(uri), option=option, param=option)
