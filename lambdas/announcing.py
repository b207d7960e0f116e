"""Files that clients put themselves: announced, put by presigned requests, checked, then run."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from job_protocol import object_keys
from job_protocol.items import to_attributes
from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Entry, Manifest
from job_protocol.object_keys import Problem
from lambdas.errors import Refused
from lambdas.ports.submitted_files import SubmittedFiles
from lambdas.rules.submission import AnnouncedFile

_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A submission that waits for files.

    Attributes:
        job_id: the job.
        upload: its id, which starts it.
    """

    job_id: str
    upload: str


@dataclass(frozen=True, slots=True)
class Announcing:
    """The announced files of one site.

    Attributes:
        files: the inputs of the site's jobs.
    """

    files: SubmittedFiles

    def announce(
        self,
        job_id: str,
        upload: str,
        entries: list[Entry],
        settings: JobSettings,
        uploads: tuple[AnnouncedFile, ...],
        dispatch: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep a run until its files are there.

        Args:
            job_id: the job.
            upload: the id that starts it.
            entries: the inputs that are there.
            settings: the settings.
            uploads: the files that are still to come.
            dispatch: what the start of a template's child needs to know besides.
        """
        self.files.announce(
            upload,
            {
                "job": job_id,
                "entries": Manifest(tuple(entries)).rows(),
                "settings": to_attributes(settings),
                "uploads": [
                    {"file": asdict(file), "upload_id": self.files.begin(job_id, file)}
                    for file in uploads
                ],
                "dispatch": dispatch,
            },
        )

    def announced(self, job_id: str, upload: str) -> dict[str, Any]:
        """What was kept until its files are there.

        Raises:
            Refused: there is no such submission.
        """
        document = self.files.announced(upload)
        if document is None or document["job"] != job_id:
            raise Refused(404, "upload not found", "submit the job again to get a new Upload id")
        return document

    def missing(self, job_id: str, upload: str) -> list[dict[str, Any]]:
        """How to put what of a submission has not arrived: fresh URLs, missing parts only.

        Raises:
            Refused: there is no such submission.
        """
        document = self.files.announced(upload)
        if document is None or document["job"] != job_id:
            raise Refused(404, "upload not found", "submit the job again for a new Upload id")

        def request(row: dict[str, Any]) -> dict[str, Any] | None:
            return self.files.missing_request(job_id, _file(row), row["upload_id"])

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return [one for one in pool.map(request, document["uploads"]) if one is not None]

    def requests(self, announced: Announced) -> list[dict[str, Any]]:
        """How to put each file of a submission: URLs that are good for an hour."""
        document = self.files.announced(announced.upload)
        return [
            self.files.request(announced.job_id, _file(row), row["upload_id"])
            for row in (document or {"uploads": []})["uploads"]
        ]

    def uploaded(self, document: dict[str, Any]) -> list[Entry]:
        """All inputs of what was kept, now that its files have been put.

        Raises:
            Refused: a file is not there as announced.
        """
        job_id, uploads = document["job"], document["uploads"]

        def checked(row: dict[str, Any]) -> Entry | Problem:
            file = _file(row)
            if row["upload_id"] is not None:
                self.files.complete(job_id, file, row["upload_id"])
            found = self.files.check(job_id, file)
            if isinstance(found, Entry):
                return found
            key = object_keys.input_key(job_id, file.path)
            return Problem(key, found, "put it by the request that was given for it, then start")

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(checked, uploads))
        problems = [answer for answer in answers if isinstance(answer, Problem)]
        if problems:
            raise Refused(
                409, "files are missing or not as announced", "put them, then start", (*problems,)
            )
        there = [Entry(*row) for row in document["entries"]]
        return there + [answer for answer in answers if isinstance(answer, Entry)]


def _file(row: Mapping[str, Any]) -> AnnouncedFile:
    return AnnouncedFile(**{**row["file"], "parts": tuple(row["file"]["parts"])})
