-- A number is texted through either of its accounts.
SET LOCAL lock_timeout = '2s';
GRANT SELECT (second_account_id) ON number TO ccm_system;
