CREATE TABLE runs (
  id text PRIMARY KEY CHECK (id ~ '^run_[0-9a-hjkmnp-tv-z]{10}$'),
  state text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'preparing', 'running', 'waiting', 'finished')),
  outcome text,
  actor text NOT NULL,
  spec jsonb NOT NULL,
  model text NOT NULL,
  provider text NOT NULL,
  sandbox text,
  source text NOT NULL,
  turns integer NOT NULL DEFAULT 0,
  tokens jsonb NOT NULL,
  cost double precision,
  diff jsonb,
  summary text,
  reason text,
  -- The outcome that a person asked the run to finish with.
  cancelled text,
  created_at timestamptz(3) NOT NULL,
  finished_at timestamptz(3),
  -- The ledger's: the seq of the newest event. run.finished moves the row to its last state.
  last_seq bigint NOT NULL DEFAULT 0,
  CONSTRAINT runs_finished CHECK ((state = 'finished') = (outcome IS NOT NULL) AND (state = 'finished') = (finished_at IS NOT NULL))
) WITH (fillfactor = 70);

CREATE INDEX runs_created_at ON runs (created_at DESC, id DESC);
CREATE INDEX runs_unfinished ON runs (created_at) WHERE state <> 'finished';
CREATE INDEX runs_id_prefix ON runs (id text_pattern_ops);

CREATE TABLE events (
  run_id text NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
  seq bigint NOT NULL CHECK (seq > 0),
  at timestamptz(3) NOT NULL,
  actor text NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL,
  -- The group commit that stored it; tells a writer that lost its connection whether its commit had arrived.
  batch bigint NOT NULL,
  PRIMARY KEY (run_id, seq)
);

CREATE TABLE sandboxes (
  id text PRIMARY KEY CHECK (id ~ '^sbx_[0-9a-hjkmnp-tv-z]{10}$'),
  name text,
  state text NOT NULL DEFAULT 'creating' CHECK (state IN ('creating', 'provisioning', 'running', 'suspended', 'destroyed', 'failed')),
  provider text NOT NULL,
  run text REFERENCES runs (id) ON DELETE SET NULL,
  limits jsonb NOT NULL,
  enforcement jsonb,
  allow jsonb NOT NULL DEFAULT '[]',
  reason text,
  handle jsonb,
  created_at timestamptz(3) NOT NULL,
  changed_at timestamptz(3) NOT NULL
);

CREATE UNIQUE INDEX sandboxes_live_name ON sandboxes (name) WHERE state NOT IN ('destroyed', 'failed');
CREATE INDEX sandboxes_created_at ON sandboxes (created_at DESC, id DESC);
CREATE INDEX sandboxes_live ON sandboxes (created_at) WHERE state <> 'destroyed';
CREATE INDEX sandboxes_id_prefix ON sandboxes (id text_pattern_ops);
