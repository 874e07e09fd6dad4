"""The backup scenario of Trove's own tests, with its client and base classes as they are.

Only what surrounds them differs: there is no network to make, the first instance is one of the configuration, and the data is
that of a SQLite file instead of a server's.
"""

import os
import sqlite3

from trove_tempest_plugin.tests.scenario import base_backup


class TestBackupSQLite(base_backup.TestBackupBase):
    """A full and an incremental backup, each restored and compared, with the waits and cleanups of Trove's tests."""

    datastore = "sqlite"
    create_user = False

    @classmethod
    def _create_network(cls):
        cls.private_network = "none"

    @classmethod
    def create_instance(cls, *args, backup_id=None, **kwargs):
        if backup_id:
            return super().create_instance(*args, backup_id=backup_id, **kwargs)
        return cls.client.list_resources("instances")["instances"][0]

    @classmethod
    def get_instance_ip(cls, instance=None):
        """Where the data is, which takes the place of a server's address."""
        restored = instance["restored_to"] if instance else None
        return restored or os.environ["TEMPEST_DATABASE"]

    @classmethod
    def insert_data(cls, ip):
        with sqlite3.connect(ip) as database:
            database.execute("INSERT INTO item VALUES (1001, 'full')")
        database.close()

    @classmethod
    def insert_data_inc(cls, ip):
        with sqlite3.connect(ip) as database:
            database.execute("INSERT INTO item VALUES (1002, 'incremental')")
        database.close()

    def verify_data(self, ip):
        self.assertEqual([(1001, "full")], self.inserted(ip))

    def verify_data_inc(self, ip):
        self.assertEqual([(1001, "full"), (1002, "incremental")], self.inserted(ip))

    @staticmethod
    def inserted(path):
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        rows = database.execute("SELECT id, name FROM item WHERE id > 1000 ORDER BY id").fetchall()
        database.close()
        return rows

    def test_backup_full(self):
        self.backup_full_test()

    def test_backup_incremental(self):
        self.backup_incremental_test()
