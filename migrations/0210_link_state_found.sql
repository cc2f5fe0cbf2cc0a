-- Which tenants have links that fail; what is wrong with them is read as the tenant.
SET LOCAL lock_timeout = '2s';
CREATE POLICY found ON link_state FOR SELECT TO ccm_system USING (state IN ('down', 'half_open', 'unusable'));
GRANT SELECT (link_id, tenant_id, state, since) ON link_state TO ccm_system;
