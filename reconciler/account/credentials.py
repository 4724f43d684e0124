"""What is wrong with credentials, as problems: which profile, which role, which command, and the way out.

Errors of botocore are distinguished by the names of their classes, some of which older versions do not have. What a
`credential_process` prints is never shown: it may be a secret.

https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from email.utils import parsedate_to_datetime
from typing import Any, Final

from reconciler.model import problem_codes as codes
from reconciler.model.patterns import regex
from reconciler.model.problems import Problem, near
from reconciler.model.records import dataclass
from reconciler.model.values import EMPTY

EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
REFUSED: Final = frozenset(
    {
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
SKEWED: Final = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
MOST_SKEW: Final = 240.0  # seconds; AWS refuses signatures that are more than 5 minutes off
_SIGNED_AT_ANOTHER_TIME: Final = regex(r"signature (has )?expired|not yet current", re.IGNORECASE)
_CALLER: Final = regex(r"User: (?P<caller>arn:\S+) is not authorized")
_ROLE: Final = regex(r"on resource: (?P<role>arn:\S+)")
_SESSION: Final = regex(r"arn:(?P<partition>[^:]+):sts::(?P<account>\d+):assumed-role/(?P<name>[^/]+)/.*")
_LIMIT: Final = regex(r"no (service control policy|permissions boundary|session policy|vpc endpoint policy)")
_KEY_FILES: Final = "~/.aws/config and ~/.aws/credentials"
MOST_PROFILES: Final = 6  # that a hint lists


@dataclass(frozen=True, slots=True)
class Refusal:
    """AWS's refusal to give or accept credentials. ``skew`` is how many seconds AWS's clock is ahead of this one."""

    operation: str
    code: str
    message: str
    skew: float = 0.0


@dataclass(frozen=True, slots=True)
class Source:
    """Where credentials come from. ``profile`` is the one in use, ``declared`` if it is the environment's; ``profiles``
    are those of the configuration files; ``role`` is assumed with them (``roleArn``, perhaps ``externalId``).
    """

    profile: str | None = None
    declared: bool = False
    profiles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    role: Mapping[str, str] = EMPTY

    def chain(self) -> list[str]:
        """The profile, and those that it takes its credentials from."""
        found: list[str] = []
        name: Any = self.profile or "default"
        while name and name not in found:
            found.append(name)
            name = self.profiles.get(name, EMPTY).get("source_profile")
        return found

    def with_setting(self, *settings: str) -> str:
        """The first profile of the chain that has one of ``settings``; else the profile in use, or empty."""
        having = (name for name in self.chain() if any(key in self.profiles.get(name, EMPTY) for key in settings))
        return next(having, self.profile or "")


def problem_of(error: Exception, source: Source) -> Problem:
    """The problem of an error that was raised while credentials were sought, fetched or renewed."""
    names = [cls.__name__ for cls in type(error).__mro__]
    for name in names:
        if name in _BY_ERROR:
            return _BY_ERROR[name](error, source)
    if source.with_setting("credential_process") in source.profiles and isinstance(error, _UNREADABLE):
        return _process_failed(error, source)
    if isinstance(error, OSError):
        return _problem(codes.AWS_SET_UP, f"cannot read credentials: {error.filename or ''}: {error.strerror}", "")
    return _problem(codes.AWS_SET_UP, f"cannot get credentials: {_first_line(error)}", f"check {_KEY_FILES}")


def problem_of_refusal(refusal: Refusal, source: Source) -> Problem | None:
    """The problem of a refusal that is about the credentials; None for any other."""
    code, message = refusal.code, refusal.message
    if code in SKEWED or _SIGNED_AT_ANOTHER_TIME.search(message):
        return _clock(refusal)
    if code in EXPIRED:
        return _clock(refusal) if abs(refusal.skew) > MOST_SKEW else _expired(source)
    if refusal.operation.startswith("AssumeRole"):
        return _role_refused(refusal, source)
    if refusal.operation == "GetRoleCredentials":
        return _sso_role_refused(refusal, source)
    if code in REFUSED or (code == "AuthFailure" and "validate the provided access" in message):
        return _not_accepted(refusal, source)
    return None


def no_region() -> Problem:
    """The problem of calls without a Region."""
    return _problem(
        codes.NO_REGION,
        "no Region is set",
        "set `region:` in environment.yaml, AWS_REGION, or `region` of the profile in ~/.aws/config",
    )


def no_credentials(source: Source) -> Problem:
    """The problem of calls without credentials."""
    profile = source.profile
    if profile and profile in source.profiles:
        message = f"profile {profile} has no credentials"
        hint = f"add them with `aws configure --profile {_q(profile)}` or `aws configure sso --profile {_q(profile)}`"
        return _problem(codes.NO_CREDENTIALS, message, hint)
    hint = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure sso`"
    hint += _listed(source)
    return _problem(
        codes.NO_CREDENTIALS, "no AWS credentials found", f"{hint}; to try without an account use --sandbox"
    )


def sign_in(source: Source) -> str:
    """The command that renews the credentials, or words for it."""
    if name := _signed_in_by(source, "sso_session", "sso_start_url", "sso_account_id"):
        return f"run `aws sso login{_option(name)}`"
    if name := _signed_in_by(source, "login_session"):
        return f"run `aws login{_option(name)}`"
    return f"renew the credentials of profile {source.profile}" if source.profile else "renew the credentials"


def skew_of(meta: Mapping[str, Any]) -> float:
    """How many seconds AWS's clock is ahead of this one, by the metadata of a reply; 0 if that is unknown."""
    try:
        date = parsedate_to_datetime(str(meta.get("HTTPHeaders", {})["date"]))
        return date.timestamp() - time.time()
    except (ArithmeticError, KeyError, OSError, TypeError, ValueError):
        return 0.0


# --- errors of botocore -----------------------------------------------------------------------------------------------


def _no_profile(error: Any, source: Source) -> Problem:
    name = str(error.kwargs.get("profile", source.profile))
    message = f"profile {name} does not exist on this machine"
    other = near(name, source.profiles)
    fix = f"; did you mean {other}?" if other else _listed(source)
    where = "`profile:` in environment.yaml" if source.declared else "AWS_PROFILE"
    hint = f"add it with `aws configure --profile {_q(name)}`, or correct {where}{fix}"
    return _problem(codes.AWS_PROFILE, message, hint)


def _not_signed_in(error: Any, source: Source) -> Problem:
    if type(error).__name__ == "SSOTokenLoadError" or "Error loading SSO Token" in str(error):
        what = "is not signed in"
    else:
        what = "has an expired or invalid sign-in"
    name = source.with_setting("sso_session", "sso_start_url", "sso_account_id")
    subject = f"profile {name}" if name else "the default profile"
    return _problem(
        codes.NOT_SIGNED_IN, f"{subject} {what} (IAM Identity Center)", f"run `aws sso login{_option(name)}`"
    )


def _not_logged_in(error: Any, source: Source) -> Problem:
    name = source.with_setting("login_session")
    subject = f"profile {name}" if name else "the default profile"
    if "InsufficientPermissions" in type(error).__name__:
        message, hint = f"{subject} may not use `aws login`", "allow signin:CreateOAuth2Token, or use other credentials"
        return _problem(codes.NOT_SIGNED_IN, message, hint)
    return _problem(
        codes.NOT_SIGNED_IN,
        f"{subject} is not signed in, or its sign-in has expired",
        f"run `aws login{_option(name)}`",
    )


def _loop(error: Any, source: Source) -> Problem:
    again = error.kwargs.get("source_profile")
    visited = [*error.kwargs.get("visited_profiles", source.chain()), again]
    message = f"the source profiles form a circle: {' -> '.join(map(str, visited))}"
    return _problem(codes.AWS_PROFILE, message, f"correct source_profile of one of them in {_KEY_FILES}")


def _bad_profile(error: Any, source: Source) -> Problem:
    message = _first_line(error)
    if missing := re.search(r'source_profile "(?P<name>[^"]*)" referenced in the profile "(?P<by>[^"]*)"', message):
        message = f"profile {missing['by']} takes its credentials from {missing['name']}, which does not exist"
        others = [name for name in source.profiles if name != missing["by"]]
        other = near(missing["name"], others)
        fix = f"; did you mean {other}?" if other else ""
        return _problem(codes.AWS_PROFILE, message, f"add profile {missing['name']}, or correct source_profile{fix}")
    return _problem(codes.AWS_PROFILE, message, f"correct the profile in {_KEY_FILES}")


def _not_retrieved(error: Any, source: Source) -> Problem:
    provider = str(error.kwargs.get("provider", ""))
    if provider == "custom-process":
        return _process_failed(error, source)
    message = f"no credentials from {provider}: {_first_line(error.kwargs.get('error_msg', ''))}"
    return _problem(codes.NO_CREDENTIALS, message, f"check that {provider} can be reached, and {_KEY_FILES}")


def _process_failed(error: Exception, source: Source) -> Problem:
    """Names the program of a `credential_process`, not its arguments and its output, which may hold secrets."""
    name = source.with_setting("credential_process")
    command = str(source.profiles.get(name, EMPTY).get("credential_process", ""))
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    program = words[0] if words else "the command"
    shown = f"{program} ..." if len(words) > 1 else program
    if isinstance(error, FileNotFoundError):
        why = "the program was not found"
    elif isinstance(error, OSError):
        why = f"it cannot be run ({error.strerror})"
    elif isinstance(error, json.JSONDecodeError | UnicodeDecodeError | AttributeError):
        why = "it does not print credentials as JSON"
    elif (said := str(getattr(error, "kwargs", EMPTY).get("error_msg", ""))).startswith(_OWN_WORDS):
        why = said
    else:
        why = "it ended with an error"
    message = f"the credential_process of profile {name} failed: {shown}: {why}"
    return _problem(codes.CREDENTIAL_PROCESS, message, "run it by hand to see what it prints; it is in ~/.aws/config")


_OWN_WORDS: Final = ("Unsupported version", "Missing required key", "Credential refresh failed")
_UNREADABLE: Final = (OSError, ValueError, AttributeError, TypeError)


def _incomplete(error: Any, source: Source) -> Problem:
    provider, missing = str(error.kwargs.get("provider", "")), str(error.kwargs.get("cred_var", "")).strip("'")
    if provider == "assume-role":
        name = source.with_setting("role_arn")
        message = f"profile {name} has role_arn, and no {missing}"
        return _problem(codes.AWS_PROFILE, message, "add source_profile: the profile with which the role is assumed")
    if provider == "env":
        return _problem(codes.AWS_SET_UP, f"{missing} is not set", "set it, or unset AWS_ACCESS_KEY_ID as well")
    name = source.profile or "default"
    return _problem(codes.AWS_PROFILE, f"profile {name} has no {missing}", f"add it in {_KEY_FILES}")


def _no_code(_: Any, source: Source) -> Problem:
    name = source.with_setting("mfa_serial")
    message = f"profile {name} needs an MFA code, and there is no terminal to type it"
    return _problem(codes.AWS_SET_UP, message, "run it in a terminal, or pass credentials that have passed MFA")


def _no_code_again(_: Any, source: Source) -> Problem:
    name = source.with_setting("mfa_serial")
    message = f"the credentials of profile {name} have expired, and renewing them needs a new MFA code"
    return _problem(codes.CREDENTIALS_EXPIRED, message, "run the command again")


def _still_expired(_: Any, source: Source) -> Problem:
    return _expired(source)


def _bad_file(error: Any, _: Source) -> Problem:
    hint = "fix the file, or set AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE to another"
    return _problem(codes.AWS_SET_UP, _first_line(error), hint)


def _dependency(error: Any, _: Source) -> Problem:
    return _problem(codes.AWS_SET_UP, _first_line(error), "install it: pip install 'botocore[crt]'")


def _refused_by(error: Any, source: Source) -> Problem:
    """A refusal of STS or IAM Identity Center while credentials were fetched."""
    details = error.response.get("Error", {})
    skew = skew_of(error.response.get("ResponseMetadata", {}))
    refusal = Refusal(error.operation_name, str(details.get("Code", "")), str(details.get("Message", "")), skew)
    return problem_of_refusal(refusal, source) or _problem(
        codes.AWS_REFUSED, f"cannot get credentials: {refusal.code}: {refusal.message}", f"check {_KEY_FILES}"
    )


_BY_ERROR: Final[Mapping[str, Callable[[Any, Source], Problem]]] = {
    "ClientError": _refused_by,
    "ConfigNotFound": _bad_file,
    "ConfigParseError": _bad_file,
    "CredentialRetrievalError": _not_retrieved,
    "EOFError": _no_code,
    "GetPassWarning": _no_code,
    "InfiniteLoopConfigError": _loop,
    "InvalidConfigError": _bad_profile,
    "LoginError": _not_logged_in,
    "MissingDependencyException": _dependency,
    "NoAuthTokenError": _not_signed_in,
    "NoCredentialsError": lambda _, source: no_credentials(source),
    "NoRegionError": lambda _, __: no_region(),
    "PartialCredentialsError": _incomplete,
    "ProfileNotFound": _no_profile,
    "RefreshWithMFAUnsupportedError": _no_code_again,
    "RuntimeError": _still_expired,
    "SSOError": _not_signed_in,
    "TokenRetrievalError": _not_signed_in,
    "UnknownCredentialError": _bad_profile,
}


# --- refusals of AWS --------------------------------------------------------------------------------------------------


def _clock(refusal: Refusal) -> Problem:
    minutes, ahead = abs(refusal.skew) / 60, refusal.skew < 0
    by = f"{minutes:.0f} minutes {'ahead of' if ahead else 'behind'}" if minutes >= 1 else "not the same as"
    message = f"this machine's clock is {by} AWS's: AWS refuses requests that are more than 5 minutes off"
    return _problem(codes.CLOCK_SKEW, message, "set the clock, or turn on its synchronization (NTP)")


def _expired(source: Source) -> Problem:
    whose = f" of profile {source.profile}" if source.profile else ""
    hint = sign_in(source)
    if not source.profile:
        hint += ": new AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or a profile"
    return _problem(codes.CREDENTIALS_EXPIRED, f"the credentials{whose} have expired", hint)


def _not_accepted(refusal: Refusal, source: Source) -> Problem:
    whose = f"of profile {source.profile}" if source.profile else "in the environment"
    if refusal.code in ("SignatureDoesNotMatch", "InvalidSignatureException"):
        message = f"AWS refuses the signature: the secret access key {whose} does not belong to its access key"
        hint = f"copy both keys again; `aws configure{_option(source.profile or '')}` sets them"
    elif refusal.code.startswith(("Incomplete", "Missing")):
        message = f"AWS got a request without a complete signature ({refusal.code})"
        hint = "remove spaces and line ends from the keys; check any proxy on the way to AWS"
    else:
        message = f"AWS does not know the access key {whose}"
        hint = "it may be deleted, inactive, of another partition, or a temporary one without AWS_SESSION_TOKEN"
    return _problem(codes.CREDENTIALS_REFUSED, message, hint)


def _sso_role_refused(refusal: Refusal, source: Source) -> Problem:
    name = source.with_setting("sso_role_name")
    profile = source.profiles.get(name, EMPTY)
    what = f"{profile.get('sso_role_name', 'the role')} in account {profile.get('sso_account_id', '')}".rstrip()
    message = f"IAM Identity Center refuses {what} to profile {name}: {refusal.code}: {refusal.message}"
    hint = "check sso_account_id and sso_role_name, or have the permission set assigned to you"
    return _problem(codes.ROLE_REFUSED, message, hint)


def _role_refused(refusal: Refusal, source: Source) -> Problem:
    """Who wanted to assume which role, and what is most likely in the way.

    AWS's message has the kind of policy that denies it, except for the trust policy; and it is the same for a role that
    does not exist.
    """
    if refusal.code in REFUSED:
        return _not_accepted(refusal, source)
    role = _found(_ROLE, "role", refusal.message) or _role_of(source)
    caller = _found(_CALLER, "caller", refusal.message)
    message = f"{caller or 'the caller'} cannot assume {role or 'the role'}: {refusal.code}"
    if refusal.code not in ("AccessDenied", "AccessDeniedException"):
        message += f": {refusal.message}"
        return _problem(
            codes.ROLE_REFUSED, message, "check the role's ARN, and `sessionName` and `externalId` next to it"
        )
    if "root accounts" in refusal.message:
        return _problem(codes.ROLE_REFUSED, message, "use a user or a role: the root user cannot assume roles")
    return _problem(codes.ROLE_REFUSED, message, _likely_cause(refusal.message, caller, role, source))


def _likely_cause(message: str, caller: str, role: str, source: Source) -> str:
    lower = message.lower()
    if "identity-based policy" in lower and "explicit deny" not in lower:
        return f"likely cause: the caller's own permissions; allow it sts:AssumeRole on {role or 'the role'}"
    if denied := re.search(r"explicit deny in an? ([a-z -]+? policy|permissions boundary)", lower):
        return f"likely cause: a Deny in {_article(denied[1])}; remove it, or use another caller"
    if limit := re.search(
        r"no (service control policy|permissions boundary|session policy|vpc endpoint policy)", lower
    ):
        return f"likely cause: the caller's {limit[1]} does not allow sts:AssumeRole"
    principal = _SESSION.sub(r"arn:\g<partition>:iam::\g<account>:role/\g<name>", caller) or "the caller"
    across = bool(caller and role) and caller.split(":")[4] != role.split(":")[4]
    parts = [f"likely cause: the role's trust policy does not name {principal}, or there is no such role"]
    if source.role and not across and role == source.role.get("roleArn"):
        parts[0] += f" in account {role.split(':')[4]}"
    if _external_id(role, source):
        parts.append("its sts:ExternalId must equal the externalId given here")
    else:
        parts.append("if it requires sts:ExternalId, set `externalId:` next to roleArn")
    if across:
        parts.append("the caller's own policies must allow sts:AssumeRole, too: the role is in another account")
    return "; ".join(parts)


def _external_id(role: str, source: Source) -> bool:
    if source.role and role in ("", source.role.get("roleArn")):
        return "externalId" in source.role
    return any("external_id" in source.profiles.get(name, EMPTY) for name in source.chain())


def _role_of(source: Source) -> str:
    named = (source.profiles.get(name, EMPTY).get("role_arn") for name in source.chain())
    return str(source.role.get("roleArn") or next((role for role in named if role), ""))


# --- words ------------------------------------------------------------------------------------------------------------


def _problem(code: codes.ProblemCode, message: str, hint: str) -> Problem:
    return Problem(code=code, message=message, hint=hint)


def _signed_in_by(source: Source, *settings: str) -> str:
    """The profile of the chain with one of ``settings``; empty if there is none."""
    return next(
        (name for name in source.chain() if any(key in source.profiles.get(name, EMPTY) for key in settings)), ""
    )


def _listed(source: Source) -> str:
    """The profiles of this machine, as the end of a hint."""
    names = list(source.profiles)
    more = ", ..." if len(names) > MOST_PROFILES else ""
    return f" (profiles here: {', '.join(names[:MOST_PROFILES])}{more})" if names else ""


def _option(profile: str) -> str:
    return f" --profile {_q(profile)}" if profile and profile != "default" else ""


def _q(name: str) -> str:
    return shlex.quote(name)


def _found(pattern: re.Pattern[str], group: str, text: str) -> str:
    found = pattern.search(text)
    return found[group].rstrip(".,;") if found else ""


def _article(noun: str) -> str:
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def _first_line(error: object) -> str:
    return next(iter(str(error).splitlines()), "").rstrip(".")
