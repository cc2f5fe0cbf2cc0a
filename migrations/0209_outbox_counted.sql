-- The same of texts that wait for providers.
SET LOCAL lock_timeout = '2s';
CREATE POLICY counted ON outbox FOR SELECT TO ccm_system USING (true);
GRANT SELECT (message_id, tenant_id, created_at) ON outbox TO ccm_system;
