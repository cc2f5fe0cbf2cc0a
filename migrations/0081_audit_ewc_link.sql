SET LOCAL lock_timeout = '2s';
SELECT audit_table('ewc_link', 'link', ARRAY['client_key_sealed', 'proxy_auth_sealed']::text[], ARRAY['updated_at']::text[]);
