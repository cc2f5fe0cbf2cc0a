-- Until when a conversation's texts waited for what was meant to be: opening hours, a maintenance window. Whether a text has waited
-- too long is counted from there. Pods of before leave it as it is.
SET LOCAL lock_timeout = '2s';
ALTER TABLE conversation ADD COLUMN excused_until timestamptz;

-- When a UUIDv7 was made.
CREATE FUNCTION uuid_v7_time(id uuid) RETURNS timestamptz
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0);
