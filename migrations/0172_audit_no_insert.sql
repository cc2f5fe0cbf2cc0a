-- In a file of its own: a change that had begun before 0171 has written its entry as the service's login.
SET LOCAL lock_timeout = '2s';
REVOKE INSERT ON audit_entry FROM ccm_app, ccm_system;
