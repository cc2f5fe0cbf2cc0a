-- The same of provider accounts.
SET LOCAL lock_timeout = '2s';
CREATE POLICY found ON account_event FOR SELECT TO ccm_system USING (true);
GRANT SELECT (id, tenant_id, account_id, kind, at) ON account_event TO ccm_system;
