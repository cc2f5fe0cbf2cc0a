-- Which texts were sent from the last forms of a page, the newest first: a form that comes a second time is told what became of it. A text has
-- an id of its own, of the moment at which it was sent.
SET LOCAL lock_timeout = '2s';
ALTER TABLE screenpop_session
  ADD COLUMN sent_forms uuid[] NOT NULL DEFAULT '{}',
  ADD COLUMN sent_texts uuid[] NOT NULL DEFAULT '{}';
