SET LOCAL lock_timeout = '2s';
CREATE FUNCTION webhook_of_chat() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF webhook_listens() THEN
    PERFORM webhook_event('conversation.agent_joined', NEW.tenant_id, NEW.conversation_id, NULL, NULL,
                          jsonb_build_object('state', 'open', 'chat_id', NEW.id));
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER webhook_changed AFTER UPDATE OF state ON chat
  FOR EACH ROW WHEN (OLD.state <> 'live' AND NEW.state = 'live') EXECUTE FUNCTION webhook_of_chat();
