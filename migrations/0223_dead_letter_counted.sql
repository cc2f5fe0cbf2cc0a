-- The platform's page says how many texts of before a restore wait for a word.
SET LOCAL lock_timeout = '2s';
CREATE POLICY restored_counted ON dead_letter FOR SELECT TO ccm_system USING (code = 'ccm:restored');
GRANT SELECT (id, code, resolution) ON dead_letter TO ccm_system;
