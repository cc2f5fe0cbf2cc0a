SET LOCAL lock_timeout = '2s';
SELECT audit_table('sms_settings', 'sms_settings', ARRAY[]::text[], ARRAY['updated_at', 'next_at']::text[]);
