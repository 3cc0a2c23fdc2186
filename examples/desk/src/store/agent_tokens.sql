-- A second secret of a login, for its AI: it opens the tree of the login and nothing else, and goes with the row.
ALTER TABLE logins ADD COLUMN agent_token TEXT;
CREATE UNIQUE INDEX logins_by_agent_token ON logins (agent_token);
