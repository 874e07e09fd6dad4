-- Of each kind of object everything that does not differ between two servers. "@user" leaves the server's own out.
-- databases
SELECT datname, datdba::regrole, pg_encoding_to_char(encoding), datlocprovider, datcollate, datctype, to_jsonb(d) ->> 'daticulocale', datistemplate, datallowconn, datconnlimit, acl(datacl), shobj_description(oid, 'pg_database') FROM pg_database d
-- roles
SELECT rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolpassword, rolvaliduntil, shobj_description(oid, 'pg_authid') FROM pg_authid
-- memberships
SELECT roleid::regrole, member::regrole, admin_option FROM pg_auth_members
-- settings of databases and roles
SELECT datname, setrole::regrole, setconfig FROM pg_db_role_setting LEFT JOIN pg_database d ON d.oid = setdatabase
-- rights to parameters
SELECT parname, acl(paracl) FROM pg_parameter_acl
-- tablespaces
SELECT spcname, spcowner::regrole, acl(spcacl), spcoptions, shobj_description(oid, 'pg_tablespace') FROM pg_tablespace
-- replication origins
SELECT roname FROM pg_replication_origin WHERE roname !~ '^pg_[0-9]'
-- prepared transactions
SELECT gid, owner, database FROM pg_prepared_xacts
-- schemas
SELECT nspname, nspowner::regrole, acl(nspacl) FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
-- relations
SELECT c.oid::regclass, relkind, relpersistence, relowner::regrole, acl(relacl), reloptions, relrowsecurity, relforcerowsecurity, relreplident, relispopulated, amname, reloftype::regtype, pg_get_partkeydef(c.oid), pg_get_expr(relpartbound, c.oid), CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END FROM pg_class c LEFT JOIN pg_am a ON a.oid = relam WHERE @user
-- columns
SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, attstorage, attcompression, attstattarget, attoptions, attfdwoptions, acl(attacl), attcollation::regcollation, pg_get_expr(adbin, adrelid), attinhcount, attislocal FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum WHERE NOT attisdropped AND attnum > 0 AND @user
-- inheritance
SELECT inhrelid::regclass, inhparent::regclass, inhseqno FROM pg_inherits
-- constraints
SELECT conrelid::regclass, contypid::regtype, conname, pg_get_constraintdef(oid), convalidated, conislocal, coninhcount FROM pg_constraint
-- indexes
SELECT pg_get_indexdef(indexrelid), indisvalid, indisclustered, indisreplident FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE @user
-- triggers
SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal
-- rules
SELECT ev_class::regclass, pg_get_ruledef(r.oid), ev_enabled FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class WHERE @user
-- policies
SELECT * FROM pg_policies
-- event triggers
SELECT evtname, evtevent, evtowner::regrole, evtfoid::regproc, evtenabled, evttags FROM pg_event_trigger
-- sequences
SELECT * FROM pg_sequences
-- functions
SELECT p.oid::regprocedure, proowner::regrole, prokind, acl(proacl), CASE WHEN prokind <> 'a' THEN pg_get_functiondef(p.oid) END FROM pg_proc p WHERE pronamespace::regnamespace::text <> 'information_schema'
-- aggregates
SELECT aggfnoid::regprocedure, aggtransfn, aggfinalfn, aggcombinefn, aggtranstype::regtype, agginitval, proparallel FROM pg_aggregate JOIN pg_proc p ON p.oid = aggfnoid
-- types
SELECT t.oid::regtype, typtype, typowner::regrole, acl(typacl), typcategory, typispreferred, typisdefined, typinput, typoutput, typlen, typalign, typstorage, typnotnull, typbasetype::regtype, typdefault, typcollation::regcollation FROM pg_type t WHERE typnamespace::regnamespace::text NOT IN ('pg_toast', 'information_schema')
-- enums
SELECT enumtypid::regtype, enumsortorder > 0, enumlabel, rank() OVER (PARTITION BY enumtypid ORDER BY enumsortorder) FROM pg_enum
-- ranges
SELECT rngtypid::regtype, rngsubtype::regtype, rngmultitypid::regtype, rngsubdiff FROM pg_range
-- operators
SELECT oid::regoperator, oprowner::regrole, oprcode, oprcom::regoperator, oprnegate::regoperator, oprrest, oprjoin, oprcanhash, oprcanmerge FROM pg_operator
-- operator classes
SELECT opcname, amname, opcnamespace::regnamespace, opfname, opcintype::regtype, opcdefault, opckeytype::regtype FROM pg_opclass JOIN pg_am a ON a.oid = opcmethod JOIN pg_opfamily f ON f.oid = opcfamily
-- operator families
SELECT opfname, opfnamespace::regnamespace, amname, opfowner::regrole FROM pg_opfamily JOIN pg_am a ON a.oid = opfmethod
-- members of operator families
SELECT opfname, amopstrategy, amopopr::regoperator FROM pg_amop JOIN pg_opfamily f ON f.oid = amopfamily
-- support functions
SELECT opfname, amproclefttype::regtype, amprocnum, amproc FROM pg_amproc JOIN pg_opfamily f ON f.oid = amprocfamily
-- casts
SELECT castsource::regtype, casttarget::regtype, castfunc::regprocedure, castcontext, castmethod FROM pg_cast
-- collations
SELECT collname, collnamespace::regnamespace, collowner::regrole, collprovider, collisdeterministic, coalesce(to_jsonb(c) ->> 'collocale', to_jsonb(c) ->> 'colliculocale'), collcollate FROM pg_collation c WHERE collnamespace <> 'pg_catalog'::regnamespace
-- conversions
SELECT conname, connamespace::regnamespace, conforencoding, contoencoding, conproc, condefault FROM pg_conversion
-- languages
SELECT lanname, lanowner::regrole, lanpltrusted, lanplcallfoid::regproc, laninline::regproc, lanvalidator::regproc, acl(lanacl) FROM pg_language
-- transforms
SELECT trftype::regtype, lanname, trffromsql, trftosql FROM pg_transform JOIN pg_language l ON l.oid = trflang
-- extensions
SELECT extname, extversion, extnamespace::regnamespace, extowner::regrole FROM pg_extension
-- dependencies on extensions
SELECT pg_describe_object(classid, objid, objsubid), pg_describe_object(refclassid, refobjid, 0) FROM pg_depend WHERE deptype = 'x'
-- access methods
SELECT amname, amtype, amhandler FROM pg_am
-- foreign data wrappers
SELECT fdwname, fdwowner::regrole, fdwhandler::regproc, fdwvalidator::regproc, fdwoptions, acl(fdwacl) FROM pg_foreign_data_wrapper
-- foreign servers
SELECT srvname, srvowner::regrole, srvtype, srvversion, srvoptions, acl(srvacl) FROM pg_foreign_server
-- user mappings
SELECT usename, srvname, (SELECT array_agg(it ORDER BY it) FROM unnest(umoptions) it) FROM pg_user_mappings
-- foreign tables
SELECT ftrelid::regclass, ftoptions FROM pg_foreign_table
-- publications
SELECT pubname, pubowner::regrole, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot FROM pg_publication
-- tables of publications
SELECT * FROM pg_publication_tables
-- schemas of publications
SELECT pubname, pnnspid::regnamespace FROM pg_publication_namespace JOIN pg_publication p ON p.oid = pnpubid
-- subscriptions
SELECT subname, subowner::regrole, subbinary, substream, subtwophasestate, subdisableonerr, subconninfo, subslotname, subsynccommit, subpublications FROM pg_subscription
-- statistics
SELECT pg_get_statisticsobjdef(oid), stxowner::regrole, stxstattarget FROM pg_statistic_ext
-- text search parsers
SELECT prsname, prsnamespace::regnamespace, prsstart, prslextype FROM pg_ts_parser
-- text search templates
SELECT tmplname, tmplnamespace::regnamespace, tmplinit, tmpllexize FROM pg_ts_template
-- text search dictionaries
SELECT dictname, dictnamespace::regnamespace, dictowner::regrole, tmplname, dictinitoption FROM pg_ts_dict JOIN pg_ts_template t ON t.oid = dicttemplate
-- text search configurations
SELECT c.cfgname, c.cfgnamespace::regnamespace, prsname, maptokentype, mapseqno, mapdict::regdictionary FROM pg_ts_config c JOIN pg_ts_parser p ON p.oid = cfgparser LEFT JOIN pg_ts_config_map ON mapcfg = c.oid
-- default rights
SELECT defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype, acl(defaclacl) FROM pg_default_acl
-- large objects
SELECT oid, lomowner::regrole, acl(lomacl), lo_get(oid) FROM pg_largeobject_metadata
-- comments
SELECT pg_describe_object(classoid, objoid, objsubid), description FROM pg_description
-- security labels
SELECT * FROM pg_seclabels
-- rows
SELECT c.oid::regclass, query_to_xml(format('SELECT count(*), md5(string_agg(t::text, E''\n'' ORDER BY t::text COLLATE "C")) FROM ONLY %s t', c.oid::regclass), false, true, '')::text FROM pg_class c WHERE relkind IN ('r', 'm') AND relispopulated AND @user
