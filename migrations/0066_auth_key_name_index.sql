-- no-transaction
CREATE UNIQUE INDEX CONCURRENTLY auth_key_name ON auth_key (tenant_id, name) WHERE revoked_at IS NULL AND replaced_by IS NULL;
