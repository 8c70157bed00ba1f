-- The schema that the migrations make. Written by scripts/database-schema.ts; do not edit.

CREATE TABLE events (
  run_id text NOT NULL,
  seq bigint NOT NULL,
  at timestamp(3) with time zone NOT NULL,
  actor text NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL,
  batch bigint NOT NULL,
  CONSTRAINT events_pkey PRIMARY KEY (run_id, seq),
  CONSTRAINT events_run_id_fkey FOREIGN KEY (run_id) REFERENCES runs(id) ON DELETE CASCADE,
  CONSTRAINT events_seq_check CHECK ((seq > 0))
);

CREATE TABLE runs (
  id text NOT NULL,
  state text NOT NULL DEFAULT 'queued'::text,
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
  cancelled text,
  created_at timestamp(3) with time zone NOT NULL,
  finished_at timestamp(3) with time zone,
  last_seq bigint NOT NULL DEFAULT 0,
  CONSTRAINT runs_pkey PRIMARY KEY (id),
  CONSTRAINT runs_finished CHECK ((((state = 'finished'::text) = (outcome IS NOT NULL)) AND ((state = 'finished'::text) = (finished_at IS NOT NULL)))),
  CONSTRAINT runs_id_check CHECK ((id ~ '^run_[0-9a-hjkmnp-tv-z]{10}$'::text)),
  CONSTRAINT runs_state_check CHECK ((state = ANY (ARRAY['queued'::text, 'preparing'::text, 'running'::text, 'waiting'::text, 'finished'::text])))
) WITH (fillfactor=70);

CREATE INDEX runs_created_at ON runs USING btree (created_at DESC, id DESC);
CREATE INDEX runs_id_prefix ON runs USING btree (id text_pattern_ops);
CREATE INDEX runs_unfinished ON runs USING btree (created_at) WHERE (state <> 'finished'::text);

CREATE TABLE sandboxes (
  id text NOT NULL,
  name text,
  state text NOT NULL DEFAULT 'creating'::text,
  provider text NOT NULL,
  run text,
  limits jsonb NOT NULL,
  enforcement jsonb,
  allow jsonb NOT NULL DEFAULT '[]'::jsonb,
  reason text,
  handle jsonb,
  created_at timestamp(3) with time zone NOT NULL,
  changed_at timestamp(3) with time zone NOT NULL,
  CONSTRAINT sandboxes_pkey PRIMARY KEY (id),
  CONSTRAINT sandboxes_id_check CHECK ((id ~ '^sbx_[0-9a-hjkmnp-tv-z]{10}$'::text)),
  CONSTRAINT sandboxes_run_fkey FOREIGN KEY (run) REFERENCES runs(id) ON DELETE SET NULL,
  CONSTRAINT sandboxes_state_check CHECK ((state = ANY (ARRAY['creating'::text, 'provisioning'::text, 'running'::text, 'suspended'::text, 'destroyed'::text, 'failed'::text])))
);

CREATE INDEX sandboxes_created_at ON sandboxes USING btree (created_at DESC, id DESC);
CREATE INDEX sandboxes_id_prefix ON sandboxes USING btree (id text_pattern_ops);
CREATE INDEX sandboxes_live ON sandboxes USING btree (created_at) WHERE (state <> 'destroyed'::text);
CREATE UNIQUE INDEX sandboxes_live_name ON sandboxes USING btree (name) WHERE (state <> ALL (ARRAY['destroyed'::text, 'failed'::text]));

CREATE TABLE schema_migrations (
  number integer NOT NULL,
  name text NOT NULL,
  checksum text NOT NULL,
  applied_at timestamp(3) with time zone NOT NULL DEFAULT now(),
  CONSTRAINT schema_migrations_pkey PRIMARY KEY (number)
);
