import { expect, test } from 'vitest'
import { pathsFrom, privateDirectoryProblem } from './paths.ts'
import { settings } from './settings.ts'

const user = { env: {}, uid: 1000, home: '/home/ada', cwd: '/work' }

test('XDG directories, with their defaults', () => {
  expect(
    pathsFrom({ ...user, env: { XDG_RUNTIME_DIR: '/run/user/1000', XDG_DATA_HOME: 'relative' } }),
  ).toEqual({
    config: '/home/ada/.config/forge',
    data: '/home/ada/.local/share/forge',
    state: '/home/ada/.local/state/forge',
    runtime: '/run/user/1000/forge',
    socket: '/run/user/1000/forge/forge.sock',
  })
  expect(
    pathsFrom({ ...user, env: { XDG_CONFIG_HOME: '/c', XDG_DATA_HOME: '/d', XDG_STATE_HOME: '/s' } }),
  ).toEqual({
    config: '/c/forge',
    data: '/d/forge',
    state: '/s/forge',
    runtime: '/tmp/forge-1000',
    socket: '/tmp/forge-1000/forge.sock',
  })
})

test('root has the system’s places, whatever session it came by', () => {
  expect(pathsFrom({ ...user, uid: 0, home: '/root', env: { XDG_RUNTIME_DIR: '/run/user/0' } })).toEqual({
    config: '/root/.config/forge',
    data: '/var/lib/forge',
    state: '/root/.local/state/forge',
    runtime: '/run/forge',
    socket: '/run/forge/forge.sock',
  })
})

test('FORGE_HOME holds everything', () => {
  for (const FORGE_HOME of ['/tmp/one', '/tmp/one/', '../tmp/./one'])
    expect(pathsFrom({ ...user, env: { FORGE_HOME, XDG_CONFIG_HOME: '/c' } })).toEqual({
      config: '/tmp/one/config',
      data: '/tmp/one/data',
      state: '/tmp/one/state',
      runtime: '/tmp/one/run',
      socket: '/tmp/one/run/forge.sock',
    })
})

test('a socket path fits, in bytes, and differs between long homes', () => {
  const at = (FORGE_HOME: string, env = {}) => pathsFrom({ ...user, env: { FORGE_HOME, ...env } }).socket
  const longest = `/${'x'.repeat(107 - '//run/forge.sock'.length)}`
  expect(at(longest)).toBe(`${longest}/run/forge.sock`)
  expect(at(`${longest}y`)).toMatch(/^\/tmp\/forge-1000\/[0-9a-f]{16}\.sock$/)
  expect(at(`/${'é'.repeat(50)}`)).toMatch(/^\/tmp\/forge-1000\//)
  expect(at(`${longest}y`)).not.toBe(at(`${longest}z`))
  expect(at(`${longest}y`, { XDG_RUNTIME_DIR: '/run/user/1000' })).toMatch(/^\/run\/user\/1000\/forge\//)
  expect(at(`${longest}y`, { XDG_RUNTIME_DIR: longest })).toMatch(/^\/tmp\/forge-1000\//)
})

test('a directory that somebody else could use is a problem', () => {
  const stat = { isDirectory: () => true, uid: 1000, mode: 0o40700 }
  expect(privateDirectoryProblem(stat, 1000)).toBeNull()
  expect(privateDirectoryProblem({ ...stat, uid: 1001 }, 1000)).toContain('belongs to uid 1001')
  expect(privateDirectoryProblem({ ...stat, mode: 0o40750 }, 1000)).toContain('0700')
  expect(privateDirectoryProblem({ ...stat, isDirectory: () => false }, 1000)).toContain('no directory')
})

test('each setting has a description and a variable of its own', () => {
  expect(settings.filter(({ description }) => description === '')).toEqual([])
  const variables = settings.flatMap(({ env }) => env)
  expect(new Set(variables).size).toBe(variables.length)
  expect(settings.find(({ id }) => id === 'model.anthropic.apiKey')).toMatchObject({
    secret: true,
    env: ['FORGE_MODEL_ANTHROPIC_API_KEY', 'ANTHROPIC_API_KEY'],
  })
  expect(settings.filter(({ secret }) => secret).map(({ id }) => id)).toEqual([
    'model.anthropic.apiKey',
    'model.openai.apiKey',
    'store.databaseUrl',
  ])
})
