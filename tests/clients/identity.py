"""An ordinary clouds.yaml: the clients sign in by a password or an application credential, and find the rest themselves."""

import json
import pathlib

import openstack
import yaml
from keystoneauth1 import exceptions
from troveclient.apiclient import exceptions as trove_exceptions

from clients import Way
from server import User
from tour import tour


DOCUMENT = pathlib.Path(__file__).parents[2] / "packaging" / "doc" / "api.md"


def identity(server, project, check):
    """Everything that the tour has, by password; the parts that differ, by credential and with openstacksdk."""
    user = User("mia", project, "member")
    server.add(user)
    made = server.command("user", "credential", "add", "mia", "--name", "ci")
    clouds = server.root / "clouds.yaml"
    # JSON is YAML, too.
    clouds.write_text(json.dumps({"clouds": _clouds(server.base, user, made)}))
    tour(Way.of_cloud(server, user, clouds, "password"), check)
    for name in ("credential", "v3", "root", "id", "region"):
        with check(f"{name}: backup create, list, show, delete"):
            few(Way.of_cloud(server, user, clouds, name))
    with check("openstack token issue, catalog list, project list"):
        way = Way.of_cloud(server, user, clouds, "password")
        assert way.json("token", "issue")["project_id"] == project
        rows = way.json("catalog", "list")
        assert {row["Type"] for row in rows} == {"database", "identity"}, rows
    _sdk(server, user, check)
    _wrong(server, user, clouds, check)


def _clouds(base, user, made):
    """The clouds of the document, with what stands there for the reader's own, and some more."""
    text = DOCUMENT.read_text().split("```yaml\n")[1].split("```")[0]
    for shown, own in (
        ("http://127.0.0.1:8779", base),
        ("USER", user.name),
        ("PASSWORD", user.password),
        ("PROJECT", user.project),
        ("CREDENTIAL_ID", made["credential"]["id"]),
        ("CREDENTIAL_SECRET", made["secret"]),
    ):
        assert shown in text, shown
        text = text.replace(shown, own)
    shown = yaml.safe_load(text)["clouds"]
    auth = shown["coffer"]["auth"]
    by_id = {key: auth[key] for key in ("username", "password", "user_domain_name")}
    by_id |= {"auth_url": f"{base}/identity", "project_id": user.project}
    return {
        "password": shown["coffer"],
        "credential": shown["coffer-program"],
        "region": {"auth": auth, "region_name": "RegionOne", "interface": "internal"},
        "v3": {"auth": auth | {"auth_url": f"{base}/v3"}, "identity_api_version": "3"},
        "root": {"auth": auth | {"auth_url": base}},
        "id": {"auth": by_id},
        "wrong": {"auth": auth | {"password": "wrong-password"}},
    }


def few(way):
    """A backup of `shop`, from its making to its end."""
    backup = ("database", "backup")
    made = way.json(*backup, "create", way.kind, "-i", "shop")["id"]
    held = way.backup(made)
    assert way.json(*backup, "show", way.kind)["id"] == made
    assert made in [row["ID"] for row in way.json(*backup, "list")]
    assert [row.id for row in way.python().backups.list(limit=1)] == [made], held
    code, out, err = way.run(*backup, "delete", made)
    assert code == 0, out + err
    way.server.gone(way.project, made, way.secret)


def _sdk(server, user, check):
    for name in ("password", "credential"):
        with check(f"openstacksdk: signs in by {name}, and its calls"):
            cloud = openstack.connect(cloud=name)
            assert cloud.current_project_id == user.project
            assert [row.name for row in cloud.database.instances()] == ["shop"]
            assert cloud.database.get("/backups").json() == {"backups": []}
            assert cloud.session.get_endpoint(service_type="database") == server.endpoint(user.project)


def _wrong(server, user, clouds, check):
    with check("a token that was ended, and then the password of a user who was removed"):
        way = Way.of_cloud(server, user, clouds, "password")
        other = openstack.connect(cloud="password")
        assert other.identity.delete(
            "/auth/tokens", headers={"X-Subject-Token": way.secret}
        ).status_code == 204
        status, said = server.ask(user.project, "backups", way.secret)
        assert status == 401, said
        # A client with a password signs in again by itself.
        assert way.python().backups.list() == []
        server.command("user", "remove", user.name)
        try:
            openstack.connect(cloud="password").session.get_token()
            raise AssertionError("a user who was removed signed in")
        except exceptions.Unauthorized:
            pass
        try:
            way.python().backups.list()
            raise AssertionError("the token of a user who was removed was taken")
        except (exceptions.Unauthorized, trove_exceptions.Unauthorized):
            pass
    with check("a wrong password is refused with its reason, and after five the address waits"):
        for _attempt in range(6):
            cloud = openstack.connect(cloud="wrong")
            try:
                cloud.session.get_token()
                raise AssertionError("a wrong password was taken")
            except exceptions.HttpError as refused:
                said = refused
            if said.http_status == 429:
                break
            assert said.http_status == 401, said
        assert said.http_status == 429 and "Try again in" in str(said), said
