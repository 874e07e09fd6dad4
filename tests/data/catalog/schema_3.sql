-- A catalog of schema 3 with rows, as `sqlite3 .dump` writes it.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE instances (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    project TEXT NOT NULL,
    name TEXT NOT NULL,
    engine TEXT NOT NULL,
    version TEXT NOT NULL,
    -- Where it comes from: the configuration, or a restore of this backup.
    restored_from TEXT CHECK (length(restored_from) = 36),
    -- The keys of `source` in the configuration, as a JSON object; `{}` until a restore is placed.
    source TEXT NOT NULL CHECK (json_valid(source)),
    check_level TEXT NOT NULL CHECK (check_level IN ('off', 'quick', 'full')),
    -- BACKUP is not stored: it is shown while a backup of the instance runs.
    status TEXT NOT NULL CHECK (status IN ('BUILD', 'ACTIVE', 'ERROR', 'DETACHED')),
    -- What a restore wrote; the newest backup says it better as soon as there is one.
    used_bytes INTEGER NOT NULL DEFAULT 0 CHECK (used_bytes >= 0),
    failure_code TEXT,
    failure_message TEXT,
    -- A restore to make: asked for, or claimed by a worker.
    restore TEXT CHECK (restore IN ('asked', 'claimed')),
    -- A removal to make, in the same words.
    removal TEXT CHECK (removal IN ('asked', 'claimed')),
    created INTEGER NOT NULL CHECK (created BETWEEN 0 AND 253402300799999999),
    updated INTEGER NOT NULL,
    -- How far each new backup is proven before anybody asks: read back, or restored in a drill too.
    verify TEXT NOT NULL DEFAULT 'archive' CHECK (verify IN ('archive', 'restore')),
    CHECK ((status = 'BUILD') = (restore IS NOT NULL)),
    CHECK (restore IS NULL OR restored_from IS NOT NULL),
    CHECK (removal IS NULL OR restored_from IS NOT NULL),
    CHECK ((failure_code IS NULL) = (failure_message IS NULL)),
    CHECK ((status = 'ERROR') = (failure_code IS NOT NULL))
) STRICT;
INSERT INTO instances VALUES('f0954db5-30a3-541c-a7ea-b3a95de1f363','project-a','sqlite','sqlite','3.53.2',NULL,'{"path":"/srv/kept/shop.db"}','quick','ACTIVE',0,NULL,NULL,NULL,NULL,1795770059668947,1795770059668947,'archive');
INSERT INTO instances VALUES('73d683e9-ce92-584a-8395-c7395d25ea22','project-a','directory','directory','1',NULL,'{"path":"/srv/kept/tree"}','quick','ACTIVE',0,NULL,NULL,NULL,NULL,1795770059668947,1795770059668947,'archive');
INSERT INTO instances VALUES('0e0a2785-d104-5572-8453-b088482f6f81','project-a','postgresql','postgresql','15.18',NULL,'{"socket":"/tmp/pgAtPedv","user":"postgres"}','quick','ACTIVE',0,NULL,NULL,NULL,NULL,1795770059668947,1795770060067813,'archive');
INSERT INTO instances VALUES('c380af93-a4f4-5d65-9daa-2d67cec39955','project-a','postgresql-logical','postgresql','15.18',NULL,'{"method":"logical","socket":"/tmp/pgAtPedv","user":"postgres"}','quick','ACTIVE',0,NULL,NULL,NULL,NULL,1795770059668947,1795770060345303,'archive');
INSERT INTO instances VALUES('372806bb-6e22-5d27-b291-4d7e48890aee','project-a','mariadb','mariadb','10.11.19-MariaDB-0+deb12u1',NULL,'{"socket":"/tmp/.tmpg328un/s","user":"root"}','quick','ACTIVE',0,NULL,NULL,NULL,NULL,1795770059668947,1795770060400762,'archive');
INSERT INTO instances VALUES('7f46d810-3176-5ba3-8cd9-c4429ea6a2f9','project-a','mariadb-logical','mariadb','10.11.19-MariaDB-0+deb12u1',NULL,'{"method":"logical","socket":"/tmp/.tmpg328un/s","user":"root"}','quick','ACTIVE',0,NULL,NULL,NULL,NULL,1795770059668947,1795770060624958,'archive');
INSERT INTO instances VALUES('da0a788c-80a1-5e45-8746-171270cb54ad','project-a','redis','redis','7.0.15',NULL,'{"socket":"/tmp/.tmp4TVW6k/s"}','quick','ACTIVE',0,NULL,NULL,NULL,NULL,1795770059668947,1795770060855588,'archive');
INSERT INTO instances VALUES('3d0fdfd8-71fe-58c9-a2a5-c81aa83c88f5','project-a','tiny','sqlite','3.53.2',NULL,'{"path":"/srv/kept/tiny.db"}','quick','ACTIVE',0,NULL,NULL,NULL,NULL,1795770059668947,1795770059668947,'archive');
INSERT INTO instances VALUES('5fbef80d-c968-54ba-b078-0f278ed97cf4','project-a','torn','sqlite','3.53.2',NULL,'{"path":"/srv/kept/torn.db"}','off','ACTIVE',0,NULL,NULL,NULL,NULL,1795770059668947,1795770059668947,'archive');
INSERT INTO instances VALUES('fbb66979-d9be-5bf5-8fdb-57af9d6edc9d','project-a','missing','sqlite','3.53.2',NULL,'{"path":"/srv/kept/missing.db"}','quick','ACTIVE',0,NULL,NULL,NULL,NULL,1795770059668947,1795770059668947,'archive');
INSERT INTO instances VALUES('56d5be5b-0d2a-44b0-af5c-b8b0863f154f','project-a','again','sqlite','3.53.2','01a21c3c-c37f-7791-a70b-f0d2054b39ca','{"path":"DATA_DIR/restored/project-a/56d5be5b-0d2a-44b0-af5c-b8b0863f154f/again.db"}','quick','ACTIVE',12288,NULL,NULL,NULL,NULL,1795770075323367,1795770075348442,'archive');
INSERT INTO instances VALUES('00000000-0000-7000-8000-000000000011','project-a','to restore','sqlite','3.53.2','01a21c3c-c37f-7791-a70b-f0d2054b39ca','{}','quick','BUILD',0,NULL,NULL,'asked',NULL,1795770075323368,1795770075348443,'archive');
INSERT INTO instances VALUES('00000000-0000-7000-8000-000000000012','project-a','not restored','sqlite','3.53.2','01a21c3c-c37f-7791-a70b-f0d2054b39ca','{}','quick','ERROR',0,'tool','tool',NULL,NULL,1795770075323368,1795770075348443,'archive');
CREATE TABLE backups (
    id TEXT NOT NULL PRIMARY KEY CHECK (length(id) = 36),
    project TEXT NOT NULL,
    -- NULL for a registered archive. No foreign key: backups outlive instances and catalogs.
    instance TEXT CHECK (length(instance) = 36),
    name TEXT NOT NULL,
    description TEXT,
    -- What a worker does with it: make an archive, or prove one that lies there already.
    task TEXT NOT NULL CHECK (task IN ('backup', 'registration')),
    kind TEXT NOT NULL CHECK (kind IN ('full', 'incremental')),
    -- No foreign key: a child whose parent is gone is kept, and says so when it is to be restored.
    parent TEXT CHECK (length(parent) = 36),
    -- 1 if the client named the parent, so that a full one would not be what it asked for.
    parent_required INTEGER NOT NULL DEFAULT 0 CHECK (parent_required IN (0, 1)),
    status TEXT NOT NULL CHECK (status IN ('NEW', 'BUILDING', 'SAVING', 'COMPLETED', 'FAILED',
                                           'RESTORED', 'DELETE_FAILED')),
    engine TEXT NOT NULL,
    version TEXT NOT NULL,
    container TEXT,
    -- Strictly increasing in every backup that this catalog accepts.
    created INTEGER NOT NULL CHECK (created BETWEEN 0 AND 253402300799999999),
    updated INTEGER NOT NULL,
    -- The archive: a path below the archive store. A registration has it before it has the rest.
    location TEXT,
    size INTEGER CHECK (size >= 0),
    source_bytes INTEGER CHECK (source_bytes >= 0),
    checksum TEXT,
    verified_at INTEGER,
    verify_level TEXT CHECK (verify_level IN ('bytes', 'checked', 'restored')),
    -- Why it failed, or why it could not be removed.
    failure_code TEXT,
    failure_message TEXT,
    -- What a later look found wrong with a finished archive. Nothing is built on it from then on.
    damage_code TEXT,
    damage_message TEXT,
    -- A removal to make: asked for, claimed by a worker, or failed and to be tried again.
    removal TEXT CHECK (removal IN ('asked', 'claimed', 'failed')),
    -- Whether that is in the bytes of the archive, which reading them again takes back, or in the data
    -- that they restore to, which only a drill takes back.
    damage_in TEXT CHECK (damage_in IN ('archive', 'data')),
    -- A drill to make, a restore only to prove it: asked for, or claimed by a worker.
    drill TEXT CHECK (drill IS NULL
                      OR drill IN ('asked', 'claimed') AND status IN ('COMPLETED', 'RESTORED')),
    -- How the last drill ended: when, and after how many milliseconds.
    drill_at INTEGER,
    drill_ms INTEGER CHECK (drill_ms >= 0),
    -- What one that passed found; the rows by table are a JSON object.
    drill_version TEXT,
    drill_check TEXT,
    drill_tables INTEGER CHECK (drill_tables >= 0),
    drill_rows INTEGER CHECK (drill_rows >= 0),
    drill_rows_by_table TEXT CHECK (json_valid(drill_rows_by_table)),
    -- What is wrong with the data, or why the drill could not be made.
    drill_failure_code TEXT,
    drill_failure_message TEXT CHECK ((drill_failure_code IS NULL) = (drill_failure_message IS NULL)),
    CHECK ((kind = 'full') = (parent IS NULL)),
    CHECK (status NOT IN ('COMPLETED', 'RESTORED')
           OR (location IS NOT NULL AND size IS NOT NULL AND checksum IS NOT NULL)),
    CHECK ((checksum IS NULL) = (size IS NULL)),
    CHECK ((checksum IS NULL) = (source_bytes IS NULL)),
    CHECK ((checksum IS NULL) = (verified_at IS NULL)),
    CHECK ((checksum IS NULL) = (verify_level IS NULL)),
    CHECK (checksum IS NULL OR location IS NOT NULL),
    CHECK ((failure_code IS NULL) = (failure_message IS NULL)),
    CHECK ((status IN ('FAILED', 'DELETE_FAILED')) = (failure_code IS NOT NULL)),
    CHECK ((damage_code IS NULL) = (damage_message IS NULL)),
    CHECK (removal IS NULL OR status NOT IN ('NEW', 'BUILDING', 'SAVING')),
    CHECK (task = 'backup' OR instance IS NULL)
) STRICT;
INSERT INTO backups VALUES('01a21c3c-8bcf-7590-989d-fc5f8219c173','project-a','73d683e9-ce92-584a-8395-c7395d25ea22','test',NULL,'backup','full',NULL,0,'COMPLETED','directory','1',NULL,1795770059727576,1795770060067503,'project-a/73d683e9-ce92-584a-8395-c7395d25ea22/01a21c3c-8bcf-7590-989d-fc5f8219c173.tar.zst',11930,6694311,'5595f9df341cff2c3e3a7fafa7ccb7980fda4098c10834b18b64a98b601cf5f9',1795770060067503,'bytes',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-8d65-76c9-a89f-05cbcc83450b','project-a','372806bb-6e22-5d27-b291-4d7e48890aee','test',NULL,'backup','full',NULL,0,'COMPLETED','mariadb','10.11.19-MariaDB-0+deb12u1',NULL,1795770060133344,1795770061607403,'project-a/372806bb-6e22-5d27-b291-4d7e48890aee/01a21c3c-8d65-76c9-a89f-05cbcc83450b.tar.zst',726414,17624108,'3ca47a47adcbb2b7f1f8007ba35bad41484b2ff51d1f40158711a5e000d024fa',1795770061607403,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-935e-7044-93e1-300a68b8f205','project-a','7f46d810-3176-5ba3-8cd9-c4429ea6a2f9','test',NULL,'backup','full',NULL,0,'COMPLETED','mariadb','10.11.19-MariaDB-0+deb12u1',NULL,1795770061662251,1795770061755307,'project-a/7f46d810-3176-5ba3-8cd9-c4429ea6a2f9/01a21c3c-935e-7044-93e1-300a68b8f205.tar.zst',4708,8964,'2b00487de373b13f969c49934b25019e95b1913360a6346687326ce7ad465630',1795770061755307,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-93fd-74b9-883b-3594d5de1ec4','project-a','0e0a2785-d104-5572-8453-b088482f6f81','test',NULL,'backup','full',NULL,0,'COMPLETED','postgresql','15.18',NULL,1795770061821512,1795770062474987,'project-a/0e0a2785-d104-5572-8453-b088482f6f81/01a21c3c-93fd-74b9-883b-3594d5de1ec4.tar.zst',2839148,24210625,'b438d9b440973124b51b225272f8bf69532ac74b4eb94a129b57d38b817c16e2',1795770062474987,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-96ef-72fc-a371-88549e4482cd','project-a','c380af93-a4f4-5d65-9daa-2d67cec39955','test',NULL,'backup','full',NULL,0,'COMPLETED','postgresql','15.18',NULL,1795770062575133,1795770063383964,'project-a/c380af93-a4f4-5d65-9daa-2d67cec39955/01a21c3c-96ef-72fc-a371-88549e4482cd.tar.zst',4798,6576,'aa062ff276e89ca74f04d679bbf58ee7accf979d92d00efc2bad0044ba863492',1795770063383964,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-9a4e-770e-9f21-db242971fad9','project-a','da0a788c-80a1-5e45-8746-171270cb54ad','test',NULL,'backup','full',NULL,0,'COMPLETED','redis','7.0.15',NULL,1795770063438794,1795770063642844,'project-a/da0a788c-80a1-5e45-8746-171270cb54ad/01a21c3c-9a4e-770e-9f21-db242971fad9.tar.zst',3122,1504,'5d279f5f388599f8c9db910dcbc20f3f40b94b8a7784163099ba20d13cf506b5',1795770063642844,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-9b39-7448-98ea-c5dab61a1f5c','project-a','f0954db5-30a3-541c-a7ea-b3a95de1f363','test',NULL,'backup','full',NULL,0,'COMPLETED','sqlite','3.53.2',NULL,1795770063673573,1795770063701314,'project-a/f0954db5-30a3-541c-a7ea-b3a95de1f363/01a21c3c-9b39-7448-98ea-c5dab61a1f5c.tar.zst',4598,12288,'653e32651196e3384450a3128fd6642916153000ce1e042afd3317a0eadcb1a3',1795770063701314,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-9bba-753e-934f-9f76801d48f3','project-a','73d683e9-ce92-584a-8395-c7395d25ea22','test',NULL,'backup','incremental','01a21c3c-8bcf-7590-989d-fc5f8219c173',0,'COMPLETED','directory','1',NULL,1795770063802519,1795770063822586,'project-a/73d683e9-ce92-584a-8395-c7395d25ea22/01a21c3c-9bba-753e-934f-9f76801d48f3.incr.zst',2007,6694319,'8e5fb05c83c7d050078aaab7e2c367e7b4bd69d575519b5b108458aaa499d6ec',1795770063822586,'bytes',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-9c03-76e4-becf-32f35a308213','project-a','372806bb-6e22-5d27-b291-4d7e48890aee','test',NULL,'backup','incremental','01a21c3c-8d65-76c9-a89f-05cbcc83450b',0,'COMPLETED','mariadb','10.11.19-MariaDB-0+deb12u1',NULL,1795770063875008,1795770066808808,'project-a/372806bb-6e22-5d27-b291-4d7e48890aee/01a21c3c-9c03-76e4-becf-32f35a308213.incr.zst',4632,17624108,'19ed450cf9e7a8d914ffdd13e8eb0c24d9cfddd8f82eccad8e288e7e6d69ffbe',1795770066808808,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-a802-77a8-a573-cba656a8e33e','project-a','7f46d810-3176-5ba3-8cd9-c4429ea6a2f9','test',NULL,'backup','incremental','01a21c3c-935e-7044-93e1-300a68b8f205',0,'COMPLETED','mariadb','10.11.19-MariaDB-0+deb12u1',NULL,1795770066946522,1795770067114670,'project-a/7f46d810-3176-5ba3-8cd9-c4429ea6a2f9/01a21c3c-a802-77a8-a573-cba656a8e33e.incr.zst',1955,8935,'5ac902e6451f8bd7fcce3182cc8b198fd350dedd8f66cf602d7990db78e247c2',1795770067114670,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-a8e8-77c6-a433-720c8b4062ac','project-a','0e0a2785-d104-5572-8453-b088482f6f81','test',NULL,'backup','incremental','01a21c3c-93fd-74b9-883b-3594d5de1ec4',0,'COMPLETED','postgresql','15.18',NULL,1795770067176972,1795770067669896,'project-a/0e0a2785-d104-5572-8453-b088482f6f81/01a21c3c-a8e8-77c6-a433-720c8b4062ac.incr.zst',4972,24210625,'636e21cd3947cbe8135eec81d761c113e8d8a3b0a963527bbc9a08771f4bcf00',1795770067669896,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-ab24-7005-95b2-875555511ada','project-a','c380af93-a4f4-5d65-9daa-2d67cec39955','test',NULL,'backup','incremental','01a21c3c-96ef-72fc-a371-88549e4482cd',0,'COMPLETED','postgresql','15.18',NULL,1795770067748858,1795770068098182,'project-a/c380af93-a4f4-5d65-9daa-2d67cec39955/01a21c3c-ab24-7005-95b2-875555511ada.incr.zst',2262,6562,'c427d9d26d13fc7ced95c081c3231aedb42f2542f7cc45a52e364b42da943325',1795770068098182,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-accc-7563-9eaf-2d3c700ff984','project-a','da0a788c-80a1-5e45-8746-171270cb54ad','test',NULL,'backup','incremental','01a21c3c-9a4e-770e-9f21-db242971fad9',0,'COMPLETED','redis','7.0.15',NULL,1795770068172653,1795770068244157,'project-a/da0a788c-80a1-5e45-8746-171270cb54ad/01a21c3c-accc-7563-9eaf-2d3c700ff984.incr.zst',2083,1486,'24ff6eed68fc9001303604d3b6277139eeff2cd87886f1845466bc64302242d9',1795770068244157,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-ad31-7320-9a98-f4a02ac4227d','project-a','f0954db5-30a3-541c-a7ea-b3a95de1f363','test',NULL,'backup','incremental','01a21c3c-9b39-7448-98ea-c5dab61a1f5c',0,'COMPLETED','sqlite','3.53.2',NULL,1795770068273457,1795770068306489,'project-a/f0954db5-30a3-541c-a7ea-b3a95de1f363/01a21c3c-ad31-7320-9a98-f4a02ac4227d.incr.zst',2045,12288,'5581e1931d569786686c47798c11883d0d4f5dc891b77197d4d9f711822a1a1d',1795770068306489,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-ae19-7465-86a1-9297c00073a7','project-a','73d683e9-ce92-584a-8395-c7395d25ea22','test',NULL,'backup','incremental','01a21c3c-9bba-753e-934f-9f76801d48f3',0,'COMPLETED','directory','1',NULL,1795770068505978,1795770068525480,'project-a/73d683e9-ce92-584a-8395-c7395d25ea22/01a21c3c-ae19-7465-86a1-9297c00073a7.incr.zst',2052,6694319,'694e3e6bef4fabb4625c856c4544cbccb9c2a3e92d170232782baef9a6895cee',1795770068525480,'bytes',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-ae3c-7630-a7f3-9f6dd93cdeb0','project-a','372806bb-6e22-5d27-b291-4d7e48890aee','test',NULL,'backup','incremental','01a21c3c-9c03-76e4-becf-32f35a308213',0,'COMPLETED','mariadb','10.11.19-MariaDB-0+deb12u1',NULL,1795770068540443,1795770071596431,'project-a/372806bb-6e22-5d27-b291-4d7e48890aee/01a21c3c-ae3c-7630-a7f3-9f6dd93cdeb0.incr.zst',5154,17624108,'4229cd5ae6f1fd03fe29a978cc00e418113156941f7e19c74922bd5a5ba90110',1795770071596431,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-ba93-71fc-8559-7a0269af2c17','project-a','7f46d810-3176-5ba3-8cd9-c4429ea6a2f9','test',NULL,'backup','incremental','01a21c3c-a802-77a8-a573-cba656a8e33e',0,'COMPLETED','mariadb','10.11.19-MariaDB-0+deb12u1',NULL,1795770071699260,1795770072011922,'project-a/7f46d810-3176-5ba3-8cd9-c4429ea6a2f9/01a21c3c-ba93-71fc-8559-7a0269af2c17.incr.zst',2079,8906,'dd228608a77df13f9bcaefaa7358e34f6a47ba1c030e40a84f272d60a233c010',1795770072011922,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-bc28-748b-b692-e8b59e627c70','project-a','0e0a2785-d104-5572-8453-b088482f6f81','test',NULL,'backup','incremental','01a21c3c-a8e8-77c6-a433-720c8b4062ac',0,'COMPLETED','postgresql','15.18',NULL,1795770072104653,1795770072741474,'project-a/0e0a2785-d104-5572-8453-b088482f6f81/01a21c3c-bc28-748b-b692-e8b59e627c70.incr.zst',4910,24210625,'eed358bbe8da737eaf8af799019b213a2087732e8fa49729f42ea6542620d445',1795770072741474,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-bee0-7622-b8ef-03adb82412e8','project-a','c380af93-a4f4-5d65-9daa-2d67cec39955','test',NULL,'backup','incremental','01a21c3c-ab24-7005-95b2-875555511ada',0,'COMPLETED','postgresql','15.18',NULL,1795770072800567,1795770073610127,'project-a/c380af93-a4f4-5d65-9daa-2d67cec39955/01a21c3c-bee0-7622-b8ef-03adb82412e8.incr.zst',2342,6548,'f0f597b51e5697944bfbd06c9ee1b128f26828ebcb6cd3b62c20a3a4892c2a32',1795770073610127,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-c242-733f-b68a-f5fbbdf08336','project-a','da0a788c-80a1-5e45-8746-171270cb54ad','test',NULL,'backup','incremental','01a21c3c-accc-7563-9eaf-2d3c700ff984',0,'COMPLETED','redis','7.0.15',NULL,1795770073666294,1795770073785692,'project-a/da0a788c-80a1-5e45-8746-171270cb54ad/01a21c3c-c242-733f-b68a-f5fbbdf08336.incr.zst',2148,1469,'d80af29831d4778f87f242b2bea3e6cddc040fa49e1413f6e2b36673d5ac176a',1795770073785692,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-c2fd-75da-9bc0-5e2dd8985dea','project-a','f0954db5-30a3-541c-a7ea-b3a95de1f363','test',NULL,'backup','incremental','01a21c3c-ad31-7320-9a98-f4a02ac4227d',0,'COMPLETED','sqlite','3.53.2',NULL,1795770073853957,1795770073878346,'project-a/f0954db5-30a3-541c-a7ea-b3a95de1f363/01a21c3c-c2fd-75da-9bc0-5e2dd8985dea.incr.zst',2211,12288,'23de7050508343619b235038655201766c6a2efee4a1af0dc842fa2eaaa4823c',1795770073878346,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-c37f-7791-a70b-f0d2054b39ca','project-a','3d0fdfd8-71fe-58c9-a2a5-c81aa83c88f5','drill passed','all is well','backup','full',NULL,0,'COMPLETED','sqlite','3.53.2',NULL,1795770073983752,1795770074818452,'project-a/3d0fdfd8-71fe-58c9-a2a5-c81aa83c88f5/01a21c3c-c37f-7791-a70b-f0d2054b39ca.tar.zst',4592,12288,'7b7bf18898e397e40915acb39324067bec5563c1e5f573ad79b86ffb6c7a1cf4',1795770074818452,'restored',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795770074818452,774,'3.53.2','integrity_check',1,200,'{"item":200}',NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-c6dc-77f2-a700-f33a660b0169','project-a','3d0fdfd8-71fe-58c9-a2a5-c81aa83c88f5','drill to make',NULL,'backup','incremental','01a21c3c-c37f-7791-a70b-f0d2054b39ca',0,'COMPLETED','sqlite','3.53.2',NULL,1795770074844241,1795770074849044,'project-a/3d0fdfd8-71fe-58c9-a2a5-c81aa83c88f5/01a21c3c-c6dc-77f2-a700-f33a660b0169.incr.zst',1731,12288,'ad91186db47e7087b8af80a5d0a5a32397ae40c28afdc74f02778f554e9873c3',1795770074849044,'checked',NULL,NULL,NULL,NULL,NULL,NULL,'asked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-c709-71e5-9a4e-59204f67c693','project-a','3d0fdfd8-71fe-58c9-a2a5-c81aa83c88f5','drill begun',NULL,'backup','incremental','01a21c3c-c6dc-77f2-a700-f33a660b0169',0,'COMPLETED','sqlite','3.53.2',NULL,1795770074889571,1795770074986222,'project-a/3d0fdfd8-71fe-58c9-a2a5-c81aa83c88f5/01a21c3c-c709-71e5-9a4e-59204f67c693.incr.zst',1775,12288,'e9ef015908790753d544b37ddcf30db4502321329ae70f6a60320d1459966738',1795770074986222,'restored',NULL,NULL,NULL,NULL,NULL,NULL,'claimed',1795770074986222,31,'3.53.2','integrity_check',1,200,'{"item":200}',NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-c790-721a-93c1-7f5533d2c6f3','project-a','3d0fdfd8-71fe-58c9-a2a5-c81aa83c88f5','archive damaged',NULL,'backup','full',NULL,0,'COMPLETED','sqlite','3.53.2','for-tiny',1795770075024565,1795770075137905,'project-a/for-tiny/3d0fdfd8-71fe-58c9-a2a5-c81aa83c88f5/01a21c3c-c790-721a-93c1-7f5533d2c6f3.tar.zst',4594,12288,'6499aff5dfac31cb1c213737cb555d8980bb4b4d8da5a850c845c6312ebdb1f8',1795770075063054,'checked',NULL,NULL,'archive_damaged','the archive of backup 01a21c3c-c790-721a-93c1-7f5533d2c6f3 is damaged: a frame cannot be decompressed (Restored data doesn''t match checksum); copy it again, or use another backup',NULL,'archive',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-c80d-7590-8a46-eaa89b0a1940','project-a','5fbef80d-c968-54ba-b078-0f278ed97cf4','test',NULL,'backup','full',NULL,0,'COMPLETED','sqlite','3.53.2','for-all',1795770075149087,1795770075262232,'project-a/for-all/5fbef80d-c968-54ba-b078-0f278ed97cf4/01a21c3c-c80d-7590-8a46-eaa89b0a1940.tar.zst',3591,12288,'cf3c51781a0ef7512893e92aea019dfbc27272177f679b3bfdd905f9a140ce16',1795770075168936,'bytes',NULL,NULL,'archive_damaged','the restored database does not hold up: database disk image is malformed',NULL,'data',NULL,1795770075262232,38,NULL,NULL,NULL,NULL,NULL,'archive_damaged','the restored database does not hold up: database disk image is malformed');
INSERT INTO backups VALUES('01a21c3c-c88a-73d0-b708-7a562e0f45f6','project-a','fbb66979-d9be-5bf5-8fdb-57af9d6edc9d','test',NULL,'backup','full',NULL,0,'FAILED','sqlite','3.53.2','for-all',1795770075274852,1795770075277356,NULL,NULL,NULL,NULL,NULL,NULL,'source_missing','/srv/kept/missing.db does not exist: correct source.path, or create the database',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('01a21c3c-c8a3-7543-b60a-b9e95cc32443','project-a',NULL,'registered',NULL,'registration','full',NULL,0,'RESTORED','sqlite','3.53.2',NULL,1795770075299594,1795770075301853,'project-a/found.tar.zst',4592,12288,'7b7bf18898e397e40915acb39324067bec5563c1e5f573ad79b86ffb6c7a1cf4',1795770075301853,'checked',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('00000000-0000-7000-8000-000000000001','project-a','fbb66979-d9be-5bf5-8fdb-57af9d6edc9d','cut short',NULL,'backup','full',NULL,0,'BUILDING','sqlite','3.53.2',NULL,1795770075274853,1795770075277357,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('00000000-0000-7000-8000-000000000002','project-a','fbb66979-d9be-5bf5-8fdb-57af9d6edc9d','not removed',NULL,'backup','full',NULL,0,'DELETE_FAILED','sqlite','3.53.2',NULL,1795770075274853,1795770075277357,NULL,NULL,NULL,NULL,NULL,NULL,'storage','storage',NULL,NULL,'failed',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO backups VALUES('00000000-0000-7000-8000-000000000003','project-a',NULL,'to register',NULL,'registration','full',NULL,0,'NEW','sqlite','3.53.2',NULL,1795770075274854,1795770075277358,'project-a/nothing.tar.zst',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE strategies (
    project TEXT NOT NULL,
    instance TEXT NOT NULL DEFAULT '' CHECK (length(instance) IN (0, 36)),
    container TEXT NOT NULL,
    PRIMARY KEY (project, instance)
) STRICT, WITHOUT ROWID;
INSERT INTO strategies VALUES('project-a','','for-all');
INSERT INTO strategies VALUES('project-a','3d0fdfd8-71fe-58c9-a2a5-c81aa83c88f5','for-tiny');
CREATE TABLE quotas (
    project TEXT NOT NULL,
    resource TEXT NOT NULL CHECK (resource IN ('backups', 'instances')),
    hard_limit INTEGER NOT NULL CHECK (hard_limit >= -1),
    PRIMARY KEY (project, resource)
) STRICT, WITHOUT ROWID;
INSERT INTO quotas VALUES('project-a','backups',500);
CREATE TABLE tokens (
    name TEXT NOT NULL PRIMARY KEY CHECK (name <> ''),
    project TEXT,
    roles TEXT NOT NULL CHECK (json_valid(roles)),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tokens VALUES('kept','project-a','["admin"]',X'09a1f3b6b3484c33a81e783c0c38f9705ed472f3fc3559262b4adb5fb0e57a94',1);
CREATE INDEX instances_by_name ON instances (project, name, id);
CREATE INDEX instances_by_datastore ON instances (engine, version);
CREATE INDEX instances_configured ON instances (id) WHERE restored_from IS NULL;
CREATE INDEX instances_counted ON instances (project) WHERE restored_from IS NOT NULL;
CREATE INDEX instances_restoring ON instances (restored_from) WHERE status = 'BUILD';
CREATE INDEX instances_to_restore ON instances (restore, created, id) WHERE restore IS NOT NULL;
CREATE INDEX instances_to_remove ON instances (removal, created, id) WHERE removal IS NOT NULL;
CREATE INDEX backups_by_project ON backups (project, created, id);
CREATE INDEX backups_by_instance ON backups (instance, created, id);
CREATE INDEX backups_by_age ON backups (created, id);
CREATE INDEX backups_by_parent ON backups (parent) WHERE parent IS NOT NULL;
CREATE INDEX backups_by_project_status ON backups (project, status, created, id);
CREATE INDEX backups_by_project_engine ON backups (project, engine, created, id);
CREATE INDEX backups_by_instance_status ON backups (instance, status, created, id);
CREATE INDEX backups_by_status ON backups (status, created, id);
CREATE INDEX backups_by_engine ON backups (engine, created, id);
CREATE INDEX backups_by_datastore ON backups (engine, version);
CREATE INDEX backups_counted ON backups (project) WHERE status <> 'FAILED';
CREATE UNIQUE INDEX backups_location ON backups (location) WHERE location IS NOT NULL;
CREATE UNIQUE INDEX backups_running ON backups (instance)
    WHERE status IN ('NEW', 'BUILDING', 'SAVING') AND instance IS NOT NULL;
CREATE INDEX backups_waiting ON backups (task, created, id) WHERE status = 'NEW';
CREATE INDEX backups_claimed ON backups (status, created, id)
    WHERE status IN ('BUILDING', 'SAVING');
CREATE INDEX backups_to_remove ON backups (removal, created, id) WHERE removal IS NOT NULL;
CREATE INDEX backups_to_drill ON backups (drill, created, id) WHERE drill IS NOT NULL;
COMMIT;
PRAGMA application_id = 1131374194;
PRAGMA user_version = 3;
