-- The lives of this database: one begins when it is made, and whenever it comes back from a backup or a replica is promoted. What was sent at
-- the end of the life before may be unknown in this one (ADR 27).
CREATE TABLE database_life (
  id uuid PRIMARY KEY,
  how text NOT NULL CHECK (how IN ('first', 'noticed', 'told')),
  system_identifier bigint NOT NULL,
  timeline integer NOT NULL CHECK (timeline > 0),
  -- What is older is from before.
  began_at timestamptz NOT NULL,
  -- The last that this life knows of the one before. NULL: not known.
  known_until timestamptz,
  -- open: who says nothing is not texted first, opt-outs may be missing.
  state text NOT NULL CHECK (state IN ('open', 'settled')),
  said_by text CHECK (length(said_by) BETWEEN 1 AND 200),
  reason text CHECK (length(reason) BETWEEN 1 AND 500),
  settled_at timestamptz,
  CHECK ((state = 'settled') = (settled_at IS NOT NULL)),
  CHECK (how <> 'told' OR (said_by IS NOT NULL AND reason IS NOT NULL))
);
CREATE UNIQUE INDEX database_life_once ON database_life (system_identifier, timeline) WHERE how <> 'told';
CREATE INDEX database_life_newest ON database_life (began_at DESC);
GRANT SELECT (system_identifier, timeline, began_at, state) ON database_life TO ccm_app;
GRANT SELECT, INSERT, UPDATE (state, said_by, reason, settled_at) ON database_life TO ccm_system;

-- What the server says of itself now. Not of the last checkpoint, which is late after a promotion.
CREATE FUNCTION server_timeline() RETURNS integer LANGUAGE sql STABLE
  RETURN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer;
CREATE FUNCTION server_identifier() RETURNS bigint LANGUAGE sql STABLE
  RETURN (SELECT system_identifier FROM pg_control_system());

-- A managed server that says neither: a restore is told (`ccm restored`), not noticed.
DO $$
BEGIN
  PERFORM server_timeline(), server_identifier();
EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_function THEN
  RAISE WARNING 'this server does not say when it has been restored: say so yourself, with ccm restored';
  CREATE OR REPLACE FUNCTION server_timeline() RETURNS integer LANGUAGE sql IMMUTABLE RETURN 1;
  CREATE OR REPLACE FUNCTION server_identifier() RETURNS bigint LANGUAGE sql IMMUTABLE RETURN 0;
END $$;

INSERT INTO database_life (id, how, system_identifier, timeline, began_at, state, settled_at)
VALUES (uuid_v7(clock_timestamp()), 'first', server_identifier(), server_timeline(), to_timestamp(0), 'settled', clock_timestamp());

-- It names no tenant (whatever does is looked through when a tenant goes), and stands in the platform's chain of the audit.
DO $$
DECLARE
  before text := pg_get_functiondef('audit_change'::regproc);
  line text := $line$IF TG_TABLE_NAME = 'tenant' THEN$line$;
BEGIN
  ASSERT position(line IN before) > 0, 'audit_change is not as it was';
  EXECUTE replace(before, line, $line$IF TG_TABLE_NAME = 'database_life' THEN tenant := '00000000-0000-0000-0000-000000000000';
  ELSIF TG_TABLE_NAME = 'tenant' THEN$line$);
END $$;
SELECT audit_table('database_life', 'database_life', '{}', '{}');
