"""Files in S3, under a prefix of a bucket: lists, fetches and stores them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from reconciler.account.client import BROKEN_BODY
from reconciler.model import Aws, Call, Json, Refused
from reconciler.model import problem_codes as codes
from reconciler.model.problems import Problem, Problems

PAUSES: Final = (1.0, 2.0, 4.0, 8.0)  # seconds before another attempt
_PIECE: Final = 1 << 20  # bytes
_ABSENT: Final = ("NoSuchKey", "404")


class Objects:
    """The objects of ``bucket`` whose keys begin with ``prefix``; names are what follows it."""

    def __init__(self, aws: Aws, bucket: str, prefix: str) -> None:
        self._aws, self._bucket, self._prefix = aws, bucket, prefix

    def names(self) -> list[str]:
        """The names of all objects. Raises Problems."""
        params = {"Bucket": self._bucket, "Prefix": self._prefix}
        found = self._sent(Call("s3", "ListObjectsV2", params, all_pages=True), "")
        return [str(one["Key"]).removeprefix(self._prefix) for one in found.get("Contents", ())]

    def fetch(self, name: str, file: Path) -> bool:
        """Write an object to ``file``; false where there is none. Raises Problems."""
        call = Call("s3", "GetObject", {"Bucket": self._bucket, "Key": self._prefix + name})
        found = self._aws.call(call)
        if isinstance(found, Refused) and found.code in _ABSENT:
            return False
        if isinstance(found, Refused):
            raise self._problem(call, name, str(found))
        try:
            with file.open("wb") as stream:
                while piece := found["Body"].read(_PIECE):
                    stream.write(piece)
        except BROKEN_BODY as error:
            raise self._problem(call, name, str(error)) from error
        return True

    def store(self, name: str, file: Path) -> None:
        """Store ``file``, whole or not at all. Raises Problems."""
        for pause in (*PAUSES, None):  # the client sends a call that writes once; to send this one again is harmless
            with file.open("rb") as stream:
                call = Call("s3", "PutObject", {"Bucket": self._bucket, "Key": self._prefix + name, "Body": stream})
                found = self._aws.call(call)
            if not isinstance(found, Refused):
                return
            if pause is None or not (found.not_processed or found.unknown_outcome):
                raise self._problem(call, name, str(found))
            time.sleep(pause)

    def _sent(self, call: Call, name: str) -> Json:
        found = self._aws.call(call)
        if isinstance(found, Refused):
            raise self._problem(call, name, str(found))
        return found

    def _problem(self, call: Call, name: str, why: str) -> Problems:
        where = f"s3://{self._bucket}/{self._prefix}{name}"
        hint = (
            "check the bucket, its Region and the credentials; s3:ListBucket, s3:GetObject and s3:PutObject are needed"
        )
        return Problems([Problem(code=codes.FILE, message=f"{where}: {call}: {why}", hint=hint)])
