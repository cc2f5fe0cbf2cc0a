-- no-transaction
-- As 0119: one table at a time, and it can be run again.
DO $$
DECLARE
  t regclass;
BEGIN
  FOR t IN SELECT polrelid::regclass FROM pg_policy WHERE polname = 'purge_only' ORDER BY 1 LOOP
    SET LOCAL lock_timeout = '2s';
    PERFORM purge_table(t);
    COMMIT;
  END LOOP;
END $$;
