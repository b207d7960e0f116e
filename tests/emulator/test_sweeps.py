"""The admission of sweeps against an emulated table and bucket, by both ways."""

from __future__ import annotations

import json

import pytest

from job_protocol.job_settings import JobSettings
from job_protocol.states import Outcome
from lambdas.errors import Refused
from lambdas.rules.upload import Limits
from local_cloud.emulator import Emulator
from tests.emulator.control_plane import UserOfASite
from tests.emulator.test_submitting import ME, a_submission, submitting

pytestmark = pytest.mark.emulator

TABLE = b"alpha,beta\n1,2\n3,4\n5,6\n"


@pytest.fixture
def user(emulator: Emulator, plain_table: str, plain_bucket: str) -> UserOfASite:
    return UserOfASite(
        emulator.client("dynamodb"), emulator.client("s3"), plain_table, plain_bucket
    )


def _settings(**stated: object) -> bytes:
    return json.dumps({"sweep": "values.csv", **stated}).encode()


def test_a_sweep_has_as_many_elements_as_rows(user: UserOfASite) -> None:
    files = {"values.csv": TABLE, "aws-job.json": _settings(max_running=2)}
    user.uploads("study", **files)
    stated = user.allocation("study").settings
    assert stated == JobSettings(sweep="values.csv", count=3, max_running=2)


@pytest.mark.parametrize(
    ("table", "stated", "key", "why"),
    [
        (None, {}, "aws-job.json", "there is no input 'values.csv'"),
        (b"PATH\n1\n", {}, "values.csv", "the shell or the scheduler uses"),
        (b"a,b\n1\n", {}, "values.csv", "line 2: it has 1 values for 2 names"),
        (TABLE, {"count": 4}, "values.csv", "it has 3 rows of values, and count is 4"),
        (b"a\n" + b"1\n" * 11, {}, "aws-job.json", "this site takes at most 10"),
    ],
)
def test_a_faulty_sweep_is_rejected_with_the_reason(
    user: UserOfASite, table: bytes | None, stated: dict[str, object], key: str, why: str
) -> None:
    user.limits = Limits(files=50, size=1_000_000, array=10)
    files = {"aws-job.json": _settings(**stated)} | ({} if table is None else {"values.csv": table})
    user.uploads("study", **files)
    assert user.job("study").outcome is Outcome.REJECTED
    assert why in user.reasons("study")[f"study/{key}"]


def test_a_sweep_through_the_api_is_held_to_the_same_rule(user: UserOfASite) -> None:
    files = [{"Path": "values.csv", "Content": TABLE.decode()}]
    settings = {"sweep": "values.csv"}
    submitting(user).submit(a_submission(ID="study", Settings=settings, Files=files), ME)
    assert user.allocation("study").settings.count == 3
    wrong = a_submission(
        ID="wrong", Settings=settings, Files=[{"Path": "values.csv", "Content": "a\n"}]
    )
    with pytest.raises(Refused, match="no row of values"):
        submitting(user).submit(wrong, ME)
    with pytest.raises(Refused, match="there is no input"):
        submitting(user).submit(a_submission(ID="none", Settings=settings), ME)
