"""What the benchmarks run on: an emulator with the real stack, the proxy before it, and sites."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.item_images import ItemImages
from benchmarks.recording_proxy import RecordingProxy
from local_cloud.deployment import Deployment, deploy
from local_cloud.emulator import ACCOUNT, DEFAULT_REGION, Emulator
from local_cloud.isolation import ROOT_CREDENTIAL, isolated_client
from local_cloud.synthesis import synthesize
from tests.e2e.site import Site

FUNCTIONS = ("intake", "publisher", "api")
ACTORS = ("user", "puller", *FUNCTIONS)
FAR = ("user", "puller")


@dataclass(frozen=True, slots=True)
class Rig:
    """A deployed stack whose every request is recorded.

    Attributes:
        emulator: the emulator.
        deployment: the stack.
        proxy: records.
        directory: for homes of sites.
    """

    emulator: Emulator
    deployment: Deployment
    proxy: RecordingProxy
    directory: Path

    def client(self, service: str, actor: str | None = None) -> Any:
        """A client of an actor; without one, past the proxy."""
        return isolated_client(
            service,
            endpoint_url=self.proxy.endpoint(actor) if actor else self.emulator.endpoint_url,
            region=self.emulator.region,
            credentials=(ROOT_CREDENTIAL, ROOT_CREDENTIAL),
        )

    def site(self, name: str, *, direct: bool = False, **arguments: Any) -> Site:
        """A site with a home of its own.

        Args:
            name: the site's name in the stack.
            direct: whether puller and user talk to the emulator past the proxy.
            arguments: further ones of `Site`.
        """
        return Site(
            home=self.directory / "sites" / name,
            bucket=self.deployment.buckets[name],
            table=self.deployment.table,
            endpoint_url=self.emulator.endpoint_url if direct else self.proxy.endpoint("puller"),
            region=self.emulator.region,
            s3=self.client("s3", None if direct else "user"),
            name=name,
            **arguments,
        )

    def emulator_pid(self) -> int:
        """The emulator's process id."""
        record = json.loads((self.emulator.state_dir / "emulator.json").read_text())
        return int(record["pid"])

    def functions(self) -> dict[str, str]:
        """The names of the Lambda functions, by actor."""
        rows = self.client("lambda").list_functions()["Functions"]
        found = {}
        for row in rows:
            for actor in FUNCTIONS:
                if row["Handler"] == f"lambdas.{actor}.handler":
                    found[actor] = row["FunctionName"]
        return found

    def look_up_units(self) -> None:
        """From now on, compute the units of every request to the job table."""
        self.proxy.images = ItemImages(self.client("dynamodb"), self.deployment.table)

    def settle(self, quiet: float = 1.5, at_most: float = 30.0) -> None:
        """Wait until nothing has gone over the wire for a while but what a site does anyway.

        Args:
            quiet: seconds.
            at_most: seconds after which it is given up.
        """
        deadline = time.monotonic() + at_most
        while time.monotonic() < deadline:
            others = (e.begun for e in reversed(self.proxy.exchanges) if not e.of_the_site)
            if time.monotonic() - next(others, 0.0) > quiet:
                return
            time.sleep(0.1)


@contextmanager
def rig(directory: Path, sites: Sequence[str]) -> Iterator[Rig]:
    """A fresh emulator with the stack, recorded.

    Args:
        directory: for everything that it writes; empty.
        sites: the names of the sites.
    """
    assembly = synthesize(
        directory / "cdk.out",
        region=DEFAULT_REGION,
        account=ACCOUNT,
        sites={site: {} for site in sites},
    )
    with (
        Emulator(directory / "emulator", stream_windows=True) as emulator,
        recorded(emulator, deploy(emulator, assembly), directory) as made,
    ):
        yield made


@contextmanager
def recorded(emulator: Emulator, deployment: Deployment, directory: Path) -> Iterator[Rig]:
    """A stack whose functions talk through the proxy meanwhile.

    Args:
        emulator: the emulator.
        deployment: the stack on it.
        directory: for homes of sites.
    """
    with RecordingProxy(emulator.port, ACTORS, FAR) as proxy:
        made = Rig(emulator, deployment, proxy, directory)
        client = made.client("lambda")
        settings = {
            function: client.get_function_configuration(FunctionName=function)["Environment"]
            for function in made.functions().values()
        }
        try:
            for actor, function in made.functions().items():
                endpoint = {"AWS_ENDPOINT_URL": proxy.endpoint(actor)}
                client.update_function_configuration(
                    FunctionName=function,
                    Environment={"Variables": settings[function]["Variables"] | endpoint},
                )
            yield made
        finally:
            for function, environment in settings.items():
                client.update_function_configuration(FunctionName=function, Environment=environment)
