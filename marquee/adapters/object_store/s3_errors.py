"""What S3, its network or its settings refuse, as errors that say what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from boto3.exceptions import Boto3Error
from botocore import exceptions as faults
from botocore.exceptions import BotoCoreError, ClientError
from s3transfer.exceptions import S3DownloadFailedError

from marquee.errors import ObjectStoreError

_CREDENTIALS: Final = (
    "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role."
)
_NETWORK: Final = "Check the network, and AWS_ENDPOINT_URL_S3 where the store is not AWS's own."
_REGION: Final = "Set AWS_REGION to the bucket's region, and AWS_ENDPOINT_URL_S3 to an endpoint of it."
_LATER: Final = "Try again later; what was stored before is untouched."
_RIGHTS: Final = (
    "Allow s3:GetObject, s3:PutObject and s3:DeleteObject on the prefix and s3:ListBucket on the bucket."
)

_CODES: Final[dict[str, tuple[str, str]]] = {
    **dict.fromkeys(
        ("NoSuchBucket", "NotFound"), ("there is no such bucket", "Create the bucket, or check its name.")
    ),
    **dict.fromkeys(
        ("AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem", "UnauthorizedAccess"),
        ("access is denied", _RIGHTS),
    ),
    **dict.fromkeys(
        (
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "InvalidToken",
            "TokenRefreshRequired",
        ),
        ("the credentials are not accepted", _CREDENTIALS),
    ),
    **dict.fromkeys(
        ("PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
        ("the bucket lies in another region", _REGION),
    ),
    **dict.fromkeys(
        ("SlowDown", "503", "ServiceUnavailable", "InternalError", "500", "RequestTimeout", "Throttling"),
        ("the store is overloaded or broken", _LATER),
    ),
    **dict.fromkeys(
        ("QuotaExceeded", "XMinioStorageFull", "507", "InsufficientStorage"),
        ("the store is full", "Remove what is old, or raise its quota."),
    ),
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "Set the clock."),
    "NotImplemented": ("the store lacks a function of S3", "Use one with conditional writes and SHA-256."),
}
"""Problem and remedy by the code of an answer; HEAD has no body, so its code is the status."""

_KINDS: Final[tuple[tuple[tuple[type[Exception], ...], str, str], ...]] = (
    (
        (
            faults.NoCredentialsError,
            faults.PartialCredentialsError,
            faults.CredentialRetrievalError,
            faults.ProfileNotFound,
            faults.TokenRetrievalError,
            faults.SSOError,
        ),
        "there are no usable credentials",
        _CREDENTIALS,
    ),
    (
        (faults.NoRegionError, faults.InvalidRegionError, faults.UnknownRegionError),
        "there is no usable region",
        _REGION,
    ),
    ((faults.FlexibleChecksumError,), "what arrived is not what was stored", "Fetch it again."),
    ((S3DownloadFailedError,), "it was replaced while it was fetched", "Fetch it again."),
    ((faults.HTTPClientError, faults.ConnectionError), "the store can't be reached", _NETWORK),
    ((faults.IncompleteReadError, faults.ResponseStreamingError), "the answer broke off", _LATER),
)


@contextmanager
def s3_errors(uri: str) -> Iterator[None]:
    """Turn what boto3 raises into one clear error that names the store.

    Raises:
        ObjectStoreError: whatever the cause.
    """
    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error, S3DownloadFailedError) as err:
        problem, remedy = _explained(_root_of(err))
        raise ObjectStoreError(f"{uri}: {problem} ({_said(_root_of(err))}).", remedy=remedy) from err
    except ValueError as err:  # botocore's word for an endpoint that is no URL
        if "nvalid endpoint" not in str(err):
            raise
        raise ObjectStoreError(f"{uri}: {err}.", remedy=_NETWORK) from err


def error_code(error: ClientError) -> str:
    """The code of an answer, such as NoSuchKey."""
    details: dict[str, Any] = error.response.get("Error", {})
    return str(details.get("Code", ""))


def _root_of(error: BaseException) -> BaseException:
    """The fault below the transfer's own exceptions, which only tell that they failed."""
    if isinstance(error, Boto3Error):
        inner = getattr(error, "last_exception", None) or error.__cause__ or error.__context__
        if inner is not None:
            return _root_of(inner)
    return error


def _explained(error: BaseException) -> tuple[str, str]:
    if isinstance(error, ClientError):
        return _CODES.get(error_code(error), ("the store refuses", "Look the code up in the store's manual."))
    for kinds, problem, remedy in _KINDS:
        if isinstance(error, kinds):
            return problem, remedy
    return "the store could not be used", _NETWORK


def _said(error: BaseException) -> str:
    """The library's own words on one line, the code first where there is one."""
    text = " ".join(str(error).split()).rstrip(".")[:300]
    return f"{error_code(error)}: {text}" if isinstance(error, ClientError) else text
