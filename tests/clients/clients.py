"""The stock clients, as their users call them."""

import json
import os
import pathlib
import subprocess
import sys

import openstack
from keystoneauth1 import session as keystone_session
from keystoneauth1 import http_basic, noauth, token_endpoint
from troveclient.v1 import client as trove

OPENSTACK = pathlib.Path(sys.executable).with_name("openstack")
WORKER = pathlib.Path(__file__).with_name("cli_worker.py")


class Way:
    """One way of showing who one is, in one project of one server."""

    def __init__(self, server, project, kind, token=None):
        self.server, self.project, self.kind, self.token = server, project, kind, token
        self.secret = token.secret if token else None
        self.worker = None  # ends with this process, at the end of its stdin
        endpoint = server.endpoint(project)
        if kind == "none":
            self.options = ["--os-auth-type", "none", "--os-endpoint", endpoint]
            auth = noauth.NoAuth(endpoint=endpoint)
        elif kind == "token":
            self.options = ["--os-endpoint", endpoint, "--os-token", self.secret]
            auth = token_endpoint.Token(endpoint, self.secret)
        else:
            self.options = ["--os-auth-type", "http_basic", "--os-endpoint", endpoint]
            self.options += ["--os-username", token.name, "--os-password", self.secret]
            auth = http_basic.HTTPBasicAuth(endpoint, token.name, self.secret)
        self.session = keystone_session.Session(auth=auth)

    @classmethod
    def of_cloud(cls, server, user, clouds, name):
        """The way that a clouds.yaml says: this one of its clouds, for this user."""
        way = cls.__new__(cls)
        way.server, way.project, way.kind, way.token = server, user.project, name, user
        way.worker, way.options = None, ["--os-cloud", name]
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(clouds)
        way.session = openstack.config.OpenStackConfig().get_one(name).get_session()
        way.secret = way.session.get_token()
        return way

    def python(self):
        """`troveclient`, as a program uses it."""
        return trove.Client(session=self.session, service_type="database")

    def run(self, *arguments):
        """`openstack …` in a process that stays: exit code, output, errors."""
        if not self.worker:
            self.worker = subprocess.Popen(
                [sys.executable, "-B", WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        print(json.dumps([*self.options, *map(str, arguments)]), file=self.worker.stdin, flush=True)
        return json.loads(self.worker.stdout.readline())

    def run_process(self, *arguments):
        """`openstack …` as a process of its own."""
        command = [OPENSTACK, *self.options, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def json(self, *arguments):
        """What the command prints with `-f json`; an error if it fails."""
        code, out, err = self.run(*arguments, "-f", "json")
        assert code == 0, f"{arguments}: exit code {code}: {err or out}"
        return json.loads(out)

    def fails(self, *arguments):
        """What the command says when it fails; an error if it does not."""
        code, out, err = self.run(*arguments)
        assert code == 1, f"{arguments}: exit code {code}: {out}"
        return out + err

    def backups(self, query=""):
        return self.server.backups(self.project, self.secret, query)

    def backup(self, identity, wanted="COMPLETED"):
        return self.server.settled(self.project, "backup", identity, self.secret, wanted)


def forget_environment():
    """The caller's own cloud and proxy have no part in the tests."""
    for name in list(os.environ):
        if name.startswith(("OS_", "COFFER")) or name.lower().endswith("_proxy"):
            del os.environ[name]
