"""What a program does with `troveclient`: objects, pages by hand, typed errors."""

from troveclient.apiclient import exceptions


def program(admin, member, reader, stranger, check):
    """The Python API, by roles."""
    client = member.python()
    made = []
    with check("python: create, get, and the fields of a backup"):
        for number in range(5):
            backup = client.backups.create(f"b{number}", client.instances.list()[0], "of a program")
            made.append(backup.id)
            held = member.backup(backup.id)
            got = client.backups.get(backup.id)
            assert got.to_dict() == held, (got.to_dict(), held)
    with check("python: pages by hand neither repeat nor miss"):
        seen, marker = [], None
        while True:
            page = client.backups.list(limit=2, marker=marker)
            assert len(page) <= 2
            seen += [row.id for row in page]
            marker = page.next
            if not marker:
                break
        assert seen == made[::-1], (seen, made)
    with check("python: backups of an instance, by pages"):
        shop = client.instances.list()[0]
        page = client.instances.backups(shop, limit=3)
        rest = client.instances.backups(shop, limit=3, marker=page.next)
        assert [row.id for row in page + rest] == made[::-1]
    with check("python: a page is capped, not refused"):
        assert len(client.backups.list(limit=10**9)) == 5
    with check("python: faults arrive as their exceptions"):
        unknown = "00000000-0000-4000-8000-000000000000"
        _raises(exceptions.NotFound, client.backups.get, unknown)
        _raises(exceptions.NotFound, client.backups.get, "not-an-id")
        _raises(exceptions.BadRequest, client.backups.create, "", shop)
        _raises(exceptions.BadRequest, client.backups.create, "x", shop, storage_driver="tape")
        _raises(exceptions.Forbidden, client.backups.list, all_projects=True)
        _raises(exceptions.Unauthorized, stranger.python().backups.list)
    with check("python: a reader reads and no more"):
        reading = reader.python()
        assert len(reading.backups.list(limit=5)) == 5
        _raises(exceptions.Forbidden, reading.backups.create, "x", shop)
        _raises(exceptions.Forbidden, reading.backups.delete, made[0])
    with check("python: another project's backup is as unknown as none"):
        mine = {row["id"] for row in admin.backups()}
        assert not mine & set(made)
        # The member's token in another project's part of the API.
        status, _ = member.server.ask(admin.project, "backups", member.secret)
        assert status in (403, 404), status
    with check("python: an admin sets a quota, and it holds"):
        quota = admin.python().quota
        quota.update(member.project, {"backups": 5})
        shown = {row.resource: row for row in quota.show(member.project)}
        assert (shown["backups"].limit, shown["backups"].in_use) == (5, 5), shown["backups"]
        _raises(exceptions.RequestEntityTooLarge, client.backups.create, "x", shop)
        quota.update(member.project, {"backups": -1})
    with check("python: delete"):
        for identity in made:
            client.backups.delete(identity)
        assert client.backups.list() == []


def _raises(kind, function, *arguments, **named):
    try:
        function(*arguments, **named)
    except kind:
        return
    raise AssertionError(f"{function.__name__} did not raise {kind.__name__}")
