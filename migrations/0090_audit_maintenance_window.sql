SET LOCAL lock_timeout = '2s';
SELECT audit_table('maintenance_window', 'maintenance_window', ARRAY[]::text[], ARRAY[]::text[]);
