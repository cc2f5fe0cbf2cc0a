-- What a key opens is watched too.
SET LOCAL lock_timeout = '2s';
SELECT audit_table('auth_key', 'auth_key', ARRAY['lookup_hash']::text[], ARRAY['last_used_at']::text[]);
