-- Usage is counted over all tenants in one reading. No body, no address.
SET LOCAL lock_timeout = '2s';
CREATE POLICY counted ON message FOR SELECT TO ccm_system USING (true);
GRANT SELECT (id, tenant_id, direction, origin, state, segments) ON message TO ccm_system;
