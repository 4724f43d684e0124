"""The catalogue of problem codes: every code that a problem or a finding can have, what it means and how to fix it.

``make docs`` makes ``docs/errors.md`` from it. A code is a string, in JSON and in comparisons; ``Problem`` and
``Finding`` take no string that is not in the catalogue, which mypy checks.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, Self

from . import examples

Severity = Literal["error", "warning", "note", "advice"]


class ProblemCode(str):
    """A stable name for one type of problem, equal to the plain string, with its documentation.

    ``severities`` are those that it is raised with. ``meaning`` and ``fix`` are a sentence each. ``source`` is the page
    about the behaviour of AWS behind it, or empty.
    """

    __slots__ = ("fix", "meaning", "severities", "source")

    severities: tuple[Severity, ...]
    meaning: str
    fix: str
    source: str

    def __new__(cls, name: str, severities: tuple[Severity, ...], meaning: str, fix: str, source: str = "") -> Self:
        """The code ``name`` with its documentation."""
        code = super().__new__(cls, name)
        code.severities, code.meaning, code.fix, code.source = severities, meaning, fix, source
        return code


def _error(name: str, meaning: str, fix: str, source: str = "") -> ProblemCode:
    return ProblemCode(name, ("error",), meaning, fix, source)


def _warning(name: str, meaning: str, fix: str, source: str = "") -> ProblemCode:
    return ProblemCode(name, ("warning",), meaning, fix, source)


def _either(name: str, meaning: str, fix: str, source: str = "") -> ProblemCode:
    return ProblemCode(name, ("error", "warning"), meaning, fix, source)


def _note(name: str, meaning: str, fix: str, source: str = "") -> ProblemCode:
    return ProblemCode(name, ("note",), meaning, fix, source)


def _audit(severities: tuple[Severity, ...], name: str, meaning: str, fix: str, source: str = "") -> ProblemCode:
    return ProblemCode(name, severities, meaning, fix, source)


@cache
def catalogue() -> dict[str, ProblemCode]:
    """Every code by its name, in alphabetical order."""
    return {str(code): code for code in sorted(value for value in globals().values() if isinstance(value, ProblemCode))}


# --- the environment's directory and its files ------------------------------------------------------------------------

NO_ENVIRONMENT = _error(
    "no-environment",
    "No environment given, or the given directory has no environment.yaml.",
    "Pass the directory of an environment, or create one with `reconcile init`.",
)
NOTHING_TO_IMPORT = _error(
    "nothing-to-import",
    "Nothing in the account matches the options of `import`.",
    "Check the account and the Region, and `--name`, `--kind` and `--tag`.",
)
NESTED_ENVIRONMENT = _error(
    "nested-environment",
    "A directory inside an environment has settings of its own.",
    "Move the inner environment out, or delete its environment.yaml.",
)
DUPLICATE_SETTINGS = _error(
    "duplicate-settings",
    "A directory has both environment.yaml and environment.yml.",
    "Keep one of the two files.",
)
MISPLACED_SETTING = _error(
    "misplaced-setting",
    "A setting of the environment is written in another file than environment.yaml.",
    "Move it to environment.yaml.",
)
UNREADABLE_FILE = _error(
    "unreadable-file",
    "A file or directory of the environment cannot be read, or is not a regular file.",
    "Fix its permissions or links, or move it out of the environment.",
)
OUTSIDE_ENVIRONMENT = _error(
    "outside-environment",
    "A symbolic link or a `${file:}` expression points outside the environment's directory.",
    "Copy the file into the environment; name directories in extends instead.",
)
TOO_DEEP = _error(
    "too-deep",
    "Directories, or the values in a file, are nested too deeply.",
    "Flatten them.",
)
TOO_LARGE = _error(
    "too-large",
    "A file, an environment with its aliases and variables filled in, or a chain of variables is too large.",
    "Split the file, or use fewer aliases and variables; the message gives the limit.",
)
TOO_MUCH = _error(
    "too-much",
    "The directory contains more files, or more YAML, than an environment can have.",
    "Pass the right directory, and move files that do not belong to the environment out of it.",
)
UNKNOWN_BASE = _error(
    "unknown-base",
    "A path in extends does not exist or cannot be followed.",
    "Correct the path; it is relative to the environment's directory.",
)
EMPTY_BASE = _error(
    "empty-base",
    "A path in extends has no YAML in it.",
    "Extend a directory or file that declares something.",
)
EXTENDS_CYCLE = _error(
    "extends-cycle",
    "An environment extends itself, directly or through others.",
    "Remove one of the extends that the message lists.",
)
OTHER_VERSION = _error(
    "other-version",
    "The environment requires another version of reconcile.",
    "Install a version that `requiredVersion` allows, or change it.",
)
CHANGES_UNKNOWN = _error(
    "changes-unknown",
    "The changes since a revision are unknown: git is missing, or the revision is, or the clone is shallow.",
    "Install git, fetch the revision and the history up to it (`fetch-depth: 0`), or give another revision.",
)
DELETED_ENVIRONMENT = _warning(
    "deleted-environment",
    "An environment was deleted, or has another name now; what it owns remains there.",
    "Run `reconcile destroy` on it as it was before, or give it its name back.",
)
SAME_ENVIRONMENT = _error(
    "same-environment",
    "Two environments have the same name, account and Region: each would delete what the other declares.",
    "Give one of them another name, or move everything into one of them.",
)
SAME_NAME = _warning(
    "same-name",
    "Two environments have the same name, and may be in the same account and Region.",
    "Set `account:` and `region:` in both, or give one of them another name.",
)
HOST_REFUSED = _error(
    "host-refused",
    "The code host cannot be reached, refused a request of `reconcile ci`, or a variable that it sets is missing.",
    "Give the job's token the permission that the message names.",
)

# --- YAML -------------------------------------------------------------------------------------------------------------

NOT_UTF8 = _error(
    "not-utf8",
    "A file is not encoded as UTF-8.",
    "Save it as UTF-8.",
)
YAML_SYNTAX = _error(
    "yaml-syntax",
    "A file is not valid YAML.",
    "Correct the place that the message names; quote text that has special characters in it.",
)
YAML_TAG = _error(
    "yaml-tag",
    "A value has a YAML tag, and tags are not supported.",
    "Write the value without the tag, or quote text that starts with an exclamation mark.",
)
UNKNOWN_ANCHOR = _error(
    "unknown-anchor",
    "An alias uses an anchor that is not defined above it in the same file.",
    "Define the anchor first, or quote the text if it is not an alias.",
)
MULTIPLE_DOCUMENTS = _error(
    "multiple-documents",
    "A file contains more than one YAML document.",
    "Put each document into a file of its own, or remove the line `---`.",
)
DUPLICATE_KEY = _error(
    "duplicate-key",
    "A mapping has a duplicate key.",
    "Remove one, or rename it.",
)
INVALID_KEY = _error(
    "invalid-key",
    "The key of a mapping is missing, or is not text.",
    "Write the key as text, in quotes if it looks like a number, a truth value, a mapping or a list.",
)
INVALID_MERGE = _error(
    "invalid-merge",
    "The merge key `<<` has a value that is neither a mapping nor a list of mappings.",
    "Give it a mapping, as in `<<: *base`.",
)

# --- sections and resources -------------------------------------------------------------------------------------------

UNKNOWN_SECTION = _error(
    "unknown-section",
    "There is no section or setting of this name.",
    "Correct the name; `reconcile schema` prints what an environment can have.",
)
EMPTY_RESOURCE = _error(
    "empty-resource",
    "A resource is declared as null, and there is no inherited one that null would remove.",
    "Give it properties, or write `{}` for a resource without any; check the indentation of the lines below.",
)
DUPLICATE_RESOURCE = _error(
    "duplicate-resource",
    "A resource is declared more than once, or two names differ only in case and are the same to AWS.",
    "Remove or rename one of the two.",
)
IDLE_NULL = _warning(
    "idle-null",
    "A value is null, and there is no inherited setting that null would remove.",
    "Give it a value, or remove the line.",
)

UNQUOTED_NUMBER = _warning(
    "unquoted-number",
    "A value such as `012`, `1.10` or `0x1F` is not in quotes: it is text here, and a number to other YAML readers.",
    'Write it in quotes: `"012"`. For a number, write plain decimal digits.',
)

# --- expressions, variables and references ----------------------------------------------------------------------------

BAD_EXPRESSION = _error(
    "bad-expression",
    "An expression cannot be read, or is used where none is allowed.",
    "Correct the expression, or write a plain value; `$${` is a literal `${`.",
)
FOREIGN_EXPRESSION = _warning(
    "foreign-expression",
    "Text looks like an expression of another tool, and is sent to AWS unchanged.",
    "Write expressions as `${...}`.",
)
NOT_TEXT = _error(
    "not-text",
    "An expression inside a text has a value that is a list, a mapping or null.",
    "Use the expression alone as the whole value, so that it keeps its type.",
)
BAD_FILE = _error(
    "bad-file",
    "The file of a `${file:}` expression is missing, unreadable, too large, not UTF-8, or a part of the environment.",
    "Correct the path, or move the file into files/.",
)
UNSET_VARIABLE = _warning(
    "unset-variable",
    "An environment variable that the environment uses is not set.",
    "Export it, or correct its name.",
)
UNKNOWN_VARIABLE = _error(
    "unknown-variable",
    "A `${var.}` expression names a variable, or a member of one, that is not declared or not known yet.",
    "Declare it under variables: in environment.yaml, or correct its name.",
)
VARIABLE_CYCLE = _error(
    "variable-cycle",
    "Variables refer to each other in a cycle.",
    "Give one of them a value of its own.",
)
UNKNOWN_REFERENCE = _error(
    "unknown-reference",
    "A reference names a resource, an attribute or a look-up that does not exist.",
    "Declare it, correct the name, or give a full ARN or id.",
)
UNDECLARED_NAME = _warning(
    "undeclared-name",
    "A resource is named that this environment does not declare, and whose name is close to one that it does.",
    "Correct the name, or keep it if the resource exists in the account.",
)
REFERENCE_CYCLE = _error(
    "reference-cycle",
    "Resources depend on each other in a cycle, or a resource depends on itself.",
    "Remove one of the references that the message lists.",
)
MISFIT = _warning(
    "misfit",
    "A reference, an ARN or a look-up has a value of another type than the field needs.",
    "Use a value of the type that the message names.",
)

# --- look-ups ---------------------------------------------------------------------------------------------------------

FOREIGN_TOPIC = _warning(
    "foreign-topic",
    "`alerts` sends to a topic that this environment does not declare, so its policy is not changed.",
    "Declare the topic in this environment, or let events.amazonaws.com publish in its policy.",
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html#eb-sns-permissions",
)
LOOKUP_CYCLE = _error(
    "lookup-cycle",
    "Look-ups refer to each other in a cycle.",
    "Remove one of the references.",
)
LOOKUP_ARGUMENT = _error(
    "lookup-argument",
    "A look-up uses an expression whose value is not known yet when look-ups run.",
    "Use a value that exists already.",
)
LOOKUP_NONE = _error(
    "lookup-none",
    "Nothing in the account matches a look-up.",
    "Use a wider filter, correct the name, or create what is looked up.",
)
LOOKUP_SEVERAL = _error(
    "lookup-several",
    "More than one thing in the account matches a look-up that needs exactly one.",
    "Narrow the filter; the message lists what was found.",
)
LOOKUP_REFUSED = _either(
    "lookup-refused",
    "AWS refused the read that a look-up needs.",
    "Allow the action that the message names.",
)

# --- jobs -------------------------------------------------------------------------------------------------------------

JOB_CALL_REFUSED = _error(
    "job-call-refused",
    "AWS refused a call of `reconcile jobs`, with the reason that the message has.",
    "Allow the action that the message names (`reconcile permissions --for jobs` prints all), or correct the request.",
)
UNKNOWN_JOB = _error(
    "unknown-job",
    "AWS Batch has no such job: it never existed, is in another account or Region, or ended more than 7 days ago.",
    "List the jobs with `reconcile jobs list`.",
    "https://docs.aws.amazon.com/batch/latest/userguide/job_states.html",
)
SUBMITTED_PERHAPS = _error(
    "submitted-perhaps",
    "The reply to SubmitJob was lost, and it is unknown whether the job exists. It is not submitted again.",
    "Look for its name with `reconcile jobs list --name NAME`, and submit again if there is none.",
)
NOT_CONNECTABLE = _error(
    "not-connectable",
    "There is nothing to connect to: the job is not running, or its machine is unknown.",
    "Wait until the job is RUNNING, and see `reconcile jobs show`.",
)

# --- permissions ------------------------------------------------------------------------------------------------------

MISSING_PERMISSION = _either(
    "missing-permission",
    "`plan --check-permissions`: the role that applies has no permission for an action of the plan, or only under "
    "conditions that are not known before.",
    "Add the action to its policies; `reconcile permissions ENV --for apply` prints the policy.",
)
PERMISSIONS_UNKNOWN = _either(
    "permissions-unknown",
    "The permissions of a role cannot be checked: IAM refuses the simulation, or does not have the role.",
    "Allow `iam:SimulatePrincipalPolicy`, or pass `--apply-role` with the ARN of a role. With `--apply-role` it is a "
    "warning, unless there is `--check-permissions`, too.",
)

# --- values of fields -------------------------------------------------------------------------------------------------

UNKNOWN_FIELD = _either(
    "unknown-field",
    "A resource, setting, look-up or document has a field that does not exist there.",
    "Correct the name, or remove the field.",
)
MISSING_FIELD = _either(
    "missing-field",
    "A required field is missing.",
    "Add the field.",
)
WRONG_TYPE = _error(
    "wrong-type",
    "A value has the wrong type, such as a number where text is needed or a text where a list is needed.",
    "Write a value of the type that the message names; quote text that looks like a number or a truth value.",
)
INVALID_VALUE = _either(
    "invalid-value",
    "A value, or a combination of values, is not allowed here.",
    "Use a value that the message or its hint names.",
)
INVALID_NAME = _error(
    "invalid-name",
    "AWS does not accept this name for a resource of this type.",
    "Choose a name with the characters and the length that the message names.",
)
OUT_OF_RANGE = _error(
    "out-of-range",
    "A number is too small or too large, or a text or a list is too short or too long.",
    "Keep it within the limits that the message names.",
)
DUPLICATE = _either(
    "duplicate",
    "A list has two items with the same name, key or value.",
    "Remove or rename one of them.",
)
NOT_APPLICABLE = _either(
    "not-applicable",
    "A field does not apply to a resource of this type, such as a field for EC2 on Fargate.",
    "Remove the field, or change the type of the resource.",
)
NEWER_MEMBER = _note(
    "newer-member",
    "A field is in the installed AWS model, and newer than this version of reconcile.",
    "Nothing needs to be done: the field is sent unchanged, and compared in a generic way.",
)
NEWER_VALUE = _note(
    "newer-value",
    "A value is in the installed AWS model, and newer than this version of reconcile.",
    "Nothing needs to be done: the value is sent unchanged, with fewer checks.",
)
IGNORED_TAG = _warning(
    "ignored-tag",
    "A tag of the environment matches a pattern of ignoreTags, so it is never compared.",
    "Remove the tag or the pattern.",
)
TAGS_UNUSED = _warning(
    "tags-unused",
    "Tags are declared on a resource that belongs to the whole account, whose tags are not managed.",
    "Remove its tags.",
)

# --- advice on what AWS accepts ---------------------------------------------------------------------------------------

END_OF_SUPPORT = _warning(
    "end-of-support",
    "An image is one that AWS no longer supports, such as Amazon Linux 2.",
    "Use an image of Amazon Linux 2023.",
    "https://docs.aws.amazon.com/batch/latest/userguide/ecs-migration-2023.html",
)
SECRET_IN_CLEAR = _warning(
    "secret-in-clear",
    "A secret is written in a file of the environment, or an environment variable that looks like one is used in a"
    " field that AWS shows in plain text.",
    "Take it from the environment with `${env:NAME}`, and use it only in a secret that other resources refer to.",
)
CLEAR_TEXT_SECRET = _warning(
    "clear-text-secret",
    "A job definition or the user data of a launch template contains what looks like a secret, and everyone who may"
    " describe it can read it.",
    "Keep it in Secrets Manager or Parameter Store, and name it under secrets or secretOptions.",
    "https://docs.aws.amazon.com/batch/latest/userguide/specifying-sensitive-data.html",
)
PRIVILEGED = _warning(
    "privileged",
    "A privileged container has the rights of root on its host.",
    "Remove privileged; for a device, linuxParameters.devices is enough.",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_ContainerProperties.html",
)
NO_TIMEOUT = _warning(
    "no-timeout",
    "A job definition has no timeout, so a job that hangs runs until it is terminated by hand.",
    "Add `timeout: {attemptDurationSeconds: N}`.",
    "https://docs.aws.amazon.com/batch/latest/userguide/job_timeouts.html",
)
UNKNOWN_VOLUME = _error(
    "unknown-volume",
    "A container mounts a volume that the job definition does not have.",
    "Correct the name, or add the volume.",
)
UNREACHABLE_RULE = _warning(
    "unreachable-rule",
    "An earlier entry of evaluateOnExit matches everything that this one does, and the first match is used.",
    "Move the entry up, or remove it.",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html",
)
NO_CATCH_ALL = _warning(
    "no-catch-all",
    "A failure that no entry of evaluateOnExit matches is retried too.",
    'To retry only what is listed, end with `{onReason: "*", action: EXIT}`.',
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_RetryStrategy.html",
)
NO_UPDATES_IN_PLACE = _warning(
    "no-updates-in-place",
    "serviceRole is a custom role: later changes of instances, network or image replace the compute environment.",
    "Leave serviceRole out to use AWSServiceRoleForBatch, which allows updates in place.",
    "https://docs.aws.amazon.com/batch/latest/userguide/infrastructure-updates.html",
)
OPEN_TO_ALL = _warning(
    "open-to-all",
    "A rule of a security group admits the whole internet.",
    "Narrow the address range.",
)
NO_TARGETS = _warning(
    "no-targets",
    "An event rule has no targets, so its events are not delivered.",
    "Add a target.",
)

# --- the account and its lock -----------------------------------------------------------------------------------------

AWS_SET_UP = _error(
    "aws-set-up",
    "The credentials, the Region or another part of the AWS configuration is missing or invalid.",
    "Correct the AWS configuration or the environment variables that the message names.",
)
NO_CREDENTIALS = _error(
    "no-credentials",
    "No AWS credentials were found, or their source cannot be reached.",
    "Set `AWS_PROFILE`, or set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`.",
    "https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html",
)
NO_REGION = _error(
    "no-region",
    "No AWS Region is set.",
    "Set `region:` in environment.yaml, `AWS_REGION`, or `region` of the profile.",
)
AWS_PROFILE = _error(
    "aws-profile",
    "A profile does not exist, is incomplete, or refers to one that does not exist or to itself.",
    "Correct the profile in `~/.aws/config`, or name another one.",
    "https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html",
)
NOT_SIGNED_IN = _error(
    "not-signed-in",
    "The sign-in of a profile (IAM Identity Center, or `aws login`) is missing or has expired.",
    "Run `aws sso login --profile NAME`, or `aws login --profile NAME`.",
    "https://docs.aws.amazon.com/sdkref/latest/guide/feature-sso-credentials.html",
)
CREDENTIAL_PROCESS = _error(
    "credential-process",
    "The `credential_process` of a profile failed, or printed no credentials. Its output is not shown.",
    "Run the command by hand, and correct what it complains about.",
    "https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html",
)
ROLE_REFUSED = _error(
    "role-refused",
    "AWS does not let the caller assume the role. AWS gives the same answer for a role that does not exist.",
    "Correct the role's trust policy, the caller's permission for `sts:AssumeRole`, or `externalId`.",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_roles.html",
)
CREDENTIALS_EXPIRED = _error(
    "credentials-expired",
    "The credentials were temporary and have expired.",
    "Sign in again, or set new credentials.",
)
CREDENTIALS_REFUSED = _error(
    "credentials-refused",
    "AWS does not know the access key, or the secret access key does not belong to it.",
    "Use keys that are active, complete, and of the account's partition.",
    "https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html",
)
CLOCK_SKEW = _error(
    "clock-skew",
    "The clock of this machine differs from the clock of AWS by more than 5 minutes.",
    "Set the clock, or turn on its synchronization.",
)
AWS_REFUSED = _error(
    "aws-refused",
    "The caller identity cannot be read from AWS.",
    "Check the credentials with `aws sts get-caller-identity`, and the network.",
)
WRONG_ACCOUNT = _error(
    "wrong-account",
    "The credentials are for another account than the environment declares.",
    "Use other credentials, or correct `account:` in environment.yaml.",
)
NO_SANDBOX = _error(
    "no-sandbox",
    "The command needs the sandbox, which is not running or cannot be started.",
    "Start it with `reconcile sandbox start`.",
)
LOCKED = _error(
    "locked",
    "Another run is applying the environment.",
    "Wait until it ends; if it is dead, wait until its lock expires, or run `reconcile unlock`.",
)
LOCK_REFUSED = _error(
    "lock-refused",
    "AWS refused to read or write the parameter that is the environment's lock.",
    "Allow the action that the message names, or pass `--no-lock`.",
    "https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html",
)
LOCK_LOST = _error(
    "lock-lost",
    "The lock was removed before anything was changed.",
    "Find out who removed it, and why, before the next apply.",
)
LOCK_MOVED = _error(
    "lock-moved",
    "Another run took the lock before `reconcile unlock` could.",
    "Run `reconcile unlock` again.",
)

# --- the plan ---------------------------------------------------------------------------------------------------------

UNREADABLE = _either(
    "unreadable",
    "AWS refused a read that the plan needs, so some resources are not planned, or nothing is deleted.",
    "Allow the action that the message names; with `--target` or `--exclude` the rest can be planned.",
)
EVENT_HISTORY = _warning(
    "event-history",
    "AWS refused a look-up in CloudTrail, so the callers of some changes are unknown.",
    "Allow `cloudtrail:LookupEvents`; everything else about drift is complete without it.",
    "https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html",
)
UNKNOWN_ADDRESS = _error(
    "unknown-address",
    "An option names a resource that this environment neither declares nor owns.",
    "Correct the address.",
)
EXISTS_UNOWNED = _error(
    "exists-unowned",
    "A resource of this name exists, and no environment owns it.",
    "Adopt it with `--adopt` or `lifecycle.adopt: true`, or choose another name.",
)
OWNED_ELSEWHERE = _error(
    "owned-elsewhere",
    "A resource of this name exists, and another environment owns it, or this environment in another Region.",
    "Choose another name, or remove it from the other environment first.",
)
LEFT_ELSEWHERE = _warning(
    "left-elsewhere",
    "The environment owns resources in another Region, and has none in this one, or is destroyed in this one only.",
    "Run `reconcile destroy` in the other Region, or set `region:` back.",
)
MANAGED_BY_AWS = _error(
    "managed-by-aws",
    "A resource that would be changed or deleted is managed by an AWS service.",
    "Declare a resource of your own under another name, or pass `--exclude` for this one.",
)
CANNOT_RUN = _either(
    "cannot-run",
    "A preflight found that what the plan creates or changes cannot run in this account. A warning where the plan does"
    " not change it.",
    "Change what the message names, or apply with `--preflight=off`.",
    "https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html",
)
MAY_NOT_RUN = _warning(
    "may-not-run",
    "A preflight found that what is declared will probably not run in this account.",
    "Check what the message names; the preflight does not see all that AWS does.",
    "https://docs.aws.amazon.com/batch/latest/userguide/job_stuck_in_runnable.html",
)
CANNOT_UPDATE = _error(
    "cannot-update",
    "AWS cannot update this resource in place as declared.",
    "Create one under another name, or allow the replacement with lifecycle.replace.",
    "https://docs.aws.amazon.com/batch/latest/APIReference/API_UpdateJobQueue.html",
)
CANNOT_REPLACE = _error(
    "cannot-replace",
    "A change needs a replacement, and resources of this type are not replaced, or not by default.",
    "Create one under another name and move its dependents there, or set `lifecycle: {replace: delete-first}` where the"
    " message offers it.",
)
CANNOT_REFRESH = _error(
    "cannot-refresh",
    "`--refresh-images` names a resource whose images cannot be refreshed.",
    "Do not pass the option for it, or let AWS Batch choose the image.",
    "https://docs.aws.amazon.com/batch/latest/userguide/managing-ami-versions.html",
)
STILL_USED = _error(
    "still-used",
    "A resource that would be deleted, now or before it is created again, is still in use by another one.",
    "Change its dependents first, declare it again, or leave out `lifecycle.replace: delete-first`.",
)
ORDER_CYCLE = _error(
    "order-cycle",
    "The planned changes cannot be ordered.",
    "Replace one of the resources under a new name, in two steps.",
)
ADVICE = _warning(
    "advice",
    "The plan has a note about a change; a saved plan remains valid when the note changes.",
    "Nothing needs to be done.",
)

# --- what `audit` finds; it also uses codes of the advice above -------------------------------------------------------

_BATCH = "https://docs.aws.amazon.com/batch/latest/userguide/"
NO_OWNER = _audit(
    ("advice",),
    "no-owner",
    "No tag names what manages a resource, so whether it may be changed or deleted is unknown.",
    "Declare it and adopt it (`reconcile import`, `apply --adopt`), tag it with its owner, or delete it.",
)
UNKNOWN_OWNER = _audit(
    ("advice",),
    "unknown-owner",
    "The tags of a resource name an environment that this repository does not have: it may be what a deleted"
    " environment has left behind.",
    "Look for the environment in other repositories; if there is none, declare it again and run `reconcile destroy`.",
)
NO_TAGS = _audit(
    ("advice",),
    "no-tags",
    "A resource has no tags, so neither its costs nor its purpose can be assigned to anyone.",
    "Tag it, for example with team and purpose; `tags:` in environment.yaml puts tags on every resource.",
    _BATCH + "using-tags.html",
)
INVALID_RESOURCE = _audit(
    ("error",),
    "invalid-resource",
    "AWS Batch reports a resource as INVALID: it starts nothing until the cause is removed.",
    "Remove the cause that the message quotes; an update of the resource then makes it VALID.",
    _BATCH + "invalid_compute_environment.html",
)
STUCK_RESOURCE = _audit(
    ("warning", "advice"),
    "stuck-resource",
    "A resource has been in transition for longer than this takes, and cannot be changed or deleted meanwhile.",
    "Look for a role that no longer exists, and for jobs that do not end.",
    _BATCH + "troubleshooting.html",
)
DANGLING_REFERENCE = _audit(
    ("error",),
    "dangling-reference",
    "A resource names another that does not exist: jobs or instances that need it cannot start.",
    "Create what is missing again, under the same name and path, or name another.",
)
NO_CAPACITY = _audit(
    ("error", "warning"),
    "no-capacity",
    "A queue accepts jobs, but no compute environment of it can run any: they wait forever.",
    "Enable or repair one of its compute environments, or disable the queue.",
    _BATCH + "job_stuck_in_runnable.html",
)
JOB_CANNOT_RUN = _audit(
    ("error",),
    "job-cannot-run",
    "A waiting job requests more than any compute environment of its queue can ever offer, and may block the queue.",
    "Raise maxvCpus, allow larger instance types, or cancel the job and request less.",
    _BATCH + "job_stuck_in_runnable.html",
)
JOB_BLOCKED = _audit(
    ("warning",),
    "job-blocked",
    "AWS Batch reports why the job at the head of a queue cannot start; jobs behind it wait too.",
    "Remove the cause that the message quotes, or cancel the job.",
    _BATCH + "job_stuck_in_runnable.html",
)
IDLE_INSTANCES = _audit(
    ("warning", "advice"),
    "idle-instances",
    "minvCpus above 0 keeps instances running, and paid for, although there are no jobs for them.",
    "Set minvCpus to 0; instances then start when jobs need them.",
    _BATCH + "compute_environment_parameters.html",
)
OUTDATED_IMAGE = _audit(
    ("advice",),
    "outdated-image",
    "Instances start from an older image than AWS Batch has, without its security fixes.",
    "Update it with `reconcile plan --refresh-images ADDRESS`, or updateToLatestImageVersion.",
    _BATCH + "managing-ami-versions.html",
)
MISSING_IMAGE = _audit(
    ("error",),
    "missing-image",
    "A compute environment starts its instances from an image that does not exist, or may not be used any more.",
    "Set another imageId or imageIdOverride, or leave it out to use the images of AWS Batch.",
    _BATCH + "compute_resource_AMIs.html",
)
DEPRECATED_IMAGE = _audit(
    ("warning",),
    "deprecated-image",
    "The owner of an image has deprecated it: it receives no fixes, and may be deleted.",
    "Set a newer image, or use the images of AWS Batch.",
    "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ami-deprecate.html",
)
UNREFERENCED = _audit(
    ("advice",),
    "unreferenced",
    "Nothing in AWS Batch refers to a resource, so it has no effect.",
    "Delete it, or refer to it.",
)
NO_RECENT_JOBS = _audit(
    ("advice",),
    "no-recent-jobs",
    "AWS Batch knows no job of a queue or a job definition, and it keeps jobs for at least 7 days after they end.",
    "Delete it if it is no longer needed.",
    _BATCH + "job_states.html",
)
MANY_REVISIONS = _audit(
    ("warning", "advice"),
    "many-revisions",
    "A job definition has a great many ACTIVE revisions: each is something that can be submitted by mistake, and lists"
    " of them take many calls.",
    "Deregister the old ones; `lifecycle.keepRevisions` is the number that is kept.",
    _BATCH + "job_definitions.html",
)
UNPINNED_IMAGE = _audit(
    ("advice",),
    "unpinned-image",
    "An image has no tag, or the tag latest: jobs of one revision may run different programs.",
    "Name a version or a digest; the look-up repositoryImage finds the digest.",
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-considerations.html",
)
RULE_NEVER_MATCHES = _audit(
    ("warning",),
    "rule-never-matches",
    "An entry of evaluateOnExit matches no failure that AWS Batch reports, so jobs are retried, or not, against it.",
    "Correct its condition, or remove it.",
    _BATCH + "job_retries.html",
)
WIDE_ROLE = _audit(
    ("warning", "advice"),
    "wide-role",
    "A role that jobs, instances or AWS Batch use may do far more than they need, and so may everyone who runs a job.",
    "Allow only the actions and resources that are needed.",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html",
)
OPEN_TRUST = _audit(
    ("error",),
    "open-trust",
    "The trust policy of a role lets anyone assume it, from any account.",
    "Name the services or roles that may assume it.",
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
)
MISSING_TRUST = _audit(
    ("error",),
    "missing-trust",
    "The trust policy of a role lacks the service of the jobs or instances that use it: they cannot assume it.",
    "Name the service in the trust policy, or name another role.",
    "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html",
)

# --- safety rails -----------------------------------------------------------------------------------------------------

PREVENT_DESTROY = _error(
    "prevent-destroy",
    "A resource with `lifecycle.preventDestroy` would be deleted or replaced.",
    "Remove preventDestroy, undo the change, or pass `--exclude` for this resource.",
)
EMPTY_ENVIRONMENT = _error(
    "empty-environment",
    "Nothing is declared, and everything that the environment owns would be deleted.",
    "Use `reconcile destroy` to delete everything; else check that the files are read.",
)
MANY_DELETIONS = _error(
    "many-deletions",
    "A large share of the resources that the environment owns would be deleted or replaced.",
    "Check the plan; pass `--allow-deletions N` to allow the deletions.",
)
NOT_APPROVED = _error(
    "not-approved",
    "The command needs approval, but there is no terminal.",
    "Pass `--auto-approve`, or apply a saved plan.",
)
FOREIGN_FILE = _error(
    "foreign-file",
    "The file given to `import --from-terraform-state` or `--from-cloudformation` is not one of that tool, or not in a"
    " format that is read.",
    "Give the output of `terraform state pull` or `terraform show -json`; a template, or the output of `aws"
    " cloudformation describe-stack-resources`.",
    "https://developer.hashicorp.com/terraform/internals/json-format",
)
CANNOT_ADD = _error(
    "cannot-add",
    "`import` cannot add a section to the file that has to have it: an anchor shares the section with other places, or"
    " the file would be read differently with more in it.",
    "Write the file's sections as ordinary mappings, and import again.",
)
CANNOT_ACCEPT = _error(
    "cannot-accept",
    "`drift --accept` cannot write a live value into YAML: it is inherited, comes from an expression or is a secret.",
    "Change the YAML at the place that the message names, or end the drift with `reconcile apply`.",
)

# --- saved plans and the command line ---------------------------------------------------------------------------------

FAILED_TEST = _error(
    "failed-test",
    "An expectation of `reconcile test` is not met: the message has what was found in its place.",
    "Correct the environment, or the test if what it expects is wrong.",
)
PLAN_FILE = _error(
    "plan-file",
    "A plan file cannot be read or written, has another version, or was modified or truncated; or `--out` names a file "
    "that is not a plan file, which is not overwritten.",
    "Make a new one with `reconcile plan --out FILE`, with the same version of reconcile.",
)
SNAPSHOT_FILE = _error(
    "snapshot-file",
    "A snapshot cannot be read or written, has another version, is damaged, or belongs to another environment or "
    "Region.",
    "Take a new one with `reconcile snapshot ENV --out FILE`.",
)
OLD_SNAPSHOT = _warning(
    "old-snapshot",
    "The snapshot that is planned from is older than a day: the account may have changed since.",
    "Take a new one with `reconcile snapshot ENV --out FILE`.",
)
FOREIGN_PLAN = _error(
    "foreign-plan",
    "A saved plan is for another environment, account or Region than this one.",
    "Apply it to its own environment and account, or make a new one here.",
)
STALE_PLAN = _error(
    "stale-plan",
    "A saved plan is out of date: the account or the environment has changed since in a way that affects it.",
    "Check the changes, and make a new one with `reconcile plan --out FILE`.",
)
JOURNAL = _error(
    "journal",
    "The journal file cannot be written, or is not a journal.",
    "Choose another file with `--journal FILE`.",
)
USAGE = _error(
    "usage",
    "An argument is missing, or an option cannot be combined with another.",
    "Run the command with `--help`.",
)
INTERRUPTED = _error(
    "interrupted",
    "The command was interrupted before it had a result.",
    "Run it again.",
)
INTERNAL_ERROR = _error(
    "internal-error",
    "An error in reconcile itself, or one that it does not expect.",
    "Report it, with what `reconcile --debug` shows.",
)
BAD_ADDRESS = _error(
    "bad-address",
    "An argument is not the address of a resource.",
    f"Write it as plans print it: {examples.ADDRESSES}.",
)
UNKNOWN_TEMPLATE = _error(
    "unknown-template",
    "`reconcile init --template` names a template that does not exist.",
    "Pass one of those that `reconcile init --list` prints.",
)
DIRECTORY_IN_USE = _error(
    "directory-in-use",
    "`reconcile init` is given a directory that has other files than a fresh repository, or one to write; `import` one"
    " that has files and is not an environment.",
    "Choose a directory that is empty, a fresh repository, or does not exist yet.",
)
FILE_CHANGED = _error(
    "file-changed",
    "A file that `import` would write has changed since it was read, or exists without being of the environment.",
    "Run the import again.",
)
MISSING_EXTRA = _error(
    "missing-extra",
    "An output needs a package that is not installed.",
    "Install the extra that the hint names, or choose another format.",
)
FILE = _error(
    "file",
    "A file that the command needs cannot be read or written.",
    "Fix the path or its permissions.",
)
