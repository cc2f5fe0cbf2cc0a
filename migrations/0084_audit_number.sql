SET LOCAL lock_timeout = '2s';
SELECT audit_table('number', 'number', ARRAY[]::text[], ARRAY['next_at']::text[]);
