-- Months of texts are made ahead, and empty old ones are dropped, by the program: it may do this with the owner's rights, and nothing else.

-- Makes the months from last one to `ahead` after this one, where they are missing, and returns how many.
CREATE FUNCTION keep_months(ahead integer) RETURNS integer
  LANGUAGE sql SECURITY DEFINER
  SET search_path = public, pg_temp
AS $$
  SELECT ensure_message_partitions((now() AT TIME ZONE 'UTC' - interval '1 month')::date, least(greatest(ahead, 0), 24) + 2);
$$;

-- Drops the oldest month that is over for two months and has no texts, and returns its name. Everybody who uses texts waits for the
-- moment that it takes; when it is not to be had in half a second it is left for the next time.
CREATE FUNCTION drop_empty_month() RETURNS text
  LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp
  SET lock_timeout = '500ms'
AS $$
DECLARE
  month text;
  texts boolean;
BEGIN
  FOR month IN
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'message'::regclass AND c.relname ~ '^message_[0-9]{6}$'
      AND c.relname < 'message_' || to_char(now() AT TIME ZONE 'UTC' - interval '2 months', 'YYYYMM')
    ORDER BY c.relname
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', month) INTO texts;
    CONTINUE WHEN texts;
    -- A text with an old id may have come in between.
    EXECUTE format('LOCK TABLE ONLY message, %I IN ACCESS EXCLUSIVE MODE', month);
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', month) INTO texts;
    CONTINUE WHEN texts;
    EXECUTE format('DROP TABLE %I', month);
    RETURN month;
  END LOOP;
  RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION keep_months(integer), drop_empty_month() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_months(integer), drop_empty_month() TO ccm_system;
