-- no-transaction
-- One table at a time: busy tables are not locked while the next one's lock is waited for. Can be run again.
DO $$
DECLARE
  t regclass;
BEGIN
  FOR t IN SELECT c.oid::regclass FROM pg_class c
           WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
             AND c.relname NOT IN ('tenant_deletion', 'audit_entry')
             AND (c.relname = 'tenant'
                  OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
           ORDER BY c.relname
  LOOP
    SET LOCAL lock_timeout = '2s';
    PERFORM purge_table(t);
    COMMIT;
  END LOOP;
END $$;
