SET LOCAL lock_timeout = '2s';
SELECT audit_table('skillset', 'skillset', ARRAY[]::text[], ARRAY[]::text[]);
