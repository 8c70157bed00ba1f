import { cp, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { onTerminal } from '#e2e/world/terminal.ts'
import { World } from '#e2e/world/world.ts'

const esc = String.fromCharCode(27)

const sample = path.resolve(import.meta.dirname, '../../../server/models/demo/sample')

describe('on a real terminal', () => {
  let world: World
  beforeAll(async () => {
    world = await World.make()
    await world.forge(['sandbox', 'create', '--name', 'box'])
  })
  afterAll(() => world[Symbol.asyncDispose]())

  it('a shell in a sandbox takes keys, sizes and Ctrl-C, and gives the terminal back', async () => {
    using screen = onTerminal(
      world,
      'stty -a > before; forge sandbox shell box; echo "[code $?]"; stty -a > after',
    )
    await screen.shows(/[$#] $/)
    screen.type('stty size; echo $((6*7))\r')
    await screen.shows(/30 100\r\n42\r\n/)
    screen.resize(77, 22)
    // Nothing orders a resize before the keys that follow it: the program asks until it has arrived.
    for (let size = ''; size !== '22 77'; ) {
      screen.type('stty size\r')
      size = (await screen.shows(/\d+ \d+\r\n/)).trim()
    }
    screen.type('tty\r')
    await screen.shows(/\/dev\/pts\/\d+/)
    // What it prints shows that it has the terminal: an earlier Ctrl-C would go to the shell.
    screen.type("sh -c 'echo up; exec sleep 600'\r")
    await screen.shows(/[\r\n]up\r\n/)
    screen.type('\u0003')
    await screen.shows(/\^C[\s\S]*[$#] $/)
    screen.type('read -rsn1 key; echo "got <$key>"\r')
    await screen.shows(/<\$key>"\r\n/)
    screen.type('k')
    await screen.shows(/got <k>/)
    screen.type('exit 3\r')
    await screen.shows(/\[code 3\]/)
    expect(await screen.code).toBe(0)
    const [before, after] = await Promise.all(
      ['before', 'after'].map((name) => readFile(path.join(world.dir, name), 'utf8')),
    )
    // The window itself was resized meanwhile.
    expect(after?.replace('rows 22; columns 77', 'rows 30; columns 100')).toBe(before)
  })

  it('a full-screen program works', async () => {
    const program = String.raw`printf "\033[?1049h\033[2J\033[29;90Hcorner"; read -rsn1 key; printf "\033[?1049l"; echo "key $key"`
    using screen = onTerminal(world, `forge sandbox exec -t box -- '${program}'; echo "[code $?]"`)
    await screen.shows(/\[\?1049h[\s\S]*\[29;90Hcorner/)
    screen.type('q')
    await screen.shows(/\[\?1049lkey q\r?\n[\s\S]*\[code 0\]/)
  })

  it('the demonstration mends its sample, in words and colours', async () => {
    const repo = path.join(world.dir, 'sample')
    await cp(sample, repo, { recursive: true })
    await world.git(repo, 'init', '-q')
    await world.git(repo, 'add', '-A')
    await world.git(repo, 'commit', '-qm', 'first')
    const prompt = 'The tests of this project fail. Find out why and fix it.'
    using screen = onTerminal(
      world,
      `cd ${repo}; forge run --model demo/scripted --check 'npm test' --apply '${prompt}'; echo "[code $?]"; git status --short`,
    )
    await screen.shows(/\[code 0\]/)
    await screen.code
    const words = stripVTControlCharacters(screen.text())
    expect(words).toMatch(/run_[a-z0-9]{10} demo\/scripted \(scripted demonstration/)
    for (const said of [
      /sandbox ready after/,
      /✗ shell npm test/,
      /✓ edit /,
      /check passed: npm test/,
      /done \(/,
    ])
      expect(words).toMatch(said)
    expect(words).toMatch(/\[code 0\]\s+M /)
    expect(screen.text()).toContain(`${esc}[32m`)
    expect(words).not.toMatch(/undefined|\[object/)
  })

  it('a diff goes through the pager in colour', async () => {
    const model = await world.model({
      turns: [{ calls: [{ name: 'shell', input: { command: 'seq 400 > many.txt' } }] }, { text: 'Done.' }],
    })
    const run = await world.forge(['run', 'Count'], { env: { ANTHROPIC_BASE_URL: model.url } })
    expect(run.code, run.stdout + run.stderr).toBe(0)
    // A bare machine has no less; like it, this one takes its keys from the terminal.
    const pager = path.join(world.dir, 'pager')
    await writeFile(pager, '#!/bin/bash\ncat\nread -rsn1 -p more: key < /dev/tty\necho "key $key"\n', {
      mode: 0o755,
    })
    using screen = onTerminal(world, 'forge diff; echo "[code $?]"', { PAGER: pager })
    await screen.shows(/many\.txt[\s\S]*400[\s\S]*more:/)
    screen.type('q')
    await screen.shows(/key q\r?\n[\s\S]*\[code 0\]/)
    expect(screen.text()).toContain(`${esc}[32m`)
  })

  it('Ctrl-C cancels a run and waits for its end', async () => {
    const model = await world.model({
      turns: [{ calls: [{ name: 'shell', input: { command: 'sleep 600' } }] }],
    })
    using screen = onTerminal(world, 'forge run "Sleep"; echo "[code $?]"', { ANTHROPIC_BASE_URL: model.url })
    await screen.shows(/sleep 600/)
    screen.type('\u0003')
    await screen.shows(/\[code 130\]/)
    expect(stripVTControlCharacters(screen.text())).toMatch(/interrupted/)
  })
})
