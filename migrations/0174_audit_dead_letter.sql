-- Who replayed or discarded a dead letter. Of the text, its addresses and what a provider says of it nothing stands in the audit.
SET LOCAL lock_timeout = '2s';
CREATE TRIGGER audit AFTER UPDATE OF resolution, resolved_at, resolved_by, replay_message_id ON dead_letter
  FOR EACH ROW EXECUTE FUNCTION audit_change('dead_letter', '{}',
    '{kind,message_id,conversation_id,account_id,provider_message_id,our_address,customer_address,body,code,detail,created_at}');
