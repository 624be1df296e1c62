"""Errors of the service: jobs, queue, engines, models and the services beside it."""

from __future__ import annotations

from knowledge.errors import ServiceError, UserError


class SettingsInvalid(UserError):
    """Raised when an environment variable or option holds what can't be used."""

    code = "settings_invalid"


class JobInvalid(UserError):
    """Raised when a job does not fit its contract; ``details['errors']`` lists field and reason."""

    code = "job_invalid"


class JobTooLarge(UserError):
    """Raised when a job or an attachment is above the size limit."""

    code = "job_too_large"


class JobNotFound(UserError):
    """Raised when no job of this tenant has the id (or it has expired by policy)."""

    code = "job_not_found"


class IdempotencyConflict(UserError):
    """Raised when an idempotency key was used before with a different request."""

    code = "idempotency_conflict"


class QuotaExceeded(UserError):
    """Raised when a tenant has as many jobs queued as it may; ``details['retry_after']`` is seconds to come back."""

    code = "quota_exceeded"


class ScheduleInvalid(UserError):
    """Raised when a schedule can't be: its times, its zone, what it is to do. ``details['field']`` says which."""

    code = "schedule_invalid"


class ScheduleNotFound(UserError):
    """Raised when no schedule of this tenant has the name."""

    code = "schedule_not_found"


class ScheduleExists(UserError):
    """Raised when a schedule is to be added whose name another one of the tenant has."""

    code = "schedule_exists"


class NotReplayable(UserError):
    """Raised when a job is asked to run again that has not ended, or has succeeded."""

    code = "not_replayable"


class QueueUnknown(UserError):
    """Raised when a queue or tenant is named that can't be."""

    code = "queue_unknown"


class MustRunAlone(ServiceError):
    """Raised when a suspect is claimed beside other jobs; it is kept for the worker that asked, for a while."""

    code = "must_run_alone"
    transient = True


class JobPoison(ServiceError):
    """Raised (in a job's record) when a worker died of a job it ran alone; it is not run again by itself."""

    code = "poison"


class JobCancelled(UserError):
    """Raised when a job's result is asked for and it was cancelled."""

    code = "job_cancelled"


class JobExpired(UserError):
    """Raised when a job passed its deadline before it ended."""

    code = "job_expired"


class LeaseLost(ServiceError):
    """Raised when an attempt writes after its lease passed to another; its work is discarded."""

    code = "lease_lost"


class WorkerLost(ServiceError):
    """Raised (in a job's record) when the worker that ran it stopped renewing its lease."""

    code = "worker_lost"
    transient = True


class RedisUnavailable(ServiceError):
    """Raised when Redis does not answer."""

    code = "redis_unavailable"
    transient = True


class StorageFull(ServiceError):
    """Raised when Redis or the disk has no room: nothing was accepted, nothing lost."""

    code = "storage_full"
    transient = True


class ContentMissing(UserError):
    """Raised when a reference is not in the content store."""

    code = "content_missing"


class ContentUnavailable(ServiceError):
    """Raised when the content store does not answer or refuses to be read or written."""

    code = "content_unavailable"
    transient = True


class EngineUnknown(UserError):
    """Raised when a model URI names no engine."""

    code = "engine_unknown"


class EngineNotInstalled(UserError):
    """Raised when an engine's extra is not installed; the hint is the pip command."""

    code = "engine_not_installed"


class EngineRefused(UserError):
    """Raised when a setting forbids an engine: remote while ``local_only``, or the fake one by accident."""

    code = "engine_refused"


class OptionUnsupported(UserError):
    """Raised when an engine can't honour an option; it is named, never ignored."""

    code = "option_unsupported"


class ModelNotFound(UserError):
    """Raised when a model is not on this machine or not known; the hint is the pull command."""

    code = "model_not_found"


class ModelBroken(UserError):
    """Raised when a model's folder can't be loaded (truncated, no tokenizer, not a model)."""

    code = "model_broken"


class ModelTooLarge(UserError):
    """Raised when a model or its cache does not fit this machine's memory or disk."""

    code = "model_too_large"


class HubUnavailable(ServiceError):
    """Raised when the model hub can't be reached."""

    code = "hub_unavailable"
    transient = True


class PullRunning(ServiceError):
    """Raised when another process is fetching the same model."""

    code = "pull_running"
    transient = True


class EngineDown(ServiceError):
    """Raised when an engine's server can't be reached or refuses service for now."""

    code = "engine_down"
    transient = True


class EngineTimeout(ServiceError):
    """Raised when an engine gave nothing for too long."""

    code = "engine_timeout"
    transient = True


class EngineLost(ServiceError):
    """Raised when the process that hosts a model ended in the middle of a run."""

    code = "engine_lost"
    transient = True


class EngineNotShared(EngineDown):
    """Raised when another worker has the model in this machine's memory and it can't be shared; it says why."""

    code = "engine_not_shared"


class EngineOutOfMemory(ServiceError):
    """Raised when an engine ran out of memory."""

    code = "out_of_memory"
    transient = True


class EngineProtocolError(ServiceError):
    """Raised when an engine's server answers with what its protocol does not allow."""

    code = "engine_protocol"
    transient = True


class PromptCut(UserError):
    """Raised when a server read less than it was sent: its context is smaller than these settings say."""

    code = "prompt_cut"


class EngineDenied(UserError):
    """Raised when an engine's server refuses the key or the request."""

    code = "engine_denied"


class StackFailed(ServiceError):
    """Raised when a part of the one-machine stack does not start or become healthy."""

    code = "stack_failed"


class NotRunning(UserError):
    """Raised when no phiq is running to talk to."""

    code = "not_running"


class AlreadyRunning(UserError):
    """Raised when a second stack is to start in a data folder that one runs in."""

    code = "already_running"


class ChatTemplateFailed(UserError):
    """Raised when a model's chat template fails or would drop a message; raw text is never sent instead."""

    code = "chat_template_failed"


class CalibrationImpossible(UserError):
    """Raised when a set has too few questions of a kind to fit thresholds on."""

    code = "calibration_impossible"
