"""When a certificate ends, and what the doctor says of it."""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.administration.certificate_dates import NotACertificate, end_of_certificate
from puller.administration.certificate_examination import certificate_findings
from puller.administration.finding import Finding, Level

# Made by OpenSSL 3.0.22 (`openssl req -x509`); `openssl x509 -enddate` says the same of them.
UNTIL_2029 = b"""\
-----BEGIN CERTIFICATE-----
MIIBmjCCAUGgAwIBAgIURHJqB78Zut6hmVRMBYgT6yESK24wCgYIKoZIzj0EAwIw
IzETMBEGA1UEAwwKZGMxLXB1bGxlcjEMMAoGA1UECwwDSFBDMB4XDTI2MTEyNTE0
NDEzM1oXDTI5MDUxMzE0NDEzM1owIzETMBEGA1UEAwwKZGMxLXB1bGxlcjEMMAoG
A1UECwwDSFBDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEvLcQi8ScHHkaHgT6
9/sK0nU3rDkZHKjZ4d/NtxDGXSWI6/SaiJUhcyK3Ye3ffHHtcu1PINXwisSlxs7a
II5lXKNTMFEwHQYDVR0OBBYEFOK3WwpIXtyQbzx8xKKb/j5Nw/7CMB8GA1UdIwQY
MBaAFOK3WwpIXtyQbzx8xKKb/j5Nw/7CMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI
zj0EAwIDRwAwRAIgTNV/fZslfI1xKkjeDXzqoZnq1DpGkbAR83srS+EvcHsCIEl6
AwYWXTuenhfgml+S0FaUQ2szCzpFv2rn2nD4sUZg
-----END CERTIFICATE-----
"""
UNTIL_2059 = b"""\
-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUW96OOHJN9mkto2+kAV0HEmvdOIkwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEbGF0ZTAgFw0yNjExMjUxNDQxMzNaGA8yMDU5MTAwMzE0NDEz
M1owDzENMAsGA1UEAwwEbGF0ZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLy3
EIvEnBx5Gh4E+vf7CtJ1N6w5GRyo2eHfzbcQxl0liOv0moiVIXMit2Ht33xx7XLt
TyDV8IrEpcbO2iCOZVyjUzBRMB0GA1UdDgQWBBTit1sKSF7ckG88fMSim/4+TcP+
wjAfBgNVHSMEGDAWgBTit1sKSF7ckG88fMSim/4+TcP+wjAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIQDYik7gEPfZuKQ+4tcF8OIWpij3p1k3P29V
FLbM9cOdEgIgH4HPVy5rWZQZcUoXpgh5lAbMtFw1OszvUayQN7XCaZ4=
-----END CERTIFICATE-----
"""
END = datetime(2029, 5, 13, 14, 41, 33, tzinfo=UTC)
DAY = 24 * 3600
DER = base64.b64decode(b"".join(UNTIL_2029.splitlines()[1:-1]))


def test_an_end_in_two_digit_years() -> None:
    assert end_of_certificate(UNTIL_2029) == end_of_certificate(DER) == END


def test_an_end_in_four_digit_years() -> None:
    assert end_of_certificate(UNTIL_2059) == datetime(2059, 10, 3, 14, 41, 33, tzinfo=UTC)


def test_the_first_of_a_bundle_is_the_certificate_itself() -> None:
    assert end_of_certificate(b"subject=CN = x\n" + UNTIL_2029 + UNTIL_2059) == END


@given(st.binary(max_size=200))
def test_other_bytes_are_told_as_such(content: bytes) -> None:
    with pytest.raises(NotACertificate):
        end_of_certificate(content)


@given(st.integers(0, len(DER) - 1), st.integers(0, 255))
def test_a_damaged_certificate_never_breaks_the_doctor(at: int, value: int) -> None:
    damaged = DER[:at] + bytes([value]) + DER[at + 1 :]
    with suppress(NotACertificate):
        assert end_of_certificate(damaged).tzinfo is UTC


def examined(tmp_path: Path, content: bytes | None, days_before: float) -> Finding:
    file = tmp_path / "the puller.pem"
    if content is not None:
        file.write_bytes(content)
    profiles = {
        "jobferry": {"role_arn": "arn:aws:iam::1:role/x", "source_profile": "site"},
        "site": {
            "credential_process": f"helper --certificate '{file}' --private-key k",
            "source_profile": "jobferry",
        },
    }
    now = END.timestamp() - days_before * DAY
    (finding,) = certificate_findings(profiles, "jobferry", now)
    assert str(file) in finding.message
    return finding


@pytest.mark.parametrize(
    ("days_before", "level", "word"),
    [
        (31, Level.OK, "good until 2029-05-13"),
        (29, Level.WARN, "ends on 2029-05-13, in 29 days"),
        (-1, Level.FAIL, "ended on 2029-05-13"),
    ],
)
def test_the_doctor_warns_before_a_certificate_ends(
    tmp_path: Path, days_before: float, level: Level, word: str
) -> None:
    finding = examined(tmp_path, UNTIL_2029, days_before)
    assert finding.level is level
    assert word in finding.message


def test_a_certificate_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    finding = examined(tmp_path, None, 1)
    assert finding.level is Level.FAIL
    assert "No such file" in finding.message


def test_a_file_of_another_form_is_no_failure(tmp_path: Path) -> None:
    finding = examined(tmp_path, b"\x30\x82PKCS12", 1)
    assert (finding.level, "not known" in finding.message) == (Level.OK, True)


@pytest.mark.parametrize(
    "process", [None, "helper", "helper --certificate", "helper 'unclosed --certificate x"]
)
def test_without_a_certificate_there_is_nothing_to_say(process: str | None) -> None:
    profiles = {"default": {} if process is None else {"credential_process": process}}
    assert list(certificate_findings(profiles, "default", 0)) == []
    assert list(certificate_findings({}, "default", 0)) == []
