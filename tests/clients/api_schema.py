#!/usr/bin/env python3
"""Holds a real server to its own /openapi.json with schemathesis.

Usage: api_schema.py path/to/coffer [--deep]
Runs once as an administrator and once as a member, always with the same requests. Fails on any 5xx, and
on any answer whose status, headers, content type or body is not in the document. `--deep` sends many
more requests.
"""

import json
import pathlib
import subprocess
import sys
import urllib.request

from server import Server, Token

SCHEMATHESIS = pathlib.Path(sys.executable).with_name("schemathesis")
PROJECT = "project-a"
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
]


def post(server, token, path, body):
    """Sends a POST below the project and returns the answer."""
    request = urllib.request.Request(
        f"{server.endpoint(PROJECT)}/{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "X-Auth-Token": token.secret},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return json.load(answer)


def fill(server, token):
    """Makes a catalog with something of every kind; returns an id of each."""
    secret = token.secret
    _, body = server.ask(PROJECT, "instances", secret)
    instance = body["instances"][0]["id"]
    for name, incremental in (("full", 0), ("more", 1)):
        wanted = {"name": name, "instance": instance, "incremental": incremental}
        backup = post(server, token, "backups", {"backup": wanted})["backup"]["id"]
        server.settled(PROJECT, "backup", backup, secret, "COMPLETED")
    post(server, token, f"backups/{backup}/drill", {})
    wanted = {"name": "restored", "restorePoint": {"backupRef": backup}}
    restored = post(server, token, "instances", {"instance": wanted})["instance"]["id"]
    server.settled(PROJECT, "instance", restored, secret, "ACTIVE")
    post(server, token, "backup_strategies", {"backup_strategy": {"swift_container": "c"}})
    return backup, restored


def config(backup, instance):
    """A configuration that asks for what exists, which random requests would hardly ever do."""
    lines = ["[parameters]", f'"path.project_id" = "{PROJECT}"', f'"path.project" = "{PROJECT}"']
    for method, path, identity in (
        ("GET", "backups/{id}", backup),
        ("GET", "backups/{id}/archive", backup),
        ("POST", "backups/{id}/drill", backup),
        ("POST", "backups/{id}/verify", backup),
        ("GET", "backups/{id}/verify", backup),
        ("GET", "instances/{id}", instance),
        ("GET", "instances/{id}/backups", instance),
    ):
        lines += [
            "[[operations]]",
            f'include-path = "/v1.0/{{project_id}}/{path}"',
            f'include-method = "{method}"',
            f'parameters = {{ "path.id" = "{identity}" }}',
        ]
    return "\n".join(lines)


def run(server, token, settings, deep):
    """Runs schemathesis with this token; whether it found nothing."""
    path = server.root / "schemathesis.toml"
    path.write_text(settings)
    command = [
        SCHEMATHESIS, "--config-file", path, "run", f"{server.base}/openapi.json",
        "--header", f"X-Auth-Token: {token.secret}",
        "--checks", ",".join(CHECKS),
        "--phases", "coverage,fuzzing,stateful" if deep else "coverage,fuzzing",
        "--max-examples", "500" if deep else "20",
        "--generation-deterministic",
        # Two workers that parse Python at once fail in CPython before 3.11.8 (its issue 106905).
        "--workers", "1", "--continue-on-failure", "--suppress-health-check", "all",
        "--warnings", "off", "--no-color",
    ]  # fmt: skip
    print(f"\nas {token.name}", flush=True)
    # Its notes about failures are of no use to the next run, which has another catalog.
    return subprocess.run(command, cwd=server.root, check=False).returncode == 0


def main():
    binary, deep = sys.argv[1], "--deep" in sys.argv
    admin, member = Token("root", "admins", "admin"), Token("alice", PROJECT, "member")
    with Server(binary, [PROJECT], [admin, member]) as server:
        backup, instance = fill(server, member)
        # The member in its own project with ids that exist; the administrator anywhere.
        passed = [
            run(server, member, config(backup, instance), deep),
            run(server, admin, "", deep),
        ]
        panics = [line for line in server.log if "panicked" in line]
        print("".join(panics))
    sys.exit(0 if all(passed) and not panics else 1)


if __name__ == "__main__":
    main()
