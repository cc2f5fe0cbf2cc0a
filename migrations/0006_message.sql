-- Texts, by month of their UUIDv7. Nothing is granted on partitions: reading one directly would bypass the policy.
-- No foreign key points here; de-duplication and queues live in tables of their own.
CREATE TABLE message (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  conversation_id uuid NOT NULL,
  chat_id uuid,
  seq bigint NOT NULL,
  direction text NOT NULL CHECK (direction IN ('mo', 'mt')),
  origin text NOT NULL CHECK (origin IN ('customer', 'agent', 'system')),
  author text,
  body text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('accepted', 'queued', 'sending', 'sent', 'delivered', 'refused', 'failed', 'undeliverable', 'expired', 'unknown')),
  attempts integer NOT NULL DEFAULT 0,
  -- How often it was sent again although the far side may have had it already.
  resends integer NOT NULL DEFAULT 0,
  provider_message_id text,
  error_code text,
  error_detail text,
  trace_parent text,
  -- Fingerprint of an agent's words (timestamp, name, text): tells a replayed transcript from something new.
  heard bytea CHECK (length(heard) = 32),
  -- When its author sent it, as the far side says.
  written_at timestamptz,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX message_of_conversation ON message (tenant_id, conversation_id, seq);

ALTER TABLE message ENABLE ROW LEVEL SECURITY;
ALTER TABLE message FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON message TO ccm_app USING (tenant_id = ANY ((SELECT app_tenants())::uuid[]));
GRANT SELECT, INSERT, UPDATE ON message TO ccm_app;

-- The lowest UUIDv7 of a moment.
CREATE FUNCTION uuid_v7_floor(at timestamptz) RETURNS uuid
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- Makes the month partitions from `first` on, where they are missing, and returns how many. The migrations runner calls
-- it every time. Texts go on meanwhile: a table is attached under a weaker lock than one that is made as a partition.
-- What the default partition holds of such a month moves; else the month could never be made.
CREATE FUNCTION ensure_message_partitions(first date, months integer) RETURNS integer
  LANGUAGE plpgsql AS $$
DECLARE
  start date;
  part text;
  low uuid;
  high uuid;
  made integer := 0;
BEGIN
  -- Whoever runs at the same time waits here, then finds the partitions.
  LOCK TABLE ONLY message IN SHARE UPDATE EXCLUSIVE MODE;
  -- While the default partition's lock is waited for, texts wait behind it.
  SET LOCAL lock_timeout = '2s';
  FOR n IN 0 .. months - 1 LOOP
    start := (date_trunc('month', first) + make_interval(months => n))::date;
    part := 'message_' || to_char(start, 'YYYYMM');
    CONTINUE WHEN to_regclass(part) IS NOT NULL;
    low := uuid_v7_floor(start::timestamp AT TIME ZONE 'UTC');
    high := uuid_v7_floor((start + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    EXECUTE format('CREATE TABLE %I (LIKE message INCLUDING ALL)', part);
    LOCK TABLE message_other IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('WITH moved AS (DELETE FROM message_other WHERE id >= %L AND id < %L RETURNING *)
                    INSERT INTO %I SELECT * FROM moved', low, high, part);
    EXECUTE format('ALTER TABLE message ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', part, low, high);
    made := made + 1;
  END LOOP;
  RETURN made;
END $$;
REVOKE ALL ON FUNCTION ensure_message_partitions(date, integer) FROM PUBLIC;

-- What falls outside of all months (a machine with a wrong clock) is kept all the same.
CREATE TABLE message_other PARTITION OF message DEFAULT;
