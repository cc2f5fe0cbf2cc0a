SET LOCAL lock_timeout = '2s';
SELECT audit_table('chat_settings', 'chat_settings', ARRAY[]::text[], ARRAY['updated_at']::text[]);
