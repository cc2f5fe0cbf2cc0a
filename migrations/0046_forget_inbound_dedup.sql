-- Providers repeat a text within hours; a fortnight is plenty. The policy shows the system role old rows alone: a fault above it forgets nothing that is needed.
SET LOCAL lock_timeout = '2s';
CREATE POLICY forget ON inbound_dedup TO ccm_system USING (seen_at < now() - interval '14 days');
GRANT SELECT (account_id, provider_message_id, seen_at), DELETE ON inbound_dedup TO ccm_system;
