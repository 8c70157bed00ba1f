import type { EventData, EventDraft } from '#core/event/event.ts'
import { noTokens, outcomeExit, type RunOutcome } from '#core/run/run.ts'

const tokens = { ...noTokens, input: 1200, output: 300 }

/** The events of a short run, after `run.created`. */
export const workEvents: EventDraft[] = [
  { actor: 'server', type: 'run.state', data: { from: 'queued', to: 'preparing' } },
  {
    actor: 'server',
    type: 'workspace.prepared',
    data: {
      path: '/home/dev/work',
      branch: 'forge/x',
      start: null,
      head: null,
      files: 12,
      bytes: 3400,
      ms: 20,
      instructions: [],
    },
  },
  { actor: 'agent', type: 'message.delta', data: { turn: 1, kind: 'text', text: 'I will look\u001b[31m ' } },
  { actor: 'agent', type: 'message.delta', data: { turn: 1, kind: 'text', text: 'at the test.' } },
  {
    actor: 'agent',
    type: 'message.assistant',
    data: {
      turn: 1,
      content: [
        { type: 'text', text: 'I will look at the test.' },
        { type: 'tool_call', id: 'call_1', name: 'shell', input: { command: 'npm test' } },
      ],
      stop: 'tool_calls',
      usage: { model: 'demo/scripted', tokens, cost: 0.01 },
      ms: 900,
    },
  },
  {
    actor: 'agent',
    type: 'tool.started',
    data: { call: 'call_1', turn: 1, name: 'shell', input: { command: 'npm test' } },
  },
  {
    actor: 'agent',
    type: 'tool.finished',
    data: {
      call: 'call_1',
      turn: 1,
      name: 'shell',
      isError: false,
      title: 'npm test',
      content: 'expected 4, got 5\n1 failing',
      exitCode: 1,
      ms: 1234,
    },
  },
  {
    actor: 'server',
    type: 'egress.decided',
    data: {
      host: 'evil.example',
      port: 443,
      via: 'connect',
      allowed: false,
      rule: 'default',
      reason: 'not in the allowlist',
    },
  },
  { actor: 'server', type: 'check.started', data: { command: 'npm test', attempt: 1 } },
  {
    actor: 'server',
    type: 'check.finished',
    data: { command: 'npm test', attempt: 1, exitCode: 0, passed: true, output: 'ok', ms: 800 },
  },
  {
    actor: 'server',
    type: 'workspace.captured',
    data: {
      branch: 'forge/x',
      start: null,
      tip: null,
      head: null,
      stat: { files: 2, insertions: 7, deletions: 1 },
      bundle: null,
      patch: null,
      changes: null,
    },
  },
]

/** How a run ends. */
export const finished = (outcome: RunOutcome, more: Partial<EventData<'run.finished'>> = {}): EventDraft => ({
  actor: 'server',
  type: 'run.finished',
  data: {
    outcome,
    exitCode: outcomeExit[outcome],
    summary: null,
    reason: null,
    turns: 1,
    tokens,
    cost: 0.01,
    diff: { files: 2, insertions: 7, deletions: 1 },
    check: { command: 'npm test', exitCode: 0, passed: true },
    ms: 4200,
    ...more,
  },
})
