#!/usr/bin/env python3
"""Runs the backup scenario of Trove's tempest plugin against a real Coffer server and its identity service.

Usage: tempest_backups.py path/to/coffer
"""

import os
import pathlib
import subprocess
import sys

from clients import forget_environment
from server import Server, Token, User

CONFIG = """
[DEFAULT]
log_file = tempest.log
[auth]
use_dynamic_credentials = false
test_accounts_file = {folder}/accounts.yaml
[identity]
auth_version = v3
uri_v3 = {identity}
[service_available]
trove = true
[database]
enabled_datastores = sqlite
flavor_id = 1
ensure_quotas = backups:50,instances:50
remove_swift_account = false
"""

ACCOUNT = """
- username: {user.name}
  project_name: {user.project}
  password: {user.password}
  domain_name: Default
  roles: [{user.role}]
"""


def main():
    forget_environment()
    binary, project = sys.argv[1], "shop"
    with Server(binary, [project], [Token("root", "ops", "admin")]) as server:
        folder = server.root / "tempest"
        folder.mkdir()
        accounts = ""
        for user in (User("primary", project, "member"), User("boss", "ops", "admin")):
            server.add(user)
            accounts += ACCOUNT.format(user=user)
        (folder / "accounts.yaml").write_text(accounts)
        identity = f"{server.base}/identity/v3"
        (folder / "tempest.conf").write_text(CONFIG.format(folder=folder, identity=identity))
        environment = os.environ | {
            "TEMPEST_CONFIG_DIR": str(folder),
            "TEMPEST_DATABASE": str(server.database(project)),
            "PYTHONPATH": str(pathlib.Path(__file__).parent),
        }
        command = [sys.executable, "-B", "-W", "ignore", "-m", "testtools.run", "tempest_scenario"]
        done = subprocess.run(command, cwd=folder, env=environment, check=False)
        if done.returncode != 0:
            print("".join(server.log))
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
