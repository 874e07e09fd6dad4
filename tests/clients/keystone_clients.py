#!/usr/bin/env python3
"""Runs the stock OpenStack clients against Coffer, with a real Keystone that says who may do what.

Usage: keystone_clients.py path/to/coffer path/to/python-with-keystone
Prints one line a step and `N passed, N failed`; exits with 1 if any failed.
"""

import datetime
import http.client
import json
import os
import pathlib
import shlex
import sys
import time
import urllib.parse
import urllib.request

import openstack
from keystoneauth1 import exceptions

from clients import Way, forget_environment
from identity import few
from keystone_server import Keystone
from server import Server, User
from stock_clients import Check

DOCUMENT = pathlib.Path(__file__).parents[2] / "packaging" / "doc" / "api.md"
# How long Coffer keeps an answer of Keystone here.
CACHE_S = 5
# How long tokens last that are made once Keystone was stopped.
LIFETIME_S = 40


def main():
    forget_environment()
    binary, python = sys.argv[1:]
    check = Check()
    with Keystone(python) as keystone:
        root = keystone.root / "clouds.yaml"
        clouds = {"admin": {"auth": keystone.auth("admin", keystone.password, "admin")}}
        root.write_text(json.dumps({"clouds": clouds}))
        cloud = Cloud(keystone, root)
        auth = f'mode = "keystone"\n[auth.keystone]\nauth_url = "{keystone.url}"\ncache_s = {CACHE_S}\n'
        with Server(binary, [cloud.project], [], auth) as server:
            cloud.server = server
            cloud.write_clouds(clouds)
            with check("the endpoint is added by the document's own commands"):
                cloud.add_endpoint()
            uses(cloud, check)
            refusals(cloud, check)
            ends(cloud, check)
            console(cloud, check)
            interruption(cloud, check)
            with check("no secret is in Coffer's log"):
                log = "".join(server.log)
                shown = [it for it in cloud.secrets if it in log]
                assert not shown and log, log
    print(f"{check.passed} passed, {len(check.failed)} failed")
    sys.exit(1 if check.failed else 0)


class Cloud:
    """A project with users, and Coffer as the service for its databases."""

    def __init__(self, keystone, clouds):
        self.keystone, self.clouds, self.server = keystone, clouds, None
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(clouds)
        self.admin = admin = openstack.connect(cloud="admin")
        self.project = admin.identity.create_project(name="demo").id
        roles = {role.name: role for role in admin.identity.roles()}
        roles["auditor"] = admin.identity.create_role(name="auditor")
        self.users = {}
        for name, role in (("mia", "member"), ("rita", "reader"), ("otto", "auditor")):
            user = User(name, self.project, role)
            made = admin.identity.create_user(
                name=name, password=user.password, domain_id="default"
            )
            admin.identity.assign_project_role_to_user(self.project, made, roles[role])
            self.users[name] = user
        self.secrets = [keystone.password, *(it.password for it in self.users.values())]

    def write_clouds(self, clouds):
        for name, user in self.users.items():
            clouds[name] = {"auth": self.keystone.auth(name, user.password, "demo")}
        clouds["wrong"] = {"auth": self.keystone.auth("mia", "wrong-password", "demo")}
        self.clouds.write_text(json.dumps({"clouds": clouds}))
        self.entries = clouds

    def add_cloud(self, name, entry):
        self.write_clouds(self.entries | {name: entry})

    def way(self, user, name=None):
        way = Way.of_cloud(self.server, self.users[user], self.clouds, name or user)
        self.secrets.append(way.secret)
        return way

    def add_endpoint(self):
        """As the document says, with our address."""
        block = next(
            it.split("```")[0] for it in DOCUMENT.read_text().split("```sh\n") if "endpoint create" in it
        )
        way = Way.of_cloud(self.server, User("admin", "admin", "admin"), self.clouds, "admin")
        lines = [line for line in block.splitlines() if line]
        assert len(lines) == 2, lines
        for line in lines:
            words = shlex.split(line.replace("https://backup.example.org", self.server.base))
            assert words.pop(0) == "openstack", line
            code, out, err = way.run(*words)
            assert code == 0, out + err

    def token(self, user, scope=None):
        """A new token, asked for without any client library."""
        owner = self.users[user]
        of = {"name": user, "domain": {"id": "default"}, "password": owner.password}
        identity = {"methods": ["password"], "password": {"user": of}}
        scope = scope or {"project": {"id": self.project}}
        body = json.dumps({"auth": {"identity": identity, "scope": scope}}).encode()
        request = urllib.request.Request(
            f"{self.keystone.url}/auth/tokens", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            secret = answer.headers["X-Subject-Token"]
            ends = json.load(answer)["token"]["expires_at"]
        self.secrets.append(secret)
        return secret, datetime.datetime.fromisoformat(ends).timestamp()

    def ask(self, secret):
        """The status and what is said of a list of backups with this token."""
        return self.server.ask(self.project, "backups", secret)


def uses(cloud, check):
    with check("password: backup create, list, show, delete"):
        few(cloud.way("mia"))
    with check("application credential: backup create, list, show, delete"):
        made = cloud.way("mia").json("application", "credential", "create", "ci")
        cloud.secrets.append(made["Secret"])
        cloud.add_cloud("ci", {
            "auth_type": "v3applicationcredential",
            "auth": {
                "auth_url": cloud.keystone.url,
                "application_credential_id": made["ID"],
                "application_credential_secret": made["Secret"],
            },
        })
        few(cloud.way("mia", "ci"))
    with check("openstacksdk finds Coffer in Keystone's catalog"):
        connected = openstack.connect(cloud="mia")
        assert [row.name for row in connected.database.instances()] == ["shop"]
        found = connected.session.get_endpoint(service_type="database")
        assert found == cloud.server.endpoint(cloud.project), found
    with check("what was done is in the event log by the name in Keystone"):
        events = json.dumps(cloud.server.ask(cloud.project, "events", cloud.way("mia").secret)[1])
        assert "keystone:mia@Default" in events, events


def refusals(cloud, check):
    with check("a reader reads and no more, and another role does nothing"):
        rita = cloud.way("rita")
        assert rita.json("database", "backup", "list") == []
        said = rita.fails("database", "backup", "create", "x", "-i", "shop")
        assert "403" in said, said
        status, said = cloud.ask(cloud.token("otto")[0])
        assert status == 403 and "role" in said["forbidden"]["message"], said
    with check("a token for no project and one of an administrator's own project get 403"):
        status, said = cloud.ask(cloud.token("mia", "unscoped")[0])
        assert status == 403 and "no project" in said["forbidden"]["message"], said
        status, said = cloud.ask(cloud.admin.session.get_token())
        assert status == 403, said
    with check("a credential with access rules is confirmed to nobody who cannot apply them"):
        made = cloud.way("mia").json(
            *("application", "credential", "create", "narrow", "--access-rules"),
            json.dumps([{"service": "database", "method": "GET", "path": "/nothing"}]),
        )
        cloud.secrets.append(made["Secret"])
        cloud.add_cloud("narrow", cloud.entries["ci"] | {"auth": {
            "auth_url": cloud.keystone.url,
            "application_credential_id": made["ID"],
            "application_credential_secret": made["Secret"],
        }})
        status, said = cloud.ask(cloud.way("mia", "narrow").secret)
        assert status == 401, said
    with check("a wrong password is refused in Keystone's form"):
        try:
            openstack.connect(cloud="wrong").session.get_token()
            raise AssertionError("a wrong password was taken")
        except exceptions.Unauthorized as refused:
            assert "requires authentication" in str(refused), refused


def ends(cloud, check):
    with check("openstack token revoke ends what the token may, within the time that is kept"):
        secret = cloud.token("mia")[0]
        assert cloud.ask(secret)[0] == 200
        code, out, err = cloud.way("mia").run("token", "revoke", secret)
        assert code == 0, out + err
        revoked = time.monotonic()
        while cloud.ask(secret)[0] == 200:
            assert time.monotonic() < revoked + CACHE_S + 5
            time.sleep(0.1)
        status, said = cloud.ask(secret)
        assert status == 401, said


def console(cloud, check):
    with check("the console takes a token of Keystone, and its session ends once that is revoked"):
        code, secret, err = cloud.way("mia").run("token", "issue", "-f", "value", "-c", "id")
        assert code == 0, err
        secret = secret.strip()
        cloud.secrets.append(secret)
        cookie = sign_in(cloud, secret)
        status, page = page_of(cloud, cookie)
        assert status == 200 and "shop" in page, page
        assert secret not in page
        code, out, err = cloud.way("mia").run("token", "revoke", secret)
        assert code == 0, out + err
        revoked = time.monotonic()
        while page_of(cloud, cookie)[0] == 200:
            assert time.monotonic() < revoked + CACHE_S + 5
            time.sleep(0.1)
        assert page_of(cloud, cookie)[0] == 303
        assert sign_in(cloud, secret) is None
    with check("the console takes no password of Keystone in the place of a token"):
        assert sign_in(cloud, cloud.users["mia"].password) is None


def connection(cloud):
    return http.client.HTTPConnection(cloud.server.base.removeprefix("http://"))


def sign_in(cloud, secret):
    """The cookie of a session in the console; None if the token was refused."""
    asked = connection(cloud)
    form = urllib.parse.urlencode({"token": secret, "after": "/console/"})
    kind = "application/x-www-form-urlencoded"
    asked.request("POST", "/console/sign-in", form, {"Content-Type": kind, "Sec-Fetch-Site": "same-origin"})
    answer = asked.getresponse()
    if answer.status == 403:
        return None
    assert answer.status == 303, answer.read()
    return answer.headers["Set-Cookie"].split(";")[0]


def page_of(cloud, cookie):
    """The status and the text of the console's first page."""
    asked = connection(cloud)
    asked.request("GET", "/console/", headers={"Cookie": cookie})
    answer = asked.getresponse()
    return answer.status, answer.read().decode()


def interruption(cloud, check):
    with check("Keystone stops: what is known goes on, all else gets 503 with the reason"):
        known, other = cloud.token("mia")[0], cloud.token("rita")[0]
        cloud.keystone.answers()
        assert cloud.ask(known)[0] == 200
        cloud.keystone.stop()
        assert cloud.ask(known)[0] == 200
        status, said = cloud.ask(other)
        assert status == 503, said
        assert "Keystone does not answer" in said["serviceUnavailable"]["message"], said
        health = cloud.server.ask(cloud.project, f"{cloud.server.base}/healthcheck")
        assert health[0] == 200 and "Keystone" in health[1]["notices"][0], health
    cloud.keystone.set_token_lifetime(LIFETIME_S)
    cloud.keystone.start()
    ending = cloud.token("mia")
    with check("Keystone is there again: its tokens are taken"):
        deadline = time.monotonic() + 30
        while cloud.ask(other)[0] == 503:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert cloud.ask(other)[0] == 200
        assert cloud.way("mia").json("database", "backup", "list") == []
    with check("a token ends when Keystone said that it would"):
        secret, end = ending
        while time.time() < end - 1:
            status, said = cloud.ask(secret)
            assert status == 200 or time.time() > end, said
            time.sleep(0.2)
        time.sleep(max(0.0, end - time.time()) + 0.5)
        status, said = cloud.ask(secret)
        assert status == 401, said


if __name__ == "__main__":
    main()
