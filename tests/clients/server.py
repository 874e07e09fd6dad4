"""A Coffer server for the client tests, and what it holds, asked without any client library."""

import hashlib
import json
import pathlib
import re
import secrets
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

PATIENCE_S = 60
# Small, so that a handful of backups is several pages.
PAGE = 2


class Token:
    """A token of the configuration, with its secret."""

    def __init__(self, name, project, role):
        self.name, self.project, self.role = name, project, role
        self.secret = secrets.token_hex(32)

    def toml(self):
        digest = hashlib.sha256(self.secret.encode()).hexdigest()
        return (
            f'[[auth.tokens]]\nname = "{self.name}"\nproject_id = "{self.project}"\n'
            f'roles = ["{self.role}"]\nsha256 = "{digest}"\n'
        )


class User:
    """A user of `coffer user`, with its password."""

    def __init__(self, name, project, role):
        self.name, self.project, self.role = name, project, role
        self.password = secrets.token_hex(16)


class Server:
    """`coffer serve` on a free port, with a SQLite database `shop` in each project."""

    def __init__(self, binary, projects, tokens, auth=None):
        self.folder = tempfile.TemporaryDirectory(prefix="coffer-clients-")
        self.root = pathlib.Path(self.folder.name)
        self.tokens = {token.name: token for token in tokens}
        auth = auth or f'mode = "{"token" if tokens else "none"}"\n'
        text = (
            f'data_dir = "{self.root}/data"\n[server]\nlisten = "127.0.0.1:0"\n'
            f'[auth]\n{auth}[paging]\ndefault = {PAGE}\n'
        )
        for project in projects:
            path = self.database(project)
            with sqlite3.connect(path) as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)")
            database.close()
            self.sell(project, 500)
            text += (
                f'[[instances]]\nname = "shop"\nproject_id = "{project}"\nengine = "sqlite"\n'
                f'source = {{ path = "{path}" }}\n'
            )
        text += "".join(token.toml() for token in tokens)
        self.binary, self.config = binary, self.root / "coffer.toml"
        self.config.write_text(text)
        self.process = subprocess.Popen(
            [binary, "serve", "--config", str(self.config)],
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.log, self.base = [], None
        self.ready = threading.Event()
        threading.Thread(target=self._follow, daemon=True).start()
        self.ready.wait(PATIENCE_S)
        if not self.base:
            self.process.kill()
            raise SystemExit("the server did not start:\n" + "".join(self.log))

    def _follow(self):
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"listening on (http://[^\s/]+)", line)
            if found and not self.base:
                self.base = found[1]
                self.ready.set()
        self.ready.set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.folder.cleanup()

    def command(self, *arguments, typed=""):
        """What a command of the program reports, as JSON."""
        command = [self.binary, *arguments, "--json", "--config", str(self.config)]
        done = subprocess.run(command, input=typed, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def add(self, user):
        """Adds a user, who can sign in at once."""
        of = ("--project", user.project, "--role", user.role)
        self.command("user", "add", user.name, *of, "--password-stdin", typed=user.password + "\n")

    def endpoint(self, project):
        return f"{self.base}/v1.0/{project}"

    def database(self, project):
        return self.root / f"{project}.db"

    def sell(self, project, rows):
        """Changes the project's database."""
        database = sqlite3.connect(self.database(project))
        with database:
            names = ((secrets.token_hex(20),) for _ in range(rows))
            database.executemany("INSERT INTO item (name) VALUES (?)", names)
        database.close()

    def ask(self, project, path, secret=None):
        """The status and JSON of a GET below the project's endpoint."""
        headers = {"X-Auth-Token": secret} if secret else {}
        url = path if path.startswith("http") else f"{self.endpoint(project)}/{path}"
        request = urllib.request.Request(url, headers=headers)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as fault:
            return fault.code, json.load(fault)

    def backups(self, project, secret=None, query=""):
        """Every backup of the project, over all pages."""
        rows, path = [], f"backups?limit=1000{query}"
        while path:
            status, page = self.ask(project, path, secret)
            assert status == 200, page
            rows += page["backups"]
            path = next((link["href"] for link in page.get("links", [])), None)
        return rows

    def settled(self, project, kind, identity, secret, wanted):
        """The row once its status is `wanted`; an error if it fails or takes too long."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            status, body = self.ask(project, f"{kind}s/{identity}", secret)
            row = body.get(kind, {})
            if status == 200 and row["status"] == wanted:
                return row
            if row.get("status") in ("FAILED", "ERROR"):
                raise AssertionError(f"{kind} {identity} failed: {row}")
            time.sleep(0.02)
        raise AssertionError(f"{kind} {identity} did not become {wanted}: {body}")

    def gone(self, project, identity, secret):
        """Waits until the backup, whose files are removed in the background, is no more."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            status, body = self.ask(project, f"backups/{identity}", secret)
            if status == 404:
                return
            time.sleep(0.02)
        raise AssertionError(f"backup {identity} is still there: {body}")
