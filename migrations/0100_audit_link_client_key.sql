SET LOCAL lock_timeout = '2s';
SELECT audit_table('link_client_key', 'client_key', ARRAY['key_sealed']::text[], ARRAY[]::text[]);
