-- Where a number goes when it leaves is not for the tenant that had it to know.
SET LOCAL lock_timeout = '2s';
SELECT audit_table('number_move', 'number_move', ARRAY['to_tenant_id', 'to_account_id', 'to_skillset_id', 'to_number_id']::text[], ARRAY[]::text[]);
