//! What somebody made or altered of an extension's parts: indexes, comments, columns, rules and the like.
//!
//! `pg_dump` takes none of it: of what belongs to an extension it takes rights, and the rows that the extension asks for.
//! Nothing in the server's catalogs says whose an index of an extension's table is. But the rows of all that one run of an
//! extension's script made are of one transaction, as are those that say what belongs to the extension. What is of another
//! transaction is named, unless it is as old as its table, which was added to the extension later.
//!
//! Two things are not seen: what was made in the transaction of CREATE EXTENSION itself, and what was altered of a function,
//! type or server, or set for a table, whose rights were changed as well. Where `pg_upgrade` made each part in a transaction of
//! its own, one line for the extension says that there may be something.

/// A list of what is left out, for the database of the session. All is found by indexes from what belongs to an extension,
/// of which the planner expects one row: it must not read whole catalogs once for each.
pub(super) const LEFT_OUT: &str = "
WITH member AS (
  SELECT e.oid AS extension, extname, d.classid AS class, d.objid AS oid, d.xmin::text AS xid, CASE d.classid
      WHEN 'pg_class'::regclass THEN d.objid WHEN 'pg_type'::regclass THEN (SELECT nullif(typrelid, 0) FROM pg_type t WHERE t.oid = d.objid)
    END AS relation,
    -- A column of the system is never altered: its row is as old as the table.
    (SELECT xmin::text FROM pg_attribute WHERE d.classid = 'pg_class'::regclass AND attrelid = d.objid AND attnum = -1) AS made
  FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
  WHERE d.deptype = 'e'
), own AS (
  SELECT oid AS extension, xmin::text AS xid FROM pg_extension
  UNION SELECT objid, xmin::text FROM pg_depend WHERE classid = 'pg_extension'::regclass
), script AS (
  SELECT extension, xid FROM member UNION SELECT extension, xid FROM own
), upgraded AS (
  -- Of a script, some part is of the transaction of the extension's own rows. pg_upgrade makes each part by itself, and since
  -- version 17 up to a thousand of whatever there is in a transaction: then most parts are of others.
  SELECT extension FROM member LEFT JOIN own USING (extension, xid) GROUP BY extension
  HAVING count(own.xid) = 0 OR current_setting('server_version_num')::int >= 170000 AND 2 * count(own.xid) < count(*)
), part AS (
  SELECT extension, extname, made, part.* FROM member m CROSS JOIN LATERAL (
    SELECT 'pg_class'::regclass AS class, indexrelid AS oid, 0 AS sub, i.xmin::text AS xid FROM pg_index i
    WHERE indrelid = relation AND indisvalid AND NOT EXISTS (SELECT FROM pg_constraint
      WHERE conrelid = indrelid AND conindid = indexrelid AND contype IN ('p', 'u', 'x'))
    UNION ALL SELECT 'pg_constraint'::regclass, c.oid, 0, c.xmin::text FROM pg_constraint c WHERE conrelid = relation
    UNION ALL SELECT 'pg_constraint'::regclass, c.oid, 0, c.xmin::text FROM pg_constraint c
      WHERE m.class = 'pg_type'::regclass AND conrelid = 0 AND contypid = m.oid
    UNION ALL SELECT 'pg_rewrite'::regclass, r.oid, 0, r.xmin::text FROM pg_rewrite r
      WHERE ev_class = relation AND rulename <> '_RETURN'
    UNION ALL SELECT 'pg_statistic_ext'::regclass, s.oid, 0, s.xmin::text FROM pg_statistic_ext s WHERE stxrelid = relation
    UNION ALL SELECT 'pg_policy'::regclass, p.oid, 0, p.xmin::text FROM pg_policy p WHERE polrelid = relation
    UNION ALL SELECT 'pg_publication_rel'::regclass, p.oid, 0, p.xmin::text FROM pg_publication_rel p WHERE prrelid = relation
    UNION ALL SELECT 'pg_attrdef'::regclass, a.oid, 0, a.xmin::text FROM pg_attrdef a WHERE adrelid = relation
    UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, a.xmin::text FROM pg_attribute a
      WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped AND attacl IS NULL
    -- What belongs to an operator class comes with that.
    UNION ALL SELECT 'pg_amop'::regclass, o.oid, 0, o.xmin::text FROM pg_amop o
      WHERE m.class = 'pg_opfamily'::regclass AND amopfamily = m.oid AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_amop'::regclass AND d.objid = o.oid AND d.deptype = 'i' AND d.refclassid = 'pg_opclass'::regclass)
    UNION ALL SELECT 'pg_amproc'::regclass, o.oid, 0, o.xmin::text FROM pg_amproc o
      WHERE m.class = 'pg_opfamily'::regclass AND amprocfamily = m.oid AND NOT EXISTS (SELECT FROM pg_depend d
        WHERE d.classid = 'pg_amproc'::regclass AND d.objid = o.oid AND d.deptype = 'i' AND d.refclassid = 'pg_opclass'::regclass)
  ) part
), found AS (
  SELECT extension, extname, made, xid, pg_describe_object(class, oid, sub) AS what FROM part
  UNION ALL
  SELECT extension, extname, made, itself.xid, itself.what || pg_describe_object(class, oid, 0) FROM member m CROSS JOIN LATERAL (
    SELECT 'what was altered of ' AS what, d.xid FROM (
      SELECT xmin::text AS xid FROM pg_ts_dict WHERE m.class = 'pg_ts_dict'::regclass AND pg_ts_dict.oid = m.oid
      UNION ALL SELECT xmin::text FROM pg_ts_config_map WHERE m.class = 'pg_ts_config'::regclass AND mapcfg = m.oid
      UNION ALL SELECT xmin::text FROM pg_foreign_table WHERE ftrelid = relation
      UNION ALL SELECT xmin::text FROM pg_sequence WHERE seqrelid = relation
      UNION ALL SELECT xmin::text FROM pg_rewrite WHERE ev_class = relation AND rulename = '_RETURN'
      UNION ALL SELECT xmin::text FROM pg_enum WHERE m.class = 'pg_type'::regclass AND enumtypid = m.oid) d
    -- A GRANT alters these rows as well, and comes back: only what has the rights that the script gave.
    UNION ALL SELECT altered.what, altered.xid FROM (
      SELECT 'what was altered of ' AS what, xmin::text AS xid, proacl AS acl FROM pg_proc
        WHERE m.class = 'pg_proc'::regclass AND pg_proc.oid = m.oid
      UNION ALL SELECT 'what was altered of ', xmin::text, typacl FROM pg_type
        WHERE m.class = 'pg_type'::regclass AND pg_type.oid = m.oid
      UNION ALL SELECT 'what was altered of ', xmin::text, fdwacl FROM pg_foreign_data_wrapper w
        WHERE m.class = 'pg_foreign_data_wrapper'::regclass AND w.oid = m.oid
      UNION ALL SELECT 'what was altered of ', xmin::text, srvacl FROM pg_foreign_server s
        WHERE m.class = 'pg_foreign_server'::regclass AND s.oid = m.oid
      UNION ALL SELECT setting, c.xmin::text, relacl FROM pg_class c CROSS JOIN LATERAL (
          SELECT 'the storage parameters of ' AS setting WHERE reloptions IS NOT NULL
          -- Where the script made policies, it is that which switched them on.
          UNION ALL SELECT 'the row-level security of ' WHERE (relrowsecurity OR relforcerowsecurity) AND NOT EXISTS (
            SELECT FROM pg_policy p JOIN script s ON s.extension = m.extension AND s.xid = p.xmin::text WHERE polrelid = c.oid)
          UNION ALL SELECT 'the replica identity of ' WHERE relkind IN ('r', 'p') AND relreplident <> 'd') setting
        WHERE m.class = 'pg_class'::regclass AND c.oid = m.oid) altered
    WHERE acl IS NOT DISTINCT FROM (SELECT initprivs FROM pg_init_privs p
      WHERE p.objoid = m.oid AND p.classoid = m.class AND p.objsubid = 0)
    UNION ALL SELECT format('the user mapping of %s on ', usename), '' FROM pg_user_mappings
      WHERE m.class = 'pg_foreign_server'::regclass AND srvid = m.oid
    UNION ALL SELECT format('the label of %s on ', provider), l.xmin::text FROM pg_seclabel l
      WHERE l.objoid = m.oid AND l.classoid = m.class AND l.objsubid = 0) itself
  UNION ALL
  SELECT extension, extname, made, c.xmin::text, 'the comment on ' || pg_describe_object(c.classoid, c.objoid, c.objsubid)
  FROM (SELECT extension, extname, made, class, oid FROM part WHERE sub = 0 UNION ALL SELECT extension, extname, made, class, oid FROM member) p
  CROSS JOIN LATERAL (SELECT d.xmin, d.* FROM pg_description d WHERE d.objoid = p.oid AND d.classoid = p.class) c
)
SELECT coalesce(json_agg(json_build_object('what', what, 'why', why) ORDER BY extname, what), '[]') FROM (
  SELECT DISTINCT extname, CASE WHEN u.extension IS NULL THEN what
      ELSE format('changes to the parts of extension %s, if there are any', extname) END AS what,
    format(CASE WHEN u.extension IS NULL THEN 'it was not made with the parts of extension %s, of which pg_dump takes rights and '
        || 'chosen rows only: a restore has it only if the extension''s script makes it'
      ELSE 'since pg_upgrade nothing tells them from what the script of extension %s makes, and pg_dump takes of that only '
        || 'rights and chosen rows' END, extname) AS why
  FROM found LEFT JOIN upgraded u USING (extension) WHERE xid IS DISTINCT FROM made
  AND NOT EXISTS (SELECT FROM script s WHERE s.extension = found.extension AND s.xid = found.xid)) missing";
