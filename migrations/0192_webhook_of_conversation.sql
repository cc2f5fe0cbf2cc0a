SET LOCAL lock_timeout = '2s';
CREATE FUNCTION webhook_of_conversation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF webhook_listens() THEN
    PERFORM webhook_event(CASE NEW.state WHEN 'open' THEN 'conversation.opened' ELSE 'conversation.closed' END,
                          NEW.tenant_id, NEW.id, NULL, NULL, jsonb_build_object('state', NEW.state));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER webhook_new AFTER INSERT ON conversation FOR EACH ROW EXECUTE FUNCTION webhook_of_conversation();
CREATE TRIGGER webhook_changed AFTER UPDATE OF state ON conversation
  FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state) EXECUTE FUNCTION webhook_of_conversation();
