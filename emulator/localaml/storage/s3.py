"""`S3Store`: objects on S3, or on anything that speaks S3 (moto, LocalStack, MinIO, SeaweedFS).

boto3 is asked for when a store is made, and by nobody else: it is an extra, and takes long to import.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from localaml.errors import LocalAmlError
from localaml.storage.bucket_names import S3_NAMES, Place
from localaml.storage.driver import BrokenOff, Entry, Found, Opened, Page, Replaced, Unfinished, check_range
from localaml.storage.remote import RemoteStore
from localaml.storage.s3_errors import code_of, is_missing, is_transient, refused, status_of

if TYPE_CHECKING:
    from localaml.storage.s3_client import S3Account

# What XML can say.
_IN_XML = re.compile("[^\x00-\x1f\x7f\ufffe\uffff]*")


class S3Store(RemoteStore):
    """An `ObjectStore` on S3.

    Args:
        account: where it is, and who we are there.
        patience_seconds: how long it may be away before callers are told.
    """

    def __init__(self, account: S3Account, *, patience_seconds: float = 60.0) -> None:
        self.account = account
        super().__init__(S3Driver(account), patience_seconds=patience_seconds)


class S3Driver:
    """A `Driver` with a boto3 client."""

    names = S3_NAMES

    def __init__(self, account: S3Account) -> None:
        self._region = account.region
        self.client: Any = account.client()

    def close(self) -> None:
        self.client.close()

    # -- one object ---------------------------------------------------------------------------------------------------

    def head(self, place: Place) -> Found:
        return _found(self.client.head_object(**_where(place)))

    def open(self, place: Place, offset: int, tag: str | None) -> Opened:
        more: dict[str, str] = {}
        if offset:
            more["Range"] = f"bytes={offset}-"
        if tag is not None:
            more["IfMatch"] = tag
        answer = self.client.get_object(**_where(place), **more)
        body = answer["Body"]
        try:
            found = _found(answer)
            if tag is not None and found.tag != tag:
                raise Replaced
            if offset:
                check_range(offset, answer["ResponseMetadata"]["HTTPStatusCode"], answer.get("ContentRange", ""))
        except BaseException:
            body.close()
            raise
        return Opened(found, body)

    def put(self, place: Place, data: bytes) -> datetime | None:
        return _date(self.client.put_object(Body=data, **_where(place)))

    def begin(self, place: Place) -> str:
        return str(self.client.create_multipart_upload(ChecksumAlgorithm="CRC32", **_where(place))["UploadId"])

    def part(self, place: Place, upload: str, number: int, data: bytes) -> dict[str, Any]:
        answer = self.client.upload_part(
            UploadId=upload, PartNumber=number, Body=data, ChecksumAlgorithm="CRC32", **_where(place)
        )
        part = {"PartNumber": number, "ETag": answer["ETag"]}
        if "ChecksumCRC32" in answer:
            part["ChecksumCRC32"] = answer["ChecksumCRC32"]
        return part

    def complete(self, place: Place, upload: str, parts: Sequence[Any], size_bytes: int) -> datetime | None:
        try:
            return _date(
                self.client.complete_multipart_upload(
                    UploadId=upload, MultipartUpload={"Parts": list(parts)}, **_where(place)
                )
            )
        except Exception as error:
            # The answer to our first try was lost, and it had worked.
            if code_of(error) != "NoSuchUpload" or self.head(place).size_bytes != size_bytes:
                raise
            return None

    def abort(self, place: Place, upload: str) -> None:
        self.client.abort_multipart_upload(UploadId=upload, **_where(place))

    def copy(self, source: Place, target: Place) -> None:
        # boto3's own: in parts when the object is too large for one request.
        self.client.copy(_where(source), target.bucket, target.key)

    def delete(self, place: Place) -> None:
        self.client.delete_object(**_where(place))

    # -- many ---------------------------------------------------------------------------------------------------------

    def delete_many(self, bucket: str, names: Sequence[str]) -> None:
        wish = {"Objects": [{"Key": name} for name in names], "Quiet": True}
        answer = self.client.delete_objects(Bucket=bucket, Delete=wish)
        if errors := answer.get("Errors"):
            raise RuntimeError(f"{errors[0].get('Key')!r}: {errors[0].get('Message', '')}")

    def page(self, bucket: str, prefix: str, after: str, limit: int) -> Page:
        """`after` is a name, or a token of the store's behind a line end."""
        _, is_token, token = after.partition("\n")
        more = {"ContinuationToken": token} if is_token else {"StartAfter": after} if after else {}
        answer = self.client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=limit, **more)
        entries = [Entry(each["Key"], each["Size"], each["LastModified"]) for each in answer.get("Contents", ())]
        if not entries or not answer.get("IsTruncated"):
            return Page(entries, "")
        last = entries[-1].name
        # Names are the better choice, tokens end. But a server that repeats a stranger's name in its answer may fail.
        return Page(entries, last if _IN_XML.fullmatch(last) else f"\n{answer['NextContinuationToken']}")

    def unfinished(self, bucket: str, prefix: str) -> Sequence[Unfinished]:
        found: list[Unfinished] = []
        for page in self.client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
            found += [Unfinished(each["Key"], each["UploadId"], each["Initiated"]) for each in page.get("Uploads", ())]
        return found

    def buckets(self) -> Sequence[str]:
        return [bucket["Name"] for bucket in self.client.list_buckets().get("Buckets", ())]

    def make_bucket(self, bucket: str) -> None:
        arguments: dict[str, Any] = {"Bucket": bucket}
        if self._region != "us-east-1":
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": self._region}
        try:
            self.client.create_bucket(**arguments)
        except Exception as error:
            # Somebody else was quicker, or our own request that seemed lost was not.
            if code_of(error) == "BucketAlreadyExists":
                self.client.head_bucket(Bucket=bucket)
            elif code_of(error) != "BucketAlreadyOwnedByYou":
                raise

    def remove_bucket(self, bucket: str) -> None:
        self.client.delete_bucket(Bucket=bucket)

    # -- errors -------------------------------------------------------------------------------------------------------

    def is_missing(self, error: Exception) -> bool:
        return is_missing(error)

    def is_transient(self, error: Exception) -> bool:
        return isinstance(error, BrokenOff) or is_transient(error)

    def is_replaced(self, error: Exception) -> bool:
        return isinstance(error, Replaced) or status_of(error) == 412

    def is_damaged(self, error: Exception) -> bool:
        return type(error).__name__ == "FlexibleChecksumError"

    def refused(self, error: Exception, what: str) -> LocalAmlError:
        return refused(error, what)


def _where(place: Place) -> dict[str, str]:
    return {"Bucket": place.bucket, "Key": place.key}


def _found(answer: dict[str, Any]) -> Found:
    return Found(answer["ContentLength"], answer["LastModified"], answer["ETag"])


def _date(answer: dict[str, Any]) -> datetime | None:
    """When the store answered: it saves a request for the time that the object gets."""
    text = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        found = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
