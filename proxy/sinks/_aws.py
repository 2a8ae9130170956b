"""A client of AWS, its options, and what its errors mean for events."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cache, partial
from importlib.metadata import version
from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta

from proxy.errors import ConfigError
from proxy.fields import FieldError
from proxy.sinks._bounded import bounded
from proxy.sinks._quoting import quoted
from proxy.sinks.contract import Context, NotTakenError, Options
from proxy.sinks.options import REGION_PATTERN, ROLE_PATTERN, SecretName, Url, require_safe_url

_REPAIR: Final = {
    "AccessDenied": "allow it in the policy of its role or user, and on the far side",
    "AccessDeniedException": "allow it in the policy of its role or user, and on the far side",
    "AuthFailure": "check the credentials",
    "ExpiredToken": "the credentials ran out: give new ones, or let the server use a role",
    "ExpiredTokenException": "the credentials ran out: give new ones, or let the server use a role",
    "IncompleteSignature": "check the credentials",
    "InvalidAccessKeyId": "check the credentials",
    "InvalidClientTokenId": "check the credentials",
    "InvalidSignatureException": "check the credentials, and this machine's clock",
    "InvalidToken": "check the credentials",
    "MissingAuthenticationToken": "check the credentials",
    "NotAuthorized": "allow it in the policy of its role or user",
    "OptInRequired": "turn the region on for the account",
    "RequestExpired": "check this machine's clock",
    "RequestTimeTooSkewed": "check this machine's clock",
    "SignatureDoesNotMatch": "check the credentials",
    "UnrecognizedClientException": "check the credentials",
    # Of KMS, by way of another service
    "KMS.DisabledException": "turn the key on",
    "KMS.NotFoundException": "check kms_key",
    "KMSAccessDeniedException": "allow the use of the key",
}
"""Errors that waiting does not mend, and what to do about them."""

_AGAIN: Final = frozenset(
    {
        "BadDigest",
        "BandwidthLimitExceeded",
        "InternalException",
        "InternalFailure",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
        "XAmzContentSHA256Mismatch",
    }
)
"""Errors that waiting mends, whatever the status is. Any other answer of 3xx and 4xx speaks of the
sink's own settings, or of what was sent, which the sink has to know."""
_OTHERS: Final = frozenset(
    {
        "ConditionalRequestConflict",
        "EntityTooLarge",
        "InternalError",
        "InvalidAccountIdException",
        "InvalidArgument",
        "InvalidRequest",
        "MalformedDetail",
        "NoSuchKey",
        "NotAuthorizedForDetailTypeException",
        "NotAuthorizedForSourceException",
        "PreconditionFailed",
        "RequestEntityTooLargeException",
        "ResourceNotFoundException",
        "SerializationException",
        "ValidationError",
        "ValidationException",
    }
)
"""Further names of errors that are told; of others only that there is one."""


def known_code(code: str, hints: Collection[str] = ()) -> str:
    """Return a service's own name of an error, if it is one: it could be anything."""
    if code in _REPAIR or code in _AGAIN or code in _OTHERS or code in hints:
        return code
    return "an error of another name"


_Role: TypeAlias = Annotated[str, Meta(pattern=ROLE_PATTERN, max_length=2048)]
_ExternalId: TypeAlias = Annotated[str, Meta(min_length=2, max_length=1224)]
_KeyId: TypeAlias = Annotated[str, Meta(min_length=3, max_length=128)]
_Path: TypeAlias = Annotated[str, Meta(max_length=4096)]


class AwsOptions(Options, frozen=True, kw_only=True):
    """What every sink of AWS can be told beside its own options."""

    region: Annotated[
        str,
        Meta(
            pattern=REGION_PATTERN,
            max_length=40,
            description="Region, such as `eu-central-1`.",
        ),
    ]
    endpoint_url: Annotated[
        Url | None,
        Meta(description="Address of a VPC endpoint, or of another that speaks AWS's API."),
    ] = None
    role_arn: Annotated[
        _Role | None,
        Meta(
            description="Role to take on first; else the server's own credentials are used.",
        ),
    ] = None
    external_id: Annotated[
        _ExternalId | None,
        Meta(description="What that role wants as external ID."),
    ] = None
    access_key_id: Annotated[
        _KeyId | None,
        Meta(
            description="Access key; without one, credentials are found as by every AWS client: "
            "environment, files, container or instance role.",
        ),
    ] = None
    access_key_secret: Annotated[
        SecretName | None, Meta(description="Name of the secret that belongs to `access_key_id`.")
    ] = None
    ca: Annotated[
        _Path | None,
        Meta(
            description="PEM file on the server with the authorities of `endpoint_url`, in place "
            "of those of the system.",
        ),
    ] = None
    timeout: Annotated[
        float,
        Meta(gt=0, le=300, description="Seconds within which the far side must have answered."),
    ] = 30.0

    def __post_init__(self) -> None:
        """Refuse what does not go together."""
        if self.endpoint_url is not None:
            require_safe_url(self.endpoint_url, "endpoint_url")
        if (self.access_key_id is None) != (self.access_key_secret is None):
            raise FieldError(
                "access_key_id and access_key_secret go together; leave both out to use a role",
                "access_key_secret",
            )
        if self.external_id is not None and self.role_arn is None:
            raise FieldError("external_id is for a role_arn", "external_id")


class Aws:
    """One client of one service, made when it is first used.

    Args:
        service: as botocore names it.
        options: the sink's.
        context: the sink's.
        who: the far side, as a message begins with it.
    """

    def __init__(self, service: str, options: AwsOptions, context: Context, who: str) -> None:
        self.who = who
        self._service = service
        self._options = options
        self._context = context
        self._client: Any = None
        self._open = AsyncExitStack()
        self._is_closed = False

    async def client(self) -> Any:  # noqa: ANN401 - botocore makes its methods at run time
        """Return the client.

        Raises:
            NotTakenError: it can't be made, or a secret is not there.
        """
        if self._is_closed:
            raise NotTakenError(f"{self.who} was not asked: the sink is closed")
        if self._client is None:
            # The libraries and the descriptions of the services take a second to load.
            session = await asyncio.to_thread(_session, self._service)
            async with self.told("make a client"):
                try:
                    made = await self._made(session)
                except ConfigError as error:
                    raise NotTakenError(str(error), needs_repair=True) from error
                self._client = await self._open.enter_async_context(made)
        return self._client

    async def _made(self, session: Any) -> Any:  # noqa: ANN401
        from aiobotocore.config import AioConfig  # noqa: PLC0415 - a second that no start waits for

        options = self._options
        key = options.access_key_secret
        common = {
            "region_name": options.region,
            "config": AioConfig(
                connect_timeout=min(10.0, options.timeout),
                read_timeout=options.timeout,
                # The forwarder tries again, and says so.
                retries={"total_max_attempts": 1, "mode": "standard"},
                user_agent_extra=f"tfaudit/{version('tfaudit')}",
                http_session_cls=_http(),
                s3={"addressing_style": "path" if options.endpoint_url else "auto"},
            ),
            "endpoint_url": options.endpoint_url,
            "verify": options.ca,
        }
        if key is not None:
            session.set_credentials(options.access_key_id, self._context.secret(key).reveal(), None)
        if options.role_arn is not None:
            await _take_on(session, options, common)
        return session.create_client(self._service, **common)

    @asynccontextmanager
    async def told(self, what: str, hints: Mapping[str, str] = {}) -> AsyncIterator[None]:
        """Turn the library's errors into ours; nothing of them is chained: they may hold secrets.

        Args:
            what: is being done, for the message.
            hints: what to do about this service's own errors; each needs a repair.

        Raises:
            NotTakenError: in place of whatever botocore raises; AwsError when there is an answer.
        """
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

        try:
            yield
        except ClientError as error:
            failure = self._failure(error.response, what, hints)
        except BotoCoreError as error:
            failure = self._no_answer(error)
        except (TimeoutError, OSError) as error:
            failure = NotTakenError(f"{self.who} can't be reached: {type(error).__name__}")
        else:
            return
        if failure.needs_repair:
            await self._forget()
        raise failure

    def _failure(
        self, response: Mapping[str, Any], what: str, hints: Mapping[str, str]
    ) -> NotTakenError:
        about = response.get("Error", {})
        code = str(about.get("Code", "unknown"))
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        said = f"{self.who} did not {what}: {known_code(code, hints)} (HTTP {status})"
        hint = hints.get(code) or _REPAIR.get(code)
        is_again = status >= 500 or code in _AGAIN or status in {408, 409, 429}
        error = AwsError(
            f"{said}; {hint}" if hint else said,
            code,
            status,
            needs_repair=bool(hint) or not is_again,
        )
        error.heard = self.quoted(f"{code}: {about.get('Message', '')}")
        return error

    def quoted(self, text: str) -> str:
        """Return what the service says in its own words; see the module _quoting."""
        key = self._options.access_key_secret
        secrets = []
        if key is not None:
            with suppress(ConfigError):
                secrets.append(self._context.secret(key).reveal())
        return quoted(text.encode(), secrets)

    def _no_answer(self, error: Exception) -> NotTakenError:
        for name, said, needs_repair in _NO_ANSWERS:
            if type(error).__name__ == name:
                return NotTakenError(
                    f"{self.who} {said.format(self._options.timeout)}", needs_repair=needs_repair
                )
        return NotTakenError(f"{self.who} can't be asked: {type(error).__name__}")

    async def _forget(self) -> None:
        """Close the client, so that the next looks for credentials anew."""
        self._client = None
        await self._open.aclose()

    async def aclose(self) -> None:
        """Close the connections; safe to call twice."""
        self._is_closed = True
        await self._forget()


# By name: the library is imported when the first sink is used.
_NO_CREDENTIALS: Final = (
    "can't be asked: there are no credentials; give the server a role, or set access_key_id"
)
_NO_ANSWERS: Final = (
    ("NoCredentialsError", _NO_CREDENTIALS, True),
    ("PartialCredentialsError", _NO_CREDENTIALS, True),
    ("CredentialRetrievalError", "can't be asked: the role gives no credentials", True),
    ("SSLError", "is not trusted: name the file of its authority in the option ca", True),
    ("ConnectTimeoutError", "did not answer within {:g} seconds", False),
    ("ReadTimeoutError", "did not answer within {:g} seconds", False),
    ("EndpointConnectionError", "refuses the connection, or its name is not known", False),
    ("ConnectionClosedError", "closed the connection before it answered", False),
)


class AwsError(NotTakenError):
    """What a service answered in place of a success.

    Attributes:
        code: its own name of the error.
        status: HTTP's.
    """

    def __init__(self, message: str, code: str, status: int, *, needs_repair: bool) -> None:
        super().__init__(message, needs_repair=needs_repair)
        self.code = code
        self.status = status


def _http() -> type:
    """Return how requests are sent: as the library does, but no redirection is followed.

    Whoever answers in the place of AWS must not have the events sent elsewhere, nor answer without
    an end.
    """
    from aiobotocore.httpsession import AIOHTTPSession  # noqa: PLC0415

    class Straight:
        def __init__(self, session: Any) -> None:  # noqa: ANN401
            self.request = partial(session.request, allow_redirects=False)

    class StraightSession(AIOHTTPSession):  # type: ignore[misc] # it has no types
        async def _get_session(self, proxy_url: str | None) -> Straight:
            session = await super()._get_session(proxy_url)
            bounded(session.connector)
            return Straight(session)

    return StraightSession


def _session(service: str) -> Any:  # noqa: ANN401
    """Return a session that has read from the disk what its clients need; takes a second."""
    from aiobotocore.session import AioSession  # noqa: PLC0415

    session = AioSession()
    loader = _loader()
    session.register_component("data_loader", loader)
    # Each is read once; the loader keeps it.
    for each in (service, "sts"):
        loader.load_service_model(each, "service-2")
        loader.load_service_model(each, "endpoint-rule-set-1")
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        loader.load_data(name)
    loader.load_data_with_path("endpoints")
    return session


@cache
def _loader() -> Any:  # noqa: ANN401
    """Return what reads the descriptions of services, the same for all sinks."""
    from botocore.loaders import Loader  # noqa: PLC0415

    return Loader()


async def _take_on(session: Any, options: AwsOptions, common: Mapping[str, Any]) -> None:  # noqa: ANN401
    """Have the session use the role's credentials, and new ones before they run out."""
    from aiobotocore.credentials import (  # noqa: PLC0415
        AioAssumeRoleCredentialFetcher,
        AioDeferredRefreshableCredentials,
    )

    extra = {"RoleSessionName": "tfaudit"}
    if options.external_id is not None:
        extra["ExternalId"] = options.external_id

    def sts(name: str, **given: Any) -> Any:  # noqa: ANN401
        return session.create_client(name, **{**common, **given})

    fetcher = AioAssumeRoleCredentialFetcher(
        sts, await session.get_credentials(), options.role_arn, extra_args=extra
    )
    session._credentials = AioDeferredRefreshableCredentials(  # noqa: SLF001 - it has no setter
        fetcher.fetch_credentials, "assume-role"
    )
