SET LOCAL lock_timeout = '2s';
SELECT audit_table('tenant', 'tenant', ARRAY[]::text[], ARRAY['updated_at']::text[]);
