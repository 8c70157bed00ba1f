import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { catalogue } from '#cli/catalogue.ts'
import { World } from '#e2e/world/world.ts'

const wrong: [line: string, says: RegExp][] = [
  ['run', /PROMPT is missing/],
  ['run x --nope', /unknown option: --nope/],
  ['run x y', /unexpected argument: y/],
  ['run x --max-turns', /--max-turns needs a value/],
  ['run x --max-turns lots', /--max-turns/],
  ['run x --max-turns 0', /--max-turns/],
  ['run x --max-turns 3 --max-turns 4', /more than once/],
  ['run x --max-cost -1', /--max-cost/],
  ['run x --timeout soon', /--timeout/],
  ['run x --apply --detach', /contradict/],
  ['apply --branch b --tree', /contradict/],
  ['diff --stat --json', /contradict/],
  ['events --schema --follow', /contradict/],
  ['sandbox create --memory many', /--memory/],
  ['sandbox exec box', /command is missing/],
  ['sandbox cp a b', /exactly one/],
  ['sandbox shell box', /terminal/],
  ['completion tcsh', /tcsh/],
  ['frobnicate', /unknown command/],
  ['runs frobnicate', /unknown command/],
  ['--frobnicate', /unknown option/],
]

describe('the command line', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it.each(wrong)(
    'forge %s: exit 2 with the right usage, and nothing on standard output',
    async (line, says) => {
      const { code, stdout, stderr } = await world.forge(line.split(' '))
      expect({ code, stdout }, stderr).toEqual({ code: 2, stdout: '' })
      expect(stderr).toMatch(says)
      expect(stderr).toMatch(/usage: forge|one of: bash|terminal|forge sandbox exec/)
    },
  )

  it('needs no server for that, nor for help', () => {
    expect(existsSync(path.join(world.home, 'data'))).toBe(false)
  })

  it.each(catalogue.map(({ name }) => name))(
    'forge %s --help has the usage, the options and an example',
    async (name) => {
      const { code, stdout, stderr } = await world.forge([...name.split(' '), '--help'])
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(new RegExp(`^Usage: forge ${name}`))
      expect(stdout.split('Examples:\n')[1]).toContain(`forge ${name}`)
      expect(stdout).toMatch(/--help/)
    },
  )

  it('completes in bash, zsh and fish', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, stdout } = await world.forge(['completion', shell])
      expect(code).toBe(0)
      expect(stdout).toMatch(/sandbox/)
      await writeFile(path.join(world.dir, `completion.${shell}`), stdout)
    }
    const run = promisify(execFile)
    await run('bash', ['-n', path.join(world.dir, 'completion.bash')])
    const asked = `source ${world.dir}/completion.bash; COMP_WORDS=(forge sandbox c); COMP_CWORD=2; COMP_LINE='forge sandbox c'; COMP_POINT=15; $(complete -p forge | sed 's/.*-F \\([^ ]*\\).*/\\1/') forge c sandbox; echo "\${COMPREPLY[@]}"`
    const { stdout } = await run('bash', ['--norc', '-c', asked])
    expect(stdout).toMatch(/create[\s\S]*cp/)
  })
})
