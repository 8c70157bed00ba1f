import { describe, expect, test } from 'vitest'
import type { Event, EventDraft } from '#core/event/event.ts'
import { finished, workEvents } from '../testkit/script.ts'
import { RunView } from './run-view.ts'
import { makeStyle } from './style.ts'

const asEvents = (drafts: readonly EventDraft[]): Event[] =>
  drafts.map(
    (draft, index) =>
      ({ run: 'run_7k7k7k7k7k', seq: index + 1, at: '2026-01-02T03:04:05.000Z', ...draft }) as Event,
  )

const show = (drafts: readonly EventDraft[], options: { live?: boolean; width?: number } = {}): string => {
  const view = new RunView({
    style: makeStyle(false),
    width: options.width ?? 80,
    live: options.live ?? false,
  })
  return asEvents(drafts)
    .map((event) => view.render(event))
    .join('')
}

describe('a run in words', () => {
  test('reads calmly from start to end', () => {
    expect(show([...workEvents, finished('done')])).toBe(`12 files in place

I will look at the test.
  ✗ shell npm test (exit 1, 1.2 s)
    expected 4, got 5
    1 failing
  egress denied: evil.example:443 (not in the allowlist); allow it with --allow evil.example:443
check passed: npm test (800 ms)

done (4.2 s, 1 turn, 1.5k tokens, $0.01)
2 files changed, +7 -1
  forge diff run_7k7k7k7k7k   look at the work
  forge apply run_7k7k7k7k7k  take it into your working tree
`)
  })

  test('shows what a tool is doing on a terminal, on a line that its result replaces', () => {
    const shown = show(workEvents.slice(5, 7), { live: true })
    expect(shown).toMatch(/^ {2}… shell npm test\r.\[K {2}✗ shell npm test/)
  })

  test('says a turn that did not stream', () => {
    expect(show([workEvents[4] as EventDraft])).toBe('\nI will look at the test.\n')
  })

  test('says again what a retry made void', () => {
    const retried: EventDraft = {
      actor: 'server',
      type: 'model.retried',
      data: { attempt: 1, delayMs: 500, status: 529, reason: 'overloaded' },
    }
    const [first, second] = [workEvents[2], workEvents[3]] as [EventDraft, EventDraft]
    expect(show([first, retried, second])).toBe(
      '\nI will look \nthe model is asked again in 500 ms (1): overloaded\n\nat the test.',
    )
  })

  test('nothing that came from outside reaches the terminal as a control', () => {
    const evil = 'x\u001b]52;c;aGk=\u0007\u202e\u009b2J\ry'
    const shown = show([
      { actor: 'agent', type: 'message.delta', data: { turn: 1, kind: 'text', text: evil } },
      {
        actor: 'agent',
        type: 'tool.started',
        data: { call: '1', turn: 1, name: evil, input: { command: evil } },
      },
      {
        actor: 'agent',
        type: 'tool.finished',
        data: { call: '1', turn: 1, name: evil, isError: true, title: evil, content: evil, ms: 1 },
      },
      { actor: 'server', type: 'run.warning', data: { message: evil, hint: evil } },
      {
        actor: 'server',
        type: 'egress.decided',
        data: { host: evil, port: 1, via: 'http', allowed: false, rule: evil },
      },
      {
        actor: 'server',
        type: 'check.finished',
        data: { command: evil, attempt: 1, exitCode: 1, passed: false, output: evil, ms: 1 },
      },
      finished('failed', { reason: evil, error: { code: 'task_failed', message: evil, hint: evil } }),
    ])
    expect(shown).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u)
  })
})
