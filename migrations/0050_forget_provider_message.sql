-- Receipts come within days; what they said stands with the message. The policy shows the system role old rows alone: a fault above it forgets nothing that is needed.
SET LOCAL lock_timeout = '2s';
CREATE POLICY forget ON provider_message TO ccm_system USING (created_at < now() - interval '90 days');
GRANT SELECT (account_id, provider_message_id, created_at), DELETE ON provider_message TO ccm_system;
