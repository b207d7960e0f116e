"""What each combination of evidence means."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.states import ClientStatus
from puller.exit_file import ExitRecord, StartRecord
from puller.journal import End
from puller.observation import AskDetail, Evidence, Live, NotAsked, Over, Verdict, Wait, judge
from puller.schedulers.interface import EndReason, ListedJob, SchedulerState

ME = "/home/u/aws-job/.jobferry/alloc/x/wrapper.sh"
NOW = 1_700_000_000.0
ASK = NotAsked.ASK


def listed(state: SchedulerState, **facts: object) -> ListedJob:
    facts = {"identity": ME, "words": state.value.upper(), **facts}
    return ListedJob(id="7", state=state, **facts)  # type: ignore[arg-type]


def exit_record(code: int = 0, restart: int = 0, scheduler_id: str = "7") -> ExitRecord:
    return ExitRecord(
        scheduler_id=scheduler_id, restart=restart, host="n", started=1, ended=100, code=code
    )


def start_record(restart: int = 0, scheduler_id: str = "7") -> StartRecord:
    return StartRecord(scheduler_id=scheduler_id, restart=restart, host="n", time=1)


NOTHING = Evidence(
    scheduler_id="7",
    identity=ME,
    now=NOW,
    listed=None,
    exit=None,
    start=None,
    detail=None,
    claimed_at=NOW - 1000,
    submitted_at=NOW - 990,
    missing_since=None,
    stop_asked=False,
    lost_after=120,
)
RUNNING = listed(SchedulerState.RUNNING)
QUEUED = listed(SchedulerState.QUEUED)
UNKNOWN = listed(SchedulerState.UNKNOWN)
ENDED = listed(SchedulerState.ENDED, exit_code=0)
ENDED_3 = listed(SchedulerState.ENDED, exit_code=3)
TIMEOUT = listed(SchedulerState.ENDED, end=EndReason.TIMEOUT)
CANCELLED = listed(SchedulerState.ENDED, end=EndReason.CANCELLED)
KILLED = listed(SchedulerState.ENDED, exit_code=137)
NODE = listed(SchedulerState.ENDED, end=EndReason.NODE_FAILURE)
FOREIGN = listed(SchedulerState.RUNNING, identity="/other.sh")
LONG_AGO = NOW - 121


def over(verdict: Verdict) -> End:
    assert isinstance(verdict, Over), verdict
    return verdict.end


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"listed": RUNNING}, Live(ClientStatus.RUNNING, "RUNNING")),
        ({"listed": QUEUED}, Live(ClientStatus.QUEUED, "QUEUED")),
        ({"listed": UNKNOWN}, Live(None, "UNKNOWN")),
        ({"listed": QUEUED, "exit": exit_record(143)}, Live(ClientStatus.QUEUED, "QUEUED")),
        ({"listed": UNKNOWN, "exit": exit_record(0)}, Live(None, "UNKNOWN")),
        ({"detail": ASK}, AskDetail()),
        ({"detail": RUNNING}, Live(ClientStatus.RUNNING, "RUNNING")),
        ({"detail": ASK, "exit": exit_record(3)}, AskDetail()),
        ({}, Wait(NOW)),
        ({"missing_since": NOW - 119}, Wait(NOW - 119)),
        ({"listed": ENDED}, Wait(NOW)),
        ({"listed": ENDED, "stop_asked": True}, Wait(NOW)),
        ({"listed": KILLED}, Wait(NOW)),
        ({"listed": ENDED, "missing_since": NOW - 119}, Wait(NOW - 119)),
        ({"listed": FOREIGN, "detail": ASK}, AskDetail()),
        ({"listed": FOREIGN, "detail": FOREIGN}, Wait(NOW)),
        ({"exit": exit_record(0, scheduler_id="8")}, Wait(NOW)),
        ({"exit": exit_record(0), "start": start_record(1)}, Wait(NOW)),
    ],
    ids=str,
)
def test_what_is_no_end(changes: dict[str, object], expected: Verdict) -> None:
    assert judge(replace(NOTHING, **changes)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"exit": exit_record(0)}, ClientStatus.COMPLETE, 0),
        ({"exit": exit_record(0), "detail": ASK}, ClientStatus.COMPLETE, 0),
        ({"exit": exit_record(0), "listed": ENDED}, ClientStatus.COMPLETE, 0),
        ({"exit": exit_record(0), "listed": FOREIGN}, ClientStatus.COMPLETE, 0),
        ({"exit": exit_record(3)}, ClientStatus.FAILED, 3),
        ({"exit": exit_record(3), "listed": ENDED_3}, ClientStatus.FAILED, 3),
        ({"exit": exit_record(143), "detail": TIMEOUT}, ClientStatus.FAILED, 143),
        ({"exit": exit_record(143), "listed": CANCELLED}, ClientStatus.STOPPED, 143),
        ({"exit": exit_record(143), "stop_asked": True}, ClientStatus.STOPPED, 143),
        ({"exit": exit_record(0), "stop_asked": True}, ClientStatus.COMPLETE, 0),
        ({"listed": CANCELLED}, ClientStatus.STOPPED, None),
        ({"listed": KILLED, "stop_asked": True}, ClientStatus.STOPPED, 137),
        ({"listed": TIMEOUT}, ClientStatus.FAILED, None),
        ({"listed": NODE}, ClientStatus.FAILED, None),
        ({"listed": ENDED_3, "missing_since": LONG_AGO}, ClientStatus.FAILED, 3),
        ({"listed": ENDED, "missing_since": LONG_AGO}, ClientStatus.COMPLETE, 0),
        ({"missing_since": LONG_AGO}, ClientStatus.LOST, None),
        ({"missing_since": LONG_AGO, "detail": FOREIGN}, ClientStatus.LOST, None),
    ],
    ids=str,
)
def test_what_is_an_end(changes: dict[str, object], status: ClientStatus, code: int | None) -> None:
    end = over(judge(replace(NOTHING, **changes)))  # type: ignore[arg-type]
    assert (end.status, end.exit_code) == (status, code)


def test_the_scheduler_s_reason_is_kept_verbatim() -> None:
    killed = replace(TIMEOUT, words="TIMEOUT (TimeLimit)")
    assert over(judge(replace(NOTHING, listed=killed))).reason == "TIMEOUT (TimeLimit)"


def test_the_end_is_when_the_script_ended() -> None:
    assert over(judge(replace(NOTHING, exit=exit_record(0)))).time == 100


@pytest.mark.parametrize(
    ("submitted_at", "restart", "mine"),
    [(-1000, 0, True), (-1700, 0, False), (0, 0, False), (0, 1, True), (None, 0, True)],
)
def test_accounting_without_an_identity_is_matched_by_the_time_of_submission(
    submitted_at: int | None, restart: int, mine: bool
) -> None:
    accounted = listed(
        SchedulerState.ENDED,
        identity=None,
        end=EndReason.OUT_OF_MEMORY,
        submitted_at=None if submitted_at is None else int(NOW) + submitted_at,
    )
    verdict = judge(replace(NOTHING, detail=accounted, start=start_record(restart)))
    assert isinstance(verdict, Over) is mine


states = st.sampled_from([RUNNING, QUEUED, UNKNOWN])
exits = st.none() | st.builds(exit_record, st.integers(0, 255), st.integers(0, 3))
starts = st.none() | st.builds(start_record, st.integers(0, 3))
evidence = st.builds(
    replace,
    st.just(NOTHING),
    exit=exits,
    start=starts,
    detail=st.sampled_from([ASK, None, ENDED, TIMEOUT, CANCELLED, FOREIGN]),
    missing_since=st.none() | st.floats(NOW - 10_000, NOW + 10_000),
    stop_asked=st.booleans(),
)


@given(evidence, states)
def test_a_live_listing_always_wins_over_files(known: Evidence, live: ListedJob) -> None:
    verdict = judge(replace(known, listed=live, detail=ASK))
    assert isinstance(verdict, Live)


@given(evidence, st.floats(0, 119.9))
def test_nothing_is_lost_before_its_time(known: Evidence, missing: float) -> None:
    verdict = judge(replace(known, missing_since=NOW - missing))
    assert not (isinstance(verdict, Over) and verdict.end.status is ClientStatus.LOST)


@given(evidence)
def test_only_an_exit_of_0_is_complete(known: Evidence) -> None:
    verdict = judge(known)
    if isinstance(verdict, Over) and verdict.end.status is ClientStatus.COMPLETE:
        assert verdict.end.exit_code == 0
