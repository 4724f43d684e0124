"""The look-ups of one object by its name: parameters, file systems, keys, images of repositories, secrets and roles.

Only descriptions are read, never the value of a secret. What is scheduled for deletion does not count as found: AWS
refuses whatever would use it.

https://docs.aws.amazon.com/efs/latest/ug/API_DescribeFileSystems.html
https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImages.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.model import Call, Json, Lookup, Refused, Reply, Scope, Unreadable
from reconciler.model import problem_codes as codes
from reconciler.model.lookups import given_filters
from reconciler.model.problems import Problem
from reconciler.model.steps import NOT_RECORDED

Ask = Callable[[Sequence[Call]], tuple[Reply, ...]]

# https://docs.aws.amazon.com/efs/latest/ug/API_FileSystemDescription.html
_UNUSABLE = frozenset({"deleting", "deleted", "error"})


def resolve(lookup: Lookup, args: Any, scope: Scope, ask: Ask) -> Any:
    """The value of a look-up of one of these kinds, or its problem; ``args`` has no expressions."""
    return _RESOLVERS[lookup.kind](lookup, args, scope, ask)


# --- one resolver for each kind ---------------------------------------------------------------------------------------


def _parameter(lookup: Lookup, args: Any, _: Scope, ask: Ask) -> Any:
    name = args.get("name") if isinstance(args, Mapping) else args
    call = Call("ssm", "GetParameter", {"Name": str(name)})
    absent = {"ParameterNotFound": f"there is no SSM parameter {name}"}
    hint = "check the name with `aws ssm get-parameters-by-path`"
    return _described(lookup, call, ask, ("Parameter", "Value"), absent, hint)


def _key(lookup: Lookup, args: Any, _: Scope, ask: Ask) -> Any:
    call = Call("kms", "DescribeKey", {"KeyId": str(args)})
    absent = {"NotFoundException": f"there is no KMS key {args}"}
    hint = "check the name with `aws kms list-aliases`"
    found = _described(lookup, call, ask, ("KeyMetadata",), absent, hint)
    if isinstance(found, Problem):
        return found
    if str(found.get("KeyState", "")).endswith("Deletion"):
        why = f"the KMS key {args} is scheduled for deletion"
        return problem(lookup, why, "cancel the deletion with `aws kms cancel-key-deletion`", codes.LOOKUP_NONE)
    return found.get("Arn") or not_aws(lookup, call, "KeyMetadata.Arn")


def _secret(lookup: Lookup, args: Any, _: Scope, ask: Ask) -> Any:
    call = Call("secretsmanager", "DescribeSecret", {"SecretId": str(args)})
    absent = {"ResourceNotFoundException": f"there is no secret {args}"}
    found = _described(lookup, call, ask, (), absent, "check the name with `aws secretsmanager list-secrets`")
    if isinstance(found, Problem):
        return found
    if "DeletedDate" in found:
        why = f"the secret {args} is scheduled for deletion"
        return problem(lookup, why, "restore it with `aws secretsmanager restore-secret`", codes.LOOKUP_NONE)
    return found.get("ARN") or not_aws(lookup, call, "ARN")


def _role(lookup: Lookup, args: Any, _: Scope, ask: Ask) -> Any:
    call = Call("iam", "GetRole", {"RoleName": str(args)})
    absent = {"NoSuchEntity": f"there is no role {args}"}
    return _described(lookup, call, ask, ("Role", "Arn"), absent, "check the name with `aws iam list-roles`")


def _repository_image(lookup: Lookup, args: Json, scope: Scope, ask: Ask) -> Any:
    """The image's URI with its digest: what a tag names may change, what a digest names cannot."""
    repository, tag = str(args["repository"]), str(args["tag"])
    registry = str(args.get("registryId") or scope.account)
    params = {"repositoryName": repository, "imageIds": [{"imageTag": tag}]}
    if registry != scope.account:
        params["registryId"] = registry
    call = Call("ecr", "DescribeImages", params)
    absent = {
        "RepositoryNotFoundException": f"there is no repository {repository} in registry {registry}",
        "ImageNotFoundException": f"the repository {repository} has no image with tag {tag}",
    }
    hint = f"push {repository}:{tag} first, or check the tag with `aws ecr list-images --repository-name {repository}`"
    found = _described(lookup, call, ask, ("imageDetails",), absent, hint)
    if isinstance(found, Problem):
        return found
    digests = {item.get("imageDigest") for item in found}
    if len(digests) != 1 or None in digests:
        return not_aws(lookup, call, "one imageDigest")
    suffix = "amazonaws.com.cn" if scope.partition == "aws-cn" else "amazonaws.com"
    return f"{registry}.dkr.ecr.{scope.region}.{suffix}/{repository}@{digests.pop()}"


def _file_system(lookup: Lookup, args: Json, _: Scope, ask: Ask) -> Any:
    """By id or creation token, which EFS takes, and by tags, which it does not."""
    params = {
        name[:1].upper() + name[1:]: str(args[name]) for name in ("fileSystemId", "creationToken") if name in args
    }
    call = Call("efs", "DescribeFileSystems", params, all_pages=True)
    asked = [(f"tag:{name}", value) for name, value in (args.get("tags") or {}).items()]
    asked += given_filters(args.get("filters"))
    shown = ", ".join([f"{name}={value}" for name, value in params.items()] + [_filter_text(*pair) for pair in asked])
    none = f"no file system matches {shown}"
    found = _described(lookup, call, ask, ("FileSystems",), {"FileSystemNotFound": none}, "check the id")
    if isinstance(found, Problem):
        return found
    if any("FileSystemId" not in item for item in found):
        return not_aws(lookup, call, "FileSystemId")
    matching = [
        item
        for item in found
        if item.get("LifeCycleState") not in _UNUSABLE and all(_matches(item, *pair) for pair in asked)
    ]
    if not matching:
        return problem(lookup, none, "loosen the filter, or create it", codes.LOOKUP_NONE)
    if len(matching) > 1:
        names = ", ".join(sorted(_file_system_text(item) for item in matching))
        hint = f"narrow the filter; found {names}"
        return problem(lookup, f"{len(matching)} file systems match {shown}", hint, codes.LOOKUP_SEVERAL)
    return matching[0]["FileSystemId"]


_RESOLVERS: Mapping[str, Callable[[Lookup, Any, Scope, Ask], Any]] = {
    "ssmParameter": _parameter,
    "fileSystem": _file_system,
    "kmsKey": _key,
    "repositoryImage": _repository_image,
    "secret": _secret,
    "role": _role,
}


# --- permissions -----------------------------------------------------------------------------------------------------


def permission(kind: str, args: Any, scope: Scope) -> tuple[str, tuple[str, ...]]:
    """The IAM action that a look-up of one of these kinds needs, and the ARNs it is about, as patterns.

    ``args`` may contain expressions: their values may be anything. A role may have any path.
    """
    action, arns = _PERMISSIONS[kind]
    return action, arns(args, scope)


def _text(args: Any, member: str = "") -> str:
    found = args.get(member) if member and isinstance(args, Mapping) else args
    return found if isinstance(found, str) and found else "*"


def _parameter_arn(args: Any, scope: Scope) -> tuple[str, ...]:
    path = _text(args, "name").lstrip("/")
    of_aws = f"arn:{scope.partition}:ssm:{scope.region}::parameter/{path}"
    return (of_aws if path.startswith("aws/") else scope.arn("ssm", f"parameter/{path}"),)


def _repository_arn(args: Json, scope: Scope) -> tuple[str, ...]:
    registry = args.get("registryId")
    owner = replace(scope, account=str(registry)) if registry else scope
    return (owner.arn("ecr", f"repository/{_text(args, 'repository')}"),)


def _key_arn(args: Any, scope: Scope) -> tuple[str, ...]:
    key = _text(args)
    return (key if key.startswith("arn:aws") and ":key/" in key else scope.arn("kms", "key/*"),)


def _secret_arns(args: Any, scope: Scope) -> tuple[str, ...]:
    name = _text(args)
    arn = name if name.startswith("arn:") else scope.arn("secretsmanager", f"secret:{name}")
    return arn, f"{arn}-??????"


def _role_arns(args: Any, scope: Scope) -> tuple[str, ...]:
    start = scope.arn("iam", "role/", region="")
    return f"{start}{_text(args)}", f"{start}*/{_text(args)}"


_PERMISSIONS: Mapping[str, tuple[str, Callable[[Any, Scope], tuple[str, ...]]]] = {
    "ssmParameter": ("ssm:GetParameter", _parameter_arn),
    "fileSystem": (
        "elasticfilesystem:DescribeFileSystems",
        lambda args, scope: (scope.arn("elasticfilesystem", f"file-system/{_text(args.get('fileSystemId'))}"),),
    ),
    "kmsKey": ("kms:DescribeKey", _key_arn),
    "repositoryImage": ("ecr:DescribeImages", _repository_arn),
    "secret": ("secretsmanager:DescribeSecret", _secret_arns),
    "role": ("iam:GetRole", _role_arns),
}


# --- tags of file systems ---------------------------------------------------------------------------------------------


def _matches(item: Json, name: str, wanted: Any) -> bool:
    """Whether a file system has one of the values, as filters of EC2 match: ``*`` and ``?`` are wildcards.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/Using_Filtering.html
    """
    tags = {tag.get("Key"): tag.get("Value", "") for tag in item.get("Tags") or []}
    present = list(tags) if name == "tag-key" else [tags[key] for key in [name.removeprefix("tag:")] if key in tags]
    return any(_pattern(value).fullmatch(str(one)) for value in _values(wanted) for one in present)


def _pattern(value: str) -> re.Pattern[str]:
    wildcards = {"*": ".*", "?": "."}
    return re.compile("".join(wildcards.get(char) or re.escape(char) for char in value), re.DOTALL)


def _values(wanted: Any) -> list[str]:
    return [text(value) for value in (wanted if isinstance(wanted, list) else [wanted])]


def _filter_text(name: str, wanted: Any) -> str:
    return f"{name}={'|'.join(_values(wanted))}"


def _file_system_text(item: Json) -> str:
    return f"{item['FileSystemId']} ({item['Name']})" if item.get("Name") else str(item["FileSystemId"])


# --- replies and problems ---------------------------------------------------------------------------------------------


def _described(
    lookup: Lookup, call: Call, ask: Ask, members: Sequence[str], absent: Mapping[str, str], hint: str
) -> Any:
    """The member of the reply that ``members`` leads to, or a problem; ``absent``: messages by AWS's error code."""
    (reply,) = ask([call])
    if isinstance(reply, Refused):
        if reply.code in absent:
            return problem(lookup, absent[reply.code], hint, codes.LOOKUP_NONE)
        return unreadable(lookup, Unreadable(call, reply))
    found: Any = reply
    for member in members:
        found = found.get(member) if isinstance(found, Mapping) else None
    return not_aws(lookup, call, ".".join(members)) if found is None else found


def not_aws(lookup: Lookup, call: Call, missing: str) -> Problem:
    """The problem of a reply without a member that AWS always sends."""
    why = f"{call.service} did not answer like AWS: its reply to {call.operation} has no {missing}"
    return problem(lookup, why, "check AWS_ENDPOINT_URL, if it is set", codes.LOOKUP_REFUSED)


def unreadable(lookup: Lookup, failed: Unreadable) -> Problem:
    """The problem of a call that AWS refused."""
    if failed.refused.code == NOT_RECORDED:
        return problem(lookup, failed.refused.message, failed.advice, codes.LOOKUP_REFUSED)
    return problem(lookup, f"AWS refused {failed.call.action}: {failed.refused}", failed.advice, codes.LOOKUP_REFUSED)


def problem(lookup: Lookup, message: str, hint: str, code: codes.ProblemCode) -> Problem:
    """A problem of a look-up, at its place."""
    return Problem(code=code, message=message, hint=hint, address=f"lookups.{lookup.name}", pos=lookup.pos)


def text(value: Any) -> str:
    """The value of a filter, as AWS spells it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
