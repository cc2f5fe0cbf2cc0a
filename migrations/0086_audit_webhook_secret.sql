SET LOCAL lock_timeout = '2s';
SELECT audit_table('webhook_secret', 'webhook_secret', ARRAY['secret_sealed']::text[], ARRAY[]::text[]);
