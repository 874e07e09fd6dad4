//! Where archives lie besides the data directory, summed up ahead; and the places themselves, as the catalog knows them.

use std::collections::BTreeSet;

use rusqlite::{named_params, params};

use super::sql::{execute, query_all, query_first, statements};
use super::types::{Bytes, Json};
use super::{Records, Result};
use crate::domain::{BackupId, Holding, InstanceId, PlaceTrouble, ProjectId, Timestamp};

statements! {
    OF_INSTANCE = "SELECT here, held_in, backups FROM holdings WHERE instance = ?1 AND project = ?2";

    ALL = "SELECT here, held_in, backups FROM holdings";

    /// The backups that lie in this place and nowhere else.
    ONLY_IN = "SELECT copies.backup FROM copies INDEXED BY copies_of_place
         CROSS JOIN backups ON backups.id = copies.backup
         WHERE copies.place = ?1 AND copies.state = 'proven' AND backups.here = 'no' AND backups.removal IS NULL
             AND backups.held_in = json_array(?1)";

    /// It lies nowhere any more: its place is the data directory again.
    BELONGS_HERE = "UPDATE backups SET here = 'yes' WHERE id = ?1";

    /// What the other name is to have has nothing to say where this one has it already.
    DROP_WANTED = "DELETE FROM copies WHERE place = :to AND state <> 'copying'
         AND EXISTS (SELECT 1 FROM copies AS known WHERE known.backup = copies.backup
             AND known.place = :from AND known.state = 'proven')";

    MOVE = "UPDATE OR IGNORE copies SET place = :to WHERE place = :from";

    FORGET_COPIES = "DELETE FROM copies WHERE place = ?1";

    TROUBLE = "SELECT place, since, why FROM place_troubles WHERE place = ?1";

    TROUBLES = "SELECT place, since, why FROM place_troubles";

    PUT_TROUBLE = "INSERT INTO place_troubles (place, since, why) VALUES (?1, ?2, ?3)
         ON CONFLICT (place) DO UPDATE SET why = excluded.why";

    END_TROUBLE = "DELETE FROM place_troubles WHERE place = ?1";

    IDENTITY = "SELECT identity FROM places WHERE name = ?1";

    WITH_IDENTITY = "SELECT name FROM places WHERE identity = ?1";

    PUT_IDENTITY = "INSERT INTO places (name, identity) VALUES (?1, ?2)
         ON CONFLICT (name) DO UPDATE SET identity = excluded.identity";

    FORGET_IDENTITY = "DELETE FROM places WHERE name = ?1";
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Holding> {
    let places = row.get::<_, Json<BTreeSet<String>>>(1)?.0;
    Ok(Holding { here: row.get(0)?, places, backups: row.get::<_, Bytes>(2)?.0 })
}

fn read_trouble(row: &rusqlite::Row<'_>) -> rusqlite::Result<PlaceTrouble> {
    Ok(PlaceTrouble { place: row.get(0)?, since: row.get(1)?, why: row.get(2)?, configured: true })
}

impl Records<'_> {
    /// Where the completed backups of an instance lie, without those that lie in the data directory alone.
    pub fn holdings_of(self, project: &ProjectId, instance: InstanceId) -> Result<Vec<Holding>> {
        query_all(self.0, OF_INSTANCE, params![instance, project], read)
    }

    /// The same of every instance.
    pub fn holdings(self) -> Result<Vec<Holding>> {
        query_all(self.0, ALL, [], read)
    }

    /// The backups whose archive lies in this place and nowhere else. Reads a row for each copy there.
    pub fn only_in(self, place: &str) -> Result<Vec<BackupId>> {
        query_all(self.0, ONLY_IN, [place], |row| row.get(0))
    }

    /// The archive of a backup is to be in the data directory, and nowhere else.
    pub fn set_belongs_here(self, id: BackupId) -> Result<()> {
        execute(self.0, BELONGS_HERE, [id]).map(drop)
    }

    /// A place has another name now.
    pub fn rename_place(self, from: &str, to: &str) -> Result<()> {
        let names = named_params! { ":from": from, ":to": to };
        execute(self.0, DROP_WANTED, names)?;
        execute(self.0, MOVE, names)?;
        self.forget_place(from)
    }

    /// A place is known no more, with all that it held.
    pub fn forget_place(self, place: &str) -> Result<()> {
        for statement in [FORGET_COPIES, FORGET_IDENTITY, END_TROUBLE] {
            execute(self.0, statement, [place])?;
        }
        Ok(())
    }

    /// The places that could not be used when that was tried last.
    pub fn place_troubles(self) -> Result<Vec<PlaceTrouble>> {
        query_all(self.0, TROUBLES, [], read_trouble)
    }

    /// The same of one place.
    pub fn place_trouble(self, place: &str) -> Result<Option<PlaceTrouble>> {
        query_first(self.0, TROUBLE, [place], read_trouble)
    }

    /// A place cannot be used; the time counts if it could be before.
    pub fn put_place_trouble(self, place: &str, since: Timestamp, why: &str) -> Result<()> {
        execute(self.0, PUT_TROUBLE, params![place, since, why]).map(drop)
    }

    pub fn end_place_trouble(self, place: &str) -> Result<()> {
        execute(self.0, END_TROUBLE, [place]).map(drop)
    }

    /// Which disk a place was when it was used first.
    pub fn place_identity(self, place: &str) -> Result<Option<String>> {
        query_first(self.0, IDENTITY, [place], |row| row.get(0))
    }

    /// The names under which this disk was used.
    pub fn places_with_identity(self, identity: &str) -> Result<Vec<String>> {
        query_all(self.0, WITH_IDENTITY, [identity], |row| row.get(0))
    }

    pub fn put_place_identity(self, place: &str, identity: &str) -> Result<()> {
        execute(self.0, PUT_IDENTITY, [place, identity]).map(drop)
    }
}
