SET LOCAL lock_timeout = '2s';
CREATE FUNCTION webhook_of_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF webhook_listens() THEN
    PERFORM webhook_event(
      'message.' || CASE NEW.state
        WHEN 'accepted' THEN 'received'
        WHEN 'queued' THEN 'queued'
        WHEN 'sent' THEN 'sent'
        WHEN 'delivered' THEN 'delivered'
        WHEN 'unknown' THEN 'unknown'
        ELSE 'failed' END,
      NEW.tenant_id, NEW.conversation_id, NULL, NEW.id, jsonb_build_object('state', NEW.state));
  END IF;
  RETURN NULL;
END $$;
-- What CCM itself writes into a chat for the agent (mo, system) is no text of the customer's.
CREATE TRIGGER webhook_new AFTER INSERT ON message
  FOR EACH ROW WHEN (NEW.origin = 'customer' OR NEW.direction = 'mt') EXECUTE FUNCTION webhook_of_message();
CREATE TRIGGER webhook_changed AFTER UPDATE OF state ON message
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state AND NEW.state NOT IN ('accepted', 'queued', 'sending')
                     AND (NEW.origin = 'customer' OR NEW.direction = 'mt'))
  EXECUTE FUNCTION webhook_of_message();
