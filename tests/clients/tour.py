"""Every command a user of the stock CLI has for backups, in one way of authenticating.

Each step is named; what the client prints is compared with what the server holds.
"""

import sqlite3


def tour(way, check):
    """The steps, in an order in which each finds what it needs."""
    made = {}
    with check(f"{way.kind}: the command as a process of its own"):
        code, out, err = way.run_process("database", "instance", "list", "-f", "value", "-c", "Name")
        assert (code, out.split()) == (0, ["shop"]), (code, out, err)
    with check(f"{way.kind}: instance list and show"):
        listed = way.json("database", "instance", "list")
        assert [row["Name"] for row in listed] == ["shop"], listed
        made["shop"] = listed[0]["ID"]
        shown = way.json("database", "instance", "show", "shop")
        assert (shown["id"], shown["datastore"]) == (made["shop"], "sqlite"), shown
    _create(way, check, made)
    _lists(way, check, made)
    _datastores(way, check)
    _strategies(way, check, made)
    _limits(way, check)
    _restore(way, check, made)
    _errors(way, check)
    _delete(way, check, made)


def _create(way, check, made):
    with check(f"{way.kind}: backup create, full"):
        row = way.json("database", "backup", "create", "full", "-i", "shop")
        assert row["status"] in ("NEW", "BUILDING", "SAVING", "COMPLETED"), row
        made["full"] = row["id"]
        held = way.backup(row["id"])
        assert held["kind"] == "full" and held["parent_id"] is None and held["size"] > 0, held
    way.server.sell(way.project, 50)
    with check(f"{way.kind}: backup create --incremental"):
        arguments = ("--instance", made["shop"], "--incremental")
        row = way.json("database", "backup", "create", "second", *arguments)
        made["second"] = row["id"]
        held = way.backup(row["id"])
        assert (held["parent_id"], held["kind"]) == (made["full"], "incremental"), held
    way.server.sell(way.project, 50)
    with check(f"{way.kind}: backup create --parent --description --swift-container"):
        arguments = ("--parent", made["full"], "--description", "d Ä", "--swift-container", "c1")
        row = way.json("database", "backup", "create", "third", "-i", "shop", *arguments)
        made["third"] = row["id"]
        held = way.backup(row["id"])
        assert (held["parent_id"], held["description"]) == (made["full"], "d Ä"), held
        assert "/c1/" in held["locationRef"], held
    with check(f"{way.kind}: backup show, by id and by name"):
        for name in (made["second"], "second"):
            shown = way.json("database", "backup", "show", name)
            held = way.backup(made["second"])
            datastore = held.pop("datastore")
            assert shown.pop("datastore") == datastore["type"] == "sqlite", shown
            assert shown.pop("datastore_version") == datastore["version"]
            assert shown.pop("datastore_version_id") == datastore["version_id"]
            assert shown == held, (shown, held)


def _lists(way, check, made):
    def ids(*arguments):
        return [row["ID"] for row in way.json("database", "backup", "list", *arguments)]

    with check(f"{way.kind}: backup list goes through all pages"):
        held = way.backups()
        rows = way.json("database", "backup", "list")
        assert [row["ID"] for row in rows] == [row["id"] for row in held], (rows, held)
        for row, truth in zip(rows, held):
            assert row["Status"] == truth["status"] and row["Name"] == truth["name"], row
            assert row["Parent ID"] == truth["parent_id"], row
            assert row["Updated"] == truth["updated"], row
            assert row["Project ID"] == way.project, row
        assert len(rows) >= 3
    newest = [made["third"], made["second"], made["full"]]
    with check(f"{way.kind}: backup list filtered by instance, over pages"):
        for arguments in (("-i", "shop"), ("--instance-id", made["shop"])):
            assert ids(*arguments) == newest, arguments
    with check(f"{way.kind}: backup list filtered by datastore"):
        assert ids("--datastore", "sqlite") == newest
        assert ids("--datastore", "directory") == []
    with check(f"{way.kind}: backup list --limit --marker"):
        assert ids("--limit", "1") == newest[:1]
        assert ids("--limit", "1", "--marker", newest[0]) == newest[1:2]
        assert ids("--limit", "5", "--marker", newest[1]) == newest[2:]
    with check(f"{way.kind}: backup list of one instance"):
        rows = way.json("database", "backup", "list", "instance", "shop")
        assert [row["ID"] for row in rows] == newest, rows
    with check(f"{way.kind}: backup list of all projects is an admin's"):
        if way.kind == "none" or way.token.role == "admin":
            assert set(newest) <= set(ids("--all-projects"))
            assert ids("--project-id", way.project) == newest
        else:
            for arguments in (("--all-projects",), ("--project-id", "another")):
                said = way.fails("database", "backup", "list", *arguments)
                assert "HTTP 403" in said, said


def _datastores(way, check):
    with check(f"{way.kind}: datastore list and show, version list and show"):
        names = {row["Name"] for row in way.json("datastore", "list")}
        assert {"sqlite", "directory"} <= names, names
        assert way.json("datastore", "show", "sqlite")["name"] == "sqlite"
        versions = way.json("datastore", "version", "list", "sqlite")
        assert versions, versions
        name = versions[0]["Name"]
        shown = way.json("datastore", "version", "show", name, "--datastore", "sqlite")
        assert (shown["name"], shown["id"]) == (name, versions[0]["ID"]), shown


def _strategies(way, check, made):
    strategy = ("database", "backup", "strategy")
    with check(f"{way.kind}: backup strategy create, list, delete"):
        row = way.json(*strategy, "create", "--instance-id", made["shop"], "--swift-container", "c")
        assert (row["instance_id"], row["swift_container"]) == (made["shop"], "c"), row
        rows = way.json(*strategy, "list")
        assert [row["Swift Container"] for row in rows] == ["c"], rows
        code, out, err = way.run(*strategy, "delete", "--instance-id", made["shop"])
        assert code == 0, out + err
        assert way.json(*strategy, "list") == []
        said = way.fails(*strategy, "delete", "--instance-id", made["shop"])
        assert "HTTP 404" in said, said


def _limits(way, check):
    with check(f"{way.kind}: limit list, flavor list, quota show"):
        assert way.json("database", "limit", "list")
        assert [row["Name"] for row in way.json("database", "flavor", "list")] == ["local"]
        held = len([row for row in way.backups() if row["status"] != "FAILED"])
        rows = {row["Resource"]: row for row in way.json("database", "quota", "show", way.project)}
        assert rows["backups"]["In Use"] == held, rows


def _restore(way, check, made):
    with check(f"{way.kind}: instance create --backup gives back the data"):
        row = way.json(
            "database", "instance", "create", "again",
            "--flavor", "1", "--size", "1", "--backup", made["third"],
        )
        made["again"] = row["id"]
        way.server.settled(way.project, "instance", row["id"], way.secret, "ACTIVE")
        wanted = _rows(way.server.database(way.project))
        places = list((way.server.root / "data" / "restored").rglob("*.db"))
        assert any(_rows(place) == wanted for place in places), places
    with check(f"{way.kind}: instance delete of a restored one, not of a configured one"):
        code, out, err = way.run("database", "instance", "delete", made["again"])
        assert code == 0, out + err
        said = way.fails("database", "instance", "delete", made["shop"])
        assert "HTTP 4" in said, said


def _rows(path):
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = database.execute("SELECT id, name FROM item ORDER BY id").fetchall()
    database.close()
    return rows


def _errors(way, check):
    unknown = "00000000-0000-4000-8000-000000000000"
    backup = ("database", "backup")
    for what, arguments, wanted in (
        ("show of an unknown name", ("show", "nope"), "No backup with a name or ID of 'nope'"),
        ("delete of an unknown id", ("delete", unknown), "HTTP 404"),
        ("create on an unknown instance", ("create", "x", "-i", "nosuch"), "nosuch"),
        ("create with a name of blanks", ("create", "  ", "-i", "shop"), "HTTP 400"),
        ("create on an unknown parent",
         ("create", "x", "-i", "shop", "--parent", unknown), "HTTP 404"),
        ("create in a container that leaves the store",
         ("create", "x", "-i", "shop", "--swift-container", "../up"), "HTTP 400"),
        ("registration of a file outside the store",
         ("create", "x", "--restore-from", "file:///etc/passwd",
          "--restore-datastore-version", unknown, "--restore-size", "1"), "HTTP 400"),
        ("list with a limit that is none", ("list", "--limit", "-1"), "HTTP 400"),
    ):
        with check(f"{way.kind}: {what} fails and says why"):
            said = way.fails(*backup, *arguments)
            assert wanted in said, said
    with check(f"{way.kind}: the exit code of a failure, as a process of its own"):
        code, _out, err = way.run_process(*backup, "show", "nope")
        assert code == 1 and "nope" in err, (code, err)


def _delete(way, check, made):
    with check(f"{way.kind}: backup delete takes what is built on it along"):
        code, out, err = way.run("database", "backup", "delete", made["full"])
        assert code == 0, out + err
        for name in ("full", "second", "third"):
            status, _ = way.server.ask(way.project, f"backups/{made[name]}", way.secret)
            assert status == 404, (name, status)
        assert way.json("database", "backup", "list", "-i", "shop") == []
