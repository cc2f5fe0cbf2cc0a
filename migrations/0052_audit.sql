-- Who changed what, from what to what, when and from where. Triggers write it, in the transaction of the change itself: nothing
-- is changed without it, whoever changes it. Each tenant has a chain of its own (the platform's own has a tenant_id of zeros): a
-- row's hash is over the hash before it and `record`, so that a row that is changed or taken out later is found.
CREATE TABLE audit_entry (
  -- No reference: what was done to a tenant can be read when the tenant is gone.
  tenant_id uuid NOT NULL,
  seq bigint NOT NULL CHECK (seq > 0),
  -- All there is to know, JSON, as it is hashed. The columns below repeat parts of it, to search by.
  record text NOT NULL,
  hash bytea NOT NULL CHECK (length(hash) = 32),
  at timestamptz NOT NULL,
  actor text NOT NULL,
  kind text NOT NULL,
  object_id uuid NOT NULL,
  PRIMARY KEY (tenant_id, seq)
);
ALTER TABLE audit_entry ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_entry FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON audit_entry TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
CREATE POLICY operator ON audit_entry TO ccm_system USING (true);
GRANT SELECT, INSERT ON audit_entry TO ccm_app, ccm_system;

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit is written by changes alone' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry
  FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();
-- A trigger on a changed table is one level down; a statement of a service's own is not.
CREATE TRIGGER by_changes_only AFTER INSERT ON audit_entry
  FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION audit_is_append_only();

-- What of `a` is not the same in `b`, as deep as both are objects.
CREATE FUNCTION audit_differs(a jsonb, b jsonb) RETURNS jsonb IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
  IF jsonb_typeof(a) IS DISTINCT FROM 'object' OR jsonb_typeof(b) IS DISTINCT FROM 'object' THEN
    RETURN a;
  END IF;
  RETURN (SELECT coalesce(jsonb_object_agg(k, audit_differs(a -> k, b -> k)), '{}')
          FROM jsonb_object_keys(a) AS k WHERE a -> k IS DISTINCT FROM b -> k);
END $$;

-- Arguments: what the table's rows are called; columns (or column/member of a JSON document) that are named and never shown; columns
-- that are no setting.
CREATE FUNCTION audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  hidden text[] := TG_ARGV[1];
  passed_over text[] := TG_ARGV[2];
  was jsonb;
  became jsonb;
  whole jsonb;
  what jsonb;
  secret text;
  place text[];
  changed boolean;
  tenant uuid;
  object uuid;
  by_whom jsonb;
  before record;
  line text;
  moment timestamptz := clock_timestamp();
BEGIN
  IF TG_OP <> 'INSERT' THEN was := to_jsonb(OLD) - passed_over; END IF;
  IF TG_OP <> 'DELETE' THEN became := to_jsonb(NEW) - passed_over; END IF;
  IF was = became THEN RETURN NULL; END IF;
  FOREACH secret IN ARRAY hidden LOOP
    place := string_to_array(secret, '/');
    changed := became #> place IS DISTINCT FROM was #> place AND was #> place IS NOT NULL;
    IF jsonb_typeof(became #> place) <> 'null' THEN
      became := jsonb_set(became, place, CASE WHEN changed THEN '"(secret, another)"'::jsonb ELSE '"(secret)"' END);
    END IF;
    IF jsonb_typeof(was #> place) <> 'null' THEN was := jsonb_set(was, place, '"(secret)"'); END IF;
  END LOOP;
  whole := coalesce(became, was);
  IF TG_TABLE_NAME = 'tenant' THEN tenant := (whole ->> 'id')::uuid; ELSE tenant := (whole ->> 'tenant_id')::uuid; END IF;
  object := coalesce((whole ->> 'id')::uuid, tenant);
  IF TG_OP = 'UPDATE' THEN
    what := audit_differs(was, became);
    became := audit_differs(became, was);
    was := what;
  END IF;
  by_whom := coalesce(
    convert_from(decode(nullif(current_setting('app.actor', true), ''), 'hex'), 'UTF8')::jsonb,
    jsonb_build_object('sub', session_user, 'via', 'database'));

  -- One at a time, to the end of the transaction: each one must see the one before.
  PERFORM pg_advisory_xact_lock(hashtextextended('ccm audit ' || tenant, 0));
  SELECT seq, hash INTO before FROM audit_entry WHERE tenant_id = tenant ORDER BY seq DESC LIMIT 1;
  line := jsonb_build_object(
    'tenant', tenant, 'seq', coalesce(before.seq, 0) + 1,
    'at', to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'actor', by_whom, 'action', CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'changed' ELSE 'removed' END,
    'kind', TG_ARGV[0], 'id', object, 'name', coalesce(whole ->> 'name', whole ->> 'slug', whole ->> 'address'),
    'before', was, 'after', became)::text;
  INSERT INTO audit_entry (tenant_id, seq, record, hash, at, actor, kind, object_id)
  VALUES (tenant, coalesce(before.seq, 0) + 1, line,
          sha256(coalesce(before.hash, decode(repeat('00', 32), 'hex')) || convert_to(line, 'UTF8')),
          moment, by_whom ->> 'sub', TG_ARGV[0], object);
  RETURN NULL;
END $$;

-- Has a table's changes audited; to be called again when it has got another column. What changes all the time and is no setting is
-- passed over by name, so that an update of that alone does not even call the trigger.
CREATE FUNCTION audit_table(audited regclass, kind text, hidden text[], passed_over text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  settings text;
BEGIN
  SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO settings FROM pg_attribute
  WHERE attrelid = audited AND attnum > 0 AND NOT attisdropped AND attname <> ALL (passed_over);
  EXECUTE format(
    'CREATE OR REPLACE TRIGGER audit AFTER INSERT OR DELETE OR UPDATE OF %s ON %s FOR EACH ROW EXECUTE FUNCTION audit_change(%L, %L, %L)',
    settings, audited, kind, hidden, passed_over);
END $$;
REVOKE EXECUTE ON FUNCTION audit_table(regclass, text, text[], text[]) FROM PUBLIC;
