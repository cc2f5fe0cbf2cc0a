-- Who read texts stands in the audit's chain as who changed settings does. Written out: what is not the same as in 0171 is `done`.
SET LOCAL lock_timeout = '2s';
CREATE OR REPLACE FUNCTION audit_change() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
  hidden text[] := TG_ARGV[1];
  passed_over text[] := TG_ARGV[2];
  -- What was done, where a row's coming and its being touched again mean the same.
  done text := TG_ARGV[3];
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
  mark record;
  line text;
  proof bytea;
  moment timestamptz := clock_timestamp();
BEGIN
  IF TG_OP <> 'INSERT' AND done IS NULL THEN was := to_jsonb(OLD) - passed_over; END IF;
  IF TG_OP <> 'DELETE' THEN became := to_jsonb(NEW) - passed_over; END IF;
  IF was = became THEN RETURN NULL; END IF;
  FOREACH secret IN ARRAY hidden LOOP
    place := string_to_array(secret, '/');
    changed := became #> place IS DISTINCT FROM was #> place AND jsonb_typeof(was #> place) <> 'null';
    IF jsonb_typeof(became #> place) <> 'null' THEN
      became := jsonb_set(became, place, CASE WHEN changed THEN '"(secret, another)"'::jsonb ELSE '"(secret)"' END);
    END IF;
    IF jsonb_typeof(was #> place) <> 'null' THEN was := jsonb_set(was, place, '"(secret)"'); END IF;
  END LOOP;
  whole := coalesce(became, was);
  IF TG_TABLE_NAME = 'tenant' THEN tenant := (whole ->> 'id')::uuid; ELSE tenant := (whole ->> 'tenant_id')::uuid; END IF;
  object := coalesce((whole ->> 'id')::uuid, tenant);
  IF TG_OP = 'UPDATE' AND done IS NULL THEN
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
  SELECT seq, hash INTO mark FROM audit_head WHERE tenant_id = tenant;
  -- After an end that was cut off it goes on where it had been, and the gap stays.
  IF coalesce(mark.seq, 0) > coalesce(before.seq, 0) THEN before := mark; END IF;
  line := jsonb_build_object(
    'tenant', tenant, 'seq', coalesce(before.seq, 0) + 1,
    'at', to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'actor', by_whom,
    'action', coalesce(done, CASE TG_OP WHEN 'INSERT' THEN 'created' WHEN 'UPDATE' THEN 'changed' ELSE 'removed' END),
    'kind', TG_ARGV[0], 'id', object, 'name', coalesce(whole ->> 'name', whole ->> 'slug', whole ->> 'address'),
    'before', was, 'after', became)::text;
  proof := sha256(coalesce(before.hash, decode(repeat('00', 32), 'hex')) || convert_to(line, 'UTF8'));
  INSERT INTO audit_entry (tenant_id, seq, record, hash, at, actor, kind, object_id)
  VALUES (tenant, coalesce(before.seq, 0) + 1, line, proof, moment, by_whom ->> 'sub', TG_ARGV[0], object);
  INSERT INTO audit_head (tenant_id, seq, hash, at) VALUES (tenant, coalesce(before.seq, 0) + 1, proof, moment)
  ON CONFLICT (tenant_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, at = excluded.at;
  RETURN NULL;
END $$;
-- Whose look it was the entry says in its own words, and when.
CREATE TRIGGER audit AFTER INSERT OR UPDATE OF tenant_id, actor, what, id, at ON text_look
  FOR EACH ROW EXECUTE FUNCTION audit_change('texts', '{}', '{actor,at}', 'read');
