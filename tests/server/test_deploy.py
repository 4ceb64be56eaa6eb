"""The image, the compose file, the systemd unit and the Kubernetes manifest fit the program."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from genrekit.server.app import create_app
from genrekit.server.settings import Settings, parse_limits
from verb_commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "golden" / "tiny"
sys.path.insert(0, str(ROOT / "scripts"))
import container_steps  # noqa: E402

MANIFEST = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes.yaml").read_text()))
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["genrekit"]
BUILD, IMAGE = container_steps.stages((ROOT / "Dockerfile").read_text())
ENTRY = json.loads(IMAGE.last("ENTRYPOINT"))


def served(arguments: list[str]) -> dict[str, Any]:
    """Return what ``genrekit serve`` makes of arguments; it refuses what it does not take."""
    with COMMANDS["serve"].make_context("serve", list(arguments)) as context:
        parse_limits(context.params["limits"] or ())
        return dict(context.params)


def test_the_image_serves_on_the_port_that_it_exposes_as_a_user_of_its_own() -> None:
    assert ENTRY[:2] == ["genrekit", "serve"]
    assert served(ENTRY[2:])["port"] == int(IMAGE.last("EXPOSE"))
    assert IMAGE.last("USER") == "genrekit"
    assert BUILD.base == IMAGE.base, "the environment's interpreter is the image's"


def test_the_steps_refuse_what_they_do_not_know() -> None:
    with pytest.raises(SystemExit, match="has a ADD"):
        container_steps.stages("FROM a\nADD b c\n")
    with pytest.raises(SystemExit, match="has no USER"):
        container_steps.stages("FROM a\nRUN true\n")[0].last("USER")


def test_the_compose_file_starts_and_checks_the_service() -> None:
    assert served([*ENTRY[2:], *COMPOSE["command"]])["workers"] == 2
    assert COMPOSE["healthcheck"]["test"][1:] == json.loads(
        IMAGE.last("HEALTHCHECK").partition("CMD ")[2]
    )
    assert COMPOSE["read_only"]
    assert COMPOSE["cap_drop"] == ["ALL"]


def asked() -> set[str]:
    """Return the paths that health checks and probes ask for."""
    (container,) = MANIFEST[0]["spec"]["template"]["spec"]["containers"]
    probes = [container[name] for name in container if name.endswith("Probe")]
    paths = {probe["httpGet"]["path"] for probe in probes}
    return paths | set(re.findall(r"8000(/\w+)", IMAGE.last("HEALTHCHECK")))


def test_what_checks_and_probes_ask_for_is_answered() -> None:
    settings = Settings(models=(str(TINY),), n_workers=1)
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        assert asked() == {"/healthz", "/readyz"}
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code in (200, 503)


def test_the_manifest_fits_the_schemas_of_kubernetes() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    assert [document["kind"] for document in MANIFEST] == ["Deployment", "Service"]
    for document in MANIFEST:
        validate.validate(document, "1.31", strict=True)
    with pytest.raises(validate.ValidationError):
        validate.validate(MANIFEST[0] | {"specification": {}}, "1.31", strict=True)


def test_the_manifest_fits_the_program() -> None:
    deployment, service = MANIFEST
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    options = served([*ENTRY[2:], *container["args"]])
    assert options["port"] == container["ports"][0]["containerPort"]
    assert options["allow_origin"] == [f"http://{service['metadata']['name']}"]
    assert (
        service["spec"]["selector"].items()
        <= deployment["spec"]["template"]["metadata"]["labels"].items()
    )
    assert container["env"][0]["name"] == "GENREKIT_API_KEY"


def unit() -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=True, interpolation=None)
    found.optionxform = str  # type: ignore[assignment, method-assign]
    found.read(ROOT / "deploy" / "genrekit.service", encoding="utf-8")
    return found


def test_the_unit_starts_the_service() -> None:
    program, verb, *options = shlex.split(unit()["Service"]["ExecStart"])
    assert (Path(program).name, verb) == ("genrekit", "serve")
    assert served(options)["host"] == "127.0.0.1"
    assert unit()["Service"]["DynamicUser"] == "yes"


def test_the_unit_is_verified(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    text = (ROOT / "deploy" / "genrekit.service").read_text(encoding="utf-8")
    here = tmp_path / "genrekit.service"
    here.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    done = subprocess.run(
        ["systemd-analyze", "verify", here], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.full
def test_the_steps_of_the_image_make_a_healthy_service() -> None:
    command = [sys.executable, ROOT / "scripts" / "container_steps.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "user: genrekit\nport: 8000\n" in done.stdout
    assert re.search(r"size: \d+ MB of layers", done.stdout)
