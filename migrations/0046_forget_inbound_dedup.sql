-- Providers repeat a text within hours; but a webhook that somebody has caught can be played again when its id is forgotten, where the
-- provider's signature (Twilio's) has no time in it. The policy shows the system role old rows alone: a fault above it forgets nothing that is needed.
SET LOCAL lock_timeout = '2s';
CREATE POLICY forget ON inbound_dedup TO ccm_system USING (seen_at < now() - interval '90 days');
GRANT SELECT (account_id, provider_message_id, seen_at), DELETE ON inbound_dedup TO ccm_system;
