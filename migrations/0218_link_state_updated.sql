-- What was said of a link that nobody uses any more says nothing of now.
SET LOCAL lock_timeout = '2s';
GRANT SELECT (updated_at) ON link_state TO ccm_system;
