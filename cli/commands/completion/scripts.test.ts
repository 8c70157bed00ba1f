import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { catalogue } from '../../catalogue.ts'
import { type CompletionEntry, completionScript } from './scripts.ts'

const entries = (): Promise<CompletionEntry[]> =>
  Promise.all(
    catalogue.map(async ({ name, summary, load }) => ({
      name,
      summary,
      options: (await load()).command.options,
    })),
  )

/** What bash would offer for the words typed so far. */
async function complete(...words: string[]): Promise<string[]> {
  const script = `${completionScript('bash', await entries())}
COMP_WORDS=(forge "$@"); COMP_CWORD=$#; _forge; printf '%s\\n' "\${COMPREPLY[@]}"`
  const result = spawnSync('bash', ['--norc', '-c', script, 'bash', ...words], { encoding: 'utf8' })
  expect(result.stderr).toBe('')
  return result.stdout.trim().split('\n')
}

test('bash completes nouns, verbs and options', async () => {
  expect(await complete('ru')).toEqual(['run', 'runs'])
  expect(await complete('runs', '')).toEqual(['ls', 'show', 'events', 'cancel'])
  expect(await complete('run', '--max')).toEqual(['--max-turns', '--max-cost', '--max-tokens'])
  expect(await complete('sandbox', 'create', '--na')).toEqual(['--name'])
  expect(await complete('run', 'file')).toEqual([''])
})

test.each([
  ['zsh', ['zsh', '-n']],
  ['fish', ['fish', '--no-execute']],
] as const)('the %s script names every command and option', async (shell, [checker, flag]) => {
  const script = completionScript(shell, await entries())
  for (const { name } of catalogue) expect(script).toContain(name.split(' ').at(-1))
  expect(script).toContain('max-tokens')
  // Its own shell says whether it is one, where that is installed.
  const checked = spawnSync(checker, [flag], { input: script, encoding: 'utf8' })
  if (!checked.error) expect(checked.stderr).toBe('')
})
