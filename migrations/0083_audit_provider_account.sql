SET LOCAL lock_timeout = '2s';
SELECT audit_table('provider_account', 'account', ARRAY['secret_sealed']::text[], ARRAY['updated_at', 'next_at', 'signature_mismatches', 'signature_mismatch_at']::text[]);
