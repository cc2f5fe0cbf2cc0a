-- A key that was revoked or is being replaced leaves its name to another.
SET LOCAL lock_timeout = '2s';
ALTER TABLE auth_key DROP CONSTRAINT auth_key_tenant_id_name_key;
