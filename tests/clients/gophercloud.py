"""What gophercloud asks of a database service, and what it needs of the answers.

Its released versions have instances, flavors, datastores and quotas (`openstack/db/v1`), and nothing for backups: a program in Go asks
for those by `ServiceClient.Post` and `Get`. Go refuses an answer in which a field has another type than its own, and a status
that it does not expect; so the types are compared here, of everything that its records name.
"""

import json
import re
import urllib.error
import urllib.request

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
LINKS = [{"href": str, "rel": str}]
# By openstack/db/v1/*/results.go.
PARTIAL = {"type": str, "version": str}
INSTANCE = {
    "id": str, "name": str, "status": str, "created": TIME, "updated": TIME, "flavor": {"id": str, "links": LINKS}, "links": LINKS,
    "datastore": PARTIAL, "volume": {"size": int},
}
FLAVOR = {"id": int, "ram": int, "name": str, "str_id": str, "links": LINKS}
VERSION = {"id": str, "name": str, "links": LINKS}
DATASTORE = {"id": str, "name": str, "links": LINKS, "versions": [VERSION]}
QUOTA = {"resource": str, "limit": int, "in_use": int, "reserved": int}
BACKUP = {
    "id": str, "name": str, "status": str, "created": TIME, "updated": TIME, "instance_id": str, "project_id": str, "size": float,
    "datastore": PARTIAL | {"version_id": str},
}


def gophercloud(way, made, check):
    """Its calls, in the project of `way`; `made` has the id of an instance."""

    def ask(method, path, body=None, expected=200):
        data = json.dumps(body).encode() if body is not None else None
        headers = {"X-Auth-Token": way.secret, "Accept": "application/json", "User-Agent": "gophercloud/v2.0.0"}
        if data:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(f"{way.server.endpoint(way.project)}/{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as fault:
            status, text = fault.code, fault.read()
        assert status == expected, (method, path, status, text)
        return json.loads(text) if text else None

    with check("gophercloud: instances, flavors, datastores and quotas"):
        for path, key, record in (
            ("instances", "instances", [INSTANCE]),
            (f"instances/{made}", "instance", INSTANCE),
            ("flavors", "flavors", [FLAVOR]),
            ("flavors/1", "flavor", FLAVOR),
            ("datastores", "datastores", [DATASTORE]),
            ("datastores/sqlite", "datastore", DATASTORE),
            ("datastores/sqlite/versions", "versions", [VERSION]),
        ):
            fits(ask("GET", path)[key], record, path)
    with check("gophercloud: a backup, made, shown, listed and deleted"):
        body = {"backup": {"name": "by go", "instance": made, "incremental": 0, "description": "of a program"}}
        backup = ask("POST", "backups", body, 202)["backup"]
        way.backup(backup["id"])
        fits(ask("GET", f"backups/{backup['id']}")["backup"], BACKUP, "backup")
        fits(ask("GET", "backups")["backups"], [BACKUP], "backups")
        new = {"name": "from go", "flavorRef": "1", "volume": {"size": 1}, "restorePoint": {"backupRef": backup["id"]}}
        restored = ask("POST", "instances", {"instance": new}, 200)["instance"]
        fits(restored, INSTANCE, "restored")
        way.server.settled(way.project, "instance", restored["id"], way.secret, "ACTIVE")
        # It takes 202 and 204 for a delete.
        ask("DELETE", f"instances/{restored['id']}", expected=202)
        ask("DELETE", f"backups/{backup['id']}", expected=202)
        way.server.gone(way.project, backup["id"], way.secret)
    with check("gophercloud: what Coffer does not have is a clear refusal"):
        fault = ask("POST", f"instances/{made}/action", {"restart": {}}, 501)
        assert list(fault) == ["notImplemented"] and fault["notImplemented"]["code"] == 501, fault
        for path in (f"instances/{made}/root", f"instances/{made}/databases", "configurations"):
            fault = ask("GET", path, expected=404)
            assert list(fault) == ["itemNotFound"], (path, fault)


def fits(found, wanted, where):
    """Whether Go would read this into a record with these fields."""
    if isinstance(wanted, dict):
        assert isinstance(found, dict), (where, found)
        for name, inner in wanted.items():
            assert name in found, (where, name, found)
            fits(found[name], inner, f"{where}.{name}")
    elif isinstance(wanted, list):
        assert isinstance(found, list) and found, (where, found)
        for item in found:
            fits(item, wanted[0], where)
    elif isinstance(wanted, re.Pattern):
        assert isinstance(found, str) and wanted.fullmatch(found), (where, found)
    else:
        # A whole number is one with a fraction for Go, and not the other way round.
        types = (int, float) if wanted is float else (wanted,)
        assert isinstance(found, types) and not isinstance(found, bool), (where, found)
