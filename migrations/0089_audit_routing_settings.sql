-- Lists hold customers' numbers: no audit keeps them for ever.
SET LOCAL lock_timeout = '2s';
SELECT audit_table('routing_settings', 'routing', ARRAY['settings/lists'], ARRAY['updated_at']::text[]);
