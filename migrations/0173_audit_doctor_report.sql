-- A shared report can be read by people without a token: who opened that door, until when, and who closed it. Reports themselves are
-- no settings.
SET LOCAL lock_timeout = '2s';
CREATE TRIGGER audit AFTER UPDATE OF share_hash, share_until, shared_by ON doctor_report
  FOR EACH ROW EXECUTE FUNCTION audit_change('doctor_report', '{share_hash}', '{link_id,outcome,report,made_by,made_at}');
