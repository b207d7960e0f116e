"""The bucket as the API fills it: inputs that came with a request, and those that clients put."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from job_protocol import object_keys
from job_protocol.file_mode import MODE_METADATA
from job_protocol.manifest import Entry
from lambdas.rules.submission import AnnouncedFile, InlineFile

URL_SECONDS = 3600
_AT_ONCE = 16


class SubmittedFiles:
    """The inputs of one site's jobs."""

    def __init__(self, client: Any, bucket: str) -> None:
        """Use the bucket.

        Args:
            client: a boto3 S3 client.
            bucket: the site's bucket.
        """
        self._client = client
        self._bucket = bucket

    def put(self, job_id: str, files: tuple[InlineFile, ...]) -> list[Entry]:
        """Write inputs; their entries in the manifest name exactly these versions."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda file: self._put(job_id, file), files))

    def _put(self, job_id: str, file: InlineFile) -> Entry:
        answer = self._client.put_object(
            Bucket=self._bucket,
            Key=object_keys.input_key(job_id, file.path),
            Body=file.content,
            Metadata=_metadata(file.mode),
        )
        return Entry(file.path, answer["VersionId"], len(file.content))

    # ---- what clients put themselves ----

    def announce(self, upload: str, document: dict[str, Any]) -> None:
        """Keep a submission until its files are there."""
        self._client.put_object(
            Bucket=self._bucket,
            Key=object_keys.announcement_key(upload),
            Body=json.dumps(document, ensure_ascii=False).encode(),
            ContentType="application/json",
        )

    def announced(self, upload: str) -> dict[str, Any] | None:
        """The submission that was kept under this id; None if there is none."""
        try:
            answer = self._client.get_object(
                Bucket=self._bucket, Key=object_keys.announcement_key(upload)
            )
        except self._client.exceptions.NoSuchKey:
            return None
        with answer["Body"] as body:
            document: dict[str, Any] = json.loads(body.read())
        return document

    def begin(self, job_id: str, file: AnnouncedFile) -> str | None:
        """Begin the upload of a file that comes in parts; its id, None for one that does not."""
        if not file.parts:
            return None
        upload_id: str = self._client.create_multipart_upload(
            Bucket=self._bucket,
            Key=object_keys.input_key(job_id, file.path),
            ChecksumAlgorithm="SHA256",
            Metadata=_metadata(file.mode),
        )["UploadId"]
        return upload_id

    def request(self, job_id: str, file: AnnouncedFile, upload_id: str | None) -> dict[str, Any]:
        """The request or requests by which a client puts a file: URLs for an hour, and headers.

        S3 takes only content of the announced checksum.

        Args:
            job_id: the job.
            file: the file.
            upload_id: the id of the upload of its parts, if it comes in parts.
        """
        target = {"Bucket": self._bucket, "Key": object_keys.input_key(job_id, file.path)}
        if upload_id is None:
            put = {**target, "ChecksumSHA256": file.checksum, "Metadata": _metadata(file.mode)}
            headers = {"x-amz-checksum-sha256": file.checksum}
            if file.mode:
                headers[f"x-amz-meta-{MODE_METADATA}"] = file.mode
            return {
                "Path": file.path,
                "Method": "PUT",
                "URL": self._signed("put_object", put),
                "Headers": headers,
            }
        return {
            "Path": file.path,
            "Method": "PUT",
            "PartSize": file.part_size,
            "Parts": [
                {
                    "Number": number,
                    "URL": self._signed(
                        "upload_part",
                        {
                            **target,
                            "UploadId": upload_id,
                            "PartNumber": number,
                            "ChecksumSHA256": checksum,
                        },
                    ),
                    "Headers": {"x-amz-checksum-sha256": checksum},
                }
                for number, checksum in enumerate(file.parts, 1)
            ],
        }

    def missing_request(
        self, job_id: str, file: AnnouncedFile, upload_id: str | None
    ) -> dict[str, Any] | None:
        """As `request`, without the parts that have arrived; None if nothing is missing."""
        if not isinstance(self.check(job_id, file), str):
            return None
        request = self.request(job_id, file, upload_id)
        if upload_id is not None:
            there = self._parts(job_id, file, upload_id)
            request["Parts"] = [
                row
                for row in request["Parts"]
                if there.get(row["Number"], {}).get("ChecksumSHA256")
                != row["Headers"]["x-amz-checksum-sha256"]
            ]
        return request

    def _parts(self, job_id: str, file: AnnouncedFile, upload_id: str) -> dict[int, dict[str, Any]]:
        """The parts that have arrived, by number; none if the upload is over."""
        key = object_keys.input_key(job_id, file.path)
        try:
            pages = self._client.get_paginator("list_parts").paginate(
                Bucket=self._bucket, Key=key, UploadId=upload_id
            )
            return {row["PartNumber"]: row for page in pages for row in page.get("Parts", [])}
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise
            return {}

    def _signed(self, operation: str, parameters: dict[str, Any]) -> str:
        url: str = self._client.generate_presigned_url(
            operation, Params=parameters, ExpiresIn=URL_SECONDS
        )
        return url

    def complete(self, job_id: str, file: AnnouncedFile, upload_id: str) -> None:
        """Put the parts of a file together, if they are all there; else leave them as they are."""
        target = {"Bucket": self._bucket, "Key": object_keys.input_key(job_id, file.path)}
        there = self._parts(job_id, file, upload_id)
        if len(there) != len(file.parts):
            return
        try:
            self._client.complete_multipart_upload(
                **target,
                UploadId=upload_id,
                MultipartUpload={
                    "Parts": [
                        {"PartNumber": n, "ETag": there[n]["ETag"], "ChecksumSHA256": checksum}
                        for n, checksum in enumerate(file.parts, 1)
                    ]
                },
            )
        except self._client.exceptions.ClientError as error:
            # It has been put together already, or a part is not what was announced.
            if error.response["Error"]["Code"] not in ("NoSuchUpload", "InvalidPart", "BadDigest"):
                raise

    def check(self, job_id: str, file: AnnouncedFile) -> Entry | str:
        """The entry of a file that is there as announced, or what is wrong with it."""
        try:
            answer = self._client.head_object(
                Bucket=self._bucket,
                Key=object_keys.input_key(job_id, file.path),
                ChecksumMode="ENABLED",
            )
        except self._client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return "it has not been uploaded"
            raise
        if answer["ContentLength"] != file.size:
            return f"it has {answer['ContentLength']} bytes; {file.size} were announced"
        if answer.get("ChecksumSHA256") != file.checksum:
            found = answer.get("ChecksumSHA256", "no SHA-256 checksum")
            return f"S3 knows it with {found}; {file.checksum} was announced"
        return Entry(file.path, answer["VersionId"], file.size)


def _metadata(mode: str | None) -> dict[str, str]:
    return {} if mode is None else {MODE_METADATA: mode}
