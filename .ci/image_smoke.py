"""Start the images as a cluster would, and see them work: any user, a read-only root, no capability.

`make image-smoke` after `make image` and `make run`. The server gets a bundle mounted for reading where
STORAGE_URI would bring it, becomes healthy, answers, and ends on SIGTERM without leaving a request
unanswered. The steps' images show that the pipelines and what they import are there. Needs a Docker engine
that runs on this machine; containers are removed again.
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from with_redis import free_port  # beside this file

ANYBODY = "12345:0"
HARDENED = ("--user", ANYBODY, "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
SCRATCH = ("--tmpfs", "/var/tmp:mode=1777")  # noqa: S108 - in the container
MOUNTED = "/mnt/models"  # check-tree: allow KServe's own path
PATIENCE_S = 90
INVENTORY = """
import importlib.util, json, os, shutil, sys
print(json.dumps({
    "user": os.getuid(),
    "tools": [each for each in ("gcc", "cc", "make", "git", "curl") if shutil.which(each)],
    "modules": [each for each in sys.argv[1:] if importlib.util.find_spec(each)],
    "writable": [each for each in ("/", "/opt/marquee", "/etc") if os.access(each, os.W_OK)],
}))
"""
STEPS = """
import importlib, pathlib, components
for path in pathlib.Path(components.__file__).parent.glob("[a-z]*.py"):
    importlib.import_module(f"components.{path.stem}")
"""


class UnfitError(Exception):
    """An image does not do what it should."""


def docker(*words: str, check: bool = True) -> str:
    """A command of Docker's; its output.

    Raises:
        UnfitError: it failed.
    """
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)  # noqa: S607 - wherever it is
    if check and done.returncode:
        raise UnfitError(
            f"docker {' '.join(words[:3])} … failed with {done.returncode}: {done.stderr.strip()[-2000:]}"
        )
    return done.stdout if check else done.stdout + done.stderr


def require(holds: object, what: str) -> None:
    """Raise `UnfitError` with what was expected where it does not hold."""
    if not holds:
        raise UnfitError(what)


def described(image: str) -> dict[str, Any]:
    """Size in MB, user and labels of an image, after a look at its promises."""
    (found,) = json.loads(docker("image", "inspect", image))
    config = found["Config"]
    labels = config["Labels"] or {}
    user = config["User"].partition(":")[0]
    require(user.isdigit() and user != "0", f"{image} runs as {config['User']!r}, not as a number but 0")
    for name in ("title", "version", "revision", "licenses"):
        require(labels.get(f"org.opencontainers.image.{name}"), f"{image} has no label {name}")
    return {"image": image, "id": found["Id"], "mb": round(found["Size"] / 1e6), "config": config}


def inventory(image: str, *modules: str) -> dict[str, Any]:
    """What a container of the image finds: tools, modules of those named, places it may write."""
    words = ("run", "--rm", "--network", "none", *HARDENED, *SCRATCH, "--entrypoint", "python", image)
    found: dict[str, Any] = json.loads(docker(*words, "-c", INVENTORY, *modules))
    require(found["user"] == int(ANYBODY.partition(":")[0]), f"{image} ran as {found['user']}")
    require(not found["tools"], f"{image} holds {found['tools']}")
    require(not found["writable"], f"{image} may write to {found['writable']}")
    return found


def try_steps(image: str, *, has_evidently: bool) -> dict[str, Any]:
    """The steps' image: its modules import, and it compiles the pipelines that it is a step of."""
    about = described(image)
    found = inventory(image, "pip", "marquee", "components", "pipelines", "serving", "evidently")
    wanted = ["marquee", "components", "pipelines", *(["evidently"] if has_evidently else [])]
    require(found["modules"] == wanted, f"{image} has the modules {found['modules']}, not {wanted}")
    run = ("run", "--rm", "--network", "none", *HARDENED, *SCRATCH, image)
    docker(*run, "python", "-c", STEPS)
    compiled = docker(*run, "marquee", "pipeline", "compile", "--out", "compiled").split()
    require(len(compiled) == 4, f"{image} compiled {compiled}")
    if has_evidently:
        docker(*run, "python", "-c", "from evidently import DataDefinition, Dataset, Report")
    return {"image": image, "mb": about["mb"]}


@dataclass
class Server:
    """A container that serves on a loopback port."""

    container: str
    port: int

    def ask(self, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """GET, or POST where there is a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=data)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 - our own
            return json.loads(answer.read())

    def predict(self, **instance: object) -> dict[str, Any]:
        """One list."""
        (found,) = self.ask("/v1/models/marquee:predict", {"instances": [instance]})["predictions"]
        return dict(found)

    def state(self) -> dict[str, Any]:
        """As Docker sees it."""
        return dict(json.loads(docker("container", "inspect", self.container))[0]["State"])

    def wait(self, what: str, status: str) -> float:
        """Seconds until Docker reports this state of health.

        Raises:
            UnfitError: it never does, or the server ended.
        """
        began = time.monotonic()
        while (state := self.state())["Running"] and time.monotonic() - began < PATIENCE_S:
            if state["Health"]["Status"] == status:
                return time.monotonic() - began
            time.sleep(0.2)
        raise UnfitError(f"{what}: {state}\n{docker('logs', self.container, check=False)[-4000:]}")


@contextmanager
def serving(image: str, bundle: Path) -> Iterator[Server]:
    """A server as a pod would start it; removed afterwards, by its id."""
    port = free_port()
    health = f"HEALTH_URL=http://127.0.0.1:{port}/v1/models/marquee"
    words = ("run", "--detach", "--network", "host", *HARDENED, *SCRATCH, "--memory", "2g", "--env", health)
    mount = ("--mount", f"type=bind,source={bundle.resolve()},target={MOUNTED},readonly")
    options = ("--http_port", str(port), "--host", "127.0.0.1")
    container = docker(*words, *mount, image, *options).strip()
    try:
        yield Server(container, port)
    finally:
        docker("rm", "--force", container)


@dataclass
class Asker:
    """A client with one long request, and what came of it."""

    server: Server
    answered_at: float = 0.0
    fault: str = ""

    def run(self) -> None:
        """Ask for many explained lists: seconds of work."""
        long = [{"user_id": str(number), "n": 100, "explain": True} for number in range(1, 17)]
        try:
            found = self.server.ask("/v1/models/marquee:predict", {"instances": long})["predictions"]
            self.fault = "" if len(found) == len(long) else f"{len(found)} lists"
        except (OSError, ValueError) as error:
            self.fault = repr(error)
        self.answered_at = time.monotonic()


def drained(server: Server) -> dict[str, Any]:
    """Stop it by SIGTERM while it works: each request that was begun is answered, and it ends by itself."""
    askers = [Asker(server) for _ in range(4)]
    threads = [threading.Thread(target=asker.run) for asker in askers]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    docker("stop", "--time", "45", server.container)
    took = time.monotonic() - began
    for thread in threads:
        thread.join(timeout=PATIENCE_S)
    code, log = server.state()["ExitCode"], docker("logs", server.container, check=False)
    require(code == 0, f"SIGTERM ended it with {code}:\n{log[-4000:]}")
    faults = [asker.fault for asker in askers if asker.fault]
    require(not faults, f"requests that were begun were not answered: {faults}")
    under_way = sum(asker.answered_at > began for asker in askers)
    return {"under_way": under_way, "unanswered": len(faults), "drain_s": round(took, 1)}


def try_serving(image: str, bundle: Path, *, items: int) -> dict[str, Any]:
    """The server's image: ready, healthy, right, and gone when asked."""
    about = described(image)
    require(about["config"].get("Healthcheck"), f"{image} has no HEALTHCHECK")
    found = inventory(image, "pip", "marquee", "serving", "pipelines", "mlflow", "optuna")
    require(found["modules"] == ["marquee", "serving"], f"{image} has the modules {found['modules']}")
    bundle_id = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))["bundle_id"]
    with serving(image, bundle) as server:
        healthy = server.wait("it does not become healthy", "healthy")
        answer = server.predict(user_id="1", n=5)
        require(len(answer["items"]) == items, f"the list is {answer['items']}, not of {items}")
        require(answer["bundle_id"] == bundle_id, f"bundle {answer['bundle_id']} answers, not {bundle_id}")
        memory = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", server.container).partition("/")[
            0
        ]
        log = docker("logs", server.container, check=False)
        require("Traceback" not in log, f"the log holds a traceback:\n{log[-4000:]}")
        drain = drained(server)
    return {
        "image": image,
        "mb": about["mb"],
        "healthy_s": round(healthy, 1),
        "memory": memory.strip(),
        **drain,
    }


def main() -> int:
    """Try the images; 1 with the reason where one is unfit."""
    parser = argparse.ArgumentParser(description="Start the images as a cluster would.")
    parser.add_argument("--bundle", type=Path, default=Path("runs/latest/bundle"))
    parser.add_argument("--serving", default=os.environ.get("SERVING_IMAGE", "marquee-serving:dev"))
    parser.add_argument("--pipeline", default=os.environ.get("IMAGE", "marquee-python:dev"))
    parser.add_argument(
        "--monitoring", default=os.environ.get("MONITORING_IMAGE", "marquee-monitoring-python:dev")
    )
    parser.add_argument(
        "--items", type=int, default=5, help="in a list of 5 for somebody whose age limit is unknown"
    )
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")
    arguments = parser.parse_args()
    if not (arguments.bundle / "manifest.json").is_file():
        sys.exit(f"error: {arguments.bundle} holds no bundle: make run makes one")
    try:
        report = {
            "serving": try_serving(arguments.serving, arguments.bundle, items=arguments.items),
            "pipeline": try_steps(arguments.pipeline, has_evidently=False),
            "monitoring": try_steps(arguments.monitoring, has_evidently=True),
        }
    except UnfitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if arguments.json:
        print(json.dumps(report))
    else:
        for name, found in report.items():
            print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
