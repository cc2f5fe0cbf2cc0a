SET LOCAL lock_timeout = '2s';
SELECT audit_table('template', 'template', ARRAY[]::text[], ARRAY['updated_at']::text[]);
