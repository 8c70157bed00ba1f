import type { Sql } from 'postgres'
import type { Event } from '#core/event/event.ts'
import type { RunId } from '#core/id.ts'
import type { Encoded } from './encode.ts'

/** The channel on which every commit is announced, once per run: `ORIGIN RUN SEQ`, the seq of the run's newest event. */
export const channel = 'forge_events'

/** The appends of one run in one group, in order. */
export interface RunRows {
  readonly run: RunId
  readonly rows: readonly { at: string; event: Encoded }[]
}

const rowsJson = (groups: readonly RunRows[]): string => {
  const parts: string[] = []
  for (const { run, rows } of groups)
    for (const [index, { at, event }] of rows.entries())
      parts.push(
        `{"r":"${run}","n":${index + 1},"a":"${at}","c":${JSON.stringify(event.actor)},"t":"${event.type}","d":${event.json}}`,
      )
  return `[${parts.join(',')}]`
}

/** What the last event says of its run, moved into the row by the same statement: nobody sees one without the other. */
const endingColumns = (sql: Sql) => sql`
  state = CASE WHEN ending.r IS NULL THEN runs.state ELSE 'finished' END,
  outcome = coalesce(ending.d ->> 'outcome', runs.outcome),
  finished_at = coalesce(ending.a, runs.finished_at),
  turns = coalesce((ending.d ->> 'turns')::integer, runs.turns),
  tokens = coalesce(ending.d -> 'tokens', runs.tokens),
  cost = CASE WHEN ending.r IS NULL THEN runs.cost ELSE (ending.d ->> 'cost')::double precision END,
  diff = CASE WHEN ending.r IS NULL THEN runs.diff ELSE nullif(ending.d -> 'diff', 'null') END,
  summary = coalesce(ending.d ->> 'summary', runs.summary),
  reason = coalesce(ending.d ->> 'reason', runs.reason)`

/**
 * Stores a group in one statement, which is one transaction and one round trip. The row locks are
 * taken in the order of the ids, so two writers never wait for each other in a circle. Runs that do
 * not exist or are finished are left out, and missing in the answer.
 * @returns the seq of each run's newest event.
 */
export async function insertGroup(
  sql: Sql,
  groups: readonly RunRows[],
  { batch, origin }: { batch: number; origin: string },
): Promise<Map<string, number>> {
  const ids = groups.map(({ run }) => run)
  const found = await sql<{ id: string; last: string }[]>`
    WITH input AS MATERIALIZED (
      SELECT r, n, a, c, t, d
      FROM json_to_recordset(${rowsJson(groups)}::text::json)
        AS x(r text, n integer, a timestamptz, c text, t text, d jsonb)
    ), counts AS (
      SELECT r, max(n) AS n FROM input GROUP BY r
    ), ending AS (
      SELECT r, a, d FROM input WHERE t = 'run.finished'
    ), locked AS MATERIALIZED (
      SELECT id FROM runs
      WHERE id = ANY(string_to_array(${ids.join(' ')}, ' ')) AND state <> 'finished' ORDER BY id FOR NO KEY UPDATE
    ), bumped AS (
      UPDATE runs SET last_seq = runs.last_seq + counts.n, ${endingColumns(sql)}
      FROM counts JOIN locked ON locked.id = counts.r LEFT JOIN ending ON ending.r = counts.r
      WHERE runs.id = counts.r AND runs.state <> 'finished'
      RETURNING runs.id, runs.last_seq, counts.n
    ), stored AS (
      INSERT INTO events (run_id, seq, at, actor, type, data, batch)
      SELECT r, bumped.last_seq - bumped.n + input.n, a, c, t, d, ${batch}::bigint
      FROM input JOIN bumped ON bumped.id = input.r
      ORDER BY r, input.n
    )
    SELECT id, last_seq AS last, pg_notify(${channel}, ${origin}::text || ' ' || id || ' ' || last_seq) FROM bumped`
  return new Map(found.map(({ id, last }) => [id, Number(last)]))
}

/** What `insertGroup` would have answered, for a group that may or may not have been committed. */
export async function findGroup(
  sql: Sql,
  ids: readonly string[],
  batch: number,
): Promise<Map<string, number>> {
  const found = await sql<{ id: string; last: string }[]>`
    SELECT run_id AS id, max(seq) AS last FROM events
    WHERE run_id = ANY(string_to_array(${ids.join(' ')}, ' ')) AND batch = ${batch}::bigint GROUP BY run_id`
  return new Map(found.map(({ id, last }) => [id, Number(last)]))
}

export async function readHead(sql: Sql, run: RunId): Promise<{ last: number; finished: boolean } | null> {
  const [row] = await sql<{ last: string; finished: boolean }[]>`
    SELECT last_seq AS last, state = 'finished' AS finished FROM runs WHERE id = ${run}`
  return row === undefined ? null : { last: Number(row.last), finished: row.finished }
}

export async function readEvents(
  sql: Sql,
  run: RunId,
  { after, limit }: { after: number; limit: number },
): Promise<Event[]> {
  const rows = await sql<{ seq: string; at: string; actor: string; type: string; data: unknown }[]>`
    SELECT seq, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS at, actor, type, data
    FROM events WHERE run_id = ${run} AND seq > ${after}::bigint ORDER BY seq LIMIT ${limit}::integer`
  return rows.map(
    ({ seq, at, actor, type, data }) => ({ run, seq: Number(seq), at, actor, type, data }) as Event,
  )
}
