"""A real Keystone with its records in SQLite, made, started, stopped and started again."""

import os
import pathlib
import secrets
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

SERVICE = pathlib.Path(__file__).with_name("keystone_service.py")
PATIENCE_S = 120


class Keystone:
    """A Keystone of which `admin` is the administrator."""

    def __init__(self, python, token_lifetime_s=3600):
        self.folder = tempfile.TemporaryDirectory(prefix="coffer-keystone-")
        self.root = pathlib.Path(self.folder.name)
        self.python, self.process = pathlib.Path(python), None
        self.password = secrets.token_hex(16)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v3"
        self.set_token_lifetime(token_lifetime_s)
        self._make()
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.folder.cleanup()

    def set_token_lifetime(self, seconds):
        """Tokens last so long that are made after the next start."""
        (self.root / "keystone.conf").write_text(
            f"[DEFAULT]\nlog_file = {self.root}/keystone.log\n"
            f"[database]\nconnection = sqlite:///{self.root}/keystone.db\n"
            f"[token]\nprovider = fernet\nexpiration = {seconds}\n"
            f"[fernet_tokens]\nkey_repository = {self.root}/fernet\n"
        )

    def _manage(self, *arguments, **more):
        command = [self.python.with_name("keystone-manage")]
        command += ["--config-file", str(self.root / "keystone.conf"), *arguments]
        out = (self.root / "manage.log").open("a")
        return subprocess.Popen(command, stdout=out, stderr=out, **more)

    def _make(self):
        (self.root / "fernet").mkdir(mode=0o700)
        owner = ("--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
        made = [self._manage("db_sync"), self._manage("fernet_setup", *owner)]
        self._done(*made)
        # Not with the password in its arguments.
        self._done(self._manage(
            "bootstrap",
            *("--bootstrap-public-url", self.url, "--bootstrap-region-id", "RegionOne"),
            env=os.environ | {"OS_BOOTSTRAP_PASSWORD": self.password},
        ))

    def _done(self, *processes):
        codes = [it.wait(PATIENCE_S) for it in processes]
        assert not any(codes), (self.root / "manage.log").read_text()

    def start(self):
        """Starts it, and waits until it answers."""
        environment = os.environ | {"OS_KEYSTONE_CONFIG_FILES": str(self.root / "keystone.conf")}
        out = (self.root / "service.log").open("a")
        self.process = subprocess.Popen(
            [self.python, "-B", SERVICE, str(self.port)],
            stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment,
        )
        deadline = time.monotonic() + PATIENCE_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("Keystone did not start:\n" + (self.root / "service.log").read_text())
            time.sleep(0.1)

    def answers(self):
        """Whether it is there."""
        try:
            with urllib.request.urlopen(self.url, timeout=PATIENCE_S) as answer:
                return answer.status == 200
        except urllib.error.URLError:
            return False

    def stop(self):
        """Ends it as a machine that fails does."""
        self.process.kill()
        self.process.wait()

    def auth(self, user, password, project):
        """What a clouds.yaml says of a user of this Keystone."""
        return {
            "auth_url": self.url, "username": user, "password": password, "project_name": project,
            "user_domain_name": "Default", "project_domain_name": "Default",
        }
