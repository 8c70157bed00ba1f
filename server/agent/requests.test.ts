import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ReactiveScript } from '../models/scripted/script.ts'
import { play, sh } from './test-run.ts'
import { openTestSandbox, type TestSandbox } from './test-sandbox.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await openTestSandbox()
}, 120_000)
afterAll(() => sandbox?.[Symbol.asyncDispose]())

const long = 'seq 1 3000'

/** Eight long outputs, then the end; a request of more than `tooLong` characters is refused as APIs do it. */
const talkative =
  (tooLong = Number.POSITIVE_INFINITY): ReactiveScript =>
  ({ body, turns }) => {
    if (JSON.stringify(body.messages).length > tooLong)
      return {
        fault: { kind: 'status', status: 400, message: 'prompt is too long: 210000 tokens > 200000 maximum' },
      }
    return turns < 8 ? sh(long) : { text: 'Done.' }
  }

test('old results are sent shortened when the conversation gets long; the ledger keeps them', async () => {
  const { result, requests, ledger } = await play(sandbox, talkative(), { maxRequestChars: 60_000 })
  expect(result.outcome).toBe('done')
  for (const { body } of requests) expect(JSON.stringify(body.messages).length).toBeLessThan(64_000)
  const results = requests.at(-1)?.calls.map((one) => one.result ?? '') ?? []
  expect(results[0]).toContain(
    '[… shortened to save room: 13,906 characters; call the tool again if you need them …]',
  )
  expect(results.at(-1)).toContain('\n3000\n[exit code 0]')
  expect(ledger.of('tool.finished').every(({ content }) => content.includes('\n1500\n'))).toBe(true)
})

test('the beginning of the conversation changes rarely, for the prompt cache', async () => {
  const { requests } = await play(sandbox, talkative(), { maxRequestChars: 60_000 })
  const shortenedIn = requests.map(
    ({ calls }) => calls.filter((one) => one.result?.includes('shortened')).length,
  )
  const changes = shortenedIn.filter((count, index) => index > 0 && count !== shortenedIn[index - 1])
  expect(changes.length).toBeLessThanOrEqual(3)
})

test('a model that finds the request too long gets a shorter one', async () => {
  const { result, requests } = await play(sandbox, talkative(70_000))
  expect(result).toMatchObject({ outcome: 'done', turns: 9 })
  expect(requests.length).toBeGreaterThan(9)
})

test('when nothing can be shortened, the refusal stands', async () => {
  const { result } = await play(sandbox, talkative(10))
  expect(result).toMatchObject({ outcome: 'model_unavailable', error: { code: 'model_rejected' } })
})
