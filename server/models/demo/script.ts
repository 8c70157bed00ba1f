import type { ReactiveScript, ScriptedRequest, TurnInput } from '../scripted/script.ts'

const label = 'Forge’s built-in demonstration: a script, no language model'

/** What the sample's `npm test` prints first; other projects print their own name there. */
const sampleMark = /> forge-sample@\S+ test/

const source = 'src/duration.js'
const wrong = 'total = Number(amount) * seconds[unit]'
const right = 'total += Number(amount) * seconds[unit]'

const turn = (text: string, calls: TurnInput['calls'] = []): TurnInput => ({
  text,
  calls,
  chunk: 24,
  usage: { input: 0, output: 0 },
})

const test = { name: 'shell', input: { command: 'npm test' } }

const giveUp = (why: string): TurnInput =>
  turn(
    `This is ${label}. It can do one thing: fix the failing test of Forge’s sample project. ${why}\n\n` +
      'Set ANTHROPIC_API_KEY, or OPENAI_API_KEY, or name a model with --model, to work with a real one.\n\n' +
      'FAILED: the scripted demonstration can only do Forge’s sample project',
  )

type Call = ScriptedRequest['calls'][number]

/** The numbers at the end of `node --test`, in both of its formats (`# fail 1`, `ℹ fail 1`). */
function testResult(output: string): { passed: number; failed: number; firstFailure: string | null } | null {
  const count = (word: string) => new RegExp(`^(?:#|ℹ) ${word} (\\d+)`, 'm').exec(output)?.[1]
  const passed = count('pass')
  const failed = count('fail')
  if (passed === undefined || failed === undefined) return null
  const failure = /^\s*(?:not ok \d+ -|✖) (?!failing tests)(.+?)(?: \([\d.]+ms\))?$/m.exec(output)
  return { passed: Number(passed), failed: Number(failed), firstFailure: failure?.[1] ?? null }
}

function afterTests(output: string, edited: boolean): TurnInput {
  if (!sampleMark.test(output)) return giveUp('This repository is not that project.')
  const result = testResult(output)
  if (result === null) return giveUp('The tests could not be run here.')
  if (result.failed === 0 && edited)
    return turn(
      `All ${result.passed} tests pass now.\n\n` +
        `- Cause: in \`${source}\` the loop over the parts of a duration assigned each part to the total instead of adding it, so that only the last part counted ("1h30m" gave 30 minutes).\n` +
        '- Change: `=` became `+=`, one line.\n' +
        `- Verified with \`npm test\`: ${result.passed} passed, none failed.\n\n` +
        `(This was ${label}.)`,
    )
  if (result.failed === 0) return turn(`All ${result.passed} tests pass already: nothing to fix. (${label})`)
  if (edited) return giveUp(`After the change ${result.failed} still fail, and the script ends here.`)
  const name = result.firstFailure === null ? '' : `, first of all “${result.firstFailure}”`
  return turn(
    `${result.failed} of ${result.passed + result.failed} tests fail${name}. I look at the code and at what the test expects.`,
    [
      { name: 'read', input: { path: source } },
      { name: 'read', input: { path: 'test/duration.test.js' } },
    ],
  )
}

function afterReading(reads: Call[]): TurnInput {
  const text = reads.find((call) => call.input.includes(source))?.result ?? ''
  if (!text.includes(wrong)) return giveUp(`The line that it knows how to fix is not in ${source}.`)
  return turn(
    'Found it: each part of a duration overwrites the total, so that only the last one counts. It has to be added.',
    [{ name: 'edit', input: { path: source, old: wrong, new: right } }],
  )
}

/** Fixes the sample project in `sample/`, and says what it is. What it does next follows from the last tool's result. */
export const demoScript: ReactiveScript = ({ prompt, calls }) => {
  const last = calls.at(-1)
  const edited = calls.some((call) => call.name === 'edit')
  if (!last) {
    if (!/\b(tests?|fix|bugs?|fail\w*)\b/i.test(prompt)) return giveUp('The task is another one.')
    return turn(`This is ${label}. First I run the tests to see what fails.`, [test])
  }
  if (last.name === 'shell') return afterTests(last.result ?? '', edited)
  if (last.name === 'read') return afterReading(calls.filter((call) => call.name === 'read'))
  return turn('Now the tests again.', [test])
}
