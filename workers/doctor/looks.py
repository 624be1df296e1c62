"""All the looks, one after the other; a look that breaks is a finding too."""

from __future__ import annotations

from collections.abc import Callable

from knowledge.errors import PhiqError
from workers.connections import default_model
from workers.doctor import machine, models, redis_look, services
from workers.doctor.check import Check, fail
from workers.settings import Settings, get_settings

Look = Callable[[Settings], list[Check]]
LOOKS: tuple[Look, ...] = (
    machine.python,
    machine.packages,
    machine.variables,
    machine.data_folder,
    machine.memory,
    machine.tracing,
    redis_look.redis,
    services.chroma,
    services.words,
    services.content_store,
    services.workers,
    services.http_api,
    models.embedder,
    models.reranker,
    models.picture_reader,
    models.onnx_engine,
    models.openvino_engine,
    models.weights_engines,
    models.sharing,
    models.shelf,
    services.ollama,
    models.default_model,
)


def run(settings: Settings | None = None) -> list[Check]:
    """Look at this machine; takes a few seconds and changes nothing.

    Only the addresses in the settings are asked, all of them on loopback unless somebody set others.

    Args:
        settings: What to look at; None: the environment's, whose faults are then a finding.
    """
    if settings is None:
        try:
            settings = get_settings()
        except PhiqError as error:
            return [fail("settings", error.message, error.hint)]
    # As jobs that are submitted now would have it.
    settings = settings.model_copy(update={"model": default_model(settings)})
    found: list[Check] = []
    for look in LOOKS:
        try:
            found += look(settings)
        except PhiqError as error:
            found.append(fail(_title(look), error.message, error.hint))
        except Exception as error:  # noqa: BLE001 - the doctor must not die of the disease
            message = f"could not be looked at: {type(error).__name__}: {error}"
            found.append(fail(_title(look), message, "phiq doctor --debug, and report what it shows"))
    return found


def _title(look: Look) -> str:
    return look.__name__.replace("_", " ")
