SET LOCAL lock_timeout = '2s';
CREATE POLICY counted ON chat FOR SELECT TO ccm_system USING (true);
GRANT SELECT (id, tenant_id, state, opened_at, closed_at) ON chat TO ccm_system;
