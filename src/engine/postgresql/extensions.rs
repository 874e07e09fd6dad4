//! What belongs to extensions, and is not in the dump of a database that has them.
//!
//! `pg_dump` writes `CREATE EXTENSION` for an extension, and of its tables only the rows that it asks for
//! (`pg_extension_config_dump`). All else is what the extension's own script makes on the server of the restore.

/// A list of what is left out, for the database of the session.
pub(super) const LEFT_OUT: &str = "
WITH member AS (
  SELECT extname, extowner, extconfig, d.classid AS class, d.objid AS oid
  FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
  WHERE d.deptype = 'e'
), relation AS (
  SELECT extname, c.oid, c.relkind = 'S' AS is_sequence, format('%I.%I', n.nspname, c.relname) AS name,
    has_schema_privilege(n.oid, 'USAGE') AND NOT row_security_active(c.oid)
      AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT')
        ELSE has_table_privilege(c.oid, 'SELECT') END AS readable
  FROM member m JOIN pg_class c ON m.class = 'pg_class'::regclass AND c.oid = m.oid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'S') AND c.oid <> ALL (coalesce(extconfig, '{}'))
), library AS (
  SELECT regexp_replace(btrim(path, ' \"'), '^.*/|\\.so$', '', 'g') AS name
  FROM pg_settings CROSS JOIN unnest(string_to_array(setting, ',')) path WHERE name = 'shared_preload_libraries'
)
SELECT coalesce(json_agg(json_build_object('what', what, 'why', why)), '[]') FROM (
  SELECT format(CASE WHEN is_sequence THEN 'the position of sequence %s' ELSE 'the rows of table %s' END, name) AS what,
    format(CASE WHEN readable THEN '' ELSE 'the role may not see whether there is anything, and ' END
      || 'pg_dump takes nothing from what belongs to extension %s: a restore has only what CREATE EXTENSION makes', extname) AS why
  FROM relation WHERE CASE WHEN NOT readable THEN true WHEN is_sequence THEN pg_sequence_last_value(oid) IS NOT NULL
    ELSE query_to_xml(format('SELECT 1 FROM %s LIMIT 1', name), false, false, '')::text LIKE '%<row%' END
  UNION ALL
  SELECT format('trigger %I of table %s', tgname, tgrelid::regclass),
    format('pg_dump takes nothing from what belongs to extension %s, and its script does not make this: create it again', extname)
  FROM pg_trigger t JOIN member m ON m.class = 'pg_class'::regclass AND m.oid = tgrelid
  WHERE NOT tgisinternal AND NOT EXISTS (SELECT FROM member f WHERE f.extname = m.extname
    AND f.class = 'pg_proc'::regclass AND f.oid = tgfoid)
  UNION ALL
  SELECT format('the owner of %s', pg_describe_object(class, oid, 0)),
    format('pg_dump takes nothing from what belongs to extension %s, and a restore gives it to who creates that; it was %I',
      extname, pg_get_userbyid(owner))
  FROM (SELECT extname, extowner, class, m.oid, (SELECT relowner FROM pg_class c WHERE class = 'pg_class'::regclass
      AND c.oid = m.oid UNION ALL SELECT proowner FROM pg_proc p WHERE class = 'pg_proc'::regclass AND p.oid = m.oid
      UNION ALL SELECT typowner FROM pg_type t WHERE class = 'pg_type'::regclass AND t.oid = m.oid AND typrelid = 0
      UNION ALL SELECT nspowner FROM pg_namespace n WHERE class = 'pg_namespace'::regclass AND n.oid = m.oid) AS owner
    FROM member m) owned WHERE owner NOT IN (extowner, 10)
  UNION ALL
  SELECT format('the owner of extension %s', extname),
    format('pg_dump does not take it, and a restore gives the extension to the superuser that makes it; it was %I', rolname)
  FROM pg_extension JOIN pg_roles r ON r.oid = extowner WHERE NOT rolsuper
  UNION ALL
  SELECT format('extension %s and what needs it, where its library is not loaded', extname),
    'the server loads it at its start (shared_preload_libraries), which the server of a drill, and of a restore into a '
      || 'folder, does not: they name what they could not create; a server that loads it takes it all (--into)'
  FROM (SELECT DISTINCT extname FROM member) extension
  WHERE EXISTS (SELECT FROM member m JOIN pg_proc p ON m.class = 'pg_proc'::regclass AND p.oid = m.oid
    JOIN library l ON regexp_replace(p.probin, '^.*/|\\.so$', '', 'g') IN (l.name)
      OR starts_with(regexp_replace(p.probin, '^.*/', ''), l.name || '-')
    WHERE m.extname = extension.extname)
  -- Functions, and views of them, are made without it.
  AND EXISTS (SELECT FROM member m WHERE m.extname = extension.extname
    AND m.class NOT IN ('pg_proc'::regclass, 'pg_namespace'::regclass)
    AND NOT (m.class = 'pg_class'::regclass AND (SELECT relkind FROM pg_class c WHERE c.oid = m.oid) = 'v'))
) missing";
