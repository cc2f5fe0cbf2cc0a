-- How many texts wait for agents, and which the longest, over all tenants. No body, no address.
SET LOCAL lock_timeout = '2s';
CREATE POLICY counted ON inbox FOR SELECT TO ccm_system USING (true);
GRANT SELECT (message_id, tenant_id) ON inbox TO ccm_system;
