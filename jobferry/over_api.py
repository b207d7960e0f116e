"""The way to the jobs over the HTTP API: no right on the bucket is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from job_protocol.job_settings import SharedInput
from job_protocol.object_keys import SCRIPT
from jobferry.api_client import ApiClient, Query, http_session, job_path
from jobferry.api_report import report_of_view
from jobferry.errors import CloudRefused, JobNotFound, UsageError
from jobferry.interface import Event, Fetched, Listing, Progress, RemoteFile
from jobferry.report import Report
from jobferry.script_document import ScriptDocument, script_document
from jobferry.shared_inputs import SharedUpload
from jobferry.signed_shared import SharedObject
from jobferry.upload_plan import Upload
from jobferry.upload_record import Begun, UploadRecord
from jobferry.url_transfer import fetch_into, put_all

_PIECE = 1024**2
_MAX_PAGE = 1000
_MOST_ALLOCATIONS = 1000
"""Of one job, that an event log goes back."""


class ApiAccess:
    """The jobs of one site, or of the API's default site."""

    bucket: str | None = None
    """The API does not tell it, and nothing can be put beside the jobs."""

    def __init__(self, client: ApiClient, records: Path) -> None:
        """Use the API.

        Args:
            client: asks it.
            records: where begun uploads are remembered.
        """
        self.client = client
        self._records = records
        self._current: dict[str, str] = {}
        self._sites_of_jobs: dict[str, str] = {}
        """Which of several sites has taken a job; another may have one of the same id."""

    def location(self, job_id: str) -> str:
        """The job's URL at the API."""
        return f"{self.client.address}{job_path(job_id)}"

    # ---- states ----

    def report(self, job_id: str) -> Report | None:
        """The job's state; None if there is no such job."""
        try:
            job = self._job(job_id)
        except JobNotFound:
            return None
        current = job.get("AllocID")
        if not current:
            return report_of_view(job, None)
        self._current[job_id] = current
        return report_of_view(job, self._allocation(current, job))

    def _job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get(
            job_path(job_id), f"read job {job_id!r}", self._where(job_id)
        )
        return found

    def _where(self, job_id: str) -> dict[str, str]:
        """The parameter that names a job's site, where it is known; else the API finds the job."""
        site = self._sites_of_jobs.get(job_id)
        return {} if site is None else {"site": site}

    def _allocation(self, allocation: str, job: dict[str, Any]) -> dict[str, Any]:
        query = {"site": job.get("Site")}
        path = f"/v1/allocation/{allocation}"
        found: dict[str, Any] = self.client.get(path, f"read allocation {allocation[:8]}", query)
        return found

    def allocation_of_tasks(self, job_id: str) -> str | None:
        """The current allocation of a Nomad job, whose tasks have their own logs; else None."""
        try:
            job = self._job(job_id)
        except JobNotFound:
            return None
        groups = job.get("TaskGroups") or []
        tasks = [task for group in groups for task in group.get("Tasks") or []]
        # A task of the driver `script` has a script of its own, and its logs like any task.
        is_script = all((task.get("Config") or {}).get("command") == SCRIPT for task in tasks)
        return None if is_script else job.get("AllocID") or None

    def reports(self, prefix: str, limit: int) -> Listing:
        """The newest jobs whose ids begin so."""
        found: list[Report] = []
        query: Query = {"prefix": prefix or None, "per_page": min(limit, _MAX_PAGE)}
        for page in self.client.pages("/v1/jobs", "list jobs", query):
            found += [report_of_view(row, None) for row in page]
            if len(found) >= limit:
                return Listing(tuple(found[:limit]), total=limit, complete=False)
        return Listing(tuple(found), total=len(found), complete=True)

    def events(self, job_id: str) -> tuple[Event, ...]:
        """What happened to the job's runs, oldest first."""
        rows = self.client.get(
            job_path(job_id, "events"),
            f"read the events of job {job_id!r}",
            {"all": True, **self._where(job_id)},
        )
        return tuple(
            Event(row.get("Time"), row.get("Run"), row["Type"], row.get("AllocID"), row["Message"])
            for row in rows
        )

    # ---- writes ----

    def audit(self, job_id: str) -> tuple[dict[str, Any], ...]:
        """The chains of its allocations, followed back from the current one."""
        try:
            job = self._job(job_id)
        except JobNotFound:
            return ()
        wanted = job.get("AllocID")
        found: list[dict[str, Any]] = []
        while wanted and len(found) < _MOST_ALLOCATIONS:
            try:
                link = self._allocation(wanted, job).get("Audit")
            except CloudRefused:
                if not found:
                    raise
                break  # what was before is not kept any more
            if not isinstance(link, dict):
                break
            found.append(link)
            wanted = link.get("before")
        return tuple(reversed(found))

    def share(self, upload: SharedUpload, progress: Progress) -> None:
        """The API has no place for it; `Client.submit` makes it a part of the job instead."""
        progress(0)
        raise UsageError(
            f"{upload.prefix}: shared files are put over S3; use --via s3, or name an object"
        )

    def shared_objects(self, row: SharedInput) -> Iterable[SharedObject]:
        """The API shows no object outside of a job."""
        raise UsageError(
            f"what lies at {row.source!r} cannot be seen over the API, so it cannot be signed; "
            "submit over S3 (--via s3), or name a file here"
        )

    def submit(self, upload: Upload, progress: Progress, sites: Sequence[str] = ()) -> str:
        """Submit the script; larger files go straight to the bucket, and only what is missing.

        Returns:
            The job id: that of an upload that broke off, if this is the same one.
        """
        document = script_document(upload)
        if upload.signed is not None:
            sites = (upload.signed.site,)
        doing = f"submit job {upload.job_id!r}"
        if not document.announced:
            body = self._body(document, upload, sites)
            answer = self.client.write("POST", "/v1/jobs/script", doing, body)
            progress(upload.size)
            self._sites_of_jobs[answer["ID"]] = answer["Site"]
            return str(answer["ID"])
        chosen = upload.job_id if upload.chosen else ""
        with UploadRecord(
            self._records, self.client.address, document.fingerprint, chosen, *self._sites(sites)
        ) as record:
            return self._put_announced(record, document, upload, progress, sites)

    def _put_announced(
        self,
        record: UploadRecord,
        document: ScriptDocument,
        upload: Upload,
        progress: Progress,
        sites: Sequence[str],
    ) -> str:
        progress(upload.size - sum(file.size for file in document.announced.values()))
        begun, requests = self._begin(record, document, upload, sites)

        def missing() -> list[dict[str, Any]]:
            return self._missing(begun)

        asked = {row["Path"]: _size(row, document) for row in requests}
        progress(sum(file.size for file in document.announced.values()) - sum(asked.values()))
        put_all(http_session(self.client.address), requests, missing, document.announced, progress)
        self.client.write(
            "POST",
            job_path(begun.job_id, "start"),
            f"start job {begun.job_id!r}",
            {"Upload": begun.upload},
            query={"site": begun.site},
        )
        record.forget()
        self._sites_of_jobs[begun.job_id] = begun.site
        return begun.job_id

    def _sites(self, sites: Sequence[str]) -> tuple[str, ...]:
        return tuple(sites) or ((self.client.site,) if self.client.site else ())

    def _body(
        self, document: ScriptDocument, upload: Upload, sites: Sequence[str]
    ) -> dict[str, Any]:
        body = {"ID": upload.job_id, **document.body}
        chosen = self._sites(sites)
        if len(chosen) == 1:
            body["Site"] = chosen[0]
        elif chosen:
            body["Datacenters"] = list(chosen)
        return body

    def _begin(
        self,
        record: UploadRecord,
        document: ScriptDocument,
        upload: Upload,
        sites: Sequence[str],
    ) -> tuple[Begun, list[dict[str, Any]]]:
        begun = record.read()
        if begun is not None:
            try:
                return begun, self._missing(begun)
            except CloudRefused:  # it is over or forgotten
                record.forget()
        body = self._body(document, upload, sites)
        answer = self.client.write("POST", "/v1/jobs/script", f"submit job {upload.job_id!r}", body)
        begun = Begun(answer["ID"], answer["Site"], answer["Upload"])
        record.write(begun)
        return begun, answer["Uploads"]

    def _missing(self, begun: Begun) -> list[dict[str, Any]]:
        answer = self.client.get(
            job_path(begun.job_id, "start"),
            f"see what job {begun.job_id!r} still misses",
            {"upload": begun.upload, "site": begun.site},
        )
        rows: list[dict[str, Any]] = answer["Uploads"]
        return rows

    def stop(self, job_id: str) -> None:
        """Ask for the job's end."""
        self.client.write(
            "DELETE", job_path(job_id), f"stop job {job_id!r}", query=self._where(job_id)
        )

    def retry(self, job_id: str) -> None:
        """Run a dead job again; of an array, what is not complete."""
        self.client.write(
            "POST", job_path(job_id, "retry"), f"retry job {job_id!r}", query=self._where(job_id)
        )

    # ---- files ----

    def _current_of(self, job_id: str) -> str | None:
        """The job's current allocation: its files are reached by it."""
        if job_id not in self._current:
            self.report(job_id)
        return self._current.get(job_id)

    def files(self, job_id: str, under: str = "", after: str = "") -> Iterator[RemoteFile]:
        """What lies under the job's prefix; see `JobAccess.files`."""
        allocation = self._current_of(job_id)
        if allocation is None:
            return
        pages = self.client.pages(
            f"/v1/client/fs/tree/{allocation}",
            f"list the files of job {job_id!r}",
            {"under": under or None, "after": after or None},
        )
        for page in pages:
            for row in page:
                yield RemoteFile(row["Path"], int(row["Size"]), _seconds(row["ModTime"]))

    def fetch(self, job_id: str, path: str, target: IO[bytes], progress: Progress) -> Fetched:
        """Write the rest of a file to `target`, and verify all of it."""
        allocation = self._current_of(job_id)
        if allocation is None:
            raise JobNotFound(f"job {job_id!r} has no files")
        located = self.client.get(
            f"/v1/client/fs/url/{allocation}", f"fetch {path} of job {job_id!r}", {"path": path}
        )
        fetch_into(http_session(located["URL"]), target, located, progress)
        mode = located.get("Mode")
        return Fetched(_seconds(located["ModTime"]), int(mode, 8) & 0o777 if mode else None)

    def read(self, job_id: str, path: str, start: int) -> Iterator[bytes]:
        """The content of a file from a byte on; nothing if there is no more, or no file."""
        allocation = self._current_of(job_id)
        if allocation is not None:
            yield from self.read_of(allocation, path, start)

    def read_of(self, allocation: str, path: str, start: int = 0) -> Iterator[bytes]:
        """The content of a file of an allocation; nothing if there is no more, or no file."""
        while True:
            try:
                answer = self.client.answer(
                    "GET",
                    f"/v1/client/fs/readat/{quote(allocation, safe='')}",
                    f"read {path} of allocation {allocation[:8]}",
                    query={"path": path, "offset": start, "limit": _PIECE},
                )
            except CloudRefused as error:
                if "file not found" in str(error):
                    return
                raise
            if not answer.content:
                return
            yield answer.content
            start += len(answer.content)


def _size(request: dict[str, Any], document: ScriptDocument) -> int:
    """How many bytes a request for a file, or for some of its parts, sends."""
    whole = document.announced[request["Path"]].size
    if "Parts" not in request:
        return whole
    part = request["PartSize"]
    return sum(min(part, whole - (row["Number"] - 1) * part) for row in request["Parts"])


def _seconds(time: object) -> int:
    return int(datetime.fromisoformat(str(time)).timestamp()) if time else 0
