"""The errors that the product may raise: what is wrong, the value seen, and the remedy.

A user can cause each of these. The command line prints one line for the error and one for the
remedy, never a traceback; anything else that escapes is a bug of ours.
"""


class MarqueeError(Exception):
    """An error that a user can cause and mend.

    Args:
        problem: what is wrong, naming the field, file or value that was seen.
        remedy: what to do about it, as an instruction.
    """

    exit_code = 2

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


class ConfigError(MarqueeError):
    """A configuration key or value that does not exist or does not fit."""


class SourceError(MarqueeError):
    """A source file that can't be read as its mapping says: missing, empty, binary, torn."""


class ContractError(MarqueeError):
    """Data that breaks the contract as a whole: a missing column, too many bad rows."""


class DatasetUnavailableError(MarqueeError):
    """A named data set that none of its sources could deliver."""


class WarehouseError(MarqueeError):
    """A warehouse that is missing, locked by another writer, or not what its manifest says."""


class NotEnoughDataError(MarqueeError):
    """Too few events, users or items for what was asked."""


class BundleError(MarqueeError):
    """A bundle that is missing, torn, tampered with, or of another schema version."""


class RequestError(MarqueeError):
    """A recommendation request whose field is out of its allowed range."""


class FeatureStoreError(MarqueeError):
    """State or feature store that is missing, unreachable, of another version, or asked for what it lacks."""


class ObjectStoreError(MarqueeError):
    """An object store that can't be reached, refuses, or holds something torn or tampered with."""


class ObjectMissingError(ObjectStoreError):
    """An object or folder that the store does not hold."""


class ConflictError(ObjectStoreError):
    """A conditional write that lost: another writer was there first."""


class DataVersionError(MarqueeError):
    """A data set's tracked versions: no repository, an unknown revision, a remote that can't be reached."""


class StepError(MarqueeError):
    """A step of a pipeline that got an unfinished folder, or could not write its own."""


class DataQualityError(MarqueeError):
    """Data that nothing may learn from."""


class PipelineApiError(MarqueeError):
    """Kubeflow's API that can't be reached, refuses, or answers what it should not.

    Args:
        problem: what was asked of which host, and what came of it.
        remedy: what to do about it.
        status: the answer's HTTP status, None where there was no answer.
    """

    def __init__(self, problem: str, *, remedy: str, status: int | None = None) -> None:
        super().__init__(problem, remedy=remedy)
        self.status = status


class TrainingBusyError(MarqueeError):
    """A training that was asked for while another one runs."""

    exit_code = 3


class ExposureSinkError(MarqueeError):
    """A sink of the exposure log that did not take all that it was given.

    Args:
        problem: which sink, and what it met.
        remedy: what to do about it.
        taken: how many lines it took; the leading ones, where the others may be given again.
        may_retry: whether giving the others again can help and makes no double.
    """

    def __init__(self, problem: str, *, remedy: str, taken: int = 0, may_retry: bool = True) -> None:
        super().__init__(problem, remedy=remedy)
        self.taken = taken
        self.may_retry = may_retry
