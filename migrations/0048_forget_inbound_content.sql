-- Windows for repeated words are an hour at most. The policy shows the system role old rows alone: a fault above it forgets nothing that is needed.
SET LOCAL lock_timeout = '2s';
CREATE POLICY forget ON inbound_content TO ccm_system USING (seen_at < now() - interval '2 days');
GRANT SELECT (account_id, hash, seen_at), DELETE ON inbound_content TO ccm_system;
